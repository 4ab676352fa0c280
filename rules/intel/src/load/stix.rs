//! STIX 2.1 bundles: indicators whose pattern is one comparison or several of which one must hold.

use serde::Deserialize;
use serde_json::Value;

use super::{Taker, moment};
use crate::indicator::{Detail, Kind, Tlp};

/// Confidence where an indicator says nothing.
const CONFIDENCE: u8 = 50;
/// Longest pattern in bytes.
const MAX_PATTERN: usize = 64 << 10;

#[derive(Debug, Deserialize)]
struct Bundle {
    #[serde(default)]
    objects: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Pattern {
    #[serde(rename = "pattern")]
    text: String,
    #[serde(default, rename = "pattern_type")]
    language: Option<String>,
    #[serde(default)]
    valid_until: Option<String>,
    #[serde(default)]
    confidence: Option<u8>,
    #[serde(default)]
    created_by_ref: Option<String>,
    #[serde(default)]
    object_marking_refs: Vec<String>,
    #[serde(default)]
    revoked: bool,
}

/// True for a bundle: MISP's exports have no `"type":"bundle"` near their start.
pub(super) fn is_bundle(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Head {
        #[serde(default, rename = "type")]
        kind: String,
    }
    serde_json::from_slice::<Head>(bytes).is_ok_and(|head| head.kind == "bundle")
}

/// Reads a bundle.
pub(super) fn read(bytes: &[u8], taker: &mut Taker<'_>) -> Result<(), String> {
    let bundle: Bundle =
        serde_json::from_slice(bytes).map_err(|error| format!("not a STIX bundle: {error}"))?;
    let text = |object: &Value, key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    let identities: Vec<(String, String)> = bundle
        .objects
        .iter()
        .filter(|object| text(object, "type").as_deref() == Some("identity"))
        .filter_map(|object| Some((text(object, "id")?, text(object, "name")?)))
        .collect();
    for (place, object) in (1..).zip(bundle.objects) {
        let kind = text(&object, "type").unwrap_or_default();
        if kind != "indicator" {
            taker.pass_over(place, format!("an object of type {kind:?} is no indicator"));
            continue;
        }
        match serde_json::from_value::<Pattern>(object) {
            Ok(indicator) => take(place, &indicator, &identities, taker),
            Err(error) => taker.refuse(place, format!("not an indicator: {error}")),
        }
    }
    Ok(())
}

fn take(place: usize, indicator: &Pattern, identities: &[(String, String)], taker: &mut Taker<'_>) {
    if indicator.revoked {
        return taker.pass_over(place, format!("revoked: {}", indicator.text));
    }
    if let Some(other) = indicator.language.as_deref().filter(|kind| *kind != "stix") {
        return taker.refuse(place, format!("pattern of type {other:?}: only `stix` is read"));
    }
    let expires = match indicator.valid_until.as_deref().map(|text| (text, moment(text))) {
        None => None,
        Some((_, Some(at))) => Some(at),
        Some((text, None)) => return taker.refuse(place, format!("valid_until {text:?} is no moment")),
    };
    let by = indicator.created_by_ref.as_deref();
    let named = identities.iter().find(|(id, _)| Some(id.as_str()) == by).map(|(_, name)| name.clone());
    let detail = Detail {
        source: named.unwrap_or_else(|| taker.source()),
        confidence: indicator.confidence.unwrap_or(CONFIDENCE).min(100),
        tlp: indicator.object_marking_refs.iter().filter_map(|mark| marked(mark)).max().unwrap_or_default(),
        expires,
    };
    match comparisons(&indicator.text) {
        Ok(found) => {
            for (kind, value) in found {
                taker.take(place, Some(kind), &value, &detail);
            }
        }
        Err(reason) => taker.refuse(place, reason),
    }
}

/// The marks of the specification (STIX 2.1, 7.2.1.4, and TLP 2.0's) by what they mean.
fn marked(id: &str) -> Option<Tlp> {
    Some(match id.strip_prefix("marking-definition--")? {
        "613f2e26-407d-48c7-9eca-b8e91df99dc9" | "94868c89-83c2-464b-929b-a1a8aa3c8487" => Tlp::Clear,
        "34098fce-860f-48ae-8e50-ebd3cc5e41da" | "bab4a63c-aed9-4cf5-a766-dfca5abac2bb" => Tlp::Green,
        "f88d31f6-486f-44da-b317-01333bde0b82"
        | "55d920b0-5e8b-4f79-9ee9-91f868d9b421"
        | "939a9414-2ddd-4d32-a0cd-375ea402b003" => Tlp::Amber,
        "5e57c739-391a-4eb3-b6be-7d15ca92d5ed" | "e828b379-4e03-4974-9ac4-e53a884c97c1" => Tlp::Red,
        _ => return None,
    })
}

/// What a pattern compares, when one comparison is enough for it to hold; or why it cannot be read.
fn comparisons(pattern: &str) -> Result<Vec<(Kind, String)>, String> {
    let unread = |what: &str| format!("pattern {:?}: {what}", pattern.chars().take(120).collect::<String>());
    if pattern.len() > MAX_PATTERN {
        return Err(unread("is too long"));
    }
    let mut found = Vec::new();
    let mut rest = pattern.trim();
    let mut open = 0_usize;
    loop {
        while let Some(tail) = rest.strip_prefix(['[', '(']) {
            (rest, open) = (tail.trim_start(), open + 1);
        }
        let (path, tail) = path(rest).ok_or_else(|| unread("a comparison was expected"))?;
        let tail = tail.trim_start();
        let (subset, tail) = if let Some(tail) = tail.strip_prefix('=') {
            (false, tail)
        } else if let Some(tail) = tail.strip_prefix("ISSUBSET") {
            (true, tail)
        } else {
            return Err(unread("only `=` and `ISSUBSET` are read"));
        };
        let (value, tail) =
            quoted(tail.trim_start()).ok_or_else(|| unread("a text in '...' was expected"))?;
        let kind = kind(&path).ok_or_else(|| unread(&format!("{path:?} is not matched")))?;
        if subset && kind != Kind::Net {
            return Err(unread("ISSUBSET is for addresses"));
        }
        found.push((kind, value));
        rest = tail.trim_start();
        while let Some(tail) = rest.strip_prefix([']', ')']) {
            open = open.checked_sub(1).ok_or_else(|| unread("a bracket too many"))?;
            rest = tail.trim_start();
        }
        if rest.is_empty() {
            return if open == 0 { Ok(found) } else { Err(unread("a bracket is missing")) };
        }
        rest = match rest.strip_prefix("OR") {
            Some(tail) => tail.trim_start(),
            None => return Err(unread("only OR between comparisons is read")),
        };
    }
}

/// `file:hashes.'SHA-256'`: up to the operator, without quotes.
fn path(text: &str) -> Option<(String, &str)> {
    let end = text.find(|sign: char| {
        sign == '=' || sign == '!' || sign == '<' || sign == '>' || sign.is_whitespace()
    })?;
    let (path, rest) = text.split_at(end);
    (path.contains(':')).then(|| (path.replace('\'', ""), rest))
}

fn kind(path: &str) -> Option<Kind> {
    let (object, property) = path.split_once(':')?;
    let hash = property.strip_prefix("hashes.").map(str::to_ascii_uppercase);
    Some(match (object, property, hash.as_deref()) {
        ("ipv4-addr" | "ipv6-addr", "value", _)
        | ("network-traffic", "dst_ref.value" | "src_ref.value", _) => Kind::Net,
        ("domain-name", "value", _) => Kind::Domain,
        ("url", "value", _) => Kind::Url,
        ("file", _, Some("MD5")) => Kind::Md5,
        ("file", _, Some("SHA-1" | "SHA1")) => Kind::Sha1,
        ("file", _, Some("SHA-256" | "SHA256")) => Kind::Sha256,
        _ => return None,
    })
}

/// A text in single quotes with its escapes.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('\'')?;
    let (mut out, mut escaped) = (String::new(), false);
    for (at, sign) in text.char_indices() {
        match sign {
            _ if escaped => {
                out.push(sign);
                escaped = false;
            }
            '\\' => escaped = true,
            '\'' => return Some((out, text.get(at + 1..)?)),
            sign => out.push(sign),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{LoadReport, text};
    use super::*;
    use crate::set::Builder;
    use proptest::prelude::*;

    #[test]
    fn common_patterns_are_read() {
        for (pattern, count) in [
            ("[ipv4-addr:value = '203.0.113.7']", 1),
            ("[ipv4-addr:value ISSUBSET '203.0.113.0/24' OR domain-name:value='bad.example']", 2),
            ("[file:hashes.'SHA-256' = 'x'] OR [file:hashes.MD5 = 'y']", 2),
            ("([url:value = 'http://x/it\\'s'])", 1),
        ] {
            assert_eq!(comparisons(pattern).map(|found| found.len()), Ok(count), "{pattern}");
        }
        for pattern in [
            "",
            "[ipv4-addr:value = '1.2.3.4' AND domain-name:value = 'x.y']",
            "[ipv4-addr:value LIKE '1.%']",
            "[process:name = 'x']",
            "[ipv4-addr:value = '1.2.3.4'",
            "[ipv4-addr:value = '1.2.3.4']]",
            "[ipv4-addr:value = '1.2.3.4'] FOLLOWEDBY [url:value = 'x']",
            "[ipv4-addr:value != '1.2.3.4']",
        ] {
            assert!(comparisons(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_bundle_gives_its_indicators() {
        let list = r#"{"type":"bundle","id":"bundle--1","objects":[
            {"type":"identity","id":"identity--1","name":"CERT"},
            {"type":"indicator","id":"i","created_by_ref":"identity--1","pattern":"[domain-name:value = 'bad.example']","pattern_type":"stix","valid_until":"2027-01-01T00:00:00Z","confidence":85,"object_marking_refs":["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]},
            {"type":"indicator","id":"j","pattern":"[x","pattern_type":"stix"},
            {"type":"indicator","id":"k","pattern":"rule x {}","pattern_type":"yara"},
            {"type":"indicator","id":"l","pattern":"[url:value = 'http://x.y/']","revoked":true},
            {"type":"malware","id":"m"}]}"#;
        let (mut builder, mut report) = (Builder::default(), LoadReport::default());
        text("b.json", list.as_bytes(), &mut builder, &mut report);
        assert_eq!((report.taken, report.passed_over, report.refused), (1, 3, 2), "{report:?}");
        let set = builder.finish();
        let hit = set
            .domain("bad.example", dongson_event::Timestamp::default(), &crate::AllowList::default())
            .unwrap();
        assert_eq!((hit.source, hit.confidence, hit.tlp), ("CERT", 85, Tlp::Red));
    }

    proptest! {
        #[test]
        fn it_never_panics(pattern in "[\\[\\]()a-z:.'= ORANDISSUBSET\\\\]{0,80}") {
            drop(comparisons(&pattern));
        }

        #[test]
        fn texts_come_back(value in "\\PC{0,30}") {
            let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
            let pattern = format!("[url:value = '{escaped}']");
            prop_assert_eq!(comparisons(&pattern), Ok(vec![(Kind::Url, value)]));
        }
    }
}
