//! A correlation held against one event: which of its rules would count it, under which group, and which would not.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use dongson_event::Event;
use serde::Serialize;

use super::{Explanation, MAX_CHARS, explain, sign};
use crate::correlate::Definition;
use crate::matcher::Matcher;
use crate::ruleset::RuleSet;
use crate::taxonomy::{Mode, Taxonomies};

/// What a correlation would make of one event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counted {
    /// Id of the correlation.
    pub rule_id: String,
    /// Its title.
    pub rule_title: String,
    /// What it counts, over how long, until when: `event_count over 5m, reached at gte: 10`.
    pub says: String,
    /// True when the event is counted: one of its rules holds, and what it groups by and looks at is there.
    pub counts: bool,
    /// Its rules, in its order.
    pub rules: Vec<Base>,
}

/// One rule that a correlation counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Base {
    /// True when its match on the event is counted.
    pub counts: bool,
    /// What the correlation groups by, with the values of the event.
    pub group: Vec<Taken>,
    /// The fields that the correlation looks at, with the values of the event.
    pub looked_at: Vec<Taken>,
    /// The rule itself.
    pub rule: Inner,
}

/// A field that a correlation takes of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The name in the correlation: a field, or an alias.
    pub name: String,
    /// The field that this means for the rule.
    pub field: String,
    /// The event's value, cut when it is long; `None` where it has none, so that the event is not counted.
    pub value: Option<String>,
}

/// A rule, or in chains a correlation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Inner {
    /// A rule about single events.
    Rule(Box<Explanation>),
    /// A correlation.
    Correlation(Counted),
}

/// Holds each rule of the correlation with this number against `event`; `None` where it is no correlation.
pub fn counted(
    rules: &Arc<RuleSet>,
    taxonomies: &Arc<Taxonomies>,
    mode: Mode,
    rule: usize,
    event: &Event,
) -> Option<Counted> {
    let mut matcher = Matcher::new(Arc::clone(rules), Arc::clone(taxonomies), mode);
    let mut look = Look { rules, taxonomies, mode, matcher: &mut matcher, event };
    look.correlation(rule)
}

struct Look<'l> {
    rules: &'l Arc<RuleSet>,
    taxonomies: &'l Taxonomies,
    mode: Mode,
    matcher: &'l mut Matcher,
    event: &'l Event,
}

impl Look<'_> {
    /// Chains are finite: a correlation never counts itself.
    fn correlation(&mut self, number: usize) -> Option<Counted> {
        let rules = self.rules;
        let head = rules.rule(number)?;
        let definition = rules.correlations().iter().find(|one| one.number == number)?;
        let bases: Vec<Base> =
            definition.rules.iter().filter_map(|&base| self.base(definition, base)).collect();
        Some(Counted {
            rule_id: head.id.clone(),
            rule_title: head.title.clone(),
            says: definition.says.clone(),
            counts: bases.iter().any(|base| base.counts),
            rules: bases,
        })
    }

    fn base(&mut self, definition: &Definition, base: usize) -> Option<Base> {
        let inner = match explain(self.rules, self.taxonomies, self.mode, base, self.event) {
            Some(rule) => Inner::Rule(Box::new(rule)),
            None => Inner::Correlation(self.correlation(base)?),
        };
        let group = self.taken(definition, &definition.group_by, base);
        let looked_at = self.taken(definition, &definition.counted, base);
        let holds = match &inner {
            Inner::Rule(rule) => rule.fires,
            Inner::Correlation(counted) => counted.counts,
        };
        let there = group.iter().chain(&looked_at).all(|one| one.value.is_some());
        Some(Base { counts: holds && there, group, looked_at, rule: inner })
    }

    fn taken(&mut self, definition: &Definition, names: &[String], base: usize) -> Vec<Taken> {
        let one = |name: &String| {
            let field = definition.field(name, base);
            let value = self.matcher.value(self.event, field).map(|value| value.to_text().into_owned());
            Taken {
                name: name.clone(),
                field: field.to_owned(),
                value: value
                    .filter(|text| !text.is_empty())
                    .map(|text| text.chars().take(MAX_CHARS).collect()),
            }
        };
        names.iter().map(one).collect()
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)?;
        if self.name != self.field {
            write!(out, " (here {})", self.field)?;
        }
        match &self.value {
            Some(value) => write!(out, " = {value:?}"),
            None => out.write_str(": the event has none, so it is not counted"),
        }
    }
}

impl fmt::Display for Counted {
    /// The correlation, then each of its rules as [`Explanation`] prints it, two spaces further in.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = if self.counts { "this event is counted" } else { "this event is not counted" };
        writeln!(
            out,
            "{} ({}): a correlation, no single event decides; {counts}",
            self.rule_title, self.rule_id
        )?;
        writeln!(out, "  counts: {}", self.says)?;
        for base in &self.rules {
            for (what, taken) in [("group by", &base.group), ("looks at", &base.looked_at)] {
                for one in taken {
                    writeln!(out, "  {} {what} {one}", sign(one.value.is_some()))?;
                }
            }
            let mut inner = String::new();
            match &base.rule {
                Inner::Rule(rule) => write!(inner, "{rule}")?,
                Inner::Correlation(counted) => write!(inner, "{counted}")?,
            }
            writeln!(out, "{} as a match of:", sign(base.counts))?;
            for line in inner.lines() {
                writeln!(out, "  {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LoadOptions;

    #[test]
    fn each_rule_is_held_against_the_event() {
        let text = "title: Fail\nid: fail\nlogsource: {product: x}\ndetection: {s: {kind: fail}, condition: s}\n---\ntitle: Ok\nid: ok\nlogsource: {product: x}\ndetection: {s: {kind: ok}, condition: s}\n---\ntitle: Many\nid: many\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 5m, condition: {gte: 3}}\n---\ntitle: Chain\nid: chain\ncorrelation: {type: temporal_ordered, rules: [many, ok], group-by: [who], timespan: 1h, aliases: {who: {many: user, ok: login}}}\n";
        let loaded = RuleSet::from_documents([("x.yml", text)], &LoadOptions::default());
        assert_eq!(loaded.refused, []);
        let rules = Arc::new(loaded.rules);
        let taxonomies = Arc::new(Taxonomies::embedded());
        let told = |number: usize, json: &str| {
            let (event, _) = Event::parse(json.as_bytes()).unwrap();
            counted(&rules, &taxonomies, Mode::Sigma, number, &event).unwrap()
        };
        let chain = rules.find("chain").unwrap();
        let one = told(chain, r#"{"product":"x","kind":"fail","user":"an"}"#);
        assert!(one.counts && one.rules[0].counts && !one.rules[1].counts);
        assert_eq!(one.rules[0].group[0].value.as_deref(), Some("an"));
        let text = one.to_string();
        for part in [
            "Chain (chain): a correlation",
            "temporal_ordered of 2 rules over 1h, reached at all of them",
            "event_count of 1 rule over 5m, reached at gte: 3",
            "+ group by who (here user) = \"an\"",
            "- group by who (here login): the event has none",
            "Fail (fail): fires",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!told(chain, r#"{"product":"x","kind":"fail"}"#).counts);
        let (event, _) = Event::parse(b"{}").unwrap();
        assert_eq!(counted(&rules, &taxonomies, Mode::Sigma, 0, &event), None);
    }
}
