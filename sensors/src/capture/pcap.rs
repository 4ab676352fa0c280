//! The classic pcap format: a header of 24 bytes, then records.
//!
//! Both byte orders, micro- and nanoseconds, and the variant with longer record headers (magic `a1b2cd34`). Source:
//! draft-ietf-opsawg-pcap.

use dongson_event::Timestamp;

use super::file::{CaptureError, Input, Order, Record};
use super::{LinkType, MAX_FRAME_BYTES};

/// What the file header says.
pub(super) struct Reader {
    order: Order,
    /// Nanoseconds in a unit of the second half of a time.
    unit: i64,
    /// Length of a record header in bytes: 16, or 24 in the variant.
    record_header: usize,
    link: LinkType,
}

impl Reader {
    /// Reads the rest of the file header after its first four bytes.
    pub(super) fn start(magic: [u8; 4], input: &mut Input) -> Result<Self, CaptureError> {
        let (order, unit, record_header) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1_000, 16),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1_000, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1, 16),
            [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, 1_000, 24),
            [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, 1_000, 24),
            other => return Err(CaptureError::UnknownFormat(other.to_vec())),
        };
        let rest = input.whole(20)?;
        // The upper half of the last word holds flags about the frame check sequence.
        let link = LinkType(order.u32(rest, 16) & 0xffff);
        input.pass(20);
        Ok(Self { order, unit, record_header, link })
    }

    /// Passes the next frame; `None` at the end of the file.
    pub(super) fn next_record(&self, input: &mut Input) -> Result<Option<Record>, CaptureError> {
        let record = input.offset;
        let header = input.ahead(self.record_header)?;
        if header.len() < self.record_header {
            return if header.is_empty() { Ok(None) } else { Err(CaptureError::Cut { offset: record }) };
        }
        let word = |at| self.order.u32(header, at);
        let (seconds, fraction, captured, wire_length) = (word(0), word(4), word(8), word(12));
        let length = captured as usize;
        if length > MAX_FRAME_BYTES {
            let reason = format!("a frame of {length} bytes");
            return Err(CaptureError::Damaged { offset: record, reason });
        }
        let whole = self.record_header + length;
        input.whole(whole)?;
        input.pass(whole);
        let nanos = i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * self.unit;
        Ok(Some(Record { at: Timestamp::from_nanos(nanos), link: self.link, wire_length, length, back: 0 }))
    }
}
