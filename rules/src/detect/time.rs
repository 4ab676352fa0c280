//! When a record happened, for the counting rules: each format has a name and a form of its own.

use dongson_event::{Event, Timestamp, Value};

/// Names under which records carry their time, best first.
const NAMES: [&str; 8] =
    ["@timestamp", "UtcTime", "TimeCreated", "timestamp", "EventTime", "ts", "TimeGenerated", "SystemTime"];

/// The event with its time in `@timestamp`, where it has one that can be read.
pub(super) fn dated(mut event: Event) -> Event {
    if event.timestamp().is_none()
        && let Some(moment) = NAMES.iter().find_map(|name| read(event.get(name)?))
    {
        event.set("@timestamp", moment);
    }
    event
}

/// RFC 3339; the same without a zone, which is taken for UTC; or seconds since 1970 (Zeek).
fn read(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Text(text) => {
            let text = text.trim();
            Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z"))).ok()
        }
        Value::Int(seconds) => Some(Timestamp::from_seconds(*seconds)),
        Value::Float(seconds) if seconds.abs() < 9.2e9 => {
            // Microseconds are what a float can hold of today's times.
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            let micros = (seconds * 1e6).round() as i64;
            Some(Timestamp::from_nanos(micros.saturating_mul(1_000)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let event = dated(Event::parse(text.as_bytes()).unwrap().0);
        assert_eq!(event.timestamp().map(|moment| moment.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn forms_of_time() {
        let expected = Some("2026-11-23T02:05:12.250Z");
        check(r#"{"@timestamp":"2026-11-23T09:05:12.25+07:00"}"#, expected);
        check(r#"{"@timestamp":"","UtcTime":"2026-11-23 02:05:12.250"}"#, expected);
        check(r#"{"timestamp":"2026-11-23T02:05:12.250000+0000"}"#, expected);
        check(r#"{"ts":1795399512.25}"#, expected);
        check(r#"{"ts":1795399512}"#, Some("2026-11-23T02:05:12.000Z"));
        check(r#"{"ts":1e300}"#, None);
        check(
            r#"{"TimeGenerated":"2026-11-23T02:05:12.25Z","TimeCollected":"2026-11-23T03:00:00Z"}"#,
            expected,
        );
        check(r#"{"a":1}"#, None);
    }
}
