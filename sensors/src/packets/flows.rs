//! Which flows a frame belongs to, and how much of each was kept.
//!
//! A frame in a tunnel belongs to the flow outside and to the one inside; a fragment to its pair of hosts (a flow with ports 0), the
//! first one also to its real flow. Flows are found by their Community ID: [`key_of`] is its beginning.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dongson_event::Timestamp;

use crate::capture::Frame;
use crate::flow::key::{Key, Tuple, protocol};
use crate::layer::{Bytes as _, Decoder, VlanKey};

/// Most flows of which it is known how much was kept; the longest silent ones are forgotten, half of them at a time.
const FLOWS: usize = 200_000;
/// After so long a silence the same addresses and ports are a new flow.
const IDLE: Duration = Duration::from_mins(5);

/// One flow of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) tuple: Tuple,
    pub(super) vlans: VlanKey,
    /// A segment that opens a TCP connection (SYN without ACK).
    pub(super) opens: bool,
    /// A segment that opens, closes or resets one.
    pub(super) marks: bool,
}

/// Says which flows a frame belongs to.
pub(super) struct Parts {
    decoder: Decoder,
    found: Vec<Part>,
}

impl Parts {
    pub(super) fn new() -> Self {
        Self { decoder: Decoder::of_pieces(), found: Vec::new() }
    }

    /// The flows of `frame`, outermost first; none for what is no IP packet.
    pub(super) fn of(&mut self, frame: &Frame<'_>) -> &[Part] {
        let found = &mut self.found;
        found.clear();
        self.decoder.frame(frame, &mut |datagram| {
            let (source, destination, number) = (datagram.source, datagram.destination, datagram.protocol);
            let tuple = Tuple::of(source, destination, number, datagram.payload)
                .unwrap_or_else(|| Tuple::of_hosts(source, destination, number));
            let flags = if number == protocol::TCP { datagram.payload.byte(13).unwrap_or(0) } else { 0 };
            found.push(Part {
                tuple,
                vlans: datagram.path.vlan_key(),
                opens: flags & 0x12 == 0x02,
                marks: flags & 0x07 != 0,
            });
        });
        &self.found
    }
}

/// How a flow is named in an index: the first four bytes of its Community ID's hash. Several flows may share one.
pub(super) fn key_of(community_id: &str) -> Option<u32> {
    let hash = STANDARD.decode(community_id.strip_prefix("1:")?).ok()?;
    (hash.len() == 20).then(|| hash.as_slice().be32(0))?
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    bytes: u64,
    last: Timestamp,
    key: u32,
}

/// How much of each flow was kept; in two halves, of which the older one is forgotten when the younger is full.
#[derive(Default)]
pub(super) struct Flows {
    young: HashMap<Key, Kept, ahash::RandomState>,
    old: HashMap<Key, Kept, ahash::RandomState>,
}

impl Flows {
    /// Counts `bytes` more of a flow, at most `limit` of them unless 0: the flow's key in the index, and whether they are kept.
    pub(super) fn add(&mut self, part: &Part, at: Timestamp, bytes: u64, limit: u64) -> (u32, bool) {
        let key = part.tuple.key(part.vlans);
        let mut kept = self.take(&key, &part.tuple, at);
        if part.opens || at.since(kept.last) > IDLE {
            kept.bytes = 0;
        }
        kept.last = kept.last.max(at);
        let fits = limit == 0 || part.marks || kept.bytes < limit;
        if fits {
            kept.bytes = kept.bytes.saturating_add(bytes);
        }
        let answer = (kept.key, fits);
        self.young.insert(key, kept);
        answer
    }

    fn take(&mut self, key: &Key, tuple: &Tuple, at: Timestamp) -> Kept {
        if let Some(kept) = self.young.get(key) {
            return *kept;
        }
        if self.young.len() >= FLOWS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        let name = || key_of(&tuple.community_id()).unwrap_or_default();
        self.old.remove(key).unwrap_or_else(|| Kept { bytes: 0, last: at, key: name() })
    }
}
