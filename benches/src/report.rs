//! What a measurement prints: a table for people on standard error, one line of JSON for programs on standard output.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

/// `count` in a second.
#[expect(clippy::cast_precision_loss, reason = "counts of records are far below 2^52")]
pub(crate) fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds).round() } else { 0.0 }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of frames are far below 2^52")]
pub(crate) fn whole(count: u64) -> f64 {
    count as f64
}

/// `time` in seconds, to the millisecond.
pub(crate) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// Prints `result`: each field on a line, fields of a field named `field.part`.
pub(crate) fn print(result: &impl Serialize) -> Result<()> {
    let value = serde_json::to_value(result)?;
    let mut rows = Vec::new();
    flatten("", &value, &mut rows);
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut table = io::stderr().lock();
    for (name, text) in &rows {
        writeln!(table, "{name:<width$}  {text}")?;
    }
    writeln!(io::stdout().lock(), "{}", serde_json::to_string(result)?)?;
    Ok(())
}

fn flatten(name: &str, value: &serde_json::Value, rows: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(parts) => {
            for (part, value) in parts {
                let name = if name.is_empty() { part.clone() } else { format!("{name}.{part}") };
                flatten(&name, value, rows);
            }
        }
        serde_json::Value::String(text) => rows.push((name.to_owned(), text.clone())),
        other => rows.push((name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named() {
        let mut rows = Vec::new();
        flatten("", &serde_json::json!({"a": {"b": 1}, "c": "x"}), &mut rows);
        assert_eq!(rows, [("a.b".to_owned(), "1".to_owned()), ("c".to_owned(), "x".to_owned())]);
    }

    #[test]
    fn nothing_in_no_time_is_no_rate() {
        assert!(rate(5, 0.0).abs() < f64::EPSILON);
        assert!((rate(100, 0.5) - 200.0).abs() < f64::EPSILON);
    }
}
