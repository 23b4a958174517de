//! Days and points in time, from the texts that JSON Schema calls `date` and `date-time`.

use chrono::{DateTime, NaiveDate};

/// The days of a `date`, from 1970-01-01.
pub fn date(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
    i32::try_from(day.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// The microseconds of a `date-time`, from 1970-01-01T00:00:00Z.
pub fn date_time(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}
