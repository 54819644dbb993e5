//! A folder of Parquet files as tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{ScalarValue, SchemaError, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::functions::expr_fn::isnan;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext, ident, lit, when};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures::StreamExt;

use crate::{QueryError, Rows};

/// Longest statement that is read.
pub const MAX_SQL_BYTES: usize = 64 * 1024;

/// Most operators and keywords of a statement. Planning takes time with the cube of the depth of an expression and walks
/// it recursively: a sum of 8,000 terms took minutes. Values of an `in (...)` do not count.
pub const MAX_OPERATORS: usize = 1000;

/// Stack for the threads that plan and run statements, so that none within the limits overflows it: 1,000 terms took
/// 8 MiB in a build without optimisation. Only pages that are used take memory.
pub const STACK_BYTES: usize = 64 << 20;

/// How queries run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes that sorts, joins and aggregates may hold together; beyond it sorts and aggregates spill to disk, the
    /// rest fails.
    pub memory: usize,
    /// Threads of one query. With more than one, rows without `order by` and the last digits of float sums depend on
    /// timing.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { memory: 1 << 30, threads: 1 }
    }
}

/// A table: one Parquet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The file's name without `.parquet`.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// The columns in order.
    pub columns: Vec<Column>,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its SQL type.
    pub kind: String,
}

/// The tables of one folder.
pub struct Database {
    context: SessionContext,
    tables: Vec<Table>,
    memory: usize,
}

impl Database {
    /// Opens every `*.parquet` directly in `dir` as a table named by its stem.
    pub async fn open(dir: &Path, options: Options) -> Result<Self, QueryError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(options.memory, 1.0)
            .build_arc()
            .map_err(|error| QueryError::running(&error, options.memory))?;
        let mut config =
            SessionConfig::new().with_target_partitions(options.threads.max(1)).with_information_schema(true);
        let settings = config.options_mut();
        settings.sql_parser.enable_ident_normalization = false;
        settings.sql_parser.default_null_ordering = "nulls_last".to_owned();
        let context = SessionContext::new_with_config_rt(config, runtime);

        let mut tables = Vec::new();
        for (name, path) in parquet_files(dir)? {
            tables.push(inspect(&name, &path)?);
            let read =
                |error: DataFusionError| QueryError::Read { path: path.clone(), source: Box::new(error) };
            let file =
                context.read_parquet(file_url(&path), ParquetReadOptions::default()).await.map_err(read)?;
            let view = without_nan(file).map_err(read)?.into_view();
            context.register_table(TableReference::bare(name), view).map_err(read)?;
        }
        if tables.is_empty() {
            return Err(QueryError::NoTables(dir.to_owned()));
        }
        Ok(Self { context, tables, memory: options.memory })
    }

    /// The tables in the order of their names.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The tables as rows of `table, rows, column, type`.
    pub fn describe(&self) -> Result<Rows, QueryError> {
        let each =
            || self.tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(each().map(|(table, _)| Some(&table.name)).collect::<StringArray>()),
            Arc::new(each().map(|(table, _)| i64::try_from(table.rows).ok()).collect::<Int64Array>()),
            Arc::new(each().map(|(_, column)| Some(&column.name)).collect::<StringArray>()),
            Arc::new(each().map(|(_, column)| Some(&column.kind)).collect::<StringArray>()),
        ];
        let schema = Arc::new(Schema::new(vec![
            Field::new("table", DataType::Utf8, false),
            Field::new("rows", DataType::Int64, false),
            Field::new("column", DataType::Utf8, false),
            Field::new("type", DataType::Utf8, false),
        ]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
            .map_err(|error| QueryError::Failed(error.to_string()))?;
        Ok(Rows::new(schema, futures::stream::iter([Ok(batch)]).boxed(), self.memory))
    }

    /// Starts one query. Statements that would change anything are refused.
    pub async fn query(&self, sql: &str) -> Result<Rows, QueryError> {
        if sql.len() > MAX_SQL_BYTES {
            return Err(QueryError::TooLong(sql.len()));
        }
        let operators = operators(sql);
        if operators > MAX_OPERATORS {
            return Err(QueryError::TooDeep(operators));
        }
        let state = self.context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let statement = state.sql_to_statement(sql, &dialect).map_err(|error| self.explain(&error))?;
        // Planning names a missing table, too, but neither what is near nor what there is.
        if reads(&statement) {
            let named = state.resolve_table_references(&statement).map_err(|error| self.explain(&error))?;
            for reference in &named {
                if let TableReference::Bare { table } = reference
                    && !self.tables.iter().any(|known| known.name == **table)
                    && !state.table_functions().contains_key(table.as_ref())
                {
                    return Err(self.unknown(
                        "table",
                        table,
                        self.tables.iter().map(|table| table.name.as_str()),
                    ));
                }
            }
        }
        let plan = state.statement_to_plan(statement).await.map_err(|error| self.explain(&error))?;
        let allowed =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        allowed.verify_plan(&plan).map_err(|error| QueryError::ReadOnly(plain(error.find_root())))?;

        let started = async { self.context.execute_logical_plan(plan).await?.execute_stream().await };
        let stream = started.await.map_err(|error| self.explain(&error))?;
        Ok(Rows::new(stream.schema(), stream.boxed(), self.memory))
    }

    /// An error of planning in words that help to mend the statement.
    fn explain(&self, error: &DataFusionError) -> QueryError {
        match error.find_root() {
            DataFusionError::SQL(parser, _) => {
                QueryError::Sql { message: parser.to_string(), known: String::new() }
            }
            DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
                SchemaError::FieldNotFound { field, valid_fields } => {
                    self.unknown("column", &field.name, valid_fields.iter().map(|field| field.name.as_str()))
                }
                other => QueryError::Sql { message: other.to_string(), known: self.known() },
            },
            DataFusionError::Collection(errors) if !errors.is_empty() => self.explain(&errors[0]),
            root @ (DataFusionError::Plan(_) | DataFusionError::NotImplemented(_)) => {
                QueryError::Sql { message: plain(root), known: self.known() }
            }
            _ => QueryError::running(error, self.memory),
        }
    }

    fn unknown<'a>(&self, what: &str, name: &str, candidates: impl Iterator<Item = &'a str>) -> QueryError {
        let near = candidates
            .map(|candidate| {
                (strsim::jaro_winkler(&candidate.to_lowercase(), &name.to_lowercase()), candidate)
            })
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let mut message = format!("there is no {what} `{name}`");
        if let Some((_, candidate)) = near {
            let _ = write!(message, "; did you mean `{candidate}`?");
        }
        QueryError::Sql { message, known: self.known() }
    }

    fn known(&self) -> String {
        self.tables.iter().fold(String::new(), |mut text, table| {
            let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            let _ = write!(text, "\n  {}: {}", table.name, columns.join(", "));
            text
        })
    }
}

/// The rows with null for every NaN: otherwise one NaN would spoil an average, and lead a descending order.
fn without_nan(file: DataFrame) -> Result<DataFrame, DataFusionError> {
    let columns = file
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let column = ident(field.name());
            match field.data_type().is_floating() {
                true => {
                    let null = lit(ScalarValue::try_new_null(field.data_type())?);
                    Ok(when(isnan(column.clone()), null).otherwise(column)?.alias(field.name()))
                }
                false => Ok(column),
            }
        })
        .collect::<Result<Vec<_>, DataFusionError>>()?;
    file.select(columns)
}

/// How many tokens of a statement may nest others: all but names, literals and separators (the parser bounds
/// parentheses itself). Nothing where it cannot be split into tokens: the parser says why.
fn operators(sql: &str) -> usize {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let nests = |token: &&Token| match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_) => false,
        Token::Comma | Token::Period | Token::LParen | Token::RParen | Token::SemiColon => false,
        _ => true,
    };
    tokens.iter().filter(nests).count()
}

/// Whether a statement only reads, as far as its first word tells; the plan decides.
fn reads(statement: &Statement) -> bool {
    match statement {
        Statement::Explain(explain) => reads(&explain.statement),
        Statement::Statement(statement) => matches!(**statement, ast::Statement::Query(_)),
        _ => false,
    }
}

/// The message without DataFusion's "Error during planning: ".
fn plain(error: &DataFusionError) -> String {
    match error {
        DataFusionError::Plan(text) | DataFusionError::NotImplemented(text) => {
            text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default().trim().to_owned()
        }
        other => other.strip_backtrace(),
    }
}

fn parquet_files(dir: &Path) -> Result<BTreeMap<String, PathBuf>, QueryError> {
    let failed = |error: std::io::Error| QueryError::Read { path: dir.to_owned(), source: Box::new(error) };
    if !dir.is_dir() {
        return Err(QueryError::NoFolder(dir.to_owned()));
    }
    let dir = dir.canonicalize().map_err(failed)?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let (true, Some(stem)) = (path.is_file() && path.extension().is_some_and(|e| e == "parquet"), stem)
        {
            files.insert(stem.to_owned(), path);
        }
    }
    Ok(files)
}

fn inspect(name: &str, path: &Path) -> Result<Table, QueryError> {
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| QueryError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(|error| failed(error.into()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(error.into()))?;
    let rows = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
    let columns = reader
        .schema()
        .fields()
        .iter()
        .map(|field| Column { name: field.name().clone(), kind: sql_type(field.data_type()) })
        .collect();
    Ok(Table { name: name.to_owned(), rows, columns })
}

fn sql_type(kind: &DataType) -> String {
    match kind {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "integer".to_owned(),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => "integer unsigned".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::UInt64 => "bigint unsigned".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(zone)) => format!("timestamp {zone}"),
        DataType::Dictionary(_, value) => sql_type(value),
        other => other.to_string(),
    }
}

/// A file URL, because DataFusion would read `*`, `?` and `[` of a plain path as a pattern.
fn file_url(path: &Path) -> String {
    path.as_os_str().as_encoded_bytes().iter().fold("file://".to_owned(), |mut url, &byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                url.push(byte as char)
            }
            _ => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
        url
    })
}
