//! Values of a selection: modifiers applied in their order until a [`Test`] is left.

use std::net::IpAddr;

use ipnet::IpNet;
use regex::RegexBuilder;
use serde_yaml_ng::Value as Yaml;

use super::encoding::{base64, base64_at, utf16};
use super::modifier::{Key, Modifier, Order, Part};
use super::placeholder::{Placeholders, expand};
use crate::RuleError;
use crate::number::Limit;
use crate::predicate::{Affix, Tables, Test};
use crate::text::Pattern;
use crate::text::glyph::{self, Glyph};

/// Most texts that dashes and placeholders may make of one value.
const MAX_EXPANSION: usize = 10_000;
/// Most bytes that one compiled regular expression may take.
const MAX_REGEX_BYTES: usize = 10 << 20;

/// A value on its way.
#[derive(Debug, Clone)]
enum Item {
    /// As written; escapes are not yet read.
    Raw(String),
    Glyphs(Vec<Glyph>),
    Bytes(Vec<u8>),
    Number(serde_yaml_ng::Number),
    Bool(bool),
    Null,
}

/// What kind of test it becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Regex { insensitive: bool, multi_line: bool, single_line: bool },
    Cidr,
    Exists,
    FieldRef(Affix),
    Compare(Order),
    Part(Part, Option<Order>),
}

#[derive(Debug, Clone)]
struct Draft {
    item: Item,
    kind: Kind,
    cased: bool,
}

/// One value of one key: all tests of which one must hold.
pub(crate) fn tests(
    key: &Key<'_>,
    value: &Yaml,
    placeholders: &Placeholders,
    tables: &mut Tables,
) -> Result<Vec<Test>, RuleError> {
    if key.field.is_empty() {
        let fits = |modifier: &Modifier| !modifier.needs_field();
        if let Some(&wrong) = key.modifiers.iter().find(|modifier| !fits(modifier)) {
            let reason = "needs a field before it; keywords are looked for anywhere in the event".to_owned();
            return Err(misuse(key, wrong, value, reason));
        }
    }
    let item = match value {
        Yaml::String(text) => Item::Raw(text.clone()),
        Yaml::Number(number) => Item::Number(number.clone()),
        Yaml::Bool(truth) => Item::Bool(*truth),
        Yaml::Null => Item::Null,
        _ => {
            return Err(RuleError::WrongType {
                key: key.text.to_owned(),
                expected: "a value or a list of values; write nested maps as dotted names (`a.b`)",
            });
        }
    };
    refuse_order(key)?;
    let mut drafts = vec![Draft { item, kind: Kind::Plain, cased: key.has(Modifier::Cased) }];
    for &modifier in &key.modifiers {
        let mut next = Vec::with_capacity(drafts.len());
        for draft in drafts {
            next.extend(
                apply(modifier, draft, placeholders)
                    .map_err(|reason| misuse(key, modifier, value, reason))?,
            );
        }
        if next.len() > MAX_EXPANSION {
            return Err(misuse(
                key,
                modifier,
                value,
                format!("more than {MAX_EXPANSION} values; list fewer"),
            ));
        }
        drafts = next;
    }
    drafts
        .into_iter()
        .map(|draft| finish(key, &draft, tables).map_err(|reason| invalid(key, value, reason)))
        .collect()
}

/// What stands around an encoded text must be put there after it was encoded.
fn refuse_order(key: &Key<'_>) -> Result<(), RuleError> {
    let is_affix = |modifier: &&Modifier| {
        matches!(modifier, Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith)
    };
    let encodes = |modifier: &Modifier| {
        matches!(
            modifier,
            Modifier::Base64
                | Modifier::Base64Offset
                | Modifier::Utf16Le
                | Modifier::Utf16Be
                | Modifier::Utf16
        )
    };
    let first = key.modifiers.iter().position(|modifier| is_affix(&modifier));
    let affix = first.and_then(|at| key.modifiers.get(at)).copied();
    let late = key.modifiers.iter().skip(first.unwrap_or(usize::MAX)).copied().find(encodes);
    match (affix, late) {
        (Some(affix), Some(late)) => Err(RuleError::Modifier {
            key: key.text.to_owned(),
            modifier: late.as_str(),
            reason: format!(
                "stands behind `{affix}`, so wildcards would be encoded; write `{affix}` last: `{late}|{affix}`",
                affix = affix.as_str(),
                late = late.as_str()
            ),
        }),
        _ => Ok(()),
    }
}

fn misuse(key: &Key<'_>, modifier: Modifier, value: &Yaml, reason: String) -> RuleError {
    let reason = match value {
        Yaml::String(text) => format!("{reason} (value {text:?})"),
        _ => reason,
    };
    RuleError::Modifier { key: key.text.to_owned(), modifier: modifier.as_str(), reason }
}

fn invalid(key: &Key<'_>, value: &Yaml, reason: String) -> RuleError {
    let value = match value {
        Yaml::String(text) => text.clone(),
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(truth) => truth.to_string(),
        _ => "null".to_owned(),
    };
    RuleError::Value { key: key.text.to_owned(), value, reason }
}

/// Applies one modifier; some make several values of one.
fn apply(modifier: Modifier, mut draft: Draft, placeholders: &Placeholders) -> Result<Vec<Draft>, String> {
    match modifier {
        // These concern the whole list of values or are already in the draft.
        Modifier::All | Modifier::Neq | Modifier::Cased => {}
        Modifier::StartsWith => affix(&mut draft, Affix::Start)?,
        Modifier::EndsWith => affix(&mut draft, Affix::End)?,
        Modifier::Contains => affix(&mut draft, Affix::Inside)?,
        Modifier::WinDash => draft.item = Item::Glyphs(glyph::windash(&glyphs(&draft)?)),
        Modifier::Re => {
            raw(&draft, "write `re` as the first modifier")?;
            draft.kind = Kind::Regex { insensitive: false, multi_line: false, single_line: false };
        }
        Modifier::ReInsensitive | Modifier::ReMultiLine | Modifier::ReSingleLine => {
            regex_flag(&mut draft, modifier)?;
        }
        Modifier::Base64
        | Modifier::Base64Offset
        | Modifier::Utf16Le
        | Modifier::Utf16Be
        | Modifier::Utf16 => {
            return encoded(modifier, &draft);
        }
        Modifier::Compare(order) => {
            draft.kind = match draft.kind {
                Kind::Plain => Kind::Compare(order),
                Kind::Part(part, None) => Kind::Part(part, Some(order)),
                _ => return Err("compares numbers; it stands alone or after a part of a date".to_owned()),
            }
        }
        Modifier::Part(part) if draft.kind == Kind::Plain => draft.kind = Kind::Part(part, None),
        Modifier::Exists if draft.kind == Kind::Plain => draft.kind = Kind::Exists,
        Modifier::Cidr if draft.kind == Kind::Plain => draft.kind = Kind::Cidr,
        Modifier::FieldRef if draft.kind == Kind::Plain => field_ref(&mut draft)?,
        Modifier::Expand => return expanded(&draft, placeholders),
        Modifier::Part(_) | Modifier::Exists | Modifier::Cidr | Modifier::FieldRef => {
            return Err("cannot follow the modifiers before it; leave one of them out".to_owned());
        }
    }
    Ok(vec![draft])
}

fn affix(draft: &mut Draft, affix: Affix) -> Result<(), String> {
    match draft.kind {
        Kind::FieldRef(Affix::Whole) => draft.kind = Kind::FieldRef(affix),
        Kind::Plain => {
            let mut glyphs = glyphs(draft)?;
            if affix != Affix::Start {
                glyph::open_start(&mut glyphs);
            }
            if affix != Affix::End {
                glyph::open_end(&mut glyphs);
            }
            draft.item = Item::Glyphs(glyphs);
        }
        Kind::Regex { .. } => {
            return Err("a regular expression matches anywhere; use `^` and `$` instead".to_owned());
        }
        _ => return Err("works on text; leave it out".to_owned()),
    }
    Ok(())
}

fn regex_flag(draft: &mut Draft, modifier: Modifier) -> Result<(), String> {
    let Kind::Regex { insensitive, multi_line, single_line } = &mut draft.kind else {
        return Err("is a flag of `re`; write it after `re`".to_owned());
    };
    match modifier {
        Modifier::ReInsensitive => *insensitive = true,
        Modifier::ReMultiLine => *multi_line = true,
        _ => *single_line = true,
    }
    Ok(())
}

fn field_ref(draft: &mut Draft) -> Result<(), String> {
    let (name, affix) = match &draft.item {
        Item::Raw(name) => (name.clone(), Affix::Whole),
        Item::Glyphs(glyphs) => match glyphs.as_slice() {
            [Glyph::Many, Glyph::Text(name), Glyph::Many] => (name.clone(), Affix::Inside),
            [Glyph::Many, Glyph::Text(name)] => (name.clone(), Affix::End),
            [Glyph::Text(name), Glyph::Many] => (name.clone(), Affix::Start),
            _ => return Err("the value must be the name of a field".to_owned()),
        },
        _ => return Err("the value must be the name of a field".to_owned()),
    };
    *draft = Draft { item: Item::Raw(name), kind: Kind::FieldRef(affix), cased: draft.cased };
    Ok(())
}

/// The value as written, for what reads it in its own way.
fn raw<'d>(draft: &'d Draft, instead: &str) -> Result<&'d str, String> {
    match (&draft.item, draft.kind) {
        (Item::Raw(text), Kind::Plain) => Ok(text),
        (Item::Null | Item::Bool(_) | Item::Number(_), _) => Err("the value must be text".to_owned()),
        _ => Err(instead.to_owned()),
    }
}

fn glyphs(draft: &Draft) -> Result<Vec<Glyph>, String> {
    if draft.kind != Kind::Plain {
        return Err("works on text; leave it out or put it first".to_owned());
    }
    let text = |text: String| if text.is_empty() { Vec::new() } else { vec![Glyph::Text(text)] };
    match &draft.item {
        Item::Raw(value) => Ok(glyph::parse(value)),
        Item::Glyphs(glyphs) => Ok(glyphs.clone()),
        Item::Number(number) => Ok(text(number.to_string())),
        Item::Bool(truth) => Ok(text(truth.to_string())),
        Item::Bytes(bytes) => String::from_utf8(bytes.clone())
            .map(text)
            .map_err(|_| "the encoded bytes are not text; add `base64` or `base64offset`".to_owned()),
        Item::Null => Err("null takes no modifier; write `exists` or leave the modifier out".to_owned()),
    }
}

fn encoded(modifier: Modifier, draft: &Draft) -> Result<Vec<Draft>, String> {
    let inputs = match &draft.item {
        Item::Number(_) | Item::Bool(_) => {
            return Err("encodes text, and this is a number or a truth value; write it in quotes if its text is meant".to_owned());
        }
        Item::Bytes(bytes) => vec![bytes.clone()],
        _ => glyph::expand(&glyphs(draft)?, MAX_EXPANSION)
            .ok_or("text with wildcards cannot be encoded; write it without them")?
            .into_iter()
            .map(String::into_bytes)
            .collect(),
    };
    let mut items = Vec::new();
    for input in &inputs {
        match modifier {
            Modifier::Base64 => items.push(Item::Glyphs(vec![Glyph::Text(base64(input))])),
            Modifier::Base64Offset => {
                items.extend((0..3).map(|shift| Item::Glyphs(vec![Glyph::Text(base64_at(input, shift))])));
            }
            wide => items.push(Item::Bytes(utf16(wide, input)?)),
        }
    }
    Ok(items.into_iter().map(|item| Draft { item, kind: Kind::Plain, cased: draft.cased }).collect())
}

fn expanded(draft: &Draft, placeholders: &Placeholders) -> Result<Vec<Draft>, String> {
    let text = match &draft.item {
        Item::Raw(text) => text.clone(),
        Item::Glyphs(glyphs) if !glyphs.contains(&Glyph::Dash) => glyph::print(glyphs),
        Item::Number(_) | Item::Bool(_) | Item::Null => {
            return Err("needs a text with the name of a placeholder, such as '%Servers%'".to_owned());
        }
        _ => return Err("write `expand` before modifiers that change the value".to_owned()),
    };
    let texts = expand(&text, placeholders, MAX_EXPANSION)?;
    Ok(texts.into_iter().map(|text| Draft { item: Item::Raw(text), ..draft.clone() }).collect())
}

/// The test that is left when all modifiers are applied.
fn finish(key: &Key<'_>, draft: &Draft, tables: &mut Tables) -> Result<Test, String> {
    let text = match &draft.item {
        Item::Raw(text) => Some(text.as_str()),
        _ => None,
    };
    match draft.kind {
        Kind::Plain => plain(key, draft),
        Kind::Regex { insensitive, multi_line, single_line } => {
            RegexBuilder::new(text.ok_or("must be text")?)
                .case_insensitive(insensitive)
                .multi_line(multi_line)
                .dot_matches_new_line(single_line)
                .size_limit(MAX_REGEX_BYTES)
                .build()
                .map(|regex| Test::Regex(flagged(regex, insensitive, multi_line, single_line)))
                .map_err(|error| format!("not a regular expression that runs in linear time: {error}"))
        }
        Kind::Cidr => text
            .and_then(network)
            .map(Test::Cidr)
            .ok_or_else(|| "must be a network such as 10.0.0.0/8 or fd00::/8".to_owned()),
        Kind::Exists => match draft.item {
            Item::Bool(_) => Ok(Test::Exists),
            _ => Err("`exists` takes true or false".to_owned()),
        },
        Kind::FieldRef(affix) if !key.field.is_empty() => {
            Ok(Test::FieldRef { other: tables.field(text.unwrap_or_default()), affix, cased: draft.cased })
        }
        Kind::FieldRef(_) => Err("`fieldref` needs a field before it".to_owned()),
        Kind::Compare(order) => Ok(Test::Compare { order, limit: limit(&draft.item)? }),
        Kind::Part(part, order) => {
            let number = limit(&draft.item)?.float();
            let (least, most) = part.range();
            if number < least || number > most || number.fract() != 0.0 {
                return Err(format!("must be a whole number from {least} to {most}"));
            }
            Ok(Test::Part { part, order, number })
        }
    }
}

/// A network; an address alone is the network of that one address.
fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// `Regex::as_str` does not tell the flags, and tests are shared by what they say: the flags go into the text.
fn flagged(regex: regex::Regex, insensitive: bool, multi_line: bool, single_line: bool) -> regex::Regex {
    let flags: String = [(insensitive, 'i'), (multi_line, 'm'), (single_line, 's')]
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, flag)| flag)
        .collect();
    if flags.is_empty() {
        return regex;
    }
    RegexBuilder::new(&format!("(?{flags}){}", regex.as_str()))
        .size_limit(MAX_REGEX_BYTES)
        .build()
        .unwrap_or(regex)
}

fn plain(key: &Key<'_>, draft: &Draft) -> Result<Test, String> {
    let keyword = key.field.is_empty();
    match &draft.item {
        Item::Null if keyword => Err("a keyword must be text or a number".to_owned()),
        Item::Null => Ok(Test::Null),
        Item::Number(number) if !keyword => {
            Ok(Test::Number { text: number.to_string(), number: number.as_f64().unwrap_or(f64::NAN) })
        }
        _ => {
            let mut glyphs = glyphs(draft)?;
            if keyword {
                glyph::open_start(&mut glyphs);
                glyph::open_end(&mut glyphs);
            }
            Ok(Test::Text(Box::new(Pattern::new(&glyphs, draft.cased))))
        }
    }
}

fn limit(item: &Item) -> Result<Limit, String> {
    let given = match item {
        Item::Number(number) => Limit::read(&number.to_string()),
        Item::Raw(text) => Limit::read(text),
        _ => None,
    };
    given.ok_or_else(|| "must be a number".to_owned())
}
