//! Returns by calendar month, UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::top::TopTrial;

/// The months of one year.
#[derive(Debug, Clone, PartialEq)]
pub struct MonthlyReturns {
    /// The year.
    pub year: i16,
    /// January to December; `None` where the account did not live.
    pub months: [Option<f64>; 12],
    /// The year's return: its months compounded.
    pub total: f64,
}

/// Returns of the account by month and year.
///
/// A bar belongs to the month it opens in, so the bar that closes at midnight of the first counts for the month that
/// ends. A month's return is its last equity over the last equity before it (the initial cash at the start), minus 1.
pub fn monthly_returns(trial: &TopTrial<'_>) -> Vec<MonthlyReturns> {
    let mut years: Vec<MonthlyReturns> = Vec::new();
    let mut month = None;
    let (mut month_base, mut year_base, mut last) =
        (trial.initial_cash, trial.initial_cash, trial.initial_cash);
    for point in trial.points() {
        let Ok(opened) = Timestamp::from_millisecond(trial.candles.timestamp()[point.bar]) else { continue };
        let date = opened.to_zoned(TimeZone::UTC).date();
        if years.last().is_none_or(|year| year.year != date.year()) {
            year_base = last;
            years.push(MonthlyReturns { year: date.year(), months: [None; 12], total: 0.0 });
        }
        if month != Some((date.year(), date.month())) {
            month = Some((date.year(), date.month()));
            month_base = last;
        }
        last = point.equity;
        if let Some(year) = years.last_mut() {
            let index = usize::try_from(date.month() - 1).unwrap_or(0);
            year.months[index] = Some(growth(month_base, last));
            year.total = growth(year_base, last);
        }
    }
    years
}

/// Nothing grows from nothing: an account at zero stays there.
fn growth(base: f64, value: f64) -> f64 {
    if base > 0.0 { value / base - 1.0 } else { 0.0 }
}
