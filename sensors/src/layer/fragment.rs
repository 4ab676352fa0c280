//! Fragments of IPv4 and IPv6, put together in bounded memory.
//!
//! Where fragments overlap, the bytes that came first win (as RFC 815 leaves it to the receiver; BSD, Linux and Windows differ
//! in what they do). An overlap is counted as `fragment_overlap`, one whose bytes differ from those that won, which only
//! somebody does who wants two receivers to read two things, also as `fragment_overlap_differs`. RFC 5722 forbids overlaps in
//! IPv6: they are counted all the same, and the first bytes win there too. A datagram that is not complete after [`Limits::wait`], or
//! that the limits leave no room for, is dropped and counted.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use dongson_event::Timestamp;

use super::{VlanKey, Weird};

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most datagrams of which parts are missing.
    pub datagrams: usize,
    /// Most bytes of parts.
    pub bytes: usize,
    /// Longest wait for the missing parts, in event time.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { datagrams: 4_096, bytes: 16 << 20, wait: Duration::from_mins(1) }
    }
}

/// Longest datagram in bytes.
const MAX_DATAGRAM: usize = 65_535;
/// Most parts of one datagram.
const MAX_PARTS: usize = 1_024;

/// Which datagram a fragment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) identifier: u32,
    pub(super) vlans: VlanKey,
    pub(super) protocol: u8,
}

/// Where a fragment lies in its datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment {
    /// In bytes.
    pub(super) offset: usize,
    pub(super) more: bool,
    /// Length of the header that all fragments repeat.
    pub(super) header_length: usize,
    /// The transport, as the first fragment says.
    pub(super) protocol: u8,
}

/// A datagram put together.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) header_length: usize,
    pub(super) protocol: u8,
    /// Sum of the frames of its fragments, in bytes.
    pub(super) wire_length: u32,
}

/// What of a fragment was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Overlap {
    None,
    Same,
    Differs,
}

#[derive(Default)]
struct Parts {
    /// Offset and bytes, without overlaps.
    pieces: BTreeMap<usize, Vec<u8>>,
    held: usize,
    end: Option<usize>,
    header_length: usize,
    protocol: Option<u8>,
    wire_length: u32,
}

/// All datagrams of which parts are missing.
pub(super) struct Fragments {
    limits: Limits,
    waiting: BTreeMap<Key, Parts>,
    /// When each began, oldest first; one entry for each in `waiting`, and some for those already gone.
    begun: VecDeque<(Timestamp, Key)>,
    held: usize,
}

impl Fragments {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, waiting: BTreeMap::new(), begun: VecDeque::new(), held: 0 }
    }

    /// Forgets what has waited too long.
    pub(super) fn expire(&mut self, now: Timestamp, weird: &mut Weird) {
        while let Some((begun, key)) = self.begun.front().copied() {
            let overfull = self.begun.len() > self.limits.datagrams * 2;
            if now.since(begun) <= self.limits.wait && !overfull {
                break;
            }
            self.begun.pop_front();
            self.forget(&key, weird, "fragment_timeout");
        }
    }

    /// Keeps a part; gives the datagram when it was the last one missing, `None` while it waits for the rest or when the
    /// part was refused, which is then counted.
    pub(super) fn add(
        &mut self,
        key: Key,
        fragment: Fragment,
        bytes: &[u8],
        at: Timestamp,
        wire_length: u32,
        weird: &mut Weird,
    ) -> Option<Whole> {
        if fragment.offset + bytes.len() > MAX_DATAGRAM {
            weird.add("fragment_too_long");
            return None;
        }
        if !self.waiting.contains_key(&key) {
            self.make_room(weird);
            self.begun.push_back((at, key));
        }
        let parts = self.waiting.entry(key).or_default();
        let before = parts.held;
        parts.add(fragment, bytes, wire_length, weird);
        self.held += parts.held - before;
        if parts.is_complete() {
            let parts = self.waiting.remove(&key)?;
            self.held -= parts.held;
            return parts.join();
        }
        if self.held > self.limits.bytes {
            self.make_room(weird);
        }
        None
    }

    /// Drops the oldest datagrams until one more fits.
    fn make_room(&mut self, weird: &mut Weird) {
        while self.waiting.len() >= self.limits.datagrams || self.held > self.limits.bytes {
            let Some((_, key)) = self.begun.pop_front() else { return };
            self.forget(&key, weird, "fragment_dropped");
        }
    }

    fn forget(&mut self, key: &Key, weird: &mut Weird, why: &'static str) {
        if let Some(parts) = self.waiting.remove(key) {
            self.held -= parts.held;
            weird.add(why);
        }
    }
}

impl Parts {
    fn add(&mut self, fragment: Fragment, bytes: &[u8], wire_length: u32, weird: &mut Weird) {
        self.wire_length = self.wire_length.saturating_add(wire_length);
        if fragment.offset == 0 && self.protocol.is_none() {
            self.protocol = Some(fragment.protocol);
            self.header_length = fragment.header_length;
        }
        if !fragment.more {
            let end = fragment.offset + bytes.len();
            if self.end.is_some_and(|known| known != end) {
                weird.add("fragment_size_inconsistency");
            }
            self.end.get_or_insert(end);
        }
        if self.pieces.len() >= MAX_PARTS {
            weird.add("too_many_fragments");
            return;
        }
        let overlap = self.insert(fragment.offset, bytes);
        if overlap != Overlap::None {
            weird.add("fragment_overlap");
        }
        if overlap == Overlap::Differs {
            weird.add("fragment_overlap_differs");
        }
    }

    /// Keeps what no earlier part covers; says what was covered.
    fn insert(&mut self, offset: usize, bytes: &[u8]) -> Overlap {
        let mut overlap = Overlap::None;
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let covered = self
                .pieces
                .range(..=at)
                .next_back()
                .and_then(|(start, piece)| piece.get(at - start..))
                .filter(|held| !held.is_empty());
            if let Some(held) = covered {
                let length = held.len().min(rest.len());
                let (again, left) = rest.split_at(length);
                let same = held.get(..length) == Some(again);
                overlap = overlap.max(if same { Overlap::Same } else { Overlap::Differs });
                rest = left;
                at += length;
                continue;
            }
            let room = self.pieces.range(at..).next().map_or(rest.len(), |(start, _)| start - at);
            let (piece, left) = rest.split_at(room.min(rest.len()));
            self.pieces.insert(at, piece.to_vec());
            self.held += piece.len();
            at += piece.len();
            rest = left;
        }
        overlap
    }

    fn is_complete(&self) -> bool {
        let Some(end) = self.end else { return false };
        let mut next = 0;
        for (start, piece) in &self.pieces {
            // What lies behind the end is not waited for.
            if *start > next || next >= end {
                break;
            }
            next = start + piece.len();
        }
        next >= end && self.protocol.is_some()
    }

    fn join(self) -> Option<Whole> {
        let mut bytes: Vec<u8> = self.pieces.into_values().flatten().collect();
        bytes.truncate(self.end?);
        Some(Whole {
            bytes,
            header_length: self.header_length,
            protocol: self.protocol?,
            wire_length: self.wire_length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn key(identifier: u32) -> Key {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Key { source: address, destination: address, identifier, vlans: VlanKey::default(), protocol: 17 }
    }

    fn part(offset: usize, more: bool) -> Fragment {
        Fragment { offset, more, header_length: 20, protocol: 17 }
    }

    #[test]
    fn first_bytes_win() {
        let mut fragments = Fragments::new(Limits::default());
        let mut weird = Weird::default();
        let mut add = |fragment, bytes: &[u8]| {
            fragments.add(key(1), fragment, bytes, Timestamp::default(), 10, &mut weird)
        };
        assert!(add(part(8, true), b"bbbbbbbb").is_none());
        assert!(add(part(0, true), b"aaaaaaaaXXXXXXXX").is_none());
        let whole = add(part(16, false), b"cc").unwrap();
        assert_eq!(whole.bytes, b"aaaaaaaabbbbbbbbcc");
        assert_eq!(whole.wire_length, 30);
        assert_eq!(weird.count("fragment_overlap"), 1);
        assert_eq!(weird.count("fragment_overlap_differs"), 1);
    }

    #[test]
    fn a_repeated_fragment_is_no_forgery() {
        let mut fragments = Fragments::new(Limits::default());
        let mut weird = Weird::default();
        let mut add = |fragment, bytes: &[u8]| {
            fragments.add(key(1), fragment, bytes, Timestamp::default(), 10, &mut weird)
        };
        assert!(add(part(0, true), b"aaaaaaaabbbbbbbb").is_none());
        assert!(add(part(0, true), b"aaaaaaaabbbbbbbb").is_none());
        assert!(add(part(8, true), b"bbbbbbbbcccccccc").is_none());
        assert_eq!(add(part(24, false), b"d").unwrap().bytes, b"aaaaaaaabbbbbbbbccccccccd");
        assert_eq!((weird.count("fragment_overlap"), weird.count("fragment_overlap_differs")), (2, 0));
    }

    #[test]
    fn two_ends_are_told() {
        let mut fragments = Fragments::new(Limits::default());
        let mut weird = Weird::default();
        let mut add = |fragment, bytes: &[u8]| {
            fragments.add(key(1), fragment, bytes, Timestamp::default(), 10, &mut weird)
        };
        assert!(add(part(16, false), b"end").is_none());
        assert!(add(part(24, false), b"later end").is_none());
        assert_eq!(add(part(0, true), b"aaaaaaaabbbbbbbb").unwrap().bytes, b"aaaaaaaabbbbbbbbend");
        assert_eq!(weird.count("fragment_size_inconsistency"), 1);
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { datagrams: 2, bytes: 100, wait: Duration::from_secs(1) };
        let mut fragments = Fragments::new(limits);
        let mut weird = Weird::default();
        for identifier in 0..50 {
            fragments.add(key(identifier), part(0, true), &[0; 60], Timestamp::default(), 1, &mut weird);
            assert!(fragments.waiting.len() <= 2 && fragments.held <= 160);
        }
        fragments.expire(Timestamp::from_seconds(10), &mut weird);
        assert_eq!((fragments.waiting.len(), fragments.held), (0, 0));
        assert_eq!(weird.count("fragment_dropped") + weird.count("fragment_timeout"), 50);
    }

    proptest! {
        #[test]
        fn any_order_gives_the_whole(cuts in prop::collection::vec(1_usize..40, 1..20), seed: u64) {
            let length: usize = cuts.iter().sum();
            let whole: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut parts = Vec::new();
            let mut at = 0;
            for cut in cuts {
                parts.push((at, whole[at..at + cut].to_vec()));
                at += cut;
            }
            let count = parts.len();
            parts.rotate_left(usize::try_from(seed % 7).unwrap() % count);
            let mut fragments = Fragments::new(Limits::default());
            let mut weird = Weird::default();
            let mut done = None;
            for (offset, bytes) in parts {
                let more = offset + bytes.len() < length;
                let result = fragments.add(key(1), part(offset, more), &bytes, Timestamp::default(), 1, &mut weird);
                done = done.or(result);
            }
            prop_assert_eq!(done.unwrap().bytes, whole);
        }
    }
}
