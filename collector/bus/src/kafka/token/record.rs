//! What stands in the topic of tokens.
//!
//! Key: the token's 16 bytes. Value: version u8 = 1, kind u8, then
//! - kind 1, an intent: node, 16 bytes; start of the process, u64 little endian; 0, or the offset of the intent that it
//!   replaces + 1; a count; so many pairs of partition and offset, below which the batch has no record.
//! - kind 2, done: offset of the intent; a count; so many runs of partition, first offset, number of records.
//!
//! Numbers without a width are LEB128.

use bytes::{Buf, BufMut};

use super::super::wire::TokenId;
use crate::{Position, Record};

const VERSION: u8 = 1;
const INTENT: u8 = 1;
const DONE: u8 = 2;
/// More records than a batch can have.
const MOST_RECORDS: u64 = 1 << 25;

/// Who is about to append a batch, and where to look for what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    /// The installation.
    pub(super) node: [u8; 16],
    /// Which start of it.
    pub(super) start: u64,
    /// The intent of somebody who did not finish.
    pub(super) replaces: Option<u64>,
    /// By partition, an offset that no record of the batch is below.
    pub(super) lows: Vec<(u32, u64)>,
}

/// Consecutive records of one partition: partition, first offset, how many.
pub(super) type Run = (u32, u64, u32);

/// A record of the topic of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Somebody begins.
    Intent(Intent),
    /// All records of the batch are there.
    Done {
        /// Offset of the intent under which it was done.
        intent: u64,
        /// Where they are, in the order of the batch.
        runs: Vec<Run>,
    },
}

impl Said {
    /// As a record about `token`.
    pub(super) fn to_record(&self, token: TokenId) -> Record {
        let mut bytes = vec![VERSION];
        match self {
            Self::Intent(intent) => {
                bytes.put_u8(INTENT);
                bytes.put_slice(&intent.node);
                bytes.put_u64_le(intent.start);
                put(&mut bytes, intent.replaces.map_or(0, |offset| offset + 1));
                put(&mut bytes, intent.lows.len() as u64);
                for (partition, offset) in &intent.lows {
                    put(&mut bytes, u64::from(*partition));
                    put(&mut bytes, *offset);
                }
            }
            Self::Done { intent, runs } => {
                bytes.put_u8(DONE);
                put(&mut bytes, *intent);
                put(&mut bytes, runs.len() as u64);
                for (partition, first, count) in runs {
                    put(&mut bytes, u64::from(*partition));
                    put(&mut bytes, *first);
                    put(&mut bytes, u64::from(*count));
                }
            }
        }
        Record::new(token.to_vec(), bytes, dongson_event::Timestamp::default())
    }

    /// Reads the value of a record; `None` for what this version did not write.
    pub(super) fn read(mut bytes: &[u8]) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let said = match bytes.try_get_u8().ok()? {
            INTENT => {
                let mut node = [0; 16];
                bytes.try_copy_to_slice(&mut node).ok()?;
                let start = bytes.try_get_u64_le().ok()?;
                let replaces = take(&mut bytes)?.checked_sub(1);
                let lows = list(&mut bytes, 2, |bytes| Some((narrow(take(bytes)?)?, take(bytes)?)))?;
                Self::Intent(Intent { node, start, replaces, lows })
            }
            DONE => {
                let intent = take(&mut bytes)?;
                let runs = list(&mut bytes, 3, |bytes| {
                    let run = (narrow(take(bytes)?)?, take(bytes)?, narrow(take(bytes)?)?);
                    run.1.checked_add(u64::from(run.2)).map(|_| run)
                })?;
                let records: u64 = runs.iter().map(|run| u64::from(run.2)).sum();
                (records <= MOST_RECORDS).then_some(Self::Done { intent, runs })?
            }
            _ => return None,
        };
        bytes.is_empty().then_some(said)
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            bytes.put_u8(low);
            return;
        }
        bytes.put_u8(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        let part = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            // One way to write each number.
            return (byte != 0 || shift == 0).then_some(number);
        }
    }
    None
}

fn narrow(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

/// A count and so many items of at least `least` bytes each: a count that the bytes cannot hold is refused.
fn list<T>(bytes: &mut &[u8], least: usize, item: impl Fn(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = usize::try_from(take(bytes)?).ok()?;
    if count > bytes.len() / least {
        return None;
    }
    (0..count).map(|_| item(bytes)).collect()
}

/// Positions as runs.
pub(super) fn compact(positions: &[Position]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for position in positions {
        match runs.last_mut() {
            Some((partition, first, count))
                if *partition == position.partition && *first + u64::from(*count) == position.offset =>
            {
                *count += 1;
            }
            _ => runs.push((position.partition, position.offset, 1)),
        }
    }
    runs
}

/// Runs as positions.
pub(super) fn expand(runs: &[Run]) -> Vec<Position> {
    let run = |&(partition, first, count): &Run| {
        (0..u64::from(count)).map(move |step| Position { partition, offset: first + step })
    };
    runs.iter().flat_map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said() -> impl Strategy<Value = Said> {
        let intent =
            (any::<[u8; 16]>(), any::<u64>(), prop::option::of(0..u64::MAX - 1), any::<Vec<(u32, u64)>>())
                .prop_map(|(node, start, replaces, lows)| {
                    Said::Intent(Intent { node, start, replaces, lows })
                });
        let run = (any::<u32>(), 0..u64::MAX / 2, 0_u32..9_999);
        let done = (any::<u64>(), prop::collection::vec(run, 0..50))
            .prop_map(|(intent, runs)| Said::Done { intent, runs });
        prop_oneof![intent, done]
    }

    proptest! {
        #[test]
        fn what_was_said_comes_back(said in said()) {
            prop_assert_eq!(Said::read(&said.to_record([7; 16]).value), Some(said));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(said) = Said::read(&bytes) {
                prop_assert_eq!(&said.to_record([0; 16]).value[..], &bytes[..]);
            }
        }

        #[test]
        fn changed_records_are_read_or_refused(said in said(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut bytes = said.to_record([0; 16]).value.to_vec();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Some(Said::Done { runs, .. }) = Said::read(&bytes) {
                let records: u64 = runs.iter().map(|run| u64::from(run.2)).sum();
                prop_assert!(records <= MOST_RECORDS);
            }
        }

        #[test]
        fn runs_keep_the_order(moves in prop::collection::vec((0_u32..3, 0_u64..3), 0..50)) {
            let positions: Vec<Position> = moves.into_iter().map(|(partition, offset)| Position { partition, offset }).collect();
            prop_assert_eq!(expand(&compact(&positions)), positions);
        }
    }

    #[test]
    fn a_count_that_cannot_be_is_refused() {
        let mut bytes = vec![VERSION, DONE, 0];
        put(&mut bytes, u64::from(u32::MAX));
        assert_eq!(Said::read(&bytes), None);
    }
}
