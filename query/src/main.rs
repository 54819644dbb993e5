//! `blockgrid-query`: SQL over the tables of a folder.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use blockgrid_query::{Database, Format, Options, Printed, QueryError, STACK_BYTES, parse_bytes, print};
use clap::{Parser, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  The ten best parameter sets of each symbol:
    blockgrid query DIR \"select * from (select *, row_number() over
      (partition by symbol order by sharpe desc) as place from trials) where place <= 10\"
  What the stops of the best trial cost:
    blockgrid query DIR \"select exit_reason, count(*) as trades, sum(pnl) as pnl
      from trades where rank = 1 group by exit_reason order by pnl\"
  Equity at the end of each month:
    blockgrid query DIR \"select date_trunc('month', timestamp) as month,
      last_value(equity order by timestamp) as equity
      from equity where rank = 1 group by month order by month\"

Names are case-sensitive; nulls come last in every order.
Exit code 0: answered, 1: failed, 2: bad input.";

/// SQL over results and candles: every *.parquet in DIR is a table, read-only.
#[derive(Parser)]
#[command(name = "blockgrid-query", bin_name = "blockgrid query", version, after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
struct Arguments {
    /// The folder: the output of `blockgrid run`, or any other with *.parquet files.
    dir: PathBuf,
    /// One SELECT. Without it, the tables with their columns, types and row counts are listed.
    sql: Option<String>,
    /// Shape of the output.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Rows that are printed, 0 for all [default: 1000 for tables, all for json and csv].
    #[arg(long, short)]
    limit: Option<usize>,
    /// Memory of sorts, joins and aggregates, in bytes or with KiB, MiB or GiB.
    #[arg(long, default_value = "1GiB", value_parser = parse_bytes)]
    memory: usize,
    /// Threads; with more than one, rows without ORDER BY and last digits of sums may vary between runs.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
    Csv,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || run(&arguments));
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // The panic has said its piece.
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cannot start a thread: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let (format, usual_limit) = match arguments.output {
        Output::Table => (Format::Table, 1000),
        Output::Json => (Format::Json, 0),
        Output::Csv => (Format::Csv, 0),
    };
    let limit = Some(arguments.limit.unwrap_or(usual_limit)).filter(|&limit| limit > 0);
    match answer(arguments, format, limit) {
        Ok(Printed { rows, cut: true }) => {
            eprintln!("note: the first {rows} rows; there are more (--limit 0 prints all)");
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<QueryError>() {
            // `blockgrid query ... | head` is no failure.
            Some(QueryError::Write(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            cause => {
                eprintln!("error: {error:#}");
                ExitCode::from(if cause.is_some_and(QueryError::is_bad_input) { 2 } else { 1 })
            }
        },
    }
}

fn answer(arguments: &Arguments, format: Format, limit: Option<usize>) -> anyhow::Result<Printed> {
    let threads = usize::from(arguments.threads);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let database = Database::open(&arguments.dir, Options { memory: arguments.memory, threads }).await?;
        let rows = match &arguments.sql {
            Some(sql) => database.query(sql).await?,
            None => database.describe()?,
        };
        let mut out = BufWriter::new(io::stdout().lock());
        let printed = print(rows, format, limit, &mut out).await?;
        out.flush().map_err(QueryError::Write)?;
        Ok(printed)
    })
}
