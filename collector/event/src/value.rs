//! What a field holds: a scalar, or a list of scalars.

use std::borrow::Cow;

use compact_str::{CompactString, ToCompactString as _};

use crate::Timestamp;

/// One value of a field. Lists hold scalars only; a matcher treats a list as "any of these".
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Present without a value (`null`, also an empty object); not the same as an absent field.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A finite number with a fraction or an exponent.
    Float(f64),
    /// Text in UTF-8; up to 24 bytes of it stand here without an allocation.
    Text(CompactString),
    /// Scalars in their order; may be empty.
    List(Vec<Value>),
}

impl Value {
    /// The text, when it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, when it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number as a float, whole or not.
    #[expect(clippy::cast_precision_loss, reason = "a comparison with a float is what the caller asked for")]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The scalars of it: the elements of a list, or itself.
    pub fn scalars(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            scalar => std::slice::from_ref(scalar),
        }
    }

    /// As people and string matchers read it: text as it is, numbers and truth values printed, lists joined by
    /// `, `; null is empty.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
            Self::List(items) => Cow::Owned(items.iter().map(Self::to_text).collect::<Vec<_>>().join(", ")),
        }
    }

    /// Joins two values that claim one name into one list, in order, without repeating equal scalars.
    #[must_use]
    pub fn merge(self, other: &Self) -> Self {
        let mut items = match self {
            Self::List(items) => items,
            scalar => vec![scalar],
        };
        for scalar in other.scalars() {
            if !items.contains(scalar) {
                items.push(scalar.clone());
            }
        }
        match items.pop() {
            Some(only) if items.is_empty() => only,
            Some(last) => {
                items.push(last);
                Self::List(items)
            }
            None => Self::List(items),
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

macro_rules! from_whole {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Value {
            fn from(number: $kind) -> Self {
                Self::Int(i64::from(number))
            }
        }
    )*};
}
from_whole!(u8, u16, u32, i8, i16, i32, i64);

impl From<u64> for Value {
    /// Whole when it fits 63 bits, else its digits as text, so that no digit is lost.
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::Text(number.to_compact_string()), Self::Int)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl From<f64> for Value {
    /// A finite number; what is not finite becomes its name as text (`NaN`, `inf`).
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Float(number) } else { Self::Text(number.to_compact_string()) }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<CompactString> for Value {
    fn from(text: CompactString) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Cow<'_, str>> for Value {
    fn from(text: Cow<'_, str>) -> Self {
        Self::Text(text.into())
    }
}

impl From<std::net::IpAddr> for Value {
    fn from(address: std::net::IpAddr) -> Self {
        Self::Text(address.to_compact_string())
    }
}

impl From<Timestamp> for Value {
    fn from(moment: Timestamp) -> Self {
        Self::Text(moment.to_compact_string())
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}
