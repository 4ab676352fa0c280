//! The event as JSON text: reading into the canonical form, and printing it.
//!
//! Canonical means: nested objects become dotted names; two values for one name (a repeated key, or a nested one
//! beside a dotted one) become one list, so that neither hides the other; an object in a list puts each of its
//! names into a list of its own (`[{"a":1},{"a":2}]` under `x` is `x.a: [1, 2]`); a list in a list is joined; an
//! empty object is `null`; lone surrogates become U+FFFD; numbers beyond 64 bits become their digits as text. Every
//! such change is counted in [`Anomalies`].

mod canonical;

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Event, MAX_FIELDS, MAX_NAME_BYTES, Name, Value};

/// Why a text is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not UTF-8.
    #[error("not UTF-8 after byte {valid_up_to}")]
    NotUtf8 {
        /// Bytes before the first bad one.
        valid_up_to: usize,
    },
    /// Not JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, but not an object.
    #[error("JSON, but not an object")]
    NotAnObject,
    /// More names than an event may carry.
    #[error("more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// A name that is longer than allowed.
    #[error("a field name is longer than {MAX_NAME_BYTES} bytes: {0:?}...")]
    NameTooLong(String),
}

/// What was changed to reach the canonical form; all zero for a text that was canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Anomalies {
    /// Names that had more than one value.
    pub duplicate_names: u32,
    /// Lone surrogates, raw control characters and the like, mended.
    pub bad_text: u32,
    /// Numbers beyond 64 bits, kept as text.
    pub huge_numbers: u32,
}

impl Anomalies {
    /// True when nothing had to be changed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl Event {
    /// Reads one JSON object; what had to be changed is counted beside it.
    pub fn parse(text: &[u8]) -> Result<(Self, Anomalies), ParseError> {
        let text = std::str::from_utf8(text)
            .map_err(|error| ParseError::NotUtf8 { valid_up_to: error.valid_up_to() })?;
        if let Some(event) = canonical::read(text) {
            return Ok((event, Anomalies::default()));
        }
        match read(text) {
            Ok(parsed) => Ok(parsed),
            Err(ParseError::NotJson(reason)) => {
                let (mended, anomalies) = mend(text);
                if anomalies.is_empty() {
                    return Err(ParseError::NotJson(reason));
                }
                let (event, more) = read(&mended)?;
                Ok((
                    event,
                    Anomalies {
                        duplicate_names: more.duplicate_names,
                        huge_numbers: anomalies.huge_numbers + more.huge_numbers,
                        ..anomalies
                    },
                ))
            }
            Err(other) => Err(other),
        }
    }

    /// The canonical JSON text: names in byte order, no spaces.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(canonical::size(self));
        canonical::print(self, &mut out);
        out
    }

    /// Appends the same text to `out`.
    pub fn put_json(&self, out: &mut String) {
        canonical::print(self, out);
    }
}

/// Appends `text` as JSON writes it, with its quotes.
pub(crate) fn put_text(text: &str, out: &mut String) {
    canonical::text(text, out);
}

/// Appends the name of a field behind a comma, with its quotes and the colon.
pub(crate) fn put_name(name: &Name, out: &mut String) {
    canonical::name(name, out);
}

/// Makes the fields behind `begin`, each with its comma before it, an object.
pub(crate) fn close(begin: usize, out: &mut String) {
    canonical::close(begin, out);
}

impl Value {
    /// Appends its JSON text to `out`.
    pub fn put_json(&self, out: &mut String) {
        canonical::put(self, out);
    }
}

fn read(text: &str) -> Result<(Event, Anomalies), ParseError> {
    let mut flat = Flattener::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outcome = Node { flat: &mut flat, path: String::new(), in_list: false }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    if let Some(refusal) = flat.refusal {
        return Err(refusal);
    }
    outcome.map_err(|error| ParseError::NotJson(error.to_string()))?;
    if !flat.object {
        return Err(ParseError::NotAnObject);
    }
    Ok(flat.finish())
}

/// Collects leaves under their dotted names while `serde_json` walks the text.
#[derive(Default)]
struct Flattener {
    /// (name, value, came out of a list of objects): the last keeps lists of objects from counting as duplicates.
    leaves: Vec<(String, Value, bool)>,
    anomalies: Anomalies,
    refusal: Option<ParseError>,
    object: bool,
}

impl Flattener {
    fn leaf(&mut self, path: &str, value: Value, in_list: bool) -> Result<(), ParseError> {
        if path.len() > MAX_NAME_BYTES {
            return Err(ParseError::NameTooLong(path.chars().take(60).collect()));
        }
        self.leaves.push((path.to_owned(), value, in_list));
        Ok(())
    }

    fn finish(mut self) -> (Event, Anomalies) {
        // Stable: values of one name keep their order.
        self.leaves.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut sorted: Vec<(String, Value)> = Vec::with_capacity(self.leaves.len());
        let mut last_in_list = false;
        for (name, value, in_list) in self.leaves {
            match sorted.last_mut() {
                Some((held, old)) if *held == name => {
                    let taken = std::mem::replace(old, Value::Null);
                    *old = if in_list && last_in_list { append(taken, value) } else { taken.merge(&value) };
                    self.anomalies.duplicate_names += u32::from(!(in_list && last_in_list));
                }
                _ => sorted.push((name, if in_list { as_list(value) } else { value })),
            }
            last_in_list = in_list;
        }
        let fields = sorted.into_iter().map(|(name, value)| (Name::from(name), value)).collect();
        (Event::from_sorted(fields), self.anomalies)
    }
}

fn as_list(value: Value) -> Value {
    match value {
        list @ Value::List(_) => list,
        scalar => Value::List(vec![scalar]),
    }
}

fn append(list: Value, more: Value) -> Value {
    match (as_list(list), more) {
        (Value::List(mut items), Value::List(tail)) => {
            items.extend(tail);
            Value::List(items)
        }
        (Value::List(mut items), scalar) => {
            items.push(scalar);
            Value::List(items)
        }
        (other, _) => other,
    }
}

/// One value of the JSON text at `path`.
struct Node<'a> {
    flat: &'a mut Flattener,
    path: String,
    in_list: bool,
}

impl Node<'_> {
    fn put<E: serde::de::Error>(self, value: Value) -> Result<(), E> {
        if self.path.is_empty() && !self.flat.object {
            return Ok(());
        }
        self.flat.leaf(&self.path, value, self.in_list).map_err(|refusal| {
            self.flat.refusal = Some(refusal);
            E::custom("refused")
        })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.put(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<(), E> {
        self.put(Value::Bool(truth))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.put(Value::Int(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        if i64::try_from(number).is_err() {
            self.flat.anomalies.huge_numbers += 1;
        }
        self.put(Value::from(number))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.put(Value::from(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.put(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut scalars = Vec::new();
        let mut seen = false;
        while let Some(element) =
            items.next_element_seed(Element { flat: &mut *self.flat, path: &self.path })?
        {
            seen = true;
            scalars.extend(element);
        }
        if scalars.is_empty() && seen { Ok(()) } else { self.put(Value::List(scalars)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if self.path.is_empty() {
            self.flat.object = true;
        }
        let mut empty = true;
        while let Some(key) = entries.next_key::<Cow<'_, str>>()? {
            empty = false;
            let path = if self.path.is_empty() { key.into_owned() } else { format!("{}.{key}", self.path) };
            if self.flat.leaves.len() >= MAX_FIELDS {
                self.flat.refusal = Some(ParseError::TooManyFields);
                return Err(serde::de::Error::custom("refused"));
            }
            entries.next_value_seed(Node { flat: &mut *self.flat, path, in_list: self.in_list })?;
        }
        if empty && !self.path.is_empty() { self.put(Value::Null) } else { Ok(()) }
    }
}

/// One element of a list: scalars are given back, objects go to the flattener.
struct Element<'a> {
    flat: &'a mut Flattener,
    path: &'a str,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Value>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Vec<Value>, E> {
        Ok(vec![Value::Null])
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Vec<Value>, E> {
        Ok(vec![Value::Bool(truth)])
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Vec<Value>, E> {
        Ok(vec![Value::Int(number)])
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Vec<Value>, E> {
        if i64::try_from(number).is_err() {
            self.flat.anomalies.huge_numbers += 1;
        }
        Ok(vec![Value::from(number)])
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Vec<Value>, E> {
        Ok(vec![Value::from(number)])
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<Value>, E> {
        Ok(vec![Value::from(text)])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Value>, A::Error> {
        let mut scalars = Vec::new();
        while let Some(element) =
            items.next_element_seed(Element { flat: &mut *self.flat, path: self.path })?
        {
            scalars.extend(element);
        }
        Ok(scalars)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Vec<Value>, A::Error> {
        Node { flat: self.flat, path: self.path.to_owned(), in_list: true }.visit_map(entries)?;
        Ok(Vec::new())
    }
}

/// Mends what strict JSON refuses although the meaning is plain; the counts say how much was done.
fn mend(text: &str) -> (String, Anomalies) {
    let mut out = String::with_capacity(text.len() + 16);
    let mut anomalies = Anomalies::default();
    let mut rest = text;
    while let Some(at) = rest.find(|sign: char| sign == '"' || sign == '-' || sign.is_ascii_digit()) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        rest = if let Some(inside) = tail.strip_prefix('"') {
            out.push('"');
            mend_string(inside, &mut out, &mut anomalies)
        } else {
            mend_number(tail, &mut out, &mut anomalies)
        };
    }
    out.push_str(rest);
    (out, anomalies)
}

fn mend_number<'t>(text: &'t str, out: &mut String, anomalies: &mut Anomalies) -> &'t str {
    let end = text
        .find(|sign: char| !(sign.is_ascii_digit() || matches!(sign, '+' | '-' | '.' | 'e' | 'E')))
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if number.parse::<f64>().is_ok_and(f64::is_infinite) {
        anomalies.huge_numbers += 1;
        out.push('"');
        out.push_str(number);
        out.push('"');
    } else {
        out.push_str(number);
    }
    rest
}

/// Copies a string up to its closing quote and gives back what follows it.
fn mend_string<'t>(text: &'t str, out: &mut String, anomalies: &mut Anomalies) -> &'t str {
    let mut rest = text;
    loop {
        let Some(at) = rest.find(|sign: char| matches!(sign, '"' | '\\') || sign < ' ') else {
            out.push_str(rest);
            return "";
        };
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        if let Some(after) = tail.strip_prefix('"') {
            out.push('"');
            return after;
        }
        if let Some(after) = tail.strip_prefix("\\u") {
            rest = mend_escape(after, out, anomalies);
        } else if let Some(after) = tail.strip_prefix('\\') {
            out.push('\\');
            let mut signs = after.chars();
            out.extend(signs.next());
            rest = signs.as_str();
        } else {
            let mut signs = tail.chars();
            if let Some(control) = signs.next() {
                anomalies.bad_text += 1;
                escape(u32::from(control), out);
            }
            rest = signs.as_str();
        }
    }
}

/// Handles what follows `\u`: pairs of surrogates stay, a lone one becomes U+FFFD.
fn mend_escape<'t>(text: &'t str, out: &mut String, anomalies: &mut Anomalies) -> &'t str {
    let Some((unit, rest)) = code_unit(text) else {
        out.push_str("\\u");
        return text;
    };
    if !(0xD800..0xE000).contains(&unit) {
        escape(u32::from(unit), out);
        return rest;
    }
    if unit < 0xDC00
        && let Some((low, after)) = rest.strip_prefix("\\u").and_then(code_unit)
        && (0xDC00..0xE000).contains(&low)
    {
        escape(u32::from(unit), out);
        escape(u32::from(low), out);
        return after;
    }
    anomalies.bad_text += 1;
    out.push_str("\\ufffd");
    rest
}

fn escape(unit: u32, out: &mut String) {
    // Writing to a String cannot fail.
    let _written = write!(out, "\\u{unit:04x}");
}

fn code_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(digits, 16).ok()).flatten().map(|unit| (unit, rest))
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = Flattener { object: true, ..Flattener::default() };
        Node { flat: &mut flat, path: String::new(), in_list: false }.deserialize(deserializer)?;
        // An object is no value of a field: it reads as null.
        Ok(flat.leaves.pop().filter(|(name, ..)| name.is_empty()).map_or(Self::Null, |(_, value, _)| value))
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = Flattener::default();
        let outcome = Node { flat: &mut flat, path: String::new(), in_list: false }.deserialize(deserializer);
        if let Some(refusal) = flat.refusal {
            return Err(serde::de::Error::custom(refusal));
        }
        outcome?;
        if flat.object { Ok(flat.finish().0) } else { Err(serde::de::Error::custom(ParseError::NotAnObject)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(input: &str, expected: &str) -> Anomalies {
        let (event, anomalies) = Event::parse(input.as_bytes()).unwrap();
        assert_eq!(event.to_json(), expected);
        anomalies
    }

    #[test]
    fn flattens() {
        assert!(
            check(
                r#"{"source":{"ip":"192.0.2.1","port":5}}"#,
                r#"{"source.ip":"192.0.2.1","source.port":5}"#
            )
            .is_empty()
        );
        assert!(
            check(
                r#"{"x":[{"a":1,"b":2},{"a":1}],"e":{},"l":[]}"#,
                r#"{"e":null,"l":[],"x.a":[1,1],"x.b":[2]}"#
            )
            .is_empty()
        );
        assert!(check(r#"{"x":[1,[2,3],"4",null]}"#, r#"{"x":[1,2,3,"4",null]}"#).is_empty());
        assert!(check(r#"{"x":[{"a":1}],"y":1.5}"#, r#"{"x.a":[1],"y":1.5}"#).is_empty());
    }

    #[test]
    fn repeated_names_hide_nothing() {
        let anomalies = check(r#"{"a":{"b":1},"a.b":2,"c":"x","c":"x"}"#, r#"{"a.b":[1,2],"c":"x"}"#);
        assert_eq!(anomalies.duplicate_names, 2);
    }

    #[test]
    fn mends_and_counts() {
        let anomalies = check(
            "{\"a\":\"\\ud800x\\n\",\"b\":1e999,\"c\":18446744073709551615,\"d\":\"\t\"}",
            "{\"a\":\"\u{fffd}x\\n\",\"b\":\"1e999\",\"c\":\"18446744073709551615\",\"d\":\"\\t\"}",
        );
        assert_eq!(anomalies, Anomalies { duplicate_names: 0, bad_text: 2, huge_numbers: 2 });
        assert!(check(r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"😀"}"#).is_empty());
    }

    #[test]
    fn refuses_by_name() {
        #[track_caller]
        fn refused(input: &[u8]) -> ParseError {
            Event::parse(input).unwrap_err()
        }
        assert!(matches!(refused(b"{\"a\":"), ParseError::NotJson(_)));
        assert_eq!(refused(b"[1]"), ParseError::NotAnObject);
        assert_eq!(refused(b"{\"a\":\"\xff\"}"), ParseError::NotUtf8 { valid_up_to: 6 });
        assert!(matches!(
            refused(format!("{{\"{}\":1}}", "n".repeat(600)).as_bytes()),
            ParseError::NameTooLong(_)
        ));
        let many: Vec<String> = (0..=MAX_FIELDS).map(|n| format!("\"f{n}\":1")).collect();
        assert_eq!(refused(format!("{{{}}}", many.join(",")).as_bytes()), ParseError::TooManyFields);
        assert!(matches!(refused("[".repeat(100_000).as_bytes()), ParseError::NotJson(_)));
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![scalar(), prop::collection::vec(scalar(), 0..5).prop_map(Value::List)]
    }

    #[test]
    fn names_of_the_table_are_printed_as_they_are() {
        let event: Event =
            crate::fields::FIELDS.iter().map(|field| (field.name.into(), Value::Null)).collect();
        assert_eq!(event.to_json(), serde_json::to_string(&event).unwrap());
    }

    proptest! {
        #[test]
        fn print_and_read_again(pairs in prop::collection::btree_map("[a-z@.]{1,12}", value(), 0..20)) {
            let mut event = Event::new();
            for (name, value) in pairs {
                event.set(name, value);
            }
            let (again, anomalies) = Event::parse(event.to_json().as_bytes()).unwrap();
            prop_assert!(anomalies.is_empty());
            prop_assert_eq!(again, event);
        }

        #[test]
        fn canonical_is_a_fixed_point(text in r#"\{("[a-c]{1,2}":(1|"x"|\[1,2\]|\{"a":1\}|\[\{"a":2\}\]),){0,5}"z":0\}"#) {
            let (event, _) = Event::parse(text.as_bytes()).unwrap();
            let (again, anomalies) = Event::parse(event.to_json().as_bytes()).unwrap();
            prop_assert!(anomalies.is_empty());
            prop_assert_eq!(again, event);
        }

        #[test]
        fn the_short_way_reads_what_the_long_way_reads(
            text in r#"\{("[a-c.]{0,3}":(0|-?[0-9]{1,19}|1\.5|1e3|true|nul|null|"[x\\nu0-9ad/"é\t]{0,9}"|\[(1|"a"|\[2\]|,){0,3}\]|\{"a":1\}),?){0,5}("z":false)?\} ?"#
        ) {
            if let Some(short) = canonical::read(&text) {
                prop_assert_eq!(read(&text), Ok((short, Anomalies::default())));
            }
        }

        #[test]
        fn what_was_printed_takes_the_short_way(
            pairs in prop::collection::btree_map("[a-z@.]{1,12}", any::<String>().prop_map(Value::from), 0..20)
        ) {
            let mut event = Event::new();
            for (name, value) in pairs {
                event.set(name, value);
            }
            event.set("f", 0.1);
            event.set("n", -12);
            event.set("l", Value::List(vec![Value::Null, Value::Bool(true), "x\u{1}\n".into()]));
            prop_assert_eq!(event.to_json(), serde_json::to_string(&event).unwrap());
            event.remove("f");
            prop_assert_eq!(canonical::read(&event.to_json()), Some(event));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop(Event::parse(&bytes));
        }

        #[test]
        fn any_jsonish_text_is_read_or_refused(text in r#"[\{\}\[\]":,\\u0-9a-fD\-eE. ]{0,80}"#) {
            drop(Event::parse(text.as_bytes()));
        }
    }
}
