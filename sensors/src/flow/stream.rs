//! One direction of a TCP connection, put in order.
//!
//! Positions are relative to the initial sequence number: the first payload byte is at 1. Where segments overlap, the
//! bytes that came first win, whatever the receiver's system does. Bytes that differ from those that won are counted in
//! [`Budget::differing`]: compared are segments that wait with what comes again for their place, and a segment that comes
//! again as it was with the last one handed out (by a sum: what was handed out is not kept). A hole is given up when the
//! receiver acknowledges past it, or when too much waits behind it; the parser is then told how many bytes are missing.

use std::collections::BTreeMap;

/// What a parser is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk<'a> {
    /// The next bytes.
    Data(&'a [u8]),
    /// So many bytes are missing here.
    Gap(u64),
}

/// How much may wait behind holes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes that wait in one direction of one connection.
    pub stream_bytes: usize,
    /// Most segments that wait in one direction of one connection.
    pub stream_segments: usize,
    /// Most bytes that wait in all connections.
    pub total_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stream_bytes: 1 << 20, stream_segments: 2_048, total_bytes: 128 << 20 }
    }
}

/// What all streams share.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    /// Bytes that wait now.
    pub(crate) held: usize,
    /// How often a hole was given up because too much waited behind it.
    pub(crate) skipped: u64,
    /// How many segments came for a place that other bytes had.
    pub(crate) differing: u64,
    /// Payload bytes that came when no parser wanted more of their side.
    pub(crate) bypassed: u64,
}

/// Bytes that wait; `data` is empty when no parser wants them.
#[derive(Debug)]
struct Block {
    length: usize,
    data: Vec<u8>,
}

/// What waits behind a hole.
#[derive(Debug, Default)]
struct Waiting {
    blocks: BTreeMap<i64, Block>,
    /// Bytes of them.
    held: usize,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Stream {
    next: i64,
    /// Mostly nothing does, so there is no room for it; never empty.
    waiting: Option<Box<Waiting>>,
    /// Where the last segment handed out began, its length, and the sum of its bytes.
    last: (i64, u32, u64),
    /// False when no parser wants the bytes: positions are then followed without keeping data.
    pub(crate) wanted: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self { next: 1, waiting: None, last: (0, 0, 0), wanted: true }
    }
}

type Sink<'s> = dyn FnMut(Chunk<'_>) + 's;

impl Stream {
    /// Takes a segment that starts at `at`.
    pub(crate) fn data(&mut self, at: i64, bytes: &[u8], budget: &mut Budget, sink: &mut Sink<'_>) {
        if at == self.next && self.waiting.is_none() {
            if self.wanted {
                self.last = (at, short(bytes), sum(bytes));
            }
            self.deliver(bytes, bytes.len(), sink);
            return;
        }
        let (start, length, known) = self.last;
        // One byte may be the probe of a keep-alive, which is made up.
        if at == start && length > 1 && short(bytes) == length && sum(bytes) != known {
            budget.differing += 1;
        }
        let late = usize::try_from(self.next.saturating_sub(at)).unwrap_or(0);
        let Some(fresh) = bytes.get(late..).filter(|fresh| !fresh.is_empty()) else { return };
        self.insert(at.max(self.next), fresh, budget);
        self.advance(budget, sink);
        let limits = budget.limits;
        while self.waiting.as_deref().is_some_and(|Waiting { blocks, held }| {
            blocks.len() > limits.stream_segments
                || *held > limits.stream_bytes
                || (budget.held > limits.total_bytes && *held > 0)
        }) {
            budget.skipped += 1;
            self.skip_hole(budget, sink);
        }
    }

    /// Where the first block that waits begins.
    fn first_waiting(&self) -> Option<i64> {
        self.waiting.as_ref()?.blocks.keys().next().copied()
    }

    /// Everything before `until` has arrived at the receiver: holes before it will not be filled. Gives the bytes
    /// that are missing.
    pub(crate) fn acknowledged(&mut self, until: i64, budget: &mut Budget, sink: &mut Sink<'_>) -> u64 {
        let mut missing = 0;
        while self.next < until {
            let stop = self.first_waiting().map_or(until, |start| until.min(start));
            missing += self.give_up(stop, sink);
            self.advance(budget, sink);
        }
        missing
    }

    /// Moves on without telling the parser: nothing was lost there.
    pub(crate) fn pass_over(&mut self, until: i64, budget: &mut Budget, sink: &mut Sink<'_>) {
        self.next = self.next.max(until);
        self.advance(budget, sink);
    }

    /// Hands out what waits, with its holes; the connection is over.
    pub(crate) fn finish(&mut self, budget: &mut Budget, sink: &mut Sink<'_>) {
        while self.waiting.is_some() {
            self.skip_hole(budget, sink);
        }
    }

    fn skip_hole(&mut self, budget: &mut Budget, sink: &mut Sink<'_>) {
        if let Some(start) = self.first_waiting() {
            self.give_up(start, sink);
            self.advance(budget, sink);
        }
    }

    fn give_up(&mut self, until: i64, sink: &mut Sink<'_>) -> u64 {
        let missing = u64::try_from(until.saturating_sub(self.next)).unwrap_or(0);
        if missing > 0 {
            self.next = until;
            if self.wanted {
                sink(Chunk::Gap(missing));
            }
        }
        missing
    }

    fn deliver(&mut self, bytes: &[u8], length: usize, sink: &mut Sink<'_>) {
        self.next += i64::try_from(length).unwrap_or(i64::MAX);
        if self.wanted && !bytes.is_empty() {
            sink(Chunk::Data(bytes));
        }
    }

    /// Keeps what no earlier segment covers.
    fn insert(&mut self, at: i64, bytes: &[u8], budget: &mut Budget) {
        let (mut at, mut rest, mut differs) = (at, bytes, false);
        let Waiting { blocks, held } = &mut **self.waiting.get_or_insert_default();
        while !rest.is_empty() {
            let covered = blocks
                .range(..=at)
                .next_back()
                .map(|(start, block)| (block, usize::try_from(at - start).unwrap_or(usize::MAX)))
                .filter(|(block, inside)| block.length > *inside);
            if let Some((block, inside)) = covered {
                let (again, left) = rest.split_at((block.length - inside).min(rest.len()));
                let known = block.data.get(inside..inside + again.len());
                differs |= known.is_some_and(|known| known != again);
                at += i64::try_from(again.len()).unwrap_or(0);
                rest = left;
                continue;
            }
            let room = blocks
                .range(at..)
                .next()
                .map_or(rest.len(), |(start, _)| usize::try_from(start - at).unwrap_or(usize::MAX));
            let (piece, left) = rest.split_at(room.min(rest.len()));
            let data = if self.wanted { piece.to_vec() } else { Vec::new() };
            *held += data.len();
            budget.held += data.len();
            blocks.insert(at, Block { length: piece.len(), data });
            at += i64::try_from(piece.len()).unwrap_or(0);
            rest = left;
        }
        budget.differing += u64::from(differs);
    }

    /// Hands out all blocks that follow without a hole.
    fn advance(&mut self, budget: &mut Budget, sink: &mut Sink<'_>) {
        while let Some(Waiting { blocks, held }) = self.waiting.as_deref_mut() {
            let Some(entry) = blocks.first_entry() else {
                self.waiting = None;
                break;
            };
            if *entry.key() > self.next {
                break;
            }
            let (start, block) = entry.remove_entry();
            *held = held.saturating_sub(block.data.len());
            budget.held = budget.held.saturating_sub(block.data.len());
            let late = usize::try_from(self.next - start).unwrap_or(0);
            if late < block.length {
                let fresh = block.data.get(late..).unwrap_or_default();
                self.deliver(fresh, block.length - late, sink);
            }
        }
    }
}

/// A length, of which 32 bits are kept.
fn short(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// A sum that another order of eight-byte words would not change, but other bytes do.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let tail = rest.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    words.iter().fold(tail, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the parser saw: bytes, and `None` for each missing one.
    fn seen(chunk: &Chunk<'_>, out: &mut Vec<Option<u8>>) {
        match chunk {
            Chunk::Data(bytes) => out.extend(bytes.iter().copied().map(Some)),
            Chunk::Gap(length) => out.extend(std::iter::repeat_n(None, usize::try_from(*length).unwrap())),
        }
    }

    /// Blocks that wait, and their bytes.
    fn held(stream: &Stream) -> (usize, usize) {
        stream.waiting.as_ref().map_or((0, 0), |waiting| (waiting.blocks.len(), waiting.held))
    }

    #[track_caller]
    fn check(segments: &[(i64, &str)], acknowledged: i64, expected: &str) {
        let (mut stream, mut budget, mut out) = (Stream::default(), Budget::default(), Vec::new());
        for (at, text) in segments {
            stream.data(*at, text.as_bytes(), &mut budget, &mut |chunk| seen(&chunk, &mut out));
        }
        stream.acknowledged(acknowledged, &mut budget, &mut |chunk| seen(&chunk, &mut out));
        let text: String = out.into_iter().map(|byte| byte.map_or('_', char::from)).collect();
        assert_eq!(text, expected);
        assert_eq!(budget.held, held(&stream).1);
    }

    #[test]
    fn order_overlap_and_gaps() {
        check(&[(1, "abc"), (4, "def")], 0, "abcdef");
        check(&[(4, "def"), (1, "abc")], 0, "abcdef");
        check(&[(1, "abc"), (2, "XXd")], 0, "abcd");
        check(&[(3, "cd"), (1, "XXXX")], 0, "XXcd");
        check(&[(1, "ab"), (5, "ef")], 0, "ab");
        check(&[(1, "ab"), (5, "ef")], 7, "ab__ef");
        check(&[(1, "ab")], 6, "ab___");
    }

    #[track_caller]
    fn check_differing(segments: &[(i64, &str)], expected: u64) {
        let (mut stream, mut budget) = (Stream::default(), Budget::default());
        for (at, text) in segments {
            stream.data(*at, text.as_bytes(), &mut budget, &mut |_| {});
        }
        assert_eq!(budget.differing, expected);
    }

    #[test]
    fn other_bytes_for_the_same_place_are_counted() {
        check_differing(&[(1, "abc"), (1, "abc"), (4, "d")], 0);
        check_differing(&[(1, "abc"), (1, "abX")], 1);
        check_differing(&[(1, "a long segment"), (1, "a lang segment"), (1, "a long segment")], 1);
        check_differing(&[(5, "efgh"), (5, "efgh"), (3, "cdef")], 0);
        check_differing(&[(5, "efgh"), (3, "cdeX"), (7, "Xh")], 2);
    }

    #[test]
    fn too_much_behind_a_hole_gives_it_up() {
        let mut budget = Budget {
            limits: Limits { stream_bytes: 10, stream_segments: 3, total_bytes: 100 },
            ..Budget::default()
        };
        let mut stream = Stream::default();
        let mut out = Vec::new();
        stream.data(5, b"0123456789a", &mut budget, &mut |chunk| seen(&chunk, &mut out));
        assert_eq!((out.len(), budget.held, budget.skipped), (15, 0, 1));
    }

    proptest! {
        #[test]
        fn any_segments_in_bounds(segments in prop::collection::vec((-20_i64..3_000, 0_usize..200, -5_i64..3_000), 0..80)) {
            let limits = Limits { stream_bytes: 500, stream_segments: 8, total_bytes: 400 };
            let mut budget = Budget { limits, ..Budget::default() };
            let mut stream = Stream::default();
            let mut seen_bytes = 1_i64;
            for (at, length, acknowledged) in segments {
                let mut sink = |chunk: Chunk<'_>| seen_bytes += match chunk {
                    Chunk::Data(bytes) => i64::try_from(bytes.len()).unwrap(),
                    Chunk::Gap(length) => i64::try_from(length).unwrap(),
                };
                stream.data(at, &vec![7; length], &mut budget, &mut sink);
                stream.acknowledged(acknowledged, &mut budget, &mut sink);
                prop_assert_eq!(seen_bytes, stream.next);
                let (blocks, bytes) = held(&stream);
                prop_assert!(bytes <= 500 && blocks <= 8);
                prop_assert_eq!(bytes, budget.held);
                prop_assert_eq!(blocks == 0, stream.waiting.is_none());
            }
        }

        #[test]
        fn shuffled_segments_give_the_whole(length in 1_usize..600, size in 1_usize..50, step in 1_usize..40) {
            let whole: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut starts: Vec<usize> = (0..length).step_by(size).collect();
            let count = starts.len();
            starts.rotate_left(step % count);
            let (mut stream, mut budget, mut out) = (Stream::default(), Budget::default(), Vec::new());
            for start in starts {
                let piece = &whole[start..(start + size).min(length)];
                stream.data(1 + i64::try_from(start).unwrap(), piece, &mut budget, &mut |chunk| seen(&chunk, &mut out));
            }
            let expected: Vec<Option<u8>> = whole.into_iter().map(Some).collect();
            prop_assert_eq!(out, expected);
        }
    }
}
