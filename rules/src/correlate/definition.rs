//! What a correlation rule says.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_yaml_ng::{Mapping, Value as Yaml};

use super::condition::{self, Wanted};
use crate::RuleError;
use crate::rule::Rule;
use crate::ruleset::RuleSet;
use crate::sigma::meta::{text, texts, timespan};

/// Keys that `correlation:` may have.
const KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];
/// Types that exist.
const TYPES: &str = "event_count, value_count, temporal, temporal_ordered, value_sum, value_avg, value_percentile, value_median";
/// Most rules of one correlation: which of them matched is kept in 64 bits.
const MAX_RULES: usize = 64;
/// Entries that all windows of one rule in one agency may have together, if all were full.
const MAX_ENTRIES: usize = 500_000;
/// Most windows of one rule in one agency.
pub(super) const MAX_GROUPS: usize = 20_000;
/// Fewest windows of one rule in one agency, however much one of them may hold.
const MIN_GROUPS: usize = 16;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Events.
    EventCount,
    /// Different values of a field.
    ValueCount,
    /// Different rules that matched, in any order.
    Temporal,
    /// Rules that matched in the order of the list.
    TemporalOrdered,
    /// The sum of a numeric field.
    Sum,
    /// The mean of a numeric field.
    Average,
    /// The value below which this percentage of a numeric field lies; the median is 50.
    Percentile(f64),
    /// Which percentage of the values of a field are equal to the newest one.
    Share,
}

impl Kind {
    /// True where the condition names the field that is looked at.
    pub(super) const fn has_field(self) -> bool {
        !matches!(self, Self::EventCount | Self::Temporal | Self::TemporalOrdered)
    }

    /// True where that field must hold a number.
    pub(super) const fn is_numeric(self) -> bool {
        matches!(self, Self::Sum | Self::Average | Self::Percentile(_))
    }

    /// True where the condition speaks about how many.
    pub(super) const fn is_count(self) -> bool {
        matches!(self, Self::EventCount | Self::ValueCount | Self::Temporal | Self::TemporalOrdered)
    }
}

/// One correlation, with its rules resolved to numbers.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The correlation rule's own number.
    pub(crate) number: usize,
    /// What it counts, over how long, until when, in words.
    pub(crate) says: String,
    pub(super) kind: Kind,
    /// Numbers of the rules that it refers to, in the rule's order; correlations among them make a chain.
    pub(crate) rules: Vec<usize>,
    pub(crate) group_by: Vec<String>,
    /// Fields whose values are looked at; empty for kinds without a field.
    pub(crate) counted: Vec<String>,
    pub(crate) timespan: Duration,
    pub(super) wanted: Wanted,
    /// alias -> rule number -> field.
    aliases: BTreeMap<String, BTreeMap<usize, String>>,
    /// True when the rules that it refers to also raise alerts of their own.
    pub(crate) generate: bool,
    /// True when agencies are counted together (`dongson: scope: province`).
    pub(crate) province: bool,
    /// Fields that correlations further out in chains read of the events that complete this one.
    pub(crate) carried: Vec<String>,
}

/// The names under `rules:` of a correlation's document, as far as they can be read.
pub(crate) fn rule_names(map: &Mapping) -> Vec<String> {
    let own = map.get("correlation").and_then(Yaml::as_mapping);
    own.and_then(|own| texts(own, "rules").ok()).unwrap_or_default()
}

/// How deep in chains each correlation stands, by its rule's id: 0 for those that count matches of rules alone, one
/// more than its innermost correlations' for the others.
pub fn depths(rules: &RuleSet) -> BTreeMap<String, u8> {
    let mut by_number: BTreeMap<usize, u8> = BTreeMap::new();
    // Inner ones stand before those around them.
    for one in rules.correlations() {
        let inner = one.rules.iter().filter_map(|base| by_number.get(base)).max();
        by_number.insert(one.number, inner.map_or(0, |depth| depth.saturating_add(1)));
    }
    let named = by_number.into_iter();
    named.filter_map(|(number, depth)| Some((rules.rule(number)?.id.clone(), depth))).collect()
}

impl Definition {
    /// Reads `correlation:` of a document; `rules` are those that it may refer to, `number` will be its own.
    pub(crate) fn read(
        map: &Mapping,
        rules: &[Rule],
        earlier: &[Self],
        rule: &Rule,
        number: usize,
    ) -> Result<Self, RuleError> {
        let own = own_map(map)?;
        let names = texts(own, "rules")?;
        if names.is_empty() || names.len() > MAX_RULES {
            let reason = format!("`rules` must name 1 to {MAX_RULES} rules by id or name");
            return Err(RuleError::correlation("rules:", reason));
        }
        let resolved = resolve_all(&names, rules)?;
        let timespan = read_timespan(own)?;
        let kind = kind(text(own, "type")?.as_deref(), own.get("condition"))?;
        let (wanted, counted) = condition::read(own.get("condition"), kind, &names)?;
        let generate = [own.get("generate"), map.get("generate")]
            .into_iter()
            .flatten()
            .any(|flag| flag.as_bool() == Some(true));
        let definition = Self {
            number,
            says: says(own, names.len()),
            kind,
            aliases: aliases(own.get("aliases"), &names, &resolved)?,
            rules: resolved,
            group_by: texts(own, "group-by")?,
            counted,
            timespan,
            wanted,
            generate,
            province: rule.province,
            carried: Vec::new(),
        };
        definition.check_scope(earlier)?;
        definition.check_chain(earlier)?;
        Ok(definition)
    }

    /// What is judged when its window is over is told after its own time: nobody can count it in order.
    fn check_chain(&self, earlier: &[Self]) -> Result<(), RuleError> {
        if earlier.iter().any(|one| one.awaits_end() && self.rules.contains(&one.number)) {
            return Err(RuleError::correlation(
                "rules:",
                "it counts a correlation whose condition has `not`, which is judged only when its window is over; count the rules of that correlation instead",
            ));
        }
        Ok(())
    }

    /// True when its windows are judged only when they are over.
    pub(super) fn awaits_end(&self) -> bool {
        self.wanted.awaits_end()
    }

    /// Agencies may be counted together only by what is unique in the world.
    fn check_scope(&self, earlier: &[Self]) -> Result<(), RuleError> {
        let fail = |reason: String| Err(RuleError::correlation("correlation:", reason));
        if !self.province {
            let wide = earlier.iter().find(|one| one.province && self.rules.contains(&one.number));
            return match wide {
                Some(_) => fail(
                    "it counts a correlation of the whole province; write `dongson: {scope: province}` here too"
                        .to_owned(),
                ),
                None => Ok(()),
            };
        }
        let fields = || self.group_by.iter().flat_map(|name| self.meanings(name));
        match fields().find(|field| !super::keyed::is_worldwide(field)) {
            _ if self.group_by.is_empty() => fail(
                "`scope: province` needs `group-by` with an address, a domain, a hash or JA3/JA4".to_owned(),
            ),
            Some(field) => fail(format!(
                "`scope: province` counts agencies together, and {field:?} is not unique in the world; group by an address, a domain, a hash or JA3/JA4"
            )),
            None => Ok(()),
        }
    }

    /// What is used beyond the specification, in words.
    pub(crate) fn extensions(&self) -> Vec<String> {
        let mut all = Vec::new();
        if matches!(self.wanted, Wanted::Rules(_)) {
            all.push("boolean correlation condition".to_owned());
        }
        if self.province {
            all.push("dongson: scope: province".to_owned());
        }
        all
    }

    /// What its writer may have meant otherwise, in words; `names` are its rules as it names them.
    pub(crate) fn warnings(&self, names: &[String]) -> Vec<String> {
        let mut all = Vec::new();
        for (alias, by_rule) in &self.aliases {
            if !self.group_by.iter().chain(&self.counted).any(|name| name == alias) {
                all.push(format!("alias {alias:?} is not used: neither `group-by` nor `field` names it"));
                continue;
            }
            let left_out = self.rules.iter().zip(names).filter(|(number, _)| !by_rule.contains_key(number));
            all.extend(left_out.map(|(_, name)| {
                format!(
                    "alias {alias:?} says no field for the rule {name:?}: its events are asked for a field named {alias:?}, and those without it are not counted"
                )
            }));
        }
        all
    }

    /// The field that `name` of `group-by` or `field` means for matches of rule number `base`.
    pub(crate) fn field<'d>(&'d self, name: &'d str, base: usize) -> &'d str {
        self.aliases.get(name).and_then(|by_rule| by_rule.get(&base)).map_or(name, String::as_str)
    }

    /// All fields that `name` means, over all rules.
    fn meanings<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d str> {
        self.rules.iter().map(move |&base| self.field(name, base))
    }

    /// Every field that it reads.
    pub(crate) fn field_names(&self) -> Vec<String> {
        let aliased = self.aliases.values().flat_map(BTreeMap::values);
        self.group_by.iter().chain(&self.counted).chain(aliased).cloned().collect()
    }

    /// The fields that it reads of matches of rule number `base`, and those that must be carried through it.
    pub(crate) fn reads(&self, base: usize) -> impl Iterator<Item = &str> {
        let own = self.group_by.iter().chain(&self.counted).map(move |name| self.field(name, base));
        own.chain(self.carried.iter().map(String::as_str))
    }

    /// How many entries a window has to remember at most: beyond it the condition cannot change.
    pub(super) fn memory(&self) -> usize {
        match &self.wanted {
            _ if !self.kind.is_count() => super::window::MAX_SAMPLES,
            Wanted::Numbers(all) => {
                let largest = all.iter().map(|(_, number)| *number).fold(0.0, f64::max);
                condition::whole(largest).saturating_add(2)
            }
            Wanted::Rules(_) => self.rules.len(),
        }
    }

    /// How many windows one agency may have.
    pub(super) fn max_groups(&self) -> usize {
        (MAX_ENTRIES / self.memory().max(1)).clamp(MIN_GROUPS, MAX_GROUPS)
    }
}

/// `event_count of 1 rule over 5m, reached at gte: 10`.
fn says(own: &Mapping, rules: usize) -> String {
    let written = |key: &str| text(own, key).ok().flatten().unwrap_or_default();
    let condition = match own.get("condition") {
        Some(Yaml::Mapping(map)) => {
            let entry = |(key, value): (&Yaml, &Yaml)| {
                let value = serde_yaml_ng::to_string(value).unwrap_or_default();
                format!("{}: {}", key.as_str().unwrap_or_default(), value.trim().replace('\n', " "))
            };
            map.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
        Some(Yaml::String(words)) => words.clone(),
        _ => "all of them".to_owned(),
    };
    let rules = if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") };
    format!("{} of {rules} over {}, reached at {condition}", written("type"), written("timespan"))
}

/// The map under `correlation:`, with known keys only.
fn own_map(map: &Mapping) -> Result<&Mapping, RuleError> {
    let Some(Yaml::Mapping(own)) = map.get("correlation") else {
        let reason = "must be a map of type, rules, group-by, timespan, condition";
        return Err(RuleError::correlation("correlation:", reason));
    };
    if let Some(key) = own.keys().filter_map(Yaml::as_str).find(|key| !KEYS.contains(key)) {
        let reason = format!("unknown key {key:?}; the keys are {}", KEYS.join(", "));
        return Err(RuleError::correlation("correlation:", reason));
    }
    if map.contains_key("detection") {
        let reason = "a document has either `detection` or `correlation`; make two documents";
        return Err(RuleError::correlation("detection:", reason));
    }
    Ok(own)
}

fn read_timespan(own: &Mapping) -> Result<Duration, RuleError> {
    const FORM: &str = "a number and one of s, m, h, d, w, such as 5m (a month is 30d)";
    let Some(written) = text(own, "timespan")? else {
        let reason = format!("`timespan` is missing: write {FORM}");
        return Err(RuleError::correlation("correlation:", reason));
    };
    timespan(&written).ok_or_else(|| {
        RuleError::correlation("timespan:", format!("`timespan` must be {FORM}, not {written:?}"))
    })
}

fn kind(word: Option<&str>, condition: Option<&Yaml>) -> Result<Kind, RuleError> {
    let percentile = condition.and_then(|condition| condition.get("percentile"));
    let kind = match word {
        Some("value_percentile") => {
            return match percentile.map(Yaml::as_f64) {
                None => Ok(Kind::Share),
                Some(Some(rank)) if (0.0..=100.0).contains(&rank) => Ok(Kind::Percentile(rank)),
                Some(_) => {
                    Err(RuleError::correlation("percentile:", "`percentile` must be a number from 0 to 100"))
                }
            };
        }
        Some("event_count") => Kind::EventCount,
        Some("value_count") => Kind::ValueCount,
        Some("temporal") => Kind::Temporal,
        Some("temporal_ordered") => Kind::TemporalOrdered,
        Some("value_sum") => Kind::Sum,
        Some("value_avg") => Kind::Average,
        Some("value_median") => Kind::Percentile(50.0),
        Some(other) => {
            let reason = format!("type {other:?} is unknown; the types are {TYPES}");
            return Err(RuleError::correlation("type:", reason));
        }
        None => {
            let reason = format!("`type` is missing; the types are {TYPES}");
            return Err(RuleError::correlation("correlation:", reason));
        }
    };
    match percentile {
        None => Ok(kind),
        Some(_) => Err(RuleError::correlation("percentile:", "only value_percentile takes `percentile`")),
    }
}

fn resolve_all(names: &[String], rules: &[Rule]) -> Result<Vec<usize>, RuleError> {
    let mut numbers = Vec::with_capacity(names.len());
    for name in names {
        let number = resolve(name, rules)?;
        if numbers.contains(&number) {
            let reason = format!("`rules` names {name:?} twice; name each rule once");
            return Err(RuleError::correlation("rules:", reason));
        }
        numbers.push(number);
    }
    Ok(numbers)
}

/// The rule with this id, else the only one with this name.
fn resolve(name: &str, rules: &[Rule]) -> Result<usize, RuleError> {
    if let Some(number) = rules.iter().position(|rule| rule.id == name) {
        return Ok(number);
    }
    let mut named = rules.iter().enumerate().filter(|(_, rule)| rule.name.as_deref() == Some(name));
    match (named.next(), named.next()) {
        (Some((number, _)), None) => Ok(number),
        (Some((_, one)), Some((_, other))) => {
            let ids = format!("({:?} and {:?})", one.id, other.id);
            let reason = format!("two rules have the name {name:?} {ids}; refer to one of them by its id");
            Err(RuleError::correlation("rules:", reason))
        }
        _ => {
            let reason = format!("no rule has the id or name {name:?}; load its file together with this one");
            Err(RuleError::correlation("rules:", reason))
        }
    }
}

fn aliases(
    value: Option<&Yaml>,
    names: &[String],
    numbers: &[usize],
) -> Result<BTreeMap<String, BTreeMap<usize, String>>, RuleError> {
    let fail = |reason: String| RuleError::correlation("aliases:", reason);
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
