//! [`Facts`] over the event store.

use async_trait::async_trait;
use dongson_event::{Event, Signal, Timestamp};
use dongson_registry::{Millis, Scope};
use dongson_store::{EventFilter, LISTED_CHARS, Listed, Period, StoreClient, StoreError};
use serde_json::Value;

use crate::{
    Around, Condition, EventBucket, EventPage, EventQuery, Facts, FactsError, FieldCondition, Frequent,
    MatchedField, SignalFact,
};

/// Longest page of events, in bytes of JSON; the first event is always on it.
const PAGE_BYTES: usize = 4 << 20;

/// The name under which an event of a list tells which of its values are shortened.
const TRUNCATED: &str = "truncated";

/// The event store as the console asks it.
#[derive(Debug, Clone)]
pub struct StoreFacts {
    client: StoreClient,
}

impl StoreFacts {
    /// Asks through `client`.
    pub fn new(client: StoreClient) -> Self {
        Self { client }
    }
}

/// The store's form of a scope; `None` if it sees nothing, which the store refuses to be asked.
pub(crate) fn scope_of(scope: &Scope) -> Option<dongson_store::Scope> {
    match scope {
        Scope::All => Some(dongson_store::Scope::All),
        Scope::Organizations(list) if list.is_empty() => None,
        Scope::Organizations(list) => {
            Some(dongson_store::Scope::Organizations(list.iter().cloned().collect()))
        }
    }
}

fn period(since: Millis, until: Millis) -> Period {
    Period { from: Timestamp::from_millis(since), to: Timestamp::from_millis(until) }
}

fn failed(error: StoreError) -> FactsError {
    match error {
        StoreError::BadQuestion(text) => FactsError::Refused(text),
        StoreError::ClickHouse(error) => of_engine(&error.to_string()),
        other => FactsError::Unavailable(other.to_string()),
    }
}

/// The client gives the engine's number of an error in its text alone: 159 is its time limit, 241 its memory limit.
fn of_engine(text: &str) -> FactsError {
    if text.contains("Code: 159.") {
        FactsError::TooSlow
    } else if text.contains("Code: 241.") {
        FactsError::Refused(text.to_owned())
    } else {
        FactsError::Unavailable(text.to_owned())
    }
}

/// The field that the events of a drill have.
const DRILL: &str = "dongson.drill";

/// The store's form of a search.
fn filter(query: &EventQuery) -> Result<EventFilter, FactsError> {
    let of_drill =
        |wanted| if wanted { dongson_store::Condition::Exists } else { dongson_store::Condition::Absent };
    let drill = query.drill.map(|wanted| (DRILL.to_owned(), of_drill(wanted)));
    Ok(EventFilter {
        period: Some(period(query.since, query.until)),
        organizations: query.organizations.clone(),
        datasets: query.dataset.iter().cloned().collect(),
        words: query.text.clone(),
        fields: drill.into_iter().chain(query.conditions.iter().map(condition)).collect(),
        before: query.cursor.as_deref().map(read_cursor).transpose()?,
    })
}

fn condition(one: &FieldCondition) -> (String, dongson_store::Condition) {
    let condition = match &one.condition {
        Condition::Is(value) => dongson_store::Condition::Is(value.clone()),
        Condition::IsNot(value) => dongson_store::Condition::IsNot(value.clone()),
        Condition::Contains(value) => dongson_store::Condition::Contains(value.clone()),
        Condition::Exists => dongson_store::Condition::Exists,
        Condition::Absent => dongson_store::Condition::Absent,
    };
    (one.field.clone(), condition)
}

/// An event as the page reads it.
fn object(event: &Event) -> Result<Value, FactsError> {
    serde_json::from_str(&event.to_json()).map_err(|error| FactsError::Unavailable(error.to_string()))
}

/// An event of a list as the page reads it.
fn listed(one: &Listed) -> Result<Value, FactsError> {
    let mut object = object(&one.event)?;
    if let Value::Object(fields) = &mut object {
        // A field of this name comes with the whole event alone.
        fields.remove(TRUNCATED);
        if !one.truncated.is_empty() {
            fields.insert(TRUNCATED.to_owned(), one.truncated.clone().into());
        }
    }
    Ok(object)
}

/// As many events as fit into `most` bytes, at least one; `more` says that there are others behind them.
fn page(found: &[Listed], more: bool, most: usize) -> Result<EventPage, FactsError> {
    let (mut events, mut bytes, mut end) = (Vec::new(), 0, None);
    for one in found {
        let event = listed(one)?;
        bytes += event.to_string().len() + 1;
        if bytes > most && !events.is_empty() {
            break;
        }
        events.push(event);
        end = one.event.timestamp().map(|at| format!("{}:{}", at.nanos(), one.event.id()));
    }
    let more = more || events.len() < found.len();
    Ok(EventPage { events, next: end.filter(|_| more) })
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn fact(signal: Signal) -> SignalFact {
    let field = |matched: dongson_event::Matched| MatchedField {
        value: matched.value.to_text().chars().take(LISTED_CHARS).collect(),
        field: Some(matched.field).filter(|name| !name.is_empty()),
        selection: matched.selection,
    };
    SignalFact {
        at: signal.timestamp.millis(),
        fields: signal.matched.into_iter().map(field).collect(),
        event_id: signal.event_id,
        rule_id: signal.rule_id,
    }
}

/// The fields of an entity: several stand joined by `+` in its kind and by `|` in its value.
fn entities(kind: &str, value: &str) -> Vec<(String, String)> {
    if kind.contains('+') {
        kind.split('+')
            .zip(value.split('|'))
            .map(|(kind, value)| (kind.to_owned(), value.to_owned()))
            .collect()
    } else {
        vec![(kind.to_owned(), value.to_owned())]
    }
}

/// Reads `nanoseconds:id` of a page's end.
fn read_cursor(cursor: &str) -> Result<(Timestamp, String), FactsError> {
    let read = cursor.split_once(':').and_then(|(nanos, id)| Some((nanos.parse().ok()?, id)));
    let (nanos, id) = read.ok_or(FactsError::Cursor)?;
    Ok((Timestamp::from_nanos(nanos), id.to_owned()))
}

#[async_trait]
impl Facts for StoreFacts {
    async fn event(&self, scope: &Scope, id: &str) -> Result<Option<Value>, FactsError> {
        let Some(scope) = scope_of(scope) else { return Ok(None) };
        self.client.event(&scope, id).await.map_err(failed)?.as_ref().map(object).transpose()
    }

    async fn signals(&self, scope: &Scope, alert: &str, limit: u32) -> Result<Vec<SignalFact>, FactsError> {
        let Some(scope) = scope_of(scope) else { return Ok(Vec::new()) };
        let signals = self.client.signals_of_alert(&scope, alert, limit).await.map_err(failed)?;
        Ok(signals.into_iter().map(fact).collect())
    }

    async fn events_around(&self, scope: &Scope, around: &Around) -> Result<EventPage, FactsError> {
        let Some(scope) = scope_of(scope) else { return Ok(EventPage::default()) };
        let question = dongson_store::Around {
            organization: around.organization.clone(),
            period: period(around.since, around.until),
            entities: entities(&around.entity_type, &around.entity_value),
        };
        let found = self.client.list_events_around(&scope, &question, around.limit).await.map_err(failed)?;
        let full = found.events.len() >= usize::try_from(around.limit).unwrap_or(usize::MAX);
        page(&found.events, full || found.cut, PAGE_BYTES)
    }

    async fn event_series(
        &self,
        scope: &Scope,
        since: Millis,
        until: Millis,
        step_ms: Millis,
        drill: Option<bool>,
    ) -> Result<Vec<EventBucket>, FactsError> {
        let Some(scope) = scope_of(scope) else { return Ok(Vec::new()) };
        let step = u32::try_from(step_ms / 1000).unwrap_or(u32::MAX);
        let found =
            self.client.events_per_bucket(&scope, period(since, until), step, drill).await.map_err(failed)?;
        let mut buckets: Vec<EventBucket> = Vec::new();
        for one in found {
            let (at, count) = (Millis::from(one.start) * 1000, i64::try_from(one.count).unwrap_or(i64::MAX));
            match buckets.last_mut() {
                Some(last) if last.at == at => last.count = last.count.saturating_add(count),
                _ => buckets.push(EventBucket { at, count }),
            }
        }
        Ok(buckets)
    }

    async fn search(&self, scope: &Scope, query: &EventQuery) -> Result<EventPage, FactsError> {
        let Some(scope) = scope_of(scope) else { return Ok(EventPage::default()) };
        let filter = filter(query)?;
        let found =
            self.client.list_events(&scope, &filter, &query.columns, query.limit).await.map_err(failed)?;
        let full = found.events.len() >= usize::try_from(query.limit).unwrap_or(usize::MAX);
        page(&found.events, full || found.cut, PAGE_BYTES)
    }

    async fn histogram(
        &self,
        scope: &Scope,
        query: &EventQuery,
        step_ms: Millis,
        zone_ms: Millis,
    ) -> Result<Vec<EventBucket>, FactsError> {
        let Some(scope) = scope_of(scope) else { return Ok(Vec::new()) };
        let all = EventFilter { before: None, ..filter(query)? };
        let spans = self.client.histogram(&scope, &all, step_ms, zone_ms).await.map_err(failed)?;
        Ok(spans.into_iter().map(|span| EventBucket { at: span.at, count: whole(span.count) }).collect())
    }

    async fn top_values(
        &self,
        scope: &Scope,
        query: &EventQuery,
        field: &str,
        limit: u32,
    ) -> Result<Frequent, FactsError> {
        let Some(scope) = scope_of(scope) else { return Ok(Frequent::default()) };
        let all = EventFilter { before: None, ..filter(query)? };
        let top = self.client.top_values(&scope, &all, field, limit).await.map_err(failed)?;
        let values = top.values.into_iter().map(|one| (one.name, whole(one.count))).collect();
        Ok(Frequent { values, with_field: whole(top.with_field) })
    }

    async fn ping(&self) -> Result<(), FactsError> {
        self.client.ping().await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_of_several_fields_come_apart() {
        assert_eq!(entities("source.ip", "10.0.0.1"), [("source.ip".into(), "10.0.0.1".into())]);
        assert_eq!(
            entities("source.ip+user.name", "10.0.0.1|an"),
            [("source.ip".into(), "10.0.0.1".into()), ("user.name".into(), "an".into())]
        );
        assert_eq!(entities("user.name", "a|b"), [("user.name".into(), "a|b".into())]);
    }

    #[test]
    fn drills_are_told_by_their_field() {
        let of = |drill| filter(&EventQuery { drill, ..EventQuery::default() }).unwrap().fields;
        assert_eq!(of(None), []);
        assert_eq!(of(Some(true)), [(DRILL.to_owned(), dongson_store::Condition::Exists)]);
        assert_eq!(of(Some(false)), [(DRILL.to_owned(), dongson_store::Condition::Absent)]);
        assert!(dongson_event::fields::find(DRILL).is_some());
    }

    #[test]
    fn cursors_of_others_are_refused() {
        assert!(read_cursor("12:id").is_ok());
        for bad in ["", "x:id", "12"] {
            assert!(matches!(read_cursor(bad), Err(FactsError::Cursor)));
        }
    }

    #[test]
    fn a_page_holds_what_fits_and_says_where_it_ended() {
        let one = |number: i64| {
            let mut event = Event::new();
            event.set("@timestamp", Timestamp::from_nanos(number));
            event.set("event.id", format!("e{number}").as_str());
            event.set("message", "x".repeat(1000).as_str());
            event.set("truncated", true);
            Listed { event, truncated: if number == 1 { vec!["message".to_owned()] } else { Vec::new() } }
        };
        let found: Vec<Listed> = (0..5).map(one).collect();
        let all = page(&found, false, PAGE_BYTES).unwrap();
        assert_eq!((all.events.len(), &all.next), (5, &None));
        assert_eq!(all.events[1]["truncated"], serde_json::json!(["message"]));
        assert_eq!(all.events[2].get("truncated"), None, "a field of that name is no mark");
        let some = page(&found, false, 2500).unwrap();
        assert_eq!((some.events.len(), some.next.as_deref()), (2, Some("1:e1")));
        let least = page(&found, true, 10).unwrap();
        assert_eq!((least.events.len(), least.next.as_deref()), (1, Some("0:e0")));
    }

    #[test]
    fn limits_of_the_engine_are_told_apart() {
        let told = |code: u32| of_engine(&format!("bad response: Code: {code}. DB::Exception: words"));
        assert!(matches!(told(159), FactsError::TooSlow));
        assert!(matches!(told(241), FactsError::Refused(_)));
        assert!(matches!(told(210), FactsError::Unavailable(_)));
    }

    #[test]
    fn an_empty_scope_is_asked_nothing() {
        assert_eq!(scope_of(&Scope::Organizations(Vec::new())), None);
        assert_eq!(scope_of(&Scope::All), Some(dongson_store::Scope::All));
    }
}
