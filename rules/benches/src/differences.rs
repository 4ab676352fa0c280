//! Where other engines find something else: `--differences` holds every event of the set against all of them and counts,
//! by rule, what only one side finds. Which paragraph of the specification decides stands in `DIFFERENCES.md`.

use std::collections::{BTreeMap, BTreeSet};

use dongson_rules::Session;

use crate::out;

/// Tells which rules hold.
pub(crate) trait Finder {
    /// Ids of the rules that hold on the event.
    fn find(&mut self, text: &str) -> Vec<String>;
}

/// Of one rule: events on which only we find it, and only the other does; the first such event of each.
#[derive(Default)]
struct Count {
    only_ours: u64,
    only_theirs: u64,
    first: Option<String>,
}

/// Compares `session` with `other` over `events` and prints what differs.
pub(crate) fn print(name: &str, session: &mut Session, other: &mut dyn Finder, events: &[serde_json::Value]) {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let (mut found, mut agreed) = (Vec::new(), 0_u64);
    for event in events {
        let text = event.to_string();
        found.clear();
        if session.json(text.as_bytes(), &mut found).is_err() {
            continue;
        }
        let id = |rule: &usize| session.engine().rules().rule(*rule).map(|rule| rule.id.clone());
        let ours: BTreeSet<String> = found.iter().filter_map(id).collect();
        let theirs: BTreeSet<String> = other.find(&text).into_iter().collect();
        agreed += ours.intersection(&theirs).count() as u64;
        for rule in ours.symmetric_difference(&theirs) {
            let count = counts.entry(rule.clone()).or_default();
            count.only_ours += u64::from(ours.contains(rule));
            count.only_theirs += u64::from(theirs.contains(rule));
            count.first.get_or_insert_with(|| text.clone());
        }
    }
    out(&format!("{name}: {} events, {agreed} matches agree, {} rules differ", events.len(), counts.len()));
    for (rule, count) in counts {
        out(&format!("  {rule} only ours {} only theirs {}", count.only_ours, count.only_theirs));
        if std::env::args().any(|word| word == "--show") {
            out(&format!("    {}", count.first.unwrap_or_default()));
        }
    }
}
