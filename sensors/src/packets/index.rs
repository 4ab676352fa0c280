//! The index of one file of the ring: which flows and which times lie where.
//!
//! A file is divided into granules of about [`GRANULE`] bytes. The index knows the first and last time of each, and for each
//! flow the granules that it is in (six bytes each, 1 to 2 % of the file). It also holds what cannot be read from the file: what the flow cut-off left
//! out, and what was lost. On disk: numbers in little-endian order behind a magic, and the first eight bytes of their SHA-256 at the
//! end; an index that is not whole is no index, and the file is read through instead.

use std::collections::{BTreeMap, HashSet};

use dongson_event::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::capture::LinkType;

/// About how many bytes of a file are looked through for one frame.
pub(super) const GRANULE: u64 = 64 << 10;
const MAGIC: &[u8; 8] = b"DONGPKT1";
/// Most flows whose cut is told apart in one file; further ones are added up under key 0.
const CUTS: usize = 65_536;

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granule {
    /// Where it starts.
    pub(super) offset: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// What was left out of a flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

/// What is known of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// How many bytes of the file the index knows.
    pub(super) covered: u64,
    pub(super) frames: u64,
    /// Frames lost by the queue or the disk while the file was written.
    pub(super) lost: u64,
    /// The link type of each interface, in the order of the file.
    pub(super) links: Vec<LinkType>,
    pub(super) granules: Vec<Granule>,
    /// A flow, and the number of a granule that it is in.
    pub(super) entries: Vec<(u32, u16)>,
    pub(super) cuts: BTreeMap<u32, Cut>,
    /// The flows of the last granule.
    current: HashSet<u32, ahash::RandomState>,
}

impl Index {
    /// Notes a frame of the flows `keys` that was written at `offset`.
    pub(super) fn add(&mut self, offset: u64, at: Timestamp, keys: impl Iterator<Item = u32>) {
        let full = self.granules.last().is_none_or(|last| offset >= last.offset + GRANULE);
        if full && u16::try_from(self.granules.len()).is_ok() {
            self.granules.push(Granule { offset, first: at, last: at });
            self.current.clear();
        }
        let Some(last) = self.granules.last_mut() else { return };
        last.first = last.first.min(at);
        last.last = last.last.max(at);
        self.frames += 1;
        let number = u16::try_from(self.granules.len() - 1).unwrap_or(u16::MAX);
        for key in keys {
            if self.current.insert(key) {
                self.entries.push((key, number));
            }
        }
    }

    /// Notes a frame of `key` that was not kept.
    pub(super) fn cut(&mut self, key: u32, bytes: u64) {
        let key = if self.cuts.len() >= CUTS && !self.cuts.contains_key(&key) { 0 } else { key };
        let cut = self.cuts.entry(key).or_default();
        cut.frames += 1;
        cut.bytes += bytes;
    }

    /// The first and last time in the file.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.granules.iter().map(|granule| granule.first).min()?;
        let last = self.granules.iter().map(|granule| granule.last).max()?;
        Some((first, last))
    }

    /// The numbers of the granules that may hold frames from `from` to `to` of one of the flows `keys`; of any flow without them.
    pub(super) fn granules_for(&self, from: Timestamp, to: Timestamp, keys: Option<&[u32]>) -> Vec<usize> {
        let mut wanted = vec![keys.is_none(); self.granules.len()];
        if let Some(keys) = keys {
            for (_, number) in self.entries.iter().filter(|(key, _)| keys.contains(key)) {
                if let Some(wanted) = wanted.get_mut(usize::from(*number)) {
                    *wanted = true;
                }
            }
        }
        let timely = |granule: &Granule| granule.last >= from && granule.first <= to;
        let numbered = self.granules.iter().zip(wanted).enumerate();
        numbered
            .filter(|(_, (granule, wanted))| *wanted && timely(granule))
            .map(|(number, _)| number)
            .collect()
    }

    /// Where the granule ends.
    pub(super) fn end_of(&self, number: usize) -> u64 {
        self.granules.get(number + 1).map_or(self.covered, |next| next.offset)
    }

    /// As it lies on the disk.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes();
        for number in [self.covered, self.frames, self.lost] {
            out.extend(number.to_le_bytes());
        }
        out.extend(count(self.links.len()));
        self.links.iter().for_each(|link| out.extend(link.0.to_le_bytes()));
        out.extend(count(self.granules.len()));
        for granule in &self.granules {
            out.extend(granule.offset.to_le_bytes());
            out.extend(granule.first.nanos().to_le_bytes());
            out.extend(granule.last.nanos().to_le_bytes());
        }
        out.extend(count(self.entries.len()));
        for (key, number) in &self.entries {
            out.extend(key.to_le_bytes());
            out.extend(number.to_le_bytes());
        }
        out.extend(count(self.cuts.len()));
        for (key, cut) in &self.cuts {
            out.extend(key.to_le_bytes());
            out.extend(cut.frames.to_le_bytes());
            out.extend(cut.bytes.to_le_bytes());
        }
        let sum = Sha256::digest(&out);
        out.extend(sum.iter().take(8));
        out
    }

    /// Reads what [`Index::encode`] wrote; `None` when it is not whole.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<8>()?;
        let right = Sha256::digest(body);
        if !right.iter().take(8).eq(sum) {
            return None;
        }
        let mut rest = Rest(body.strip_prefix(MAGIC)?);
        let mut index =
            Self { covered: rest.u64()?, frames: rest.u64()?, lost: rest.u64()?, ..Self::default() };
        for _ in 0..rest.u64()? {
            index.links.push(LinkType(rest.u32()?));
        }
        for _ in 0..rest.u64()? {
            let (offset, first, last) = (rest.u64()?, rest.time()?, rest.time()?);
            index.granules.push(Granule { offset, first, last });
        }
        for _ in 0..rest.u64()? {
            index.entries.push((rest.u32()?, u16::from_le_bytes(rest.take()?)));
        }
        for _ in 0..rest.u64()? {
            let (key, frames, bytes) = (rest.u32()?, rest.u64()?, rest.u64()?);
            index.cuts.insert(key, Cut { frames, bytes });
        }
        let last = u16::try_from(index.granules.len().saturating_sub(1)).unwrap_or(u16::MAX);
        index.current =
            index.entries.iter().filter(|(_, number)| *number == last).map(|(key, _)| *key).collect();
        Some(index)
    }
}

/// What is not read yet.
struct Rest<'b>(&'b [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (word, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*word)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.take().map(i64::from_le_bytes).map(Timestamp::from_nanos)
    }
}
