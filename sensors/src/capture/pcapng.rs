//! The pcapng format: blocks; several interfaces, each with its own link type and clock.
//!
//! Read: section header, interface description (`if_tsresol`, `if_tsoffset`), enhanced, simple and the obsolete packet
//! block. Every other block is skipped. Source: draft-ietf-opsawg-pcapng.

use dongson_event::Timestamp;

use super::file::{CaptureError, Input, Order};
use super::{Frame, LinkType, MAX_FRAME_BYTES};

/// The type of the section header block, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const SECTION: u32 = 0x0a0d_0d0a;

/// Most interfaces in a section.
const MAX_INTERFACES: usize = 1_024;

/// What is known of the current section, and the buffer of the current block.
pub(super) struct Reader {
    order: Order,
    interfaces: Vec<Interface>,
    /// For simple packet blocks, which carry no time.
    last: Timestamp,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    snap_length: u32,
    resolution: u8,
    offset_seconds: i64,
}

/// Where a packet lies inside the body of its block.
struct Packet {
    interface: Interface,
    at: Timestamp,
    start: usize,
    captured: usize,
    wire_length: u32,
}

impl Reader {
    /// Reads the rest of the first section header after its type.
    pub(super) fn start(input: &mut Input) -> Result<Self, CaptureError> {
        let mut reader = Self {
            order: Order::Little,
            interfaces: Vec::new(),
            last: Timestamp::default(),
            buffer: Vec::new(),
        };
        reader.section(input, 0)?;
        Ok(reader)
    }

    /// The next frame; `None` at the end of the file.
    pub(super) fn next_frame(&mut self, input: &mut Input) -> Result<Option<Frame<'_>>, CaptureError> {
        while let Some(kind) = self.next_block(input)? {
            let found = match kind {
                INTERFACE => {
                    self.interface(input.offset)?;
                    None
                }
                ENHANCED_PACKET => self.enhanced(),
                OLD_PACKET => self.old(),
                SIMPLE_PACKET => self.simple(),
                _ => None,
            };
            if let Some(packet) = found {
                self.last = packet.at;
                let end = packet.start.saturating_add(packet.captured);
                let bytes = self.buffer.get(packet.start..end.min(self.buffer.len())).unwrap_or_default();
                return Ok(Some(Frame {
                    at: packet.at,
                    link: packet.interface.link,
                    bytes,
                    wire_length: packet.wire_length.max(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
                    vlan: None,
                }));
            }
        }
        Ok(None)
    }

    /// Reads one block; its body (without type, lengths) is then in the buffer.
    fn next_block(&mut self, input: &mut Input) -> Result<Option<u32>, CaptureError> {
        let record = input.offset;
        let mut kind = [0_u8; 4];
        match input.fill(&mut kind)? {
            0 => return Ok(None),
            4 => {}
            _ => return Err(CaptureError::Cut { offset: record }),
        }
        if kind == MAGIC {
            self.section(input, record)?;
            return Ok(Some(SECTION));
        }
        let kind = self.order.u32(&kind, 0);
        let mut length = [0_u8; 4];
        input.fill_whole(&mut length, record)?;
        let length = self.order.u32(&length, 0);
        self.body(input, length, 8, record)?;
        Ok(Some(kind))
    }

    /// Reads what follows `done` bytes of a block of `length` bytes; the trailing length is dropped.
    fn body(&mut self, input: &mut Input, length: u32, done: usize, record: u64) -> Result<(), CaptureError> {
        let length = length as usize;
        if length < done + 4 || length > MAX_FRAME_BYTES + (1 << 16) {
            let reason = format!("a block of {length} bytes");
            return Err(CaptureError::Damaged { offset: record, reason });
        }
        // Blocks are padded to four bytes; some writers forget that in the length.
        let padded = length.next_multiple_of(4);
        input.fill_vec(&mut self.buffer, padded - done, record)?;
        self.buffer.truncate(padded - done - 4);
        Ok(())
    }

    /// A section header after its type: byte order, then a new list of interfaces.
    fn section(&mut self, input: &mut Input, record: u64) -> Result<(), CaptureError> {
        let mut head = [0_u8; 8];
        input.fill_whole(&mut head, record)?;
        self.order = match head.last_chunk::<4>() {
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
            _ => {
                let reason = "a section without the byte-order mark".to_owned();
                return Err(CaptureError::Damaged { offset: record, reason });
            }
        };
        self.interfaces.clear();
        let length = self.order.u32(&head, 0);
        self.body(input, length, 12, record)
    }

    fn interface(&mut self, offset: u64) -> Result<(), CaptureError> {
        if self.interfaces.len() >= MAX_INTERFACES {
            let reason = format!("more than {MAX_INTERFACES} interfaces in a section");
            return Err(CaptureError::Damaged { offset, reason });
        }
        let mut found = Interface {
            link: LinkType(u32::from(self.order.u16(&self.buffer, 0))),
            snap_length: self.order.u32(&self.buffer, 4),
            resolution: 6,
            offset_seconds: 0,
        };
        let mut at = 8;
        while at + 4 <= self.buffer.len() {
            let (code, length) = (self.order.u16(&self.buffer, at), self.order.u16(&self.buffer, at + 2));
            match code {
                0 => break,
                9 => found.resolution = self.buffer.get(at + 4).copied().unwrap_or(6),
                14 => found.offset_seconds = self.order.i64(&self.buffer, at + 4),
                _ => {}
            }
            at += 4 + usize::from(length).next_multiple_of(4);
        }
        self.interfaces.push(found);
        Ok(())
    }

    fn enhanced(&self) -> Option<Packet> {
        let word = |at| self.order.u32(&self.buffer, at);
        let interface = *self.interfaces.get(word(0) as usize)?;
        Some(self.packet(interface, (word(4), word(8)), 20, word(12), word(16)))
    }

    fn old(&self) -> Option<Packet> {
        let word = |at| self.order.u32(&self.buffer, at);
        let interface = *self.interfaces.get(usize::from(self.order.u16(&self.buffer, 0)))?;
        Some(self.packet(interface, (word(4), word(8)), 20, word(12), word(16)))
    }

    fn simple(&self) -> Option<Packet> {
        let interface = *self.interfaces.first()?;
        let wire_length = self.order.u32(&self.buffer, 0);
        let snap = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
        let captured = wire_length.min(snap) as usize;
        Some(Packet { interface, at: self.last, start: 4, captured, wire_length })
    }

    fn packet(
        &self,
        interface: Interface,
        (high, low): (u32, u32),
        start: usize,
        captured: u32,
        wire_length: u32,
    ) -> Packet {
        let units = (u64::from(high) << 32) | u64::from(low);
        let at = interface.moment(units);
        let room = self.buffer.len().saturating_sub(start);
        Packet { interface, at, start, captured: (captured as usize).min(room), wire_length }
    }
}

impl Interface {
    /// A count of this interface's time units as a moment; saturates.
    fn moment(self, units: u64) -> Timestamp {
        let exponent = u32::from(self.resolution & 0x7f);
        let per_second: u128 = if self.resolution & 0x80 == 0 {
            10_u128.checked_pow(exponent)
        } else {
            2_u128.checked_pow(exponent)
        }
        .unwrap_or(u128::MAX);
        let nanos = u128::from(units).saturating_mul(1_000_000_000) / per_second;
        let shift = i128::from(self.offset_seconds).saturating_mul(1_000_000_000);
        let total = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(shift);
        Timestamp::from_nanos(i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX }))
    }
}
