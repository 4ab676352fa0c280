//! How records lie on disk: a frame holds consecutive records of one partition.
//!
//! Header, little endian: version u8 = 1, appended u64 (milliseconds since 1970), bytes of the partition before this
//! frame u64, count u32. Then per record: timestamp i64, length of key u32, key, length of value u32, value, number
//! of headers u16, per header length of name u16, name, length of value u32, value. The key of a frame in its
//! keyspace is the offset of its first record, u64 big endian. Checksums are the store's.

use bytes::{Buf, BufMut, Bytes};
use dongson_event::Timestamp;

use crate::{BusError, Record, Result};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 21;
/// A frame is closed when it holds this many bytes ...
pub(super) const FRAME_BYTES: usize = 512 << 10;
/// ... or records.
pub(super) const FRAME_RECORDS: u32 = 4_096;

/// What stands before the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// When it was appended, milliseconds since 1970.
    pub(super) appended_ms: u64,
    /// Bytes of all frames of the partition before this one, since its creation.
    pub(super) bytes_before: u64,
    /// How many records.
    pub(super) count: u32,
}

/// A frame being filled.
#[derive(Debug)]
pub(super) struct Builder {
    bytes: Vec<u8>,
    count: u32,
}

impl Builder {
    /// An empty frame.
    pub(super) fn new(appended_ms: u64, bytes_before: u64) -> Self {
        let mut bytes = Vec::with_capacity(4 << 10);
        bytes.put_u8(VERSION);
        bytes.put_u64_le(appended_ms);
        bytes.put_u64_le(bytes_before);
        bytes.put_u32_le(0);
        Self { bytes, count: 0 }
    }

    /// Adds a record whose sizes were checked.
    pub(super) fn push(&mut self, record: &Record) {
        self.count += 1;
        self.bytes.put_i64_le(record.timestamp.nanos());
        put_long(&mut self.bytes, &record.key);
        put_long(&mut self.bytes, &record.value);
        self.bytes.put_u16_le(u16::try_from(record.headers.len()).unwrap_or(u16::MAX));
        for (name, value) in record.headers.iter().take(usize::from(u16::MAX)) {
            let name = name.as_bytes().get(..usize::from(u16::MAX)).unwrap_or(name.as_bytes());
            self.bytes.put_u16_le(u16::try_from(name.len()).unwrap_or(u16::MAX));
            self.bytes.put_slice(name);
            put_long(&mut self.bytes, value);
        }
    }

    /// True when the next record belongs into a new frame.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FRAME_BYTES || self.count >= FRAME_RECORDS
    }

    /// Number of records in it.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The bytes for the disk.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if let Some(count) = self.bytes.get_mut(HEADER_BYTES - 4..HEADER_BYTES) {
            count.copy_from_slice(&self.count.to_le_bytes());
        }
        self.bytes
    }
}

fn put_long(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.put_u32_le(u32::try_from(part.len()).unwrap_or(u32::MAX));
    bytes.put_slice(part);
}

/// Reads the header alone.
pub(super) fn header(mut frame: &[u8]) -> Result<Header> {
    if frame.len() < HEADER_BYTES || frame.get_u8() != VERSION {
        return Err(BusError::Damaged(format!(
            "a frame of {} bytes has no header of version 1",
            frame.len()
        )));
    }
    Ok(Header {
        appended_ms: frame.get_u64_le(),
        bytes_before: frame.get_u64_le(),
        count: frame.get_u32_le(),
    })
}

/// Reads the records; they share the frame's memory.
pub(super) fn records(frame: &Bytes) -> Result<Vec<Record>> {
    let count = header(frame)?.count;
    let mut rest = frame.slice(HEADER_BYTES..);
    let most = usize::try_from(count).unwrap_or(usize::MAX).min(rest.len() / 18);
    let mut records = Vec::with_capacity(most);
    for _ in 0..count {
        records.push(
            record(&mut rest).ok_or_else(|| BusError::Damaged("a frame ends inside a record".to_owned()))?,
        );
    }
    Ok(records)
}

fn record(rest: &mut Bytes) -> Option<Record> {
    let timestamp = Timestamp::from_nanos(rest.try_get_i64_le().ok()?);
    let key = take_long(rest)?;
    let value = take_long(rest)?;
    let headers = rest.try_get_u16_le().ok()?;
    let headers = (0..headers).map(|_| header_pair(rest)).collect::<Option<Vec<_>>>()?;
    Some(Record { key, value, headers, timestamp })
}

fn header_pair(rest: &mut Bytes) -> Option<(String, Bytes)> {
    let length = usize::from(rest.try_get_u16_le().ok()?);
    let name = take(rest, length)?;
    Some((String::from_utf8_lossy(&name).into_owned(), take_long(rest)?))
}

fn take_long(rest: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    take(rest, length)
}

fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (rest.len() >= length).then(|| rest.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(parts in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>(), any::<i64>(), prop::collection::vec(("[a-z]{0,9}", any::<Vec<u8>>()), 0..3)), 0..20), at: u64, before: u64) {
            let sent: Vec<Record> = parts.into_iter().map(|(key, value, nanos, headers)| Record {
                key: key.into(), value: value.into(), timestamp: Timestamp::from_nanos(nanos),
                headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            }).collect();
            let mut builder = Builder::new(at, before);
            for record in &sent {
                builder.push(record);
            }
            let frame = Bytes::from(builder.finish());
            prop_assert_eq!(header(&frame).unwrap(), Header { appended_ms: at, bytes_before: before, count: u32::try_from(sent.len()).unwrap() });
            prop_assert_eq!(records(&frame).unwrap(), sent);
        }

        #[test]
        fn changed_frames_are_read_or_refused(
            values in prop::collection::vec("[a-z]{0,9}", 0..5),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
            end: prop::sample::Index,
        ) {
            let mut builder = Builder::new(1, 2);
            for value in values {
                builder.push(&Record::new("key", value, Timestamp::default()));
            }
            let mut bytes = builder.finish();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            drop(records(&Bytes::from(bytes.clone())));
            bytes.truncate(end.index(bytes.len() + 1));
            drop((header(&Bytes::from(bytes.clone())), records(&Bytes::from(bytes))));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>) {
            drop(records(&Bytes::from(bytes.clone())));
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            drop(records(&Bytes::from(bytes)));
        }
    }
}
