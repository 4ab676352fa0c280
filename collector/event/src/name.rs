//! Names of fields: those of the table as small numbers, others as text.

use std::cmp::Ordering;
use std::fmt;

use compact_str::CompactString;

use crate::Known;
use crate::fields::{self, Field};

/// The name of a field, in the byte order of its text.
///
/// A name of the table is kept as its number there, which is compared faster than text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Held);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Held {
    /// The place of a name of the table among its names in byte order.
    Known(u16),
    /// A name that the table does not have.
    Other(CompactString),
}

impl Name {
    /// The name whose text this is.
    #[inline]
    pub fn new(text: &str) -> Self {
        Self(fields::number(text).map_or_else(|| Held::Other(text.into()), Held::Known))
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Held::Known(number) => fields::by_number(*number).map_or("", |field| field.name),
            Held::Other(text) => text,
        }
    }

    /// Its line of the table, when it has one.
    #[inline]
    pub fn field(&self) -> Option<&'static Field> {
        fields::by_number(self.number()?)
    }

    /// The place of its line among those of the table in the byte order of their names; below [`fields::FIELDS`]'
    /// length. None for a name that the table does not have.
    #[inline]
    pub const fn number(&self) -> Option<u16> {
        match &self.0 {
            Held::Known(number) => Some(*number),
            Held::Other(_) => None,
        }
    }
}

impl Ord for Name {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Held::Known(one), Held::Known(other)) => one.cmp(other),
            _ => self.as_str().cmp(other.as_str()),
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl From<Known> for Name {
    #[inline]
    fn from(known: Known) -> Self {
        Self(Held::Known(known.number()))
    }
}

impl From<&str> for Name {
    #[inline]
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(fields::number(&text).map_or_else(|| Held::Other(text.into()), Held::Known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::FIELDS;
    use proptest::prelude::*;

    fn any_name() -> impl Strategy<Value = String> {
        let known = (0..FIELDS.len()).prop_map(|at| FIELDS.get(at).map_or("", |field| field.name).to_owned());
        let near = (known.clone(), "[a-z._]{0,2}").prop_map(|(name, more)| name + &more);
        prop_oneof![known, near, "\\PC{0,30}"]
    }

    proptest! {
        #[test]
        fn names_are_their_texts(one in any_name(), other in any_name()) {
            let (left, right) = (Name::new(&one), Name::from(other.clone()));
            prop_assert_eq!(left.as_str(), one.as_str());
            prop_assert_eq!(left.cmp(&right), one.cmp(&other));
            prop_assert_eq!(left == right, one == other);
            let line = FIELDS.iter().find(|field| field.name == one);
            prop_assert_eq!(left.field(), line);
        }
    }
}
