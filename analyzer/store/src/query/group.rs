//! Counting events by time and by the values of a field, one statement each. The engine's time limit bounds them.

use std::net::Ipv6Addr;

use clickhouse::Row;
use dongson_event::Timestamp;
use dongson_event::fields::Kind;
use serde::{Deserialize, Serialize};

use super::events::{Bound, Condition, ELEMENTS, EventFilter, Place, element_text};
use super::{Count, listing::LISTED_CHARS};
use crate::{Result, Scope, StoreClient};

/// Most spans of a histogram.
const MAX_SPANS: u32 = 5_000;
/// Most values of a field.
const MAX_VALUES: u32 = 1_000;

/// Events in one span of time.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Span {
    /// Start of the span, milliseconds since 1970 UTC.
    pub at: i64,
    /// How many.
    pub count: u64,
}

/// The most frequent values of a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopValues {
    /// Most frequent first; each element of a list counts once an event. Long values are cut at 2,000 characters.
    pub values: Vec<Count>,
    /// Events that have the field.
    pub with_field: u64,
}

/// A row of the statement: kind 0 counts events, kind 1 a value.
#[derive(Debug, Row, Serialize, Deserialize)]
struct Line {
    kind: u8,
    value: String,
    count: u64,
}

impl StoreClient {
    /// Events per span of `step_ms`, oldest first, without empty spans. Spans begin at multiples of the step after
    /// midnight of the zone that is `zone_ms` ahead of UTC.
    pub async fn histogram(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        step_ms: i64,
        zone_ms: i64,
    ) -> Result<Vec<Span>> {
        let conditions = filter.conditions()?;
        let (step, zone) = (step_ms.max(1), zone_ms);
        let local = format!("(toUnixTimestamp64Milli(timestamp) + {zone})");
        let sql = format!(
            "SELECT toInt64({local} - positiveModulo({local}, {step}) - {zone}) AS at, count() AS count \
             FROM dongson.events WHERE {} GROUP BY at ORDER BY at LIMIT {MAX_SPANS}",
            conditions.sql()
        );
        Ok(conditions.bind(self.ask(scope, &sql)?).fetch_all().await?)
    }

    /// The most frequent values of the field with this dotted name among the events that the filter takes.
    pub async fn top_values(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        field: &str,
        limit: u32,
    ) -> Result<TopValues> {
        let mut with_field = filter.clone();
        with_field.fields.push((field.to_owned(), Condition::Exists));
        let conditions = with_field.conditions()?;
        let place = Place::of(field)?;
        let (texts, names) = texts(&place, field);
        let sql = format!(
            "SELECT toUInt8(pair.1) AS kind, pair.2 AS value, count() AS count FROM (SELECT arrayJoin(arrayPushFront(\
             arrayMap(text -> tuple(toUInt8(1), text), arrayDistinct({texts})), tuple(toUInt8(0), ''))) AS pair \
             FROM dongson.events WHERE {}) GROUP BY kind, value ORDER BY kind, count DESC, value LIMIT {}",
            conditions.sql(),
            limit.clamp(1, MAX_VALUES) + 1
        );
        let query = names.into_iter().fold(self.ask(scope, &sql)?, clickhouse::query::Query::bind);
        let lines: Vec<Line> = conditions.bind(query).fetch_all().await?;
        let mut top = TopValues::default();
        for line in lines {
            if line.kind == 0 {
                top.with_field = line.count;
            } else {
                top.values.push(Count { name: readable(&place, line.value), count: line.count });
            }
        }
        Ok(top)
    }
}

/// SQL for the texts of a field's values as an array, and what stands for its `?`.
fn texts(place: &Place, field: &str) -> (String, Vec<Bound>) {
    let text = |value: &str| format!("CAST(leftUTF8({value}, {LISTED_CHARS}), 'String')");
    match place {
        Place::Column { name, kind: Kind::Date } => {
            (format!("[toString(toUnixTimestamp64Nano(assumeNotNull(`{name}`)))]"), Vec::new())
        }
        Place::Column { name, kind: Kind::Keywords | Kind::Longs | Kind::Ips } => {
            (format!("arrayMap(item -> {}, `{name}`)", text("toString(item)")), Vec::new())
        }
        Place::Column { name, .. } => {
            (format!("[{}]", text(&format!("toString(assumeNotNull(`{name}`))"))), Vec::new())
        }
        Place::Rest => {
            let sql = format!("arrayMap(item -> {}, {ELEMENTS})", text(&element_text("item")));
            (sql, vec![Bound::Text(field.to_owned()); 3])
        }
    }
}

/// A value as events say it.
fn readable(place: &Place, text: String) -> String {
    match place {
        Place::Column { kind: Kind::Date, .. } => {
            text.parse().map_or(text, |nanos| Timestamp::from_nanos(nanos).to_string())
        }
        Place::Column { kind: Kind::Ip | Kind::Ips, .. } => {
            let address = text.parse::<Ipv6Addr>().ok().and_then(|address| address.to_ipv4_mapped());
            address.map_or(text, |address| address.to_string())
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_events_say_them() {
        let column = |kind| Place::Column { name: "c".to_owned(), kind };
        assert_eq!(readable(&column(Kind::Ip), "::ffff:10.0.0.1".to_owned()), "10.0.0.1");
        assert_eq!(readable(&column(Kind::Ip), "2001:db8::1".to_owned()), "2001:db8::1");
        assert_eq!(readable(&column(Kind::Date), "0".to_owned()), "1970-01-01T00:00:00.000Z");
        assert_eq!(readable(&column(Kind::Keyword), "::ffff:10.0.0.1".to_owned()), "::ffff:10.0.0.1");
    }
}
