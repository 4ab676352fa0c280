//! The value modifiers of the Sigma specification 2.1.0 and the key that carries them: `Field|one|two`.

use crate::RuleError;

/// How a number of the event must stand to the rule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
}

/// A part of a moment, as it is written in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Part {
    Minute,
    Hour,
    Day,
    /// ISO 8601 week of the year.
    Week,
    Month,
    Year,
}

impl Part {
    /// The least and the greatest number that it can be.
    pub const fn range(self) -> (f64, f64) {
        match self {
            Self::Minute => (0.0, 59.0),
            Self::Hour => (0.0, 23.0),
            Self::Day => (1.0, 31.0),
            Self::Week => (1.0, 53.0),
            Self::Month => (1.0, 12.0),
            Self::Year => (0.0, 9_999.0),
        }
    }
}

/// One modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Modifier {
    All,
    StartsWith,
    EndsWith,
    Contains,
    Exists,
    Cased,
    Neq,
    WinDash,
    Re,
    ReInsensitive,
    ReMultiLine,
    ReSingleLine,
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    Utf16,
    Compare(Order),
    Part(Part),
    Cidr,
    Expand,
    FieldRef,
}

/// Every modifier with its names; the first is the usual one.
const NAMES: &[(&str, Modifier)] = &[
    ("all", Modifier::All),
    ("startswith", Modifier::StartsWith),
    ("endswith", Modifier::EndsWith),
    ("contains", Modifier::Contains),
    ("exists", Modifier::Exists),
    ("cased", Modifier::Cased),
    ("neq", Modifier::Neq),
    ("windash", Modifier::WinDash),
    ("re", Modifier::Re),
    ("i", Modifier::ReInsensitive),
    ("ignorecase", Modifier::ReInsensitive),
    ("m", Modifier::ReMultiLine),
    ("multiline", Modifier::ReMultiLine),
    ("s", Modifier::ReSingleLine),
    ("dotall", Modifier::ReSingleLine),
    ("base64", Modifier::Base64),
    ("base64offset", Modifier::Base64Offset),
    ("utf16le", Modifier::Utf16Le),
    ("wide", Modifier::Utf16Le),
    ("utf16be", Modifier::Utf16Be),
    ("utf16", Modifier::Utf16),
    ("lt", Modifier::Compare(Order::Lt)),
    ("lte", Modifier::Compare(Order::Lte)),
    ("gt", Modifier::Compare(Order::Gt)),
    ("gte", Modifier::Compare(Order::Gte)),
    ("minute", Modifier::Part(Part::Minute)),
    ("hour", Modifier::Part(Part::Hour)),
    ("day", Modifier::Part(Part::Day)),
    ("week", Modifier::Part(Part::Week)),
    ("month", Modifier::Part(Part::Month)),
    ("year", Modifier::Part(Part::Year)),
    ("cidr", Modifier::Cidr),
    ("expand", Modifier::Expand),
    ("fieldref", Modifier::FieldRef),
];

impl Modifier {
    /// The usual name.
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(_, modifier)| *modifier == self).map_or("", |(name, _)| name)
    }

    /// True for what has no meaning without a field: where in a field, whether there is one, another field.
    pub const fn needs_field(self) -> bool {
        matches!(self, Self::StartsWith | Self::EndsWith | Self::Exists | Self::FieldRef)
    }

    fn parse(word: &str) -> Option<Self> {
        NAMES.iter().find(|(name, _)| *name == word).map(|(_, modifier)| *modifier)
    }
}

/// A key of a selection: which field, and what to do with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'t> {
    /// The key as written.
    pub text: &'t str,
    /// The field; empty means the whole event.
    pub field: &'t str,
    /// The modifiers in their order.
    pub modifiers: Vec<Modifier>,
}

impl<'t> Key<'t> {
    /// Reads `Field|one|two`.
    pub fn parse(text: &'t str) -> Result<Self, RuleError> {
        let mut words = text.split('|');
        let field = words.next().unwrap_or_default();
        let modifiers = words
            .map(|word| Modifier::parse(word).ok_or_else(|| unknown(text, word)))
            .collect::<Result<_, _>>()?;
        Ok(Self { text, field, modifiers })
    }

    /// True when `modifier` is among them.
    pub fn has(&self, modifier: Modifier) -> bool {
        self.modifiers.contains(&modifier)
    }
}

fn unknown(key: &str, word: &str) -> RuleError {
    let near = NAMES.iter().map(|(name, _)| (distance(word, name), *name)).min();
    let hint = match near {
        Some((0..=2, name)) if word.len() > 1 => format!("write {name:?}"),
        _ => format!(
            "the modifiers are {}",
            NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        ),
    };
    RuleError::UnknownModifier { key: key.to_owned(), modifier: word.to_owned(), hint }
}

/// How many signs must be changed, added or taken away; words over 24 bytes count as far away.
pub fn distance(one: &str, other: &str) -> usize {
    if one.len() > 24 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, sign) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, given) in row.iter_mut().skip(1).zip(other.chars()) {
            let up = *cell;
            left = (diagonal + usize::from(sign != given)).min(up + 1).min(left + 1);
            diagonal = up;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys() {
        let key = Key::parse("CommandLine|wide|base64offset|contains").unwrap();
        assert_eq!(key.field, "CommandLine");
        assert_eq!(key.modifiers, [Modifier::Utf16Le, Modifier::Base64Offset, Modifier::Contains]);
        assert_eq!(Key::parse("|all").unwrap().field, "");
    }

    #[test]
    fn what_is_unknown_is_named() {
        let reason = Key::parse("Image|endwith").unwrap_err().to_string();
        assert!(reason.contains("\"endwith\"") && reason.contains("write \"endswith\""), "{reason}");
        let reason = Key::parse("Image|fuzzy").unwrap_err().to_string();
        assert!(reason.contains("the modifiers are all, startswith"), "{reason}");
        assert_eq!((distance("endwith", "endswith"), distance("", "re"), distance("abc", "abc")), (1, 2, 0));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC{0,40}|[a-z|]{0,30}") {
            drop(Key::parse(&text));
        }
    }
}
