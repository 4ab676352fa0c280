//! What was found, in a few lines: by level, by rule, by host, first and last.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dongson_event::{Level, Timestamp};
use dongson_rules::RuleSet;
use dongson_rules::detect::Hit;

/// Most different hosts that are counted by name.
const MAX_HOSTS: usize = 10_000;
/// How many rules and hosts are named.
const TOP: usize = 10;

/// Counts over matches.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) hits: u64,
    pub(super) levels: BTreeMap<Reverse<Level>, u64>,
    pub(super) rules: BTreeMap<usize, u64>,
    hosts: BTreeMap<String, u64>,
    other_hosts: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

impl Summary {
    pub(super) fn add(&mut self, hit: &Hit) {
        self.hits += 1;
        *self.levels.entry(Reverse(hit.level)).or_default() += 1;
        *self.rules.entry(hit.rule).or_default() += 1;
        if let Some(moment) = hit.moment {
            self.first = Some(self.first.map_or(moment, |first| first.min(moment)));
            self.last = Some(self.last.map_or(moment, |last| last.max(moment)));
        }
        if let Some(host) = &hit.host {
            if let Some(count) = self.hosts.get_mut(host) {
                *count += 1;
            } else if self.hosts.len() < MAX_HOSTS {
                self.hosts.insert(host.clone(), 1);
            } else {
                self.other_hosts += 1;
            }
        }
    }

    /// Rules by their worst level and the number of their matches.
    pub(super) fn top_rules(&self, rules: &RuleSet) -> Vec<(usize, u64)> {
        let mut top: Vec<(usize, u64)> = self.rules.iter().map(|(rule, count)| (*rule, *count)).collect();
        top.sort_by_key(|(rule, count)| {
            (rules.rule(*rule).map(|rule| Reverse(rule.level)), Reverse(*count), *rule)
        });
        top
    }

    /// Lines for people; `events` were looked at.
    pub(super) fn lines(&self, rules: &RuleSet, events: u64, files: usize) -> Vec<String> {
        let mut lines = vec![format!(
            "{} matches of {} rules in {events} events of {files} files",
            self.hits,
            self.rules.len()
        )];
        if self.hits == 0 {
            return lines;
        }
        if let (Some(first), Some(last)) = (self.first, self.last) {
            lines.push(format!("first {first}, last {last}"));
        }
        let levels: Vec<String> =
            self.levels.iter().map(|(Reverse(level), count)| format!("{} {count}", level.as_str())).collect();
        lines.push(format!("by level: {}", levels.join(", ")));
        lines.push("rules, worst first:".to_owned());
        let top = self.top_rules(rules);
        lines.extend(top.iter().take(TOP).filter_map(|(number, count)| {
            let rule = rules.rule(*number)?;
            Some(format!("  {count:>8}  {:<13}  {}", rule.level.as_str(), rule.title))
        }));
        if top.len() > TOP {
            lines.push(format!("  and {} more rules", top.len() - TOP));
        }
        let mut hosts: Vec<(&String, &u64)> = self.hosts.iter().collect();
        hosts.sort_by_key(|(host, count)| (Reverse(**count), *host));
        if !hosts.is_empty() {
            lines.push("hosts:".to_owned());
            lines.extend(hosts.iter().take(TOP).map(|(host, count)| format!("  {count:>8}  {host}")));
            let rest = hosts.len().saturating_sub(TOP);
            if rest > 0 || self.other_hosts > 0 {
                let more = if self.other_hosts > 0 { " or more" } else { "" };
                lines.push(format!("  and {rest}{more} more hosts"));
            }
        }
        lines
    }
}
