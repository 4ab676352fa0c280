//! Numbered events: what each says, and which of them must raise an alert.
//!
//! An event is known by its lane (one sender), its run (a sender that is started again begins a new one) and its number
//! in that run, from 0. Of each hundred numbers the fiftieth alerts by itself, and 7, 8 and 9 only together: they have a
//! host of their own, and a correlation counts three events of one host.

use std::path::Path;

use anyhow::{Context as _, Result};

/// Numbers that are sent together: a triple never falls apart.
pub(crate) const BLOCK: u64 = 10;
/// The rule about one event.
pub(crate) const SINGLE: &str = "0c1d8f5a-6c0e-4c3c-9a53-5f3f0d1e7a01";
/// The correlation of three.
pub(crate) const TRIPLE: &str = "0c1d8f5a-6c0e-4c3c-9a53-5f3f0d1e7a03";

const RULES: &str = "title: A numbered event that alerts by itself
id: 0c1d8f5a-6c0e-4c3c-9a53-5f3f0d1e7a01
status: test
logsource:
    product: dongson
detection:
    selection:
        message|startswith: 'fault-single '
        message|endswith: ' .'
    condition: selection
level: high
dongson:
    entity: [host.name]
    window: 24h
---
title: A numbered event of which three alert
id: 0c1d8f5a-6c0e-4c3c-9a53-5f3f0d1e7a02
name: fault_step
status: test
logsource:
    product: dongson
detection:
    selection:
        message|startswith: 'fault-step '
        message|endswith: ' .'
    condition: selection
level: informational
---
title: Three numbered events of one host
id: 0c1d8f5a-6c0e-4c3c-9a53-5f3f0d1e7a03
status: test
correlation:
    type: event_count
    rules:
        - fault_step
    group-by:
        - host.name
    timespan: 10m
    condition:
        gte: 3
level: high
dongson:
    entity: [host.name]
    window: 24h
";

/// Writes the rules into `folder`.
pub(crate) fn write_rules(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("faults.yml"), RULES).context("writing the rules of the numbered events")
}

/// What a number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing but being there.
    Plain,
    /// Alerts by itself.
    Single,
    /// Alerts with the two others of its hundred.
    Step,
}

impl Kind {
    /// Of a number.
    pub(crate) fn of(number: u64) -> Self {
        match number % 100 {
            7..=9 => Self::Step,
            50 => Self::Single,
            _ => Self::Plain,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Single => "single",
            Self::Step => "step",
        }
    }
}

/// One event's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark<'a> {
    /// The sender.
    pub(crate) lane: &'a str,
    /// Which run of it.
    pub(crate) run: u32,
    /// Which event of the run.
    pub(crate) number: u64,
    /// When it was made, by the harness's clock, in milliseconds since 1970 UTC.
    pub(crate) made_ms: i64,
}

impl<'a> Mark<'a> {
    /// What the event says: its field `message`.
    pub(crate) fn message(&self) -> String {
        let Self { lane, run, number, made_ms } = self;
        format!("fault-{} {lane} {run} {number} {made_ms} .", Kind::of(*number).word())
    }

    /// What a message says; `None` when it is none of ours, or not whole.
    pub(crate) fn parse(message: &'a str) -> Option<Self> {
        let mut words = message.strip_prefix("fault-")?.split(' ').skip(1);
        let (lane, run) = (words.next()?, words.next()?.parse().ok()?);
        let (number, made_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let whole = words.next() == Some(".") && words.next().is_none();
        whole.then_some(Self { lane, run, number, made_ms })
    }

    /// Its host: what its alert is about.
    pub(crate) fn host(&self) -> String {
        host(self.lane, self.run, self.number)
    }
}

/// The host of an event: its own, or that of its triple, or that of its lane.
pub(crate) fn host(lane: &str, run: u32, number: u64) -> String {
    match Kind::of(number) {
        Kind::Plain => format!("may-{lane}"),
        Kind::Single => format!("mot-{lane}-{run}-{number}"),
        Kind::Step => format!("ba-{lane}-{run}-{}", number / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_which_event_it_is() {
        for number in [0, 7, 50, 12_345] {
            let mark = Mark { lane: "n0", run: 3, number, made_ms: 17 };
            assert_eq!(Mark::parse(&mark.message()), Some(mark));
        }
        for other in [
            "",
            "fault-plain",
            "fault-plain n0 1 x 2 .",
            "fault-plain n0 1 2 3",
            "fault-plain n0 1 2 3 . .",
            "n0 1 2 3 .",
        ] {
            assert_eq!(Mark::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_triple_has_one_host_and_stands_in_one_block() {
        let hosts: Vec<String> = (207..210).map(|number| host("s1", 2, number)).collect();
        assert_eq!(hosts, ["ba-s1-2-2", "ba-s1-2-2", "ba-s1-2-2"]);
        assert!(
            (0..1_000).filter(|number| Kind::of(*number) == Kind::Step).all(|number| number % BLOCK >= 7)
        );
        assert_ne!(host("s1", 2, 50), host("s1", 2, 150));
    }
}
