//! Changes to a text: bytes, pieces of other seeds, words of the formats.

use fastrand::Rng;

/// Words that mean something to one of the readers.
const WORDS: &[&str] = &[
    "detection:",
    "condition:",
    "selection",
    "1 of them",
    "all of sel*",
    " and ",
    " or ",
    " not ",
    "(",
    ")",
    "|contains",
    "|startswith",
    "|endswith",
    "|all",
    "|re",
    "|re|i",
    "|cidr",
    "|base64offset",
    "|wide",
    "|utf16",
    "|windash",
    "|cased",
    "|fieldref",
    "|exists",
    "|expand",
    "|lt",
    "|gte",
    "|neq",
    "|hour",
    "null",
    "true",
    "''",
    "'*'",
    "'?'",
    "\\*",
    "\\\\",
    "%name%",
    "correlation:",
    "type: event_count",
    "type: temporal_ordered",
    "type: value_percentile",
    "timespan: 5m",
    "group-by:",
    "generate: true",
    "aliases:",
    "filter:",
    "rules: any",
    "logsource:",
    "category:",
    "product: windows",
    "---\n",
    "- ",
    "  ",
    "\n",
    "&a ",
    "*a",
    "!!binary ",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0000",
    "\\ud800",
    "\\ud83d\\ude00",
    "\\u0110",
    "1e999",
    "-0",
    "0x1F",
    "9223372036854775807",
    "18446744073709551616",
    "1.7976931348623157e308",
    "10.0.0.0/8",
    "fd00::/8",
    "(a+)+$",
    ".{1,9}",
    "[^\\x00]",
    "(?i)",
    "\\p{L}{50}",
    "@timestamp",
    "organization.id",
    "event.dataset",
    "\u{110}",
    "\u{1F600}",
    "\u{212A}",
    "\u{202E}",
    "\u{0}",
    "\u{FEFF}",
    "C:\\\\Windows\\\\System32\\\\cmd.exe",
];
/// Longest text that a mutation makes.
const MAX_BYTES: usize = 64 << 10;

/// A text made from `seed` and pieces of `other`.
pub fn text(rng: &mut Rng, seed: &str, other: &str) -> String {
    let mut bytes = seed.as_bytes().to_vec();
    for _ in 0..=rng.usize(0..6) {
        change(rng, &mut bytes, other.as_bytes());
    }
    bytes.truncate(MAX_BYTES);
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(0..=bytes.len());
    let to = (at + rng.usize(0..40)).min(bytes.len());
    match rng.u8(0..9) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(0..8);
            }
        }
        1 => drop(bytes.drain(at..to)),
        2 | 3 => {
            let word = rng.choice(WORDS).copied().unwrap_or_default();
            drop(bytes.splice(at..at, word.bytes()));
        }
        4 => {
            let word = rng.choice(WORDS).copied().unwrap_or_default();
            drop(bytes.splice(at..to, word.bytes()));
        }
        5 => {
            let from = rng.usize(0..=other.len());
            let piece = other.iter().skip(from).take(rng.usize(0..200)).copied();
            drop(bytes.splice(at..at, piece));
        }
        6 => {
            let piece: Vec<u8> = bytes.get(at..to).unwrap_or_default().to_vec();
            let place = rng.usize(0..=bytes.len());
            let times = if rng.u8(0..20) == 0 { 200 } else { 1 };
            drop(bytes.splice(place..place, piece.repeat(times)));
        }
        7 => bytes.truncate(at),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.u8(..);
            }
        }
    }
}

/// An event in which some values and names are others, still JSON.
pub fn event(rng: &mut Rng, seed: &str, values: &[String]) -> String {
    let mut out = String::with_capacity(seed.len() + 64);
    let mut quoted = false;
    let mut pieces = seed.split('"');
    if let Some(first) = pieces.next() {
        out.push_str(first);
    }
    for piece in pieces {
        quoted = !quoted;
        out.push('"');
        let ended_by_escape = piece.ends_with('\\');
        if quoted && !ended_by_escape && rng.u8(0..8) == 0 {
            match rng.choice(values) {
                Some(value) if rng.bool() => out.push_str(&escaped(value)),
                _ => {
                    out.push_str(piece);
                    out.push_str(&escaped(rng.choice(WORDS).copied().unwrap_or_default()));
                }
            }
        } else {
            out.push_str(piece);
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '"' | '\\' => {
                out.push('\\');
                out.push(sign);
            }
            sign if sign.is_control() => out.push(' '),
            sign => out.push(sign),
        }
    }
    out
}
