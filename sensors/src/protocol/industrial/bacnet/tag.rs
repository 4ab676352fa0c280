//! Tagged values (clause 20.2): every parameter with its number or type in front.

use std::fmt;

use super::super::super::wire::{Cursor, text};
use super::names;

/// How deep lists may lie in lists.
const MAX_DEPTH: u8 = 8;
/// Longest text that is told, in bytes.
const MAX_TEXT: usize = 128;

/// A value with its tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'a> {
    /// In how many lists it lies.
    pub(super) depth: u8,
    /// Its number, where the service tells its type.
    pub(super) context: Option<u8>,
    /// Its type, where it tells that itself.
    pub(super) application: Option<u8>,
    pub(super) data: &'a [u8],
    /// The length field: of truth values it is the value.
    length: u32,
}

/// The values of a message, from the front; what opens and closes lists is not among them.
#[derive(Debug)]
pub(super) struct Tags<'a> {
    cursor: Cursor<'a>,
    depth: u8,
}

impl<'a> Tags<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes), depth: 0 }
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let first = self.cursor.u8()?;
            let number = if first >> 4 == 15 { self.cursor.u8()? } else { first >> 4 };
            let in_context = first & 0x08 != 0;
            match (in_context, first & 7) {
                (true, 6) => self.depth = Some(self.depth + 1).filter(|depth| *depth <= MAX_DEPTH)?,
                (true, 7) => self.depth = self.depth.checked_sub(1)?,
                (_, short) => {
                    let length = match short {
                        5 => match self.cursor.u8()? {
                            254 => u32::from(self.cursor.u16()?),
                            255 => self.cursor.u32()?,
                            length => u32::from(length),
                        },
                        short => u32::from(short),
                    };
                    // A truth value of its own type has no bytes.
                    let is_truth = !in_context && number == 1;
                    let bytes = if is_truth { 0 } else { usize::try_from(length).ok()? };
                    return Some(Tag {
                        depth: self.depth,
                        context: Some(number).filter(|_| in_context),
                        application: Some(number).filter(|_| !in_context),
                        data: self.cursor.take(bytes)?,
                        length,
                    });
                }
            }
        }
    }
}

/// A value that tells its type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Truth(bool),
    Unsigned(u64),
    Signed(i64),
    Real(f64),
    Text(String),
    /// In words of its type: null, bits, dates, objects.
    Other(String),
}

impl Value {
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::Signed(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
            Self::Text(value) | Self::Other(value) => f.write_str(value),
        }
    }
}

impl Tag<'_> {
    /// A number of up to eight bytes.
    pub(super) fn unsigned(&self) -> Option<u64> {
        if self.data.is_empty() || self.data.len() > 8 {
            return None;
        }
        Some(self.data.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A number that says that it is one.
    pub(super) fn unsigned_value(&self) -> Option<u64> {
        self.unsigned().filter(|_| self.application == Some(2))
    }

    /// A number of a list of words.
    pub(super) fn enumerated(&self) -> Option<u64> {
        self.unsigned().filter(|_| self.application == Some(9))
    }

    /// Type and instance of an object, as `analog-input:3`.
    pub(super) fn object(&self) -> Option<String> {
        let raw = u32::from_be_bytes(*self.data.first_chunk::<4>()?);
        let is_one = self.application == Some(12) || self.context.is_some();
        is_one.then(|| format!("{}:{}", names::object(raw >> 22), raw & 0x003f_ffff))
    }

    pub(super) fn object_in_context(&self) -> Option<String> {
        self.object().filter(|_| self.context.is_some())
    }

    /// Instance of a device.
    pub(super) fn instance(&self) -> Option<u32> {
        let raw = u32::from_be_bytes(*self.data.first_chunk::<4>()?);
        (self.application == Some(12) && raw >> 22 == 8).then_some(raw & 0x003f_ffff)
    }

    /// The value, where it tells its type (clause 20.2.1.4).
    pub(super) fn value(&self) -> Option<Value> {
        let other = |text: &str| Some(Value::Other(text.to_owned()));
        match self.application? {
            0 => other("null"),
            1 => Some(Value::Truth(self.length == 1)),
            2 | 9 => self.unsigned().map(Value::Unsigned),
            3 => {
                let value = self.unsigned()?;
                // At most eight bytes, as `unsigned` has seen.
                let bits = 64_u32.saturating_sub(8 * u32::try_from(self.data.len()).ok()?);
                Some(Value::Signed((value << bits).cast_signed() >> bits))
            }
            4 => Some(Value::Real(f32::from_be_bytes(*self.data.first_chunk()?).into())),
            5 => Some(Value::Real(f64::from_be_bytes(*self.data.first_chunk()?))),
            6 | 8 => Some(Value::Other(hex::encode(self.data.get(..MAX_TEXT).unwrap_or(self.data)))),
            // The first byte tells the set of signs: 0 is UTF-8, 4 UTF-16 with its most significant byte first.
            7 => Some(Value::Text(match self.data.split_first()? {
                (4, signs) => {
                    let units: Vec<u16> =
                        super::super::super::wire::numbers16(signs.get(..MAX_TEXT).unwrap_or(signs));
                    text(String::from_utf16_lossy(&units).as_bytes(), 2 * MAX_TEXT)
                }
                (_, signs) => text(signs, MAX_TEXT),
            })),
            10 => {
                let [year, month, day, _] = self.data.first_chunk::<4>()?;
                Some(Value::Other(format!("{}-{month:02}-{day:02}", 1900 + u16::from(*year))))
            }
            11 => {
                let [hour, minute, second, hundredths] = self.data.first_chunk::<4>()?;
                Some(Value::Other(format!("{hour:02}:{minute:02}:{second:02}.{hundredths:02}")))
            }
            12 => self.object().map(Value::Other),
            _ => None,
        }
    }
}
