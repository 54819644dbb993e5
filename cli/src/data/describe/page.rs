//! The page of `blockgrid data describe --html`.

use blockgrid_datasets::{Coverage, Dataset};
use blockgrid_results::report::coverage::{CoverageMonth, CoveragePage, CoverageSeries, html};

use super::facts;

pub(super) fn page(name: &str, dataset: &Dataset, coverage: &[Coverage]) -> String {
    let series = coverage.iter().map(|series| CoverageSeries {
        symbol: series.symbol.clone(),
        interval: series.interval,
        present: series.present,
        expected: series.expected,
        range: (series.first, series.last),
        disordered: series.disordered,
        gaps: series.gaps,
        longest: series.longest.map(|gap| (gap.from, gap.candles)),
        months: series
            .months
            .iter()
            .map(|month| CoverageMonth {
                year: month.year,
                month: month.month,
                present: month.present,
                expected: month.expected,
            })
            .collect(),
    });
    html(&CoveragePage {
        title: name.to_owned(),
        synthetic: dataset.manifest().synthetic,
        facts: facts(dataset).into_iter().map(|(label, value)| (label.to_owned(), value)).collect(),
        series: series.collect(),
    })
}
