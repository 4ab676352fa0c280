//! MISP JSON: events with attributes and objects, and lists of attributes, as MISP exports them.

use serde::Deserialize;
use serde_json::Value;

use super::Taker;
use crate::indicator::{Detail, Indicator, Kind, Tlp};

/// Confidence where MISP says nothing.
const CONFIDENCE: u8 = 60;

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(default, rename = "Orgc")]
    creator: Option<Named>,
    #[serde(default, rename = "Tag")]
    tags: Vec<Named>,
    #[serde(default, rename = "Attribute")]
    attributes: Vec<Value>,
    #[serde(default, rename = "Object")]
    objects: Vec<Object>,
}

#[derive(Debug, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct Object {
    #[serde(default, rename = "Attribute")]
    attributes: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Attribute {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    value: String,
    /// A truth value, or `"1"` and `"0"` in old exports.
    #[serde(default)]
    to_ids: Value,
    #[serde(default, rename = "Tag")]
    tags: Vec<Named>,
}

/// Reads an export: `{"Event": ...}`, `{"response": ...}`, `{"Attribute": [...]}`, or a list of these.
pub(super) fn read(bytes: &[u8], taker: &mut Taker<'_>) -> Result<(), String> {
    let whole: Value = serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
    let mut number = 0;
    if export(whole, taker, &mut number, 0) == 0 {
        return Err("is JSON, but neither a MISP export nor a STIX 2.1 bundle".to_owned());
    }
    Ok(())
}

/// How many events or lists of attributes there are.
fn export(value: Value, taker: &mut Taker<'_>, number: &mut usize, depth: usize) -> usize {
    match value {
        Value::Array(items) if depth < 4 => {
            items.into_iter().map(|item| export(item, taker, number, depth + 1)).sum()
        }
        Value::Object(mut map) => {
            if let Some(inner) = map.remove("response").filter(|_| depth < 4) {
                return export(inner, taker, number, depth + 1);
            }
            let known = map.contains_key("Attribute") || map.contains_key("Object");
            let event = match map.remove("Event") {
                Some(event) if !known => event,
                _ if known => Value::Object(map),
                _ => return 0,
            };
            match serde_json::from_value::<Event>(event) {
                Ok(event) => take_event(&event, taker, number),
                Err(error) => taker.refuse(*number + 1, format!("not a MISP event: {error}")),
            }
            1
        }
        _ => 0,
    }
}

fn take_event(event: &Event, taker: &mut Taker<'_>, number: &mut usize) {
    let source = event
        .creator
        .as_ref()
        .map(|creator| creator.name.clone())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| taker.source());
    let tlp = tlp(&event.tags);
    let inner = event.objects.iter().flat_map(|object| &object.attributes);
    for attribute in event.attributes.iter().chain(inner) {
        *number += 1;
        let attribute = match Attribute::deserialize(attribute) {
            Ok(attribute) => attribute,
            Err(error) => {
                taker.refuse(*number, format!("not an attribute: {error}"));
                continue;
            }
        };
        let tlp = self::tlp(&attribute.tags).or(tlp).unwrap_or_default();
        let detail = Detail { source: source.clone(), confidence: CONFIDENCE, tlp, expires: None };
        take(*number, &attribute, &detail, taker);
    }
}

fn tlp(tags: &[Named]) -> Option<Tlp> {
    let marks = tags.iter().filter(|tag| tag.name.to_ascii_lowercase().starts_with("tlp:"));
    marks.filter_map(|tag| Tlp::parse(&tag.name)).max()
}

fn take(place: usize, attribute: &Attribute, detail: &Detail, taker: &mut Taker<'_>) {
    let wanted = match &attribute.to_ids {
        Value::Bool(truth) => *truth,
        Value::String(text) => text == "1" || text.eq_ignore_ascii_case("true"),
        Value::Number(number) => number.as_i64() == Some(1),
        _ => false,
    };
    if !wanted {
        return taker.pass_over(
            place,
            format!("{} {:?} is not meant for detection (`to_ids`)", attribute.kind, attribute.value),
        );
    }
    // `ip-dst|port`, `filename|sha256`, `domain|ip`: parts of which some are indicators.
    let kinds: Vec<Option<Kind>> = attribute.kind.split('|').map(Kind::parse).collect();
    let values: Vec<&str> = attribute.value.splitn(kinds.len(), '|').collect();
    if kinds.iter().all(Option::is_none) {
        return taker.refuse(place, format!("attribute of type {:?} is not matched", attribute.kind));
    }
    for (kind, value) in kinds.into_iter().zip(values) {
        let Some(kind) = kind else { continue };
        match Indicator::new(kind, value) {
            Err(error) => taker.refuse(place, format!("attribute of type {:?}: {error}", attribute.kind)),
            found => taker.add(place, found, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LoadReport, text};
    use crate::set::Builder;
    use proptest::prelude::*;

    fn load(list: &str) -> (crate::Set, LoadReport) {
        let (mut builder, mut report) = (Builder::default(), LoadReport::default());
        text("feeds/export.json", list.as_bytes(), &mut builder, &mut report);
        (builder.finish(), report)
    }

    #[test]
    fn events_objects_and_pairs() {
        let (set, report) = load(
            r#"{"response":[{"Event":{"info":"x","Orgc":{"name":"CERT"},"Tag":[{"name":"tlp:red"}],
            "Attribute":[{"type":"ip-dst|port","value":"203.0.113.7|443","to_ids":true},
            {"type":"domain|ip","value":"bad.example|203.0.113.8","to_ids":"1"},
            {"type":"url","value":"http://bad.example/x","to_ids":false},
            {"type":"email-src","value":"a@b.c","to_ids":true}],
            "Object":[{"name":"file","Attribute":[{"type":"filename|md5","value":"a.exe|d41d8cd98f00b204e9800998ecf8427e","to_ids":true}]}]}}]}"#,
        );
        assert_eq!((report.taken, report.passed_over, report.refused), (4, 1, 1), "{report:?}");
        let allow = crate::AllowList::default();
        let hit = set.domain("x.bad.example", dongson_event::Timestamp::default(), &allow).unwrap();
        assert_eq!((hit.source, hit.tlp), ("CERT", crate::Tlp::Red));
        assert_eq!(load(r#"{"Attribute":[{"type":"md5","value":"x","to_ids":true}]}"#).1.refused, 1);
        assert_eq!((report.passed[0].place, report.passed.len()), (3, 1));
        assert!(report.passed[0].reason.contains("http://bad.example/x"), "{report:?}");
        let (_, report) = load(
            r#"{"Attribute":[{"type":"sha256","value":"ab","to_ids":true},{"type":"sha256","value":12,"to_ids":true},
            {"type":"filename|sha256","value":"a.exe|ab","to_ids":true},{"type":"ip-dst","value":"203.0.113.9","to_ids":true}]}"#,
        );
        assert_eq!((report.taken, report.refused), (1, 3), "{report:?}");
        assert_eq!(
            report.reasons[0].reason,
            "attribute of type \"sha256\": \"ab\" is not 64 hexadecimal digits"
        );
        assert!(
            report.reasons[1].place == 2 && report.reasons[1].reason.contains("not an attribute"),
            "{report:?}"
        );
        assert!(report.reasons[2].reason.contains("filename|sha256"), "{report:?}");
        assert_eq!(load(r#"{"hello":1}"#).1.refused, 1);
        assert_eq!(load("[").1.refused, 1);
    }

    proptest! {
        #[test]
        fn it_never_panics(tail in "[\\[\\]{}\":,a-zA-Z0-9|._ ]{0,120}") {
            load(&format!("{{{tail}"));
            load(&format!("{{\"Event\":{{\"Attribute\":[{{\"type\":\"ip-dst|port\",\"to_ids\":1,\"value\":\"{}\"}}]}}}}", tail.replace('"', "")));
        }
    }
}
