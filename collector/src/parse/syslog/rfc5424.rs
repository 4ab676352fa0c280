//! The RFC 5424 header after `<priority>1 `: five words, structured data, message.

use super::{Header, HeaderError};
use crate::parse::{Basis, Claimed, Context};
use jiff::Timestamp;
use std::borrow::Cow;

/// At most this many structured data parameters are read; a record has room for no more in practice.
const MAX_PARAMETERS: usize = 256;

/// Reads `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`.
pub(super) fn header<'a>(text: &'a str, context: &Context<'_>) -> Result<Header<'a>, HeaderError> {
    let mut words = text.splitn(6, ' ');
    let mut word = || words.next().filter(|word| !word.is_empty()).ok_or(HeaderError::Short);
    let (time, host, program, process, message_id, rest) =
        (word()?, word()?, word()?, word()?, word()?, word()?);
    let offset = text.len() - rest.len();
    let (data, message) =
        structured_data(rest).map_err(|at| HeaderError::BadStructuredData(offset.saturating_add(at)))?;
    Ok(Header {
        priority: None,
        version: 1,
        claimed: claimed(time, context),
        host: present(host),
        program: present(program),
        process: present(process),
        message_id: present(message_id),
        data,
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
    })
}

/// `-` is the nil value.
fn present(word: &str) -> &str {
    if word == "-" { "" } else { word }
}

/// The RFC asks for an offset; some senders forget it, then the source's zone holds.
fn claimed(word: &str, context: &Context<'_>) -> Option<Claimed> {
    if let Ok(at) = word.parse::<Timestamp>() {
        return Some(Claimed { at, basis: Basis::Stated });
    }
    let local: jiff::civil::DateTime = word.parse().ok()?;
    let at = local.to_zoned(context.zone.clone()).ok()?.timestamp();
    Some(Claimed { at, basis: Basis::SourceZone })
}

type Parameters<'a> = Vec<(&'a str, &'a str, Cow<'a, str>)>;

/// Reads `-` or `[id name="value" ...]...`; the error is the byte at which the grammar ends.
fn structured_data(text: &str) -> Result<(Parameters<'_>, &str), usize> {
    let at = |rest: &str| text.len() - rest.len();
    if let Some(rest) = text.strip_prefix('-') {
        return match rest.strip_prefix(' ') {
            Some(message) => Ok((Vec::new(), message)),
            None if rest.is_empty() => Ok((Vec::new(), rest)),
            None => Err(1),
        };
    }
    let mut data = Vec::new();
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let end = element.find([' ', ']']).ok_or_else(|| at(element))?;
        let (id, mut tail) = element.split_at_checked(end).ok_or_else(|| at(element))?;
        loop {
            tail = tail.trim_start_matches(' ');
            if let Some(after) = tail.strip_prefix(']') {
                rest = after;
                break;
            }
            let (name, quoted) = tail.split_once("=\"").ok_or_else(|| at(tail))?;
            let (value, after) = quoted_value(quoted).ok_or_else(|| at(quoted))?;
            if name.contains([' ', ']', '"']) || data.len() == MAX_PARAMETERS {
                return Err(at(tail));
            }
            data.push((id, name, value));
            tail = after;
        }
    }
    match rest.strip_prefix(' ') {
        Some(message) => Ok((data, message)),
        None if rest.is_empty() => Ok((data, rest)),
        None => Err(at(rest)),
    }
}

/// Reads up to the closing quote; `\"`, `\\` and `\]` are escapes, any other `\` stands for itself.
fn quoted_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut escaped = false;
    for (index, sign) in text.char_indices() {
        match sign {
            '"' if !escaped => {
                let (value, rest) = text.split_at_checked(index)?;
                let value = if value.contains('\\') { unescape(value).into() } else { value.into() };
                return Some((value, rest.strip_prefix('"')?));
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut signs = value.chars().peekable();
    while let Some(sign) = signs.next() {
        match (sign, signs.peek()) {
            ('\\', Some(&next @ ('"' | '\\' | ']'))) => {
                out.push(next);
                signs.next();
            }
            _ => out.push(sign),
        }
    }
    out
}
