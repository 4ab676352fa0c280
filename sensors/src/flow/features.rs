//! What a model wants to know of a flow: sizes, the first lengths and intervals, the entropy of what is said.
//!
//! Looked at are packets with payload (TCP and UDP), in the order in which they came: a segment sent twice counts twice, and a handshake
//! or a bare acknowledgement does not count. So a flood of SYNs costs nothing. Memory: about 350 bytes for a flow that said
//! something, one KiB more until the first KiB of each side is over; at most [`LIVE`] flows at once have features, the others are counted.

use dongson_event::{Event, Timestamp};

use super::Side;
use super::rhythm::Rhythms;

/// Most live flows with features.
const LIVE: usize = 100_000;
/// How many packets are told one by one.
const FIRST: usize = 16;
/// How many bytes of each side the entropy is of.
const KIB: usize = 1_024;
/// The least payload of the bins beyond the first: 1-63, 64-127, 128-255, 256-511, 512-1023, 1024 and more bytes.
const BINS: [usize; 5] = [64, 128, 256, 512, 1_024];

/// What all flows of a table share for their features.
#[derive(Default)]
pub(crate) struct Memory {
    live: usize,
    /// Flows that had no room.
    pub(super) left_out: u64,
    pub(super) rhythms: Rhythms,
}

/// The features of one flow.
pub(crate) struct Features {
    source: Sizes,
    destination: Sizes,
    /// Payload of the first packets in bytes, negative from the responder, and microseconds since the one before.
    first: [(i32, u32); FIRST],
    told: u8,
    last: Timestamp,
}

/// What one side said.
#[derive(Default)]
struct Sizes {
    packets: [u32; BINS.len() + 1],
    bytes: [u64; BINS.len() + 1],
    entropy: Entropy,
}

/// The entropy of a beginning.
enum Entropy {
    /// How often each byte was there, and how many bytes there were.
    Counting(Option<Box<[u16; 256]>>, u16),
    /// In bits, from 0 to 8.
    Known(f64),
}

impl Default for Entropy {
    fn default() -> Self {
        Self::Counting(None, 0)
    }
}

impl Features {
    /// Features of a flow that begins to speak at `at`, while there is room.
    pub(super) fn begin(memory: &mut Memory, at: Timestamp) -> Option<Box<Self>> {
        if memory.live >= LIVE {
            memory.left_out += 1;
            return None;
        }
        memory.live += 1;
        let (source, destination) = (Sizes::default(), Sizes::default());
        Some(Box::new(Self { source, destination, first: [(0, 0); FIRST], told: 0, last: at }))
    }

    /// A packet whose payload has `length` bytes on the wire, of which `payload` was captured.
    pub(super) fn packet(&mut self, side: Side, at: Timestamp, length: usize, payload: &[u8]) {
        if let Some(slot) = self.first.get_mut(usize::from(self.told)) {
            let bytes = i32::try_from(length).unwrap_or(i32::MAX);
            let micros = u32::try_from(at.since(self.last).as_micros()).unwrap_or(u32::MAX);
            *slot = (if side == Side::Originator { bytes } else { -bytes }, micros);
            self.told += 1;
        }
        self.last = self.last.max(at);
        let sizes = if side == Side::Originator { &mut self.source } else { &mut self.destination };
        let bin = BINS.iter().filter(|least| length >= **least).count();
        if let (Some(packets), Some(bytes)) = (sizes.packets.get_mut(bin), sizes.bytes.get_mut(bin)) {
            *packets = packets.saturating_add(1);
            *bytes += length as u64;
        }
        sizes.entropy.add(payload);
    }

    /// The flow was seen from the wrong end.
    pub(super) fn turn_round(&mut self) {
        std::mem::swap(&mut self.source, &mut self.destination);
        self.first.iter_mut().for_each(|(length, _)| *length = -*length);
    }

    /// Writes them on the record of the flow, and gives the room back.
    pub(super) fn finish(self, memory: &mut Memory, event: &mut Event) {
        memory.live = memory.live.saturating_sub(1);
        let first = self.first.get(..usize::from(self.told)).unwrap_or_default();
        let lengths: Vec<i64> = first.iter().map(|(length, _)| i64::from(*length)).collect();
        let intervals: Vec<i64> = first.iter().map(|(_, micros)| i64::from(*micros)).collect();
        event.set("dongson.conn.lengths", lengths);
        event.set("dongson.conn.intervals", intervals);
        let sides = [
            (
                self.source,
                [
                    "dongson.conn.source.size_packets",
                    "dongson.conn.source.size_bytes",
                    "dongson.conn.source.entropy",
                ],
            ),
            (
                self.destination,
                [
                    "dongson.conn.destination.size_packets",
                    "dongson.conn.destination.size_bytes",
                    "dongson.conn.destination.entropy",
                ],
            ),
        ];
        for (sizes, [packets, bytes, entropy]) in sides {
            if sizes.packets.iter().all(|count| *count == 0) {
                continue;
            }
            event.set(packets, sizes.packets.map(i64::from).to_vec());
            event.set(bytes, sizes.bytes.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).to_vec());
            event.set_some(entropy, sizes.entropy.bits());
        }
    }
}

impl Entropy {
    fn add(&mut self, payload: &[u8]) {
        let Self::Counting(counts, seen) = self else { return };
        let room = KIB.saturating_sub(usize::from(*seen));
        let payload = payload.get(..room.min(payload.len())).unwrap_or_default();
        if payload.is_empty() {
            return;
        }
        let counts = counts.get_or_insert_with(|| Box::new([0; 256]));
        for byte in payload {
            if let Some(count) = counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
        }
        *seen += u16::try_from(payload.len()).unwrap_or(u16::MAX);
        if usize::from(*seen) >= KIB
            && let Some(bits) = self.bits()
        {
            *self = Self::Known(bits);
        }
    }

    /// Shannon's entropy of the bytes seen, in bits to three places; none without bytes.
    fn bits(&self) -> Option<f64> {
        match self {
            Self::Known(bits) => Some(*bits),
            Self::Counting(counts, seen) => {
                let (counts, all) = (counts.as_ref()?, f64::from(*seen));
                let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all);
                let bits: f64 = shares.map(|share| share * share.recip().log2()).sum();
                Some((bits * 1_000.0).round() / 1_000.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    /// A value as JSON.
    fn json(event: &Event, name: &str) -> String {
        serde_json::to_string(event.get(name).unwrap()).unwrap()
    }

    #[test]
    fn sizes_lengths_and_intervals() {
        let mut memory = Memory::default();
        let mut features = Features::begin(&mut memory, at(0)).unwrap();
        features.packet(Side::Originator, at(0), 63, &[b'a'; 63]);
        features.packet(Side::Responder, at(5), 64, &[b'a'; 64]);
        features.packet(Side::Responder, at(5), 1_460, &[b'b'; 100]);
        for number in 0..40 {
            features.packet(Side::Originator, at(100 + number), 512, &[]);
        }
        let mut event = Event::of("sensor.conn", at(0));
        features.finish(&mut memory, &mut event);
        assert_eq!(memory.live, 0);
        let longs = |name: &str| json(&event, name);
        assert!(longs("dongson.conn.lengths").starts_with("[63,-64,-1460,512,512"), "{event:?}");
        assert!(longs("dongson.conn.intervals").starts_with("[0,5000,0,95000,1000,1000"), "{event:?}");
        assert_eq!(longs("dongson.conn.lengths").split(',').count(), FIRST);
        assert_eq!(longs("dongson.conn.source.size_packets"), "[1,0,0,0,40,0]");
        assert_eq!(longs("dongson.conn.source.size_bytes"), "[63,0,0,0,20480,0]");
        assert_eq!(longs("dongson.conn.destination.size_packets"), "[0,1,0,0,0,1]");
        assert_eq!(json(&event, "dongson.conn.source.entropy"), "0.0");
        // 64 times a and 100 times b.
        assert_eq!(json(&event, "dongson.conn.destination.entropy"), "0.965");
    }

    #[test]
    fn entropy_is_of_the_first_kib() {
        let mut entropy = Entropy::default();
        assert_eq!(entropy.bits(), None);
        let even: Vec<u8> = (0..=255).collect();
        for _ in 0..4 {
            entropy.add(&even);
        }
        entropy.add(&[0; 5_000]);
        assert!(matches!(entropy, Entropy::Known(bits) if (bits - 8.0).abs() < 1e-9));
    }

    #[test]
    fn there_is_room_for_so_many_flows_and_the_others_are_counted() {
        let mut memory = Memory { live: LIVE, ..Memory::default() };
        assert!(Features::begin(&mut memory, at(0)).is_none());
        assert_eq!(memory.left_out, 1);
    }
}
