//! Whether a fact holds.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use dongson_event::Event;
use dongson_sensor::flow::Checksums;

use crate::fact::Fact;
use crate::table::{self, Joined, Rule};
use crate::values::{Case, plain};

/// What came of a fact.
pub(crate) enum Verdict {
    Holds,
    Fails(String),
}

impl Verdict {
    pub(crate) fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }
}

/// Compares facts with the events of their captures.
pub(crate) struct Judge {
    folder: PathBuf,
    /// The capture that is open; facts come capture by capture.
    open: HashMap<(String, bool), Vec<Event>>,
    /// How many facts each line with a reason touched.
    touched: BTreeMap<(&'static str, &'static str, &'static str, &'static str), u32>,
}

impl Judge {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: HashMap::new(), touched: BTreeMap::new() }
    }

    /// Whether `fact` holds.
    pub(crate) fn judge(&mut self, fact: &Fact) -> Verdict {
        let verify = self.verifies_checksums(fact);
        let key = (fact.capture.clone(), verify);
        if !self.open.contains_key(&key) {
            self.open.retain(|(capture, _), _| *capture == fact.capture);
            let checksums = if verify { Checksums::Verify } else { Checksums::Ignore };
            let events = crate::capture::events(&self.folder.join(&fact.capture), checksums);
            self.open.insert(key.clone(), events);
        }
        let mut touched = Vec::new();
        let verdict = verdict(fact, self.open.get(&key).map(Vec::as_slice).unwrap_or_default(), &mut touched);
        touched.sort_unstable();
        touched.dedup();
        for line in touched {
            *self.touched.entry(line).or_default() += 1;
        }
        verdict
    }

    /// Prints the lines of the table that carry a reason, and how many facts each touched.
    #[expect(clippy::print_stdout, reason = "the run says what it translated")]
    pub(crate) fn print_touched(&self) {
        println!("differences in meaning, settled once (facts touched, source/kind, name: reason)");
        for ((source, kind, name, why), count) in &self.touched {
            println!("{count:6} {source}/{kind} {name}: {why}");
        }
    }

    fn verifies_checksums(&mut self, fact: &Fact) -> bool {
        let history = fact.fields.iter().find(|(name, _)| name == "history").map(|(_, value)| plain(value));
        let verifies = fact.source == "zeek" && history.is_some_and(|letters| letters.contains(['C', 'c']));
        if verifies {
            let (name, why) = table::VERIFIED;
            *self.touched.entry(("zeek", "conn", name, why)).or_default() += 1;
        }
        verifies
    }
}

type Touched = Vec<(&'static str, &'static str, &'static str, &'static str)>;

fn verdict(fact: &Fact, events: &[Event], touched: &mut Touched) -> Verdict {
    let dataset = table::dataset(&fact.kind);
    let candidates: Vec<&Event> = events
        .iter()
        .filter(|event| Some(event.dataset()) == dataset || table::also_means(fact, event))
        .filter(|event| !table::left_out(fact, event, touched))
        .collect();
    let turns: &[bool] =
        if table::EITHER_DIRECTION.contains(&fact.source.as_str()) { &[false, true] } else { &[false] };
    let mut best: Option<Vec<String>> = None;
    let mut found = 0;
    for &event in &candidates {
        let mut held = false;
        for &swapped in turns {
            if best.is_some() && !endpoints_agree(fact, event, swapped) {
                continue;
            }
            let wrong =
                differences(fact, &Case { event, swapped, index: 0, all: events, fact: Some(fact) }, touched);
            held |= wrong.is_empty();
            if best.as_ref().is_none_or(|best| wrong.len() < best.len()) {
                best = Some(wrong);
            }
        }
        found += usize::from(held);
    }
    let wanted_is_met = fact.count.map_or(found >= 1, |count| found == count);
    if wanted_is_met || joined_holds(fact, &candidates, touched) {
        return Verdict::Holds;
    }
    let all: Vec<String> =
        fact.fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    Verdict::Fails(format!(
        "{found} of {:?} among {}; nearest: {:?}; fact: {}",
        fact.count.unwrap_or(1),
        candidates.len(),
        best.unwrap_or_default(),
        all.join(" ")
    ))
}

/// False when a port of the fact is not one of the event: the rest need not be compared.
fn endpoints_agree(fact: &Fact, event: &Event, swapped: bool) -> bool {
    if !table::has_ports(event) {
        return true;
    }
    let side = if swapped { "destination.port" } else { "source.port" };
    let ours = event.int(side);
    fact.fields
        .iter()
        .find(|(name, _)| table::SOURCE_PORTS.contains(&name.as_str()))
        .is_none_or(|(_, value)| plain(value).parse().ok() == ours)
}

/// The fields of `fact` that `case` does not bear out.
fn differences(fact: &Fact, case: &Case<'_>, touched: &mut Touched) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, value) in &fact.fields {
        let (pattern, index) = without_index(name);
        let Some(line) = table::find(&fact.source, &fact.kind, &pattern) else {
            wrong.push(format!("{name}: not in the table"));
            continue;
        };
        if !line.why.is_empty() {
            touched.push((line.source, line.kind, line.theirs, line.why));
        }
        let case = Case { index, ..*case };
        let theirs = plain(value);
        let (holds, ours) = match line.rule {
            Rule::Is(ours) => (case.text(ours) == theirs, case.text(ours)),
            Rule::Drop => (true, String::new()),
            Rule::By(compare) => (compare(&case, &theirs), "by rule".to_owned()),
        };
        if !holds {
            wrong.push(format!("{name}: {theirs} is {ours}"));
        }
    }
    wrong
}

/// `a[3].b` is `a[*].b` and 3.
fn without_index(name: &str) -> (String, usize) {
    let mut pattern = String::new();
    let mut index = 0;
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((inside, behind)) = after.split_once(']') else { break };
        index = inside.parse().unwrap_or(0);
        pattern.push_str(before);
        pattern.push_str("[*]");
        rest = behind;
    }
    pattern.push_str(rest);
    (pattern, index)
}

/// Whether the fact holds for the sum of all our flows with its endpoints.
fn joined_holds(fact: &Fact, candidates: &[&Event], touched: &mut Touched) -> bool {
    let Some(Joined { source, kind, why }) = table::joined(fact) else { return false };
    let mut sums: BTreeMap<[String; 5], Event> = BTreeMap::new();
    let near = |event: &&&Event| [false, true].iter().any(|&turn| endpoints_agree(fact, event, turn));
    for event in candidates.iter().filter(near) {
        let ends = |swapped| {
            let case = Case { event, swapped, index: 0, all: &[], fact: None };
            ["source.ip", "source.port", "destination.ip", "destination.port", "network.transport"].map(
                |name| {
                    if name.ends_with("port") && !table::has_ports(event) {
                        String::new()
                    } else {
                        case.text(name)
                    }
                },
            )
        };
        let (forth, back) = (ends(false), ends(true));
        if let Some(sum) = sums.get_mut(&forth) {
            table::add(sum, event, false);
        } else if let Some(sum) = sums.get_mut(&back) {
            table::add(sum, event, true);
        } else {
            sums.insert(forth, (*event).clone());
        }
    }
    let holds = sums.values().any(|event| {
        [false, true].iter().any(|&swapped| {
            differences(fact, &Case { event, swapped, index: 0, all: &[], fact: None }, &mut Vec::new())
                .is_empty()
        })
    });
    if holds {
        touched.push((source, kind, "(sum of flows)", why));
    }
    holds
}
