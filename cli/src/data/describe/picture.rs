//! Coverage by month in the terminal: months across, years down.

use std::io::IsTerminal;

use blockgrid_datasets::{Coverage, Month};

use super::covered;

const MONTHS: &str = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";

/// What the cells are drawn with: complete, at least 99%, at least 90%, less, none.
#[derive(Clone, Copy)]
pub(super) struct Marks([&'static str; 5]);

impl Marks {
    const BLOCKS: Self = Self(["███", "▓▓▓", "▒▒▒", "░░░", " 0 "]);
    const ASCII: Self = Self(["###", "===", "---", "...", " 0 "]);

    /// Blocks for a terminal that shows them; what goes into a file or another program is ASCII.
    pub(super) fn of_terminal() -> Self {
        // The order in which POSIX looks at them.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
            std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| value.to_ascii_lowercase())
        });
        let utf8 = locale.map_or(cfg!(windows), |locale| locale.contains("utf-8") || locale.contains("utf8"));
        if utf8 && std::io::stdout().is_terminal() { Self::BLOCKS } else { Self::ASCII }
    }

    /// What the marks mean.
    pub(super) fn legend(self) -> String {
        let [complete, nearly, most, some, none] = self.0;
        let none = none.trim();
        format!(
            "UTC months: {complete} complete, {nearly} 99% or more, {most} 90% or more, {some} less, {none} none"
        )
    }

    fn of(self, month: Option<&Month>) -> &'static str {
        match month.and_then(|month| month.share()) {
            None => "   ",
            Some(share) if share >= 1.0 => self.0[0],
            Some(share) if share >= 0.99 => self.0[1],
            Some(share) if share >= 0.9 => self.0[2],
            Some(share) if share > 0.0 => self.0[3],
            Some(_) => self.0[4],
        }
    }
}

/// A line a year, with the share of the year at its end.
pub(super) fn picture(series: &Coverage, marks: Marks) -> String {
    let mut out = format!("        {MONTHS}\n");
    for year in series.months.chunk_by(|a, b| a.year == b.year) {
        let cell = |month: i8| marks.of(year.iter().find(|m| m.month == month));
        let cells: Vec<&str> = (1..=12).map(cell).collect();
        let sum = |count: fn(&Month) -> u64| year.iter().map(count).sum::<u64>();
        let (present, expected) = (sum(|m| m.present), sum(|m| m.expected));
        let all = Month { year: year[0].year, month: 1, present, expected };
        let share = all.share().map_or("-".to_owned(), |share| covered(share, 2));
        out += &format!("  {:>5} {} {share:>8}\n", year[0].year, cells.join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_month_has_the_mark_of_its_share() {
        let month = |year, month, present| Month { year, month, present, expected: 100 };
        let series = Coverage {
            symbol: "X".to_owned(),
            interval: "1h".parse().unwrap(),
            present: 0,
            expected: 0,
            first: 0,
            last: 0,
            disordered: 0,
            gaps: 0,
            longest: None,
            months: vec![
                month(2023, 11, 100),
                month(2023, 12, 99),
                month(2024, 1, 98),
                month(2024, 2, 89),
                month(2024, 3, 0),
                Month { expected: 0, ..month(2024, 4, 0) },
                month(2024, 5, 100),
            ],
        };
        let text = picture(&series, Marks::ASCII);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "        Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec");
        assert_eq!(lines[1], "   2023                                         ### ===   99.50%");
        assert_eq!(lines[2], "   2024 --- ...  0      ###                               71.75%");
        assert_eq!(lines.len(), 3);
        let blocks = picture(&series, Marks::BLOCKS);
        assert!(blocks.lines().all(|line| line.chars().count() <= 64), "{blocks}");
        assert!(blocks.contains("███ ▓▓▓   99.50%"), "{blocks}");
    }
}
