//! From a match to a signal: the same for the analyzer and for a sensor that is cut off, so that both give the same ids.

use std::time::Duration;

use dongson_event::{Entity, Event, Matched, Signal, Timestamp, Value, identity};

use crate::matcher::Matcher;
use crate::rule::Rule;

/// Window of a rule that names none.
const DEFAULT_WINDOW: Duration = Duration::from_hours(1);
/// What an alert is about when its rule does not say: the first of these that the event has.
const ENTITIES: &[&str] =
    &["source.ip", "host.name", "user.name", "destination.ip", "dongson.health.source", "observer.name"];
/// Longest value of an entity in characters.
const ENTITY_CHARS: usize = 256;

/// The signal of `rule`, which holds on `event` because of `because`. Its id needs `event.id` and `organization.id`.
pub fn of(matcher: &mut Matcher, event: &Event, rule: &Rule, because: Vec<Matched>) -> Signal {
    let organization = event.organization().to_owned();
    Signal {
        id: identity::of_signal(&organization, &rule.id, event.id()),
        event_id: event.id().to_owned(),
        timestamp: event.timestamp().unwrap_or_default(),
        ingested: event.time("event.ingested").unwrap_or_default(),
        observer: event.text("observer.name").unwrap_or_default().to_owned(),
        entity: entity(matcher, event, &rule.entity),
        asset_level: event.int("dongson.asset.level").and_then(|level| u8::try_from(level).ok()).unwrap_or(0),
        matched: because,
        drill: event.text("dongson.drill").map(str::to_owned),
        ..blank(rule, organization)
    }
}

/// What the match is about: the rule's own fields, else the first usual one that the event has.
fn entity(matcher: &mut Matcher, event: &Event, named: &[String]) -> Entity {
    let own: Vec<(&str, String)> = named
        .iter()
        .filter_map(|name| Some((name.as_str(), shortened(matcher.value(event, name)?))))
        .collect();
    if !own.is_empty() {
        let join = |parts: Vec<&str>, with: &str| parts.join(with);
        return Entity {
            kind: join(own.iter().map(|(name, _)| *name).collect(), "+"),
            value: join(own.iter().map(|(_, value)| value.as_str()).collect(), "|"),
        };
    }
    usual_entity(event)
}

/// What a match on `event` is about when no rule says it: the first usual field that the event has.
pub fn usual_entity(event: &Event) -> Entity {
    ENTITIES
        .iter()
        .find_map(|name| Some(Entity { kind: (*name).to_owned(), value: shortened(event.get(name)?) }))
        .unwrap_or_else(|| Entity {
            kind: "organization.id".to_owned(),
            value: event.organization().to_owned(),
        })
}

/// The part of a signal that its rule decides.
pub fn blank(rule: &Rule, organization: String) -> Signal {
    let window = rule.window.unwrap_or(DEFAULT_WINDOW).as_secs().max(1);
    Signal {
        id: String::new(),
        organization,
        rule_id: rule.id.clone(),
        title: rule.title.clone(),
        title_vi: rule.title_vi.clone().unwrap_or_else(|| rule.title.clone()),
        level: rule.level,
        tags: rule.tags.clone(),
        event_id: String::new(),
        timestamp: Timestamp::default(),
        ingested: Timestamp::default(),
        observer: String::new(),
        entity: Entity { kind: String::new(), value: String::new() },
        window_seconds: u32::try_from(window).unwrap_or(u32::MAX),
        asset_level: 0,
        matched: Vec::new(),
        count: 1,
        drill: None,
    }
}

fn shortened(value: &Value) -> String {
    value.to_text().chars().take(ENTITY_CHARS).collect()
}
