//! Batches of events between a sensor and the collector: their classes, their root, and the words that a sensor signs.
//!
//! A batch is lines of one class. Its root is the Merkle tree hash of RFC 9162, 2.1.1 (SHA-256), over its lines without
//! their ends, so one event can be proved to be of a signed batch without the others. What is signed names the sensor,
//! the spool (epoch) and the place in it (sequence), so a batch cannot stand in another's place.

use sha2::{Digest as _, Sha256};

use crate::Event;

/// How urgent the events of a batch are; a smaller one goes first and is shed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Alerts: what a rule or an indicator found.
    Alert,
    /// What alerts are judged by: health, anomalies, hits of indicators.
    Context,
    /// Conversations.
    Conn,
    /// What was said in them: dns, http, tls and the other protocols; logs of the site.
    Protocol,
    /// Files and certificates.
    File,
}

impl Class {
    /// All classes, the most urgent first.
    pub const ALL: [Self; 5] = [Self::Alert, Self::Context, Self::Conn, Self::Protocol, Self::File];

    /// As in file names, headers and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Context => "context",
            Self::Conn => "conn",
            Self::Protocol => "protocol",
            Self::File => "file",
        }
    }

    /// The class of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Its place in [`Class::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The class of an event of a sensor.
    pub fn of(event: &Event) -> Self {
        if event.text("event.kind") == Some("alert") || event.get("dongson.local.rule.id").is_some() {
            return Self::Alert;
        }
        match event.dataset() {
            "sensor.health" | "sensor.weird" | "sensor.intel" => Self::Context,
            "sensor.conn" | "sensor.tunnel" => Self::Conn,
            "sensor.file" | "sensor.x509" => Self::File,
            _ => Self::Protocol,
        }
    }
}

/// A SHA-256.
pub type Hash = [u8; 32];

/// The Merkle tree hash of `lines` (RFC 9162, 2.1.1); of none it is the hash of nothing.
pub fn root<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Hash {
    // Roots of whole subtrees, the largest first; their sizes are the bits of the count of lines before.
    let mut subtrees: Vec<Hash> = Vec::new();
    for (count, line) in lines.enumerate() {
        let mut hash = digest(&[&[0], line]);
        for _ in 0..count.trailing_ones() {
            let Some(left) = subtrees.pop() else { break };
            hash = digest(&[&[1], &left, &hash]);
        }
        subtrees.push(hash);
    }
    subtrees
        .into_iter()
        .rev()
        .reduce(|right, left| digest(&[&[1], &left, &right]))
        .unwrap_or_else(|| digest(&[]))
}

fn digest(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What one batch is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'p> {
    /// The sensor's id.
    pub sensor: &'p str,
    /// Which spool of the sensor.
    pub epoch: u64,
    /// Which batch of it.
    pub sequence: u64,
    /// Its class.
    pub class: Class,
    /// How many lines it has.
    pub events: u64,
}

impl Place<'_> {
    /// What the sensor signs with the key of its certificate (ECDSA on P-256 with SHA-256, ASN.1): seven lines.
    pub fn statement(&self, root: &Hash) -> String {
        let Self { sensor, epoch, sequence, class, events } = self;
        let (class, root) = (class.as_str(), hex::encode(root));
        format!("dongson batch 1\n{sensor}\n{epoch}\n{sequence}\n{class}\n{events}\n{root}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use proptest::prelude::*;

    /// The definition of RFC 9162, 2.1.1, word for word.
    fn defined(lines: &[Vec<u8>]) -> Hash {
        match lines {
            [] => digest(&[]),
            [one] => digest(&[&[0], one]),
            many => {
                let half = many.len().next_power_of_two() / 2;
                let (left, right) = many.split_at(half);
                digest(&[&[1], &defined(left), &defined(right)])
            }
        }
    }

    proptest! {
        #[test]
        fn the_root_is_that_of_the_definition(lines: Vec<Vec<u8>>) {
            prop_assert_eq!(root(lines.iter().map(Vec::as_slice)), defined(&lines));
        }
    }

    #[test]
    fn a_batch_of_nothing_and_of_one() {
        assert_eq!(
            hex::encode(root(std::iter::empty())),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_ne!(root([&b"a"[..]].into_iter()), root([&b"a"[..], b""].into_iter()));
    }

    #[test]
    fn every_event_has_a_class() {
        let check = |dataset, class| {
            assert_eq!(Class::of(&Event::of(dataset, Timestamp::from_seconds(1))), class, "{dataset}");
        };
        check("sensor.health", Class::Context);
        check("sensor.weird", Class::Context);
        check("sensor.conn", Class::Conn);
        check("sensor.dns", Class::Protocol);
        check("sensor.whatever", Class::Protocol);
        check("sensor.file", Class::File);
        let mut alert = Event::of("sensor.conn", Timestamp::from_seconds(1));
        alert.set("event.kind", "alert");
        assert_eq!(Class::of(&alert), Class::Alert);
    }

    #[test]
    fn names_of_classes_are_read_again() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!((Class::parse(class.as_str()), class.index()), (Some(class), index));
        }
        assert_eq!(Class::parse("Alert"), None);
    }

    #[test]
    fn a_statement_names_its_place() {
        let place = Place { sensor: "s-1", epoch: 7, sequence: 2, class: Class::Conn, events: 3 };
        let said = place.statement(&[0xab; 32]);
        assert_eq!(said, format!("dongson batch 1\ns-1\n7\n2\nconn\n3\n{}\n", "ab".repeat(32)));
    }
}
