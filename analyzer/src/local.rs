//! What a sensor found by itself while it was cut off. Pure.
//!
//! The sensor marks the event (`dongson.local.*`); what the centre finds on the same event has the same ids, so only what
//! the centre does not find, because it has other rules or indicators by now, needs a signal here.

use dongson_event::{Entity, Event, Level, Matched, Signal, Value, identity};
use dongson_rules::signal::usual_entity;

/// Most marks of one event that are read: as many as a sensor writes.
const MAX_MARKS: usize = 16;
/// The grouping window in seconds of a rule that only the sensor knows: as of one that names none.
const WINDOW: u32 = 3_600;

/// Signals for the marks of `event` that are not among `found`, which is what the centre found on it.
pub(crate) fn missing(event: &Event, found: &[&str]) -> Vec<Signal> {
    let Some(ids) = event.get("dongson.local.rule.id") else { return Vec::new() };
    let all = |name: &str| event.get(name).map(texts).unwrap_or_default();
    let (names, levels) = (all("dongson.local.rule.name"), all("dongson.local.rule.level"));
    let indicators = all("dongson.local.indicator");
    let at = |list: &[String], number: usize| list.get(number).cloned().unwrap_or_default();
    let organization = event.organization();
    let mut signals: Vec<Signal> = Vec::new();
    for (number, rule) in texts(ids).into_iter().enumerate() {
        let indicator = at(&indicators, number);
        let cause =
            if indicator.is_empty() { event.id().to_owned() } else { format!("{}/{indicator}", event.id()) };
        let id = identity::of_signal(organization, &rule, &cause);
        if found.contains(&id.as_str()) || signals.iter().any(|other| other.id == id) {
            continue;
        }
        let level = Level::parse(&at(&levels, number)).unwrap_or(Level::Medium);
        signals.push(signal(event, id, rule, (at(&names, number), level, indicator)));
    }
    signals
}

fn texts(value: &Value) -> Vec<String> {
    value.scalars().iter().take(MAX_MARKS).map(|one| one.to_text().chars().take(256).collect()).collect()
}

fn signal(event: &Event, id: String, rule: String, about: (String, Level, String)) -> Signal {
    let (name, level, indicator) = about;
    let mut entity = usual_entity(event);
    let (mut title, mut title_vi) = (name.clone(), name.clone());
    if !indicator.is_empty() {
        "Known bad indicator".clone_into(&mut title);
        "Trùng chỉ dấu tấn công đã biết".clone_into(&mut title_vi);
        entity = Entity {
            kind: format!("{}+threat.indicator.name", entity.kind),
            value: format!("{}|{indicator}", entity.value).chars().take(256).collect(),
        };
    }
    let mark = |field: &str, value: &str| Matched {
        field: field.to_owned(),
        value: value.into(),
        selection: "sensor".to_owned(),
    };
    let mut matched = vec![mark("dongson.local.rule.id", &rule), mark("dongson.local.rule.name", &name)];
    if !indicator.is_empty() {
        matched.push(mark("dongson.local.indicator", &indicator));
    }
    Signal {
        id,
        organization: event.organization().to_owned(),
        rule_id: rule,
        title,
        title_vi,
        level,
        tags: Vec::new(),
        event_id: event.id().to_owned(),
        timestamp: event.timestamp().unwrap_or_default(),
        ingested: event.time("event.ingested").unwrap_or_default(),
        observer: event.text("observer.name").unwrap_or_default().to_owned(),
        entity,
        window_seconds: WINDOW,
        asset_level: event.int("dongson.asset.level").and_then(|level| u8::try_from(level).ok()).unwrap_or(0),
        matched,
        count: 1,
        drill: event.text("dongson.drill").map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: &str = r#"{"@timestamp":"2026-11-23T02:00:00Z","organization.id":"so-yte","event.id":"e","source.ip":"10.0.0.7",
        "dongson.local.rule.id":["r-1","dongson-indicator"],"dongson.local.rule.name":["Rule one","CERT"],
        "dongson.local.rule.level":["high","low"],"dongson.local.indicator":["","bad.example"]}"#;

    fn event(text: &str) -> Event {
        Event::parse(text.as_bytes()).unwrap().0
    }

    #[test]
    fn what_only_the_sensor_found_is_signalled() {
        let signals = missing(&event(MARKED), &[]);
        let told: Vec<_> =
            signals.iter().map(|one| (one.rule_id.as_str(), one.level, one.entity.value.as_str())).collect();
        let expected =
            [("r-1", Level::High, "10.0.0.7"), ("dongson-indicator", Level::Low, "10.0.0.7|bad.example")];
        assert_eq!(told, expected);
        assert_eq!(signals[0].title, "Rule one");
    }

    #[test]
    fn what_the_centre_found_too_is_one_signal() {
        let rule = identity::of_signal("so-yte", "r-1", "e");
        let indicator = identity::of_signal("so-yte", "dongson-indicator", "e/bad.example");
        assert!(missing(&event(MARKED), &[&rule, &indicator]).is_empty());
        assert_eq!(missing(&event(MARKED), &[&indicator]).len(), 1);
    }

    #[test]
    fn unmarked_and_odd_events_are_harmless() {
        assert!(missing(&event(r#"{"event.id":"e"}"#), &[]).is_empty());
        let odd = event(r#"{"event.id":"e","dongson.local.rule.id":"r","dongson.local.rule.level":7}"#);
        assert_eq!(missing(&odd, &[])[0].level, Level::Medium);
        let twice = event(r#"{"event.id":"e","dongson.local.rule.id":["r","r"]}"#);
        assert_eq!(missing(&twice, &[]).len(), 1);
    }
}
