//! What a correlation rule says.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_yaml_ng::{Mapping, Value as Yaml};

use crate::RuleError;
use crate::rule::Rule;
use crate::sigma::meta::{text, texts, timespan};

/// Keys that `correlation:` may have.
const KEYS: [&str; 8] =
    ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "timeframe"];
/// Largest number that a condition may name: state is bounded by it.
pub(super) const MAX_THRESHOLD: u64 = 100_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Events.
    EventCount,
    /// Different values of a field.
    ValueCount,
    /// Different rules that matched, in any order.
    Temporal,
    /// Rules that matched in the order of the list.
    TemporalOrdered,
}

/// How the count must stand to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

/// One correlation, with its rules resolved to numbers.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The correlation rule's own number.
    pub(crate) number: usize,
    pub(super) kind: Kind,
    /// Numbers of the rules that it refers to, in the rule's order.
    pub(crate) rules: Vec<usize>,
    pub(crate) group_by: Vec<String>,
    /// Fields whose values are counted; empty except for `value_count`.
    pub(crate) counted: Vec<String>,
    pub(crate) timespan: Duration,
    /// All must hold.
    pub(super) conditions: Vec<(Relation, u64)>,
    /// alias -> rule number -> field.
    aliases: BTreeMap<String, BTreeMap<usize, String>>,
    /// True when the rules that it refers to also raise alerts of their own.
    pub(crate) generate: bool,
}

impl Definition {
    /// Reads `correlation:` of a document; `rules` are those that it may refer to, `number` will be its own.
    pub(crate) fn read(map: &Mapping, rules: &[Rule], number: usize) -> Result<Self, RuleError> {
        let fail = |reason: String| RuleError::Correlation(reason);
        let Some(Yaml::Mapping(own)) = map.get("correlation") else {
            return Err(fail("must be a map of type, rules, group-by, timespan, condition".to_owned()));
        };
        if let Some(key) = own.keys().filter_map(Yaml::as_str).find(|key| !KEYS.contains(key)) {
            return Err(fail(format!("unknown key {key:?}; the keys are {}", KEYS.join(", "))));
        }
        if map.contains_key("detection") {
            return Err(fail(
                "a document has either `detection` or `correlation`; make two documents".to_owned(),
            ));
        }
        let kind = kind(text(own, "type")?.as_deref())?;
        let names = texts(own, "rules")?;
        if names.is_empty() {
            return Err(fail("`rules` must name at least one rule by id or name".to_owned()));
        }
        let resolved = names.iter().map(|name| resolve(name, rules)).collect::<Result<Vec<_>, _>>()?;
        let timespan = text(own, "timespan")?.and_then(|span| timespan(&span)).ok_or_else(|| {
            fail("`timespan` must be a number and one of s, m, h, d, w, such as 5m".to_owned())
        })?;
        let (conditions, counted) = condition(own.get("condition"), kind, resolved.len())?;
        let generate = [own.get("generate"), map.get("generate")]
            .into_iter()
            .flatten()
            .any(|flag| flag.as_bool() == Some(true));
        let aliases = aliases(own.get("aliases"), &names, &resolved)?;
        Ok(Self {
            number,
            kind,
            rules: resolved,
            group_by: texts(own, "group-by")?,
            counted,
            timespan,
            conditions,
            aliases,
            generate,
        })
    }

    /// The field that `name` of `group-by` or `field` means for matches of rule number `base`.
    pub(crate) fn field<'d>(&'d self, name: &'d str, base: usize) -> &'d str {
        self.aliases.get(name).and_then(|by_rule| by_rule.get(&base)).map_or(name, String::as_str)
    }

    /// Every field that it reads.
    pub(crate) fn field_names(&self) -> Vec<String> {
        let aliased = self.aliases.values().flat_map(BTreeMap::values);
        self.group_by.iter().chain(&self.counted).chain(aliased).cloned().collect()
    }

    /// True when `count` satisfies every part of the condition.
    pub(super) fn reached(&self, count: u64) -> bool {
        self.conditions.iter().all(|(relation, wanted)| match relation {
            Relation::Gt => count > *wanted,
            Relation::Gte => count >= *wanted,
            Relation::Lt => count < *wanted,
            Relation::Lte => count <= *wanted,
            Relation::Eq => count == *wanted,
            Relation::Neq => count != *wanted,
        })
    }

    /// How many entries a window has to remember at most: beyond it the condition cannot change.
    pub(super) fn memory(&self) -> usize {
        let largest = self.conditions.iter().map(|(_, number)| *number).max().unwrap_or(0);
        usize::try_from(largest + 2).unwrap_or(usize::MAX)
    }
}

fn kind(word: Option<&str>) -> Result<Kind, RuleError> {
    match word {
        Some("event_count") => Ok(Kind::EventCount),
        Some("value_count") => Ok(Kind::ValueCount),
        Some("temporal") => Ok(Kind::Temporal),
        Some("temporal_ordered") => Ok(Kind::TemporalOrdered),
        Some(other @ ("value_sum" | "value_avg" | "value_percentile" | "value_median")) => {
            Err(RuleError::Unsupported {
                what: format!("correlation type {other}"),
                instead: "use event_count, value_count, temporal or temporal_ordered",
            })
        }
        other => Err(RuleError::Correlation(format!(
            "type {:?} is unknown; use event_count, value_count, temporal or temporal_ordered",
            other.unwrap_or_default()
        ))),
    }
}

fn resolve(name: &str, rules: &[Rule]) -> Result<usize, RuleError> {
    let number = rules.iter().position(|rule| rule.id == name || rule.name.as_deref() == Some(name));
    match number.and_then(|number| Some((number, rules.get(number)?))) {
        Some((_, rule)) if rule.correlation => Err(RuleError::Unsupported {
            what: format!("the correlation {name:?} inside a correlation"),
            instead: "refer to the plain rules instead",
        }),
        Some((number, _)) => Ok(number),
        None => Err(RuleError::Correlation(format!(
            "no rule has the id or name {name:?}; load its file together with this one"
        ))),
    }
}

type Condition = (Vec<(Relation, u64)>, Vec<String>);

fn condition(value: Option<&Yaml>, kind: Kind, rules: usize) -> Result<Condition, RuleError> {
    let fail = |reason: &str| Err(RuleError::Correlation(reason.to_owned()));
    let map = match value {
        Some(Yaml::Mapping(map)) => map,
        None if matches!(kind, Kind::Temporal | Kind::TemporalOrdered) => {
            return Ok((vec![(Relation::Gte, rules as u64)], Vec::new()));
        }
        Some(Yaml::String(_)) => {
            return fail("a condition in words is not supported; write a map such as `gte: 10`");
        }
        _ => return fail("`condition` must be a map such as `gte: 10`"),
    };
    let mut conditions = Vec::new();
    for (key, value) in map {
        let relation = match key.as_str().unwrap_or_default() {
            "field" => continue,
            "gt" => Relation::Gt,
            "gte" => Relation::Gte,
            "lt" => Relation::Lt,
            "lte" => Relation::Lte,
            "eq" => Relation::Eq,
            "neq" => Relation::Neq,
            _ => return fail("`condition` takes gt, gte, lt, lte, eq, neq and field"),
        };
        match value.as_u64() {
            Some(number @ 0..=MAX_THRESHOLD) => conditions.push((relation, number)),
            _ => return fail("`condition` takes whole numbers from 0 to 100000"),
        }
    }
    let counted = texts(map, "field")?;
    match kind {
        _ if conditions.is_empty() => fail("`condition` must have one of gt, gte, lt, lte, eq, neq"),
        Kind::ValueCount if counted.is_empty() => fail("value_count needs `field` in its condition"),
        Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered if !counted.is_empty() => {
            fail("only value_count takes `field` in its condition")
        }
        _ => Ok((conditions, counted)),
    }
}

fn aliases(
    value: Option<&Yaml>,
    names: &[String],
    numbers: &[usize],
) -> Result<BTreeMap<String, BTreeMap<usize, String>>, RuleError> {
    let fail = |reason: String| RuleError::Correlation(reason);
    let map = match value {
        None | Some(Yaml::Null) => return Ok(BTreeMap::new()),
        Some(Yaml::Mapping(map)) => map,
        Some(_) => return Err(fail("`aliases` must be a map: alias -> rule -> field".to_owned())),
    };
    let mut all = BTreeMap::new();
    for (alias, by_rule) in map {
        let (Some(alias), Yaml::Mapping(by_rule)) = (alias.as_str(), by_rule) else {
            return Err(fail("`aliases` must be a map: alias -> rule -> field".to_owned()));
        };
        let mut fields = BTreeMap::new();
        for (rule, field) in by_rule {
            let (Some(rule), Some(field)) = (rule.as_str(), field.as_str()) else {
                return Err(fail(format!("alias {alias:?} must be a map: rule -> field")));
            };
            let at = names.iter().position(|name| name == rule).and_then(|at| numbers.get(at));
            let number =
                at.ok_or_else(|| fail(format!("alias {alias:?} names {rule:?}, which is not in `rules`")))?;
            fields.insert(*number, field.to_owned());
        }
        all.insert(alias.to_owned(), fields);
    }
    Ok(all)
}
