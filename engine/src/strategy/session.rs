//! The session filter: when entries are allowed.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::candles::Candles;

/// A weekly session in an IANA time zone. An entry is heard at a close that lies in `[from, to)` of one of `days`.
///
/// A session whose `to` is not after `from` runs over midnight and belongs to the day on which it starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    /// IANA name, such as `America/New_York`.
    pub zone: String,
    /// `mon` to `sun`; empty for every day.
    pub days: Vec<String>,
    /// `HH:MM`, inclusive.
    pub from: String,
    /// `HH:MM`, exclusive; `24:00` is midnight.
    pub to: String,
}

/// What is wrong with a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Not an IANA zone.
    #[error("`zone` is `{0}`, which is no IANA time zone: write one such as UTC or America/New_York")]
    Zone(String),
    /// Not a day.
    #[error("`days` holds `{0}`: write mon, tue, wed, thu, fri, sat or sun")]
    Day(String),
    /// Not a time of day.
    #[error("`{field}` is `{value}`: write a time of day as HH:MM, such as 09:30")]
    Time {
        /// `from` or `to`.
        field: &'static str,
        /// The value.
        value: String,
    },
}

/// A session ready for use.
struct Hours {
    zone: TimeZone,
    days: Vec<Weekday>,
    from: i64,
    to: i64,
}

const MINUTES_A_DAY: i64 = 24 * 60;

impl Session {
    /// Checks the fields.
    ///
    /// # Errors
    /// Every field that does not read.
    pub fn check(&self) -> Result<(), Vec<SessionError>> {
        self.hours().map(|_| ())
    }

    /// For every candle, whether an entry may be heard at its close. All false if the session does not read, which
    /// [`Session::check`] has excluded.
    pub fn mask(&self, candles: &Candles) -> Vec<bool> {
        match self.hours() {
            Ok(hours) => (0..candles.len()).map(|i| hours.contains(candles.close_time(i))).collect(),
            Err(_) => vec![false; candles.len()],
        }
    }

    fn hours(&self) -> Result<Hours, Vec<SessionError>> {
        let mut errors = Vec::new();
        let zone = TimeZone::get(&self.zone).unwrap_or_else(|_| {
            errors.push(SessionError::Zone(self.zone.clone()));
            TimeZone::UTC
        });
        let mut days = Vec::new();
        for day in &self.days {
            match weekday(day) {
                Some(day) => days.push(day),
                None => errors.push(SessionError::Day(day.clone())),
            }
        }
        let mut minutes = |field: &'static str, value: &str| {
            minute_of_day(value).unwrap_or_else(|| {
                errors.push(SessionError::Time { field, value: value.to_owned() });
                0
            })
        };
        let (from, to) = (minutes("from", &self.from), minutes("to", &self.to));
        if errors.is_empty() { Ok(Hours { zone, days, from, to }) } else { Err(errors) }
    }
}

impl Hours {
    fn contains(&self, ms: i64) -> bool {
        let Ok(instant) = jiff::Timestamp::from_millisecond(ms) else { return false };
        let local = self.zone.to_datetime(instant);
        let minute = minute(local.time());
        let day = local.date().weekday();
        let allowed = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.from < self.to {
            return allowed(day) && (self.from..self.to).contains(&minute);
        }
        (minute >= self.from && allowed(day)) || (minute < self.to && allowed(day.previous()))
    }
}

fn minute(time: Time) -> i64 {
    i64::from(time.hour()) * 60 + i64::from(time.minute())
}

fn minute_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i64>().ok())?
    };
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_A_DAY).then_some(total)
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(zone: &str, days: &[&str], from: &str, to: &str) -> Session {
        let days = days.iter().map(|d| (*d).to_owned()).collect();
        Session { zone: zone.into(), days, from: from.into(), to: to.into() }
    }

    fn open_at(session: &Session, instant: &str) -> bool {
        let ms = instant.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        session.hours().unwrap().contains(ms)
    }

    #[test]
    fn a_session_keeps_its_zone_through_daylight_saving() {
        let new_york = session("America/New_York", &["mon", "tue", "wed", "thu", "fri"], "09:30", "16:00");
        // 09:30 in New York is 14:30 UTC in winter and 13:30 UTC in summer.
        assert!(open_at(&new_york, "2024-01-02T14:30:00Z") && !open_at(&new_york, "2024-01-02T13:30:00Z"));
        assert!(open_at(&new_york, "2024-07-02T13:30:00Z") && !open_at(&new_york, "2024-07-02T20:00:00Z"));
        assert!(!open_at(&new_york, "2024-01-06T15:00:00Z"), "a Saturday");
    }

    #[test]
    fn a_session_over_midnight_belongs_to_the_day_it_starts() {
        let night = session("UTC", &["fri"], "22:00", "04:00");
        assert!(open_at(&night, "2024-01-05T23:00:00Z") && open_at(&night, "2024-01-06T03:59:00Z"));
        assert!(!open_at(&night, "2024-01-06T04:00:00Z") && !open_at(&night, "2024-01-05T03:00:00Z"));
    }

    #[test]
    fn every_bad_field_is_named() {
        let errors = session("Mars/Olympus", &["mon", "Montag"], "9:30", "25:00").check().unwrap_err();
        assert_eq!(errors.len(), 4);
        assert!(session("UTC", &[], "00:00", "24:00").check().is_ok());
    }
}
