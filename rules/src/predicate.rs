//! One test of one field, shared by all rules that write the same.
//!
//! Values of the event: a list holds when any of its scalars does; `null` scalars have no text; numbers and truth
//! values are compared by their text, so that `4104` and `'4104'` are the same on both sides.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use dongson_event::Value;
use ipnet::IpNet;
use regex::Regex;

use crate::number::Limit;
use crate::sigma::modifier::{Order, Part};
use crate::text::{Pattern, fold};

/// Most texts of one field that are compared with those of another.
pub(crate) const MAX_REFERRED: usize = 256;

/// Number of a field name in [`Tables`].
pub(crate) type FieldId = usize;
/// Number of a predicate in [`Tables`].
pub(crate) type PredicateId = usize;

/// Where a predicate looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// One field.
    Field(FieldId),
    /// All values of the event.
    Anywhere,
}

/// Which part of the other field must be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affix {
    Whole,
    Start,
    End,
    Inside,
}

/// What is asked of the value.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Text(Box<Pattern>),
    /// Equal as text, or as a number where one side has a fraction.
    Number {
        text: String,
        number: f64,
    },
    Compare {
        order: Order,
        limit: Limit,
    },
    /// A part of a moment, equal (`None`) or compared.
    Part {
        part: Part,
        order: Option<Order>,
        number: f64,
    },
    Regex(Regex),
    Cidr(IpNet),
    /// Absent, or without any value.
    Null,
    /// Present, whatever the value.
    Exists,
    FieldRef {
        other: FieldId,
        affix: Affix,
        cased: bool,
    },
}

impl Test {
    /// Equal for tests that were written the same.
    fn key(&self) -> String {
        match self {
            Self::Text(pattern) => format!("t{}", pattern.key()),
            Self::Regex(regex) => format!("r{}", regex.as_str()),
            other => format!("{other:?}"),
        }
    }

    /// True when the test holds on what the event carries; [`Test::FieldRef`] is asked by [`refers`] instead.
    pub(crate) fn holds(&self, loaded: &Loaded<'_>) -> bool {
        match self {
            Self::Null => loaded.null,
            Self::Exists => loaded.present,
            test => loaded.texts.iter().any(|text| test.fits(&text.raw, text.folded())),
        }
    }

    /// True when one scalar fits, given as it is and folded; never for tests that do not ask about a single scalar.
    pub(crate) fn fits(&self, raw: &str, folded: &str) -> bool {
        match self {
            Self::Null | Self::Exists | Self::FieldRef { .. } => false,
            Self::Text(pattern) => pattern.matches(if pattern.cased() { raw } else { folded }),
            Self::Number { text, number } => number_equals(raw, text, *number),
            Self::Compare { order, limit } => limit.holds(*order, raw),
            Self::Part { part, order, number } => part.of(raw).is_some_and(|given| match order {
                Some(order) => given.partial_cmp(number).is_some_and(|how| order.fits(how)),
                None => (given - number).abs() < f64::EPSILON,
            }),
            Self::Regex(regex) => regex.is_match(raw),
            Self::Cidr(net) => raw.trim().parse::<IpAddr>().is_ok_and(|ip| net.contains(&ip)),
        }
    }
}

/// True when any text of `one` stands to any text of `other` as `affix` says. Of long lists only the first
/// [`MAX_REFERRED`] texts are compared, so that two long lists in one event do not take forever.
pub(crate) fn refers<'t>(
    one: impl Iterator<Item = (&'t str, &'t str)>,
    other: &(impl Iterator<Item = (&'t str, &'t str)> + Clone),
    affix: Affix,
    cased: bool,
) -> bool {
    let choose = |(raw, folded): (&'t str, &'t str)| if cased { raw } else { folded };
    one.take(MAX_REFERRED).map(choose).any(|whole| {
        other.clone().take(MAX_REFERRED).map(choose).any(|part| match affix {
            Affix::Whole => whole == part,
            Affix::Start => whole.starts_with(part),
            Affix::End => whole.ends_with(part),
            Affix::Inside => whole.contains(part),
        })
    })
}

/// Whole numbers are compared as text, so that no digit is lost; fractions as floats.
fn number_equals(given: &str, text: &str, number: f64) -> bool {
    let fraction = |text: &str| text.contains(['.', 'e', 'E']);
    given == text
        || ((fraction(given) || fraction(text))
            && given.trim().parse::<f64>().is_ok_and(|given| (given - number).abs() < f64::EPSILON))
}

impl Part {
    /// The part of a moment like `2026-11-23T09:05:12Z`, as written: the offset is not applied.
    fn of(self, text: &str) -> Option<f64> {
        let bare = text.trim().trim_end_matches(['Z', 'z']);
        let moment: jiff::civil::DateTime = bare.parse().ok()?;
        Some(match self {
            Self::Minute => f64::from(moment.minute()),
            Self::Hour => f64::from(moment.hour()),
            Self::Day => f64::from(moment.day()),
            Self::Week => f64::from(moment.date().iso_week_date().week()),
            Self::Month => f64::from(moment.month()),
            Self::Year => f64::from(moment.year()),
        })
    }
}

/// One scalar as text, as it is and folded.
#[derive(Debug)]
pub(crate) struct Text<'e> {
    pub(crate) raw: Cow<'e, str>,
    /// `None` where folding changes nothing.
    folded: Option<String>,
}

impl Text<'_> {
    pub(crate) fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.raw)
    }
}

/// What the event carries under one name, prepared once for all tests of it.
#[derive(Debug, Default)]
pub(crate) struct Loaded<'e> {
    present: bool,
    null: bool,
    pub(crate) texts: Vec<Text<'e>>,
}

impl<'e> Loaded<'e> {
    /// Prepares the value of one field.
    pub(crate) fn field(value: Option<&'e Value>) -> Self {
        let mut loaded = Self { present: value.is_some(), null: true, texts: Vec::new() };
        if let Some(value) = value {
            loaded.add(value);
        }
        loaded
    }

    /// The texts: as they are and folded.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.texts.iter().map(|text| (text.raw.as_ref(), text.folded()))
    }

    /// Adds the scalars of `value`.
    pub(crate) fn add(&mut self, value: &'e Value) {
        for scalar in value.scalars().iter().filter(|scalar| **scalar != Value::Null) {
            let raw = scalar.to_text();
            let folded = match fold(&raw) {
                Cow::Owned(folded) => Some(folded),
                Cow::Borrowed(_) => None,
            };
            self.null = false;
            self.texts.push(Text { raw, folded });
        }
    }
}

/// One shared test.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    pub(crate) target: Target,
    pub(crate) test: Test,
}

/// Field names and predicates of all rules, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    pub(crate) names: Vec<String>,
    pub(crate) predicates: Vec<Predicate>,
    fields: HashMap<String, FieldId>,
    keys: HashMap<String, PredicateId>,
}

impl Tables {
    /// The number of the field `name`.
    pub(crate) fn field(&mut self, name: &str) -> FieldId {
        if let Some(&known) = self.fields.get(name) {
            return known;
        }
        let id = self.names.len();
        self.names.push(name.to_owned());
        self.fields.insert(name.to_owned(), id);
        id
    }

    /// What the predicate asks, as text that does not depend on other rules.
    pub(crate) fn key(&self, id: PredicateId) -> String {
        let Some(predicate) = self.predicates.get(id) else { return String::new() };
        let field = match predicate.target {
            Target::Field(field) => self.names.get(field).map_or("", String::as_str),
            Target::Anywhere => "",
        };
        format!("{field}|{}", predicate.test.key())
    }

    /// The number of the predicate.
    pub(crate) fn predicate(&mut self, target: Target, test: Test) -> PredicateId {
        let predicates = &mut self.predicates;
        *self.keys.entry(format!("{target:?}{}", test.key())).or_insert_with(|| {
            predicates.push(Predicate { target, test });
            predicates.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (given, rule, expected) in [
            ("4104", "4104", true),
            ("4104.0", "4104", true),
            ("0.5", "0.50", true),
            ("9007199254740993", "9007199254740992", false),
        ] {
            assert_eq!(number_equals(given, rule, rule.parse().unwrap()), expected, "{given} {rule}");
        }
    }

    #[test]
    fn parts_of_moments_are_taken_as_written() {
        for (text, part, expected) in [
            ("2026-11-23T09:05:12.123Z", Part::Hour, Some(9.0)),
            ("2026-11-23T09:05:12+07:00", Part::Hour, Some(9.0)),
            ("2022-08-03 04:42:53.616", Part::Minute, Some(42.0)),
            ("2026-01-01", Part::Week, Some(1.0)),
            ("2026-11-23T09:05:12", Part::Month, Some(11.0)),
            ("yesterday", Part::Year, None),
        ] {
            assert_eq!(part.of(text), expected, "{text}");
        }
    }

    #[test]
    fn the_same_test_is_kept_once() {
        let mut tables = Tables::default();
        let field = Target::Field(tables.field("a"));
        let one = tables.predicate(field, Test::Null);
        assert_eq!(tables.predicate(field, Test::Null), one);
        assert_ne!(tables.predicate(Target::Anywhere, Test::Null), one);
    }
}
