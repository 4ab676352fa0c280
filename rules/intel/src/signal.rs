//! From indicators that an event meets to signals: the same for the analyzer and for a sensor.

use dongson_event::{Entity, Event, Level, Matched, Signal, Value, identity};

use crate::{AllowList, Found, Set};

/// The rule id of these signals.
pub const RULE: &str = "dongson-indicator";
/// The grouping window in seconds: a day.
const WINDOW: u32 = 86_400;
/// What an alert is about besides the indicator: the first of these that the event has.
const WHO: &[&str] = &["host.name", "source.ip", "observer.name"];

/// A signal for each indicator of `set` that `event` meets and `allow` does not except; they are written into the event
/// (`threat.indicator.*`). Their ids need `event.id` and `organization.id`.
pub fn signals(set: &Set, allow: &AllowList, event: &mut Event) -> Vec<Signal> {
    let found = set.matches(event, allow);
    if found.is_empty() {
        return Vec::new();
    }
    let signals = found.iter().map(|one| signal(event, one)).collect();
    enrich(event, &found);
    signals
}

fn enrich(event: &mut Event, found: &[Found<'_>]) {
    let all = |text: &dyn Fn(&Found<'_>) -> String| -> Value {
        let mut texts: Vec<Value> = found.iter().map(|one| Value::from(text(one))).collect();
        match texts.pop() {
            Some(only) if texts.is_empty() => only,
            last => {
                texts.extend(last);
                Value::List(texts)
            }
        }
    };
    let strictest = found.iter().map(|one| one.hit.tlp).max().unwrap_or_default();
    event.set("threat.indicator.type", all(&|one| one.hit.kind.ecs().to_owned()));
    event.set("threat.indicator.name", all(&|one| one.hit.indicator.clone()));
    event.set("threat.indicator.provider", all(&|one| one.hit.source.to_owned()));
    event.set("threat.indicator.confidence", all(&|one| one.hit.confidence.to_string()));
    event.set("threat.indicator.marking.tlp", strictest.as_str());
}

/// How bad it is to meet an indicator of this confidence (0 to 100).
pub const fn level(confidence: u8) -> Level {
    match confidence {
        80.. => Level::High,
        50.. => Level::Medium,
        _ => Level::Low,
    }
}

fn signal(event: &Event, found: &Found<'_>) -> Signal {
    let organization = event.organization().to_owned();
    let hit = &found.hit;
    let level = level(hit.confidence);
    let who = WHO.iter().find_map(|name| Some((*name, event.text(name)?)));
    let (name, value) = who.unwrap_or(("organization.id", event.organization()));
    let matched = |field: &str, value: Value| Matched {
        field: field.to_owned(),
        value,
        selection: "indicator".to_owned(),
    };
    Signal {
        id: identity::of_signal(&organization, RULE, &format!("{}/{}", event.id(), hit.indicator)),
        organization,
        rule_id: RULE.to_owned(),
        title: "Known bad indicator".to_owned(),
        title_vi: "Trùng chỉ dấu tấn công đã biết".to_owned(),
        level,
        tags: Vec::new(),
        event_id: event.id().to_owned(),
        timestamp: event.timestamp().unwrap_or_default(),
        ingested: event.time("event.ingested").unwrap_or_default(),
        observer: event.text("observer.name").unwrap_or_default().to_owned(),
        entity: Entity {
            kind: format!("{name}+threat.indicator.name"),
            value: format!("{value}|{}", hit.indicator).chars().take(256).collect(),
        },
        window_seconds: WINDOW,
        asset_level: event.int("dongson.asset.level").and_then(|level| u8::try_from(level).ok()).unwrap_or(0),
        matched: vec![
            matched(found.field, found.value.as_str().into()),
            matched("threat.indicator.name", hit.indicator.as_str().into()),
            matched("threat.indicator.provider", hit.source.into()),
            matched("threat.indicator.confidence", i64::from(hit.confidence).into()),
            matched("threat.indicator.marking.tlp", hit.tlp.as_str().into()),
        ],
        count: 1,
        drill: event.text("dongson.drill").map(str::to_owned),
    }
}
