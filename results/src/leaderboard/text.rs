//! The leaderboard for a terminal: plain text, no colours, columns dropped rather than wrapped when space is short.

use blockgrid_engine::metrics::METRICS;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::format;
use crate::table::{TrialTable, metric_index};

use super::{Objective, ParameterSet};

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Metrics shown beside the objective.
const SHOWN: [&str; 7] =
    ["total_return", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "buy_and_hold_return"];

/// Columns given up first when the terminal is narrow.
const DISPENSABLE: [&str; 5] = ["cagr", "win_rate", "buy_and_hold", "sharpe", "trades"];

/// The first `n` rows of `ranked` as a table no wider than `width` columns, where that is possible: on a narrow
/// terminal the less telling metrics go first, the objective and the parameters never.
pub fn leaderboard_text(
    table: &TrialTable,
    objective: &Objective,
    ranked: &[usize],
    n: usize,
    width: u16,
) -> String {
    let rows: Vec<usize> = ranked.iter().copied().take(n).collect();
    let mut columns = vec![Column::right("rank", (1..=rows.len()).map(|place| place.to_string()).collect())];
    columns.push(Column::left("symbol", rows.iter().map(|&row| table.symbol[row].to_string()).collect()));
    if table.windows().len() > 1 {
        columns.push(Column::left("window", rows.iter().map(|&row| table.window[row].to_string()).collect()));
    }
    for (name, values) in &table.parameters {
        columns.push(Column::right(name, rows.iter().map(|&row| format::parameter(values[row])).collect()));
    }
    let shown =
        std::iter::once(objective.metric.id).chain(SHOWN.into_iter().filter(|&id| id != objective.metric.id));
    for id in shown.filter_map(metric_index) {
        let info = &METRICS[id];
        let cells = rows.iter().map(|&row| format::metric(info, table.metric(row, info.id))).collect();
        columns.push(Column {
            kept: info.id == objective.metric.id,
            ..Column::right(if info.id == "buy_and_hold_return" { "buy_and_hold" } else { info.id }, cells)
        });
    }
    render(columns, width)
}

/// The first `n` parameter sets by their median over symbols, with the worst symbol beside it.
pub fn median_text(sets: &[ParameterSet], objective: &Objective, n: usize, width: u16) -> String {
    let sets = &sets[..n.min(sets.len())];
    let mut columns = vec![Column::right("rank", (1..=sets.len()).map(|place| place.to_string()).collect())];
    if sets.iter().any(|set| set.window != sets[0].window) {
        columns.push(Column::left("window", sets.iter().map(|set| set.window.to_string()).collect()));
    }
    for i in 0..sets.first().map_or(0, |set| set.parameters.len()) {
        let cells = sets.iter().map(|set| format::parameter(set.parameters[i].1)).collect();
        columns.push(Column::right(&sets[0].parameters[i].0, cells));
    }
    let metric = |of: fn(&ParameterSet) -> Option<f64>| -> Vec<String> {
        sets.iter().map(|set| format::metric(objective.metric, of(set))).collect()
    };
    columns.push(Column::right(&format!("median {}", objective.metric.id), metric(|set| set.median)));
    columns.push(Column::right("worst", metric(|set| set.worst)));
    columns.push(Column::right("symbols", sets.iter().map(|set| set.rows.len().to_string()).collect()));
    render(columns, width)
}

struct Column {
    title: String,
    cells: Vec<String>,
    right: bool,
    kept: bool,
}

impl Column {
    fn left(title: &str, cells: Vec<String>) -> Self {
        Self {
            title: plain(title),
            cells: cells.iter().map(|cell| plain(cell)).collect(),
            right: false,
            kept: true,
        }
    }

    fn right(title: &str, cells: Vec<String>) -> Self {
        Self { title: plain(title), cells, right: true, kept: true }
    }

    fn width(&self) -> usize {
        let longest = self.cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(self.title.chars().count()) + 2
    }
}

/// Names come from files: no escape sequence of theirs reaches the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

fn render(mut columns: Vec<Column>, width: u16) -> String {
    for name in DISPENSABLE {
        if columns.iter().map(Column::width).sum::<usize>() <= usize::from(width) {
            break;
        }
        columns.retain(|column| column.kept || column.title != name);
    }
    let mut table = Table::new();
    table.force_no_tty().load_style(STYLE).set_header(columns.iter().map(|column| column.title.as_str()));
    for row in 0..columns.first().map_or(0, |column| column.cells.len()) {
        table.add_row(columns.iter().map(|column| column.cells[row].as_str()));
    }
    for (column, from) in table.column_iter_mut().zip(&columns) {
        column.set_padding((0, 1));
        column.set_cell_alignment(if from.right { CellAlignment::Right } else { CellAlignment::Left });
    }
    table.trim_fmt()
}
