//! When a correlation is reached: numbers that must all hold, or (an extension of ours) words over its rules.

use serde_yaml_ng::{Mapping, Value as Yaml};

use super::definition::Kind;
use super::possible;
use super::window::Measure;
use crate::RuleError;
use crate::sigma::condition::{Condition, fits};
use crate::sigma::meta::texts;

/// Largest number that a condition on a count may name: state is bounded by it.
const MAX_THRESHOLD: u64 = 100_000;

/// How the measured number must stand to the rule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

impl Relation {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "eq" => Self::Eq,
            "neq" => Self::Neq,
            _ => return None,
        })
    }

    /// Sigma's word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Eq => "eq",
            Self::Neq => "neq",
        }
    }

    pub(super) fn holds(self, measured: f64, wanted: f64) -> bool {
        let equal = (measured - wanted).abs() < f64::EPSILON;
        match self {
            Self::Gt => measured > wanted,
            Self::Gte => measured >= wanted,
            Self::Lt => measured < wanted,
            Self::Lte => measured <= wanted,
            Self::Eq => equal,
            Self::Neq => !equal,
        }
    }
}

/// What must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    /// All of these.
    Numbers(Vec<(Relation, f64)>),
    /// Words over the rules that matched.
    Rules(Truth),
}

impl Wanted {
    /// True when it is judged only when the window is over, because something must be missing in it.
    pub(super) fn awaits_end(&self) -> bool {
        matches!(self, Self::Rules(truth) if truth.has_not())
    }

    /// Refuses what nothing that is measured could ever satisfy.
    fn refuse_impossible(&self, kind: Kind, rules: &[String]) -> Result<(), RuleError> {
        let reason = match self {
            Self::Numbers(all) => possible::numbers(all, kind, rules.len()),
            Self::Rules(truth) => possible::truth(truth, rules.len()),
        };
        reason.map_or(Ok(()), |reason| Err(RuleError::correlation("condition:", reason)))
    }

    /// True when what was measured satisfies it; what could not be measured never does.
    pub(super) fn holds(&self, measure: &Measure) -> bool {
        match self {
            Self::Numbers(all) => {
                !measure.number.is_nan()
                    && all.iter().all(|(relation, wanted)| relation.holds(measure.number, *wanted))
            }
            Self::Rules(truth) => truth.holds(measure.present),
        }
    }
}

/// A condition over rules, each by its place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Truth {
    Rule(usize),
    Not(Box<Truth>),
    All(Vec<Truth>),
    Any(Vec<Truth>),
}

impl Truth {
    /// `present`: bit n stands for the n-th rule.
    pub(super) fn holds(&self, present: u64) -> bool {
        match self {
            Self::Rule(place) => present >> place & 1 == 1,
            Self::Not(inner) => !inner.holds(present),
            Self::All(parts) => parts.iter().all(|part| part.holds(present)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(present)),
        }
    }

    /// True when it asks that something does not match: that can be told only when the window is over.
    fn has_not(&self) -> bool {
        match self {
            Self::Rule(_) => false,
            Self::Not(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::has_not),
        }
    }

    fn of(condition: &Condition, rules: &[String]) -> Result<Self, RuleError> {
        let fail = |reason: String| Err(RuleError::correlation("condition:", reason));
        let all =
            |parts: &[Condition]| parts.iter().map(|part| Self::of(part, rules)).collect::<Result<_, _>>();
        match condition {
            Condition::Not(inner) => Ok(Self::Not(Box::new(Self::of(inner, rules)?))),
            Condition::And(parts) => Ok(Self::All(all(parts)?)),
            Condition::Or(parts) => Ok(Self::Any(all(parts)?)),
            Condition::Name(name) => match rules.iter().position(|held| held == name) {
                Some(place) => Ok(Self::Rule(place)),
                None => fail(format!("its condition names {name:?}, which is not in `rules`")),
            },
            Condition::Of { all, pattern } => {
                let named = rules.iter().enumerate();
                let chosen = named
                    .filter(|(_, name)| pattern.as_deref().is_none_or(|pattern| fits(pattern, name)))
                    .map(|(place, _)| Self::Rule(place));
                let parts: Vec<Self> = chosen.collect();
                match parts.is_empty() {
                    true => fail("its condition names no rule of `rules`".to_owned()),
                    false if *all => Ok(Self::All(parts)),
                    false => Ok(Self::Any(parts)),
                }
            }
        }
    }
}

/// Reads `condition:`; gives the fields that it names, too.
pub(super) fn read(
    value: Option<&Yaml>,
    kind: Kind,
    names: &[String],
) -> Result<(Wanted, Vec<String>), RuleError> {
    let fail = |reason: &str| Err(RuleError::correlation("condition:", reason));
    match value {
        Some(Yaml::Mapping(map)) => {
            let (wanted, fields) = numbers(map, kind)?;
            wanted.refuse_impossible(kind, names)?;
            Ok((wanted, fields))
        }
        None | Some(Yaml::Null) if matches!(kind, Kind::Temporal | Kind::TemporalOrdered) => {
            let all = u32::try_from(names.len()).unwrap_or(u32::MAX);
            Ok((Wanted::Numbers(vec![(Relation::Gte, f64::from(all))]), Vec::new()))
        }
        Some(Yaml::String(text)) if kind == Kind::Temporal => {
            let wanted = Wanted::Rules(Truth::of(&Condition::parse(text)?, names)?);
            wanted.refuse_impossible(kind, names)?;
            Ok((wanted, Vec::new()))
        }
        Some(Yaml::String(_)) => {
            fail("only `temporal` takes a condition in words; write a map such as `gte: 10`")
        }
        None | Some(Yaml::Null) => Err(RuleError::correlation(
            "correlation:",
            "`condition` is missing: it must be a map such as `gte: 10`",
        )),
        _ => fail("`condition` must be a map such as `gte: 10`"),
    }
}

fn numbers(map: &Mapping, kind: Kind) -> Result<(Wanted, Vec<String>), RuleError> {
    let fail = |reason: &str| Err(RuleError::correlation("condition:", reason));
    let mut all = Vec::new();
    for (key, value) in map {
        let key = key.as_str().unwrap_or_default();
        if matches!(key, "field" | "percentile") {
            continue;
        }
        let Some(relation) = Relation::parse(key) else {
            return fail("`condition` takes gt, gte, lt, lte, eq, neq, field and percentile");
        };
        let whole = value.as_u64().is_some_and(|number| number <= MAX_THRESHOLD);
        match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) if whole || !kind.is_count() => all.push((relation, number)),
            _ if kind.is_count() => return fail("`condition` takes whole numbers from 0 to 100000"),
            _ => return fail("`condition` takes numbers"),
        }
    }
    let fields = texts(map, "field")?;
    match fields.len() {
        _ if all.is_empty() => fail("`condition` must have one of gt, gte, lt, lte, eq, neq"),
        0 if kind.has_field() => fail("this type needs `field` in its condition"),
        1.. if !kind.has_field() => fail("only the value_ types take `field` in their condition"),
        2.. if kind.is_numeric() => fail("this type takes one `field`; only value_count takes a list"),
        _ => Ok((Wanted::Numbers(all), fields)),
    }
}

/// A threshold as a count; thresholds of counts are whole and small.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, from 0 to 100000")]
pub(super) fn whole(threshold: f64) -> usize {
    threshold as usize
}
