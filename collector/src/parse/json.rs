//! Any JSON object: ECS names pass as they are, the claimed time is looked for under its usual names.
//!
//! Also the ground under [`super::winlogbeat`], [`super::zeek`] and [`super::suricata`]: `read` makes the flat
//! event, `claim_from` finds its time, `rename` and `copy` move values to ECS names.

use super::{Basis, Claimed, Context, Parsed, Refusal};
use dongson_event::{Event, Value};
use jiff::Timestamp;
use jiff::civil::DateTime;

/// Dataset of an object that does not say what it is.
pub const DATASET: &str = "json";
/// Where objects keep their time.
const TIMES: &[&str] = &["@timestamp", "timestamp", "time", "ts", "datetime", "eventTime", "date"];

/// Reads one JSON object.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    let mut parsed = read(bytes)?;
    claim_from(TIMES, &mut parsed, context);
    parsed.default_to("event.dataset", DATASET);
    Ok(parsed)
}

/// The flat event of a JSON object. Bytes that are not UTF-8 are read with U+FFFD in their place: a bad byte
/// must not hide the rest of a record from the rules.
pub(crate) fn read(bytes: &[u8]) -> Result<Parsed, Refusal> {
    let text = crate::parse::text_of(bytes);
    if text.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    let (event, mut anomalies) = Event::parse(text.as_bytes())?;
    if matches!(text, std::borrow::Cow::Owned(_)) {
        anomalies.bad_text = anomalies.bad_text.saturating_add(1);
    }
    Ok(Parsed { event, basis: None, anomalies })
}

/// Takes the time from the first of `names` that holds one; it is written as `@timestamp` in UTC.
pub(crate) fn claim_from(names: &[&str], parsed: &mut Parsed, context: &Context<'_>) {
    let claimed = names.iter().find_map(|name| instant(parsed.event.get(name)?, context));
    parsed.claim(claimed);
}

/// A moment as RFC 3339 text, as text without offset (then in the source's zone), or as seconds, milliseconds,
/// microseconds or nanoseconds since 1970, told apart by their size.
pub(crate) fn instant(value: &Value, context: &Context<'_>) -> Option<Claimed> {
    match value {
        Value::Text(text) => from_text(text.trim(), context),
        Value::Int(number) => from_number(*number),
        Value::Float(seconds) => from_seconds(*seconds),
        _ => None,
    }
}

fn from_text(text: &str, context: &Context<'_>) -> Option<Claimed> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Claimed { at, basis: Basis::Stated });
    }
    if let Some(at) = compact_offset(text) {
        return Some(Claimed { at, basis: Basis::Stated });
    }
    if let Ok(local) = text.replacen(' ', "T", 1).parse::<DateTime>() {
        let at = local.to_zoned(context.zone.clone()).ok()?.timestamp();
        return Some(Claimed { at, basis: Basis::SourceZone });
    }
    text.parse::<f64>().ok().and_then(from_seconds)
}

/// `2026-11-23T09:00:00.123456+0700`, as Suricata writes it.
fn compact_offset(text: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?;
    moment.to_timestamp().ok()
}

fn from_number(number: i64) -> Option<Claimed> {
    let at = match number.unsigned_abs() {
        0..100_000_000_000 => Timestamp::from_second(number),
        100_000_000_000..100_000_000_000_000 => Timestamp::from_millisecond(number),
        100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_microsecond(number),
        _ => Timestamp::from_nanosecond(i128::from(number)),
    };
    Some(Claimed { at: at.ok()?, basis: Basis::Stated })
}

/// A float of today's size is exact to a quarter of a microsecond; it is rounded to whole microseconds.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked on the line before")]
fn from_seconds(seconds: f64) -> Option<Claimed> {
    let micros = (seconds * 1e6).round();
    if !(-9.0e15..9.0e15).contains(&micros) {
        return None;
    }
    let at = Timestamp::from_microsecond(micros as i64).ok()?;
    Some(Claimed { at, basis: Basis::Stated })
}

/// Moves `from` to `to` unless `to` has a value already.
pub(crate) fn rename(event: &mut Event, from: &str, to: &'static str) {
    if event.get(to).is_some() {
        return;
    }
    if let Some(value) = event.remove(from) {
        event.set(to, value);
    }
}

/// Copies `from` to `to` unless `to` has a value already, or `from` is empty or `-`.
pub(crate) fn copy(event: &mut Event, from: &str, to: &'static str) {
    if event.get(to).is_some() {
        return;
    }
    let empty = |value: &Value| matches!(value, Value::Null) || matches!(value.as_str(), Some("" | "-"));
    if let Some(value) = event.get(from).filter(|value| !empty(value)).cloned() {
        event.set(to, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    #[track_caller]
    fn check(record: &str, at: Option<&str>) {
        let zone = TimeZone::fixed(jiff::tz::offset(7));
        let context = Context { received: Timestamp::UNIX_EPOCH, zone: &zone };
        let parsed = parse(record.as_bytes(), &context).expect(record);
        assert_eq!(parsed.event.text("@timestamp"), at, "{record}");
    }

    #[test]
    fn times() {
        let at = Some("2026-11-23T02:00:00.123456Z");
        check(r#"{"@timestamp":"2026-11-23T02:00:00.123456Z"}"#, at);
        check(r#"{"timestamp":"2026-11-23T09:00:00.123456+0700"}"#, at);
        check(r#"{"time":"2026-11-23 09:00:00.123456"}"#, at);
        check(r#"{"ts":1795399200.123456}"#, at);
        check(r#"{"ts":"1795399200.123456"}"#, at);
        check(r#"{"ts":1795399200123456}"#, at);
        check(r#"{"ts":1795399200}"#, Some("2026-11-23T02:00:00Z"));
        check(r#"{"ts":1795399200000}"#, Some("2026-11-23T02:00:00Z"));
        check(r#"{"ts":true}"#, None);
        check(r#"{"ts":1e300}"#, None);
    }

    #[test]
    fn a_bad_byte_hides_nothing() {
        let context = Context { received: Timestamp::UNIX_EPOCH, zone: &TimeZone::UTC };
        let parsed = parse(b"{\"a\":\"x\xff\",\"user.name\":\"root\"}", &context).expect("an object");
        assert_eq!(parsed.event.text("user.name"), Some("root"));
        assert_eq!(parsed.anomalies.bad_text, 1);
    }
}
