//! A match of a script's head, with all that the script will read: it can be sent to where the states are kept.

use std::collections::BTreeMap;

use dongson_event::{Event, Timestamp, Value, identity};
use dongson_rules::Matcher;
use dongson_rules::correlate::{PROVINCE, is_shareable};
use serde::{Deserialize, Serialize};

use crate::value::bounded;

/// Longest value of a key in characters; longer ones are cut and get their hash.
const MAX_KEY_CHARS: usize = 200;
/// Always given to a script.
const ORGANIZATION: &str = "organization.id";

/// One event as one script sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Id of the script.
    pub script: String,
    /// The agency whose states are meant; [`PROVINCE`] for a script that counts all agencies together.
    pub scope: String,
    /// The agency of the event.
    pub organization: String,
    /// The values of the key's fields, in the script's order.
    pub key: Vec<String>,
    /// The fields that the script reads, those of the key and of the entity among them.
    pub fields: BTreeMap<String, Value>,
    /// Event time.
    pub at: Timestamp,
    /// `event.id`.
    pub event: String,
}

/// What the script whose head is rule number `rule` needs to know of the head's match on `event`.
///
/// Nothing where the rule is no script, the event has no time or lacks a field of the key, and, for a script over all
/// agencies, where no value of the key names the same thing everywhere: an entity belongs to its agency.
pub fn seen(matcher: &mut Matcher, event: &Event, rule: usize) -> Option<Seen> {
    let rules = std::sync::Arc::clone(matcher.rules());
    let at = rules.scripts().binary_search_by_key(&rule, |source| source.rule).ok()?;
    let (source, head) = (rules.scripts().get(at)?, rules.rule(rule)?);
    let moment = event.timestamp()?;
    let mut fields = BTreeMap::new();
    for name in source.reads().chain(head.entity.iter().map(String::as_str)) {
        if let Some(value) = matcher.value(event, name) {
            fields.insert(name.to_owned(), bounded(value));
        }
    }
    let mut key = Vec::with_capacity(source.key.len());
    for name in &source.key {
        let text = matcher.value(event, name)?.to_text();
        if text.is_empty() || (head.province && !is_shareable(name, &text)) {
            return None;
        }
        key.push(shortened(&text));
    }
    let organization = event.organization().to_owned();
    fields.insert(ORGANIZATION.to_owned(), Value::from(organization.as_str()));
    Some(Seen {
        script: head.id.clone(),
        scope: if head.province { PROVINCE.to_owned() } else { organization.clone() },
        organization,
        key,
        fields,
        at: moment,
        event: event.id().to_owned(),
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_KEY_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => {
            let start = text.get(..at).unwrap_or_default();
            format!("{start}… {}", identity::hex_of(&[text.as_bytes()]))
        }
    }
}
