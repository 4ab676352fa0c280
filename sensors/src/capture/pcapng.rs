//! The pcapng format: blocks; several interfaces, each with its own link type and clock.
//!
//! Read: section header, interface description (`if_tsresol`, `if_tsoffset`), enhanced, simple and the obsolete packet
//! block. Every other block is skipped. Source: draft-ietf-opsawg-pcapng.

use dongson_event::Timestamp;

use super::file::{CaptureError, Input, Order, Record};
use super::{LinkType, MAX_FRAME_BYTES};

/// The type of the section header block, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const SECTION: u32 = 0x0a0d_0d0a;

/// Most interfaces in a section.
const MAX_INTERFACES: usize = 1_024;

/// What is known of the current section.
pub(super) struct Reader {
    order: Order,
    interfaces: Vec<Interface>,
    /// For simple packet blocks, which carry no time.
    last: Timestamp,
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
        let mut reader = Self { order: Order::Little, interfaces: Vec::new(), last: Timestamp::default() };
        reader.section(input, 4)?;
        Ok(reader)
    }

    /// Passes the next frame; `None` at the end of the file.
    pub(super) fn next_record(&mut self, input: &mut Input) -> Result<Option<Record>, CaptureError> {
        while let Some(Block { kind, length, back }) = self.next_block(input)? {
            let body = input.passed(length, back);
            let found = match kind {
                INTERFACE => {
                    self.interface(body, input.offset)?;
                    None
                }
                ENHANCED_PACKET => self.enhanced(body),
                OLD_PACKET => self.old(body),
                SIMPLE_PACKET => self.simple(body),
                _ => None,
            };
            if let Some(packet) = found {
                self.last = packet.at;
                return Ok(Some(Record {
                    at: packet.at,
                    link: packet.interface.link,
                    wire_length: packet.wire_length,
                    length: packet.captured,
                    back: back + length.saturating_sub(packet.start + packet.captured),
                }));
            }
        }
        Ok(None)
    }

    /// Passes one block, and says where its body lies.
    fn next_block(&mut self, input: &mut Input) -> Result<Option<Block>, CaptureError> {
        let offset = input.offset;
        let head = input.ahead(8)?;
        let (kind, length) = match *head {
            [] => return Ok(None),
            [a, b, c, d, ..] if [a, b, c, d] == MAGIC => {
                input.pass(4);
                self.section(input, 4)?;
                return Ok(Some(Block { kind: SECTION, length: 0, back: 0 }));
            }
            _ if head.len() < 8 => return Err(CaptureError::Cut { offset }),
            _ => (self.order.u32(head, 0), self.order.u32(head, 4)),
        };
        let padded = padded(length, 8, offset)?;
        input.whole(padded)?;
        input.pass(padded);
        Ok(Some(Block { kind, length: padded - 12, back: 4 }))
    }

    /// A section header after its type: byte order, then a new list of interfaces.
    fn section(&mut self, input: &mut Input, done: usize) -> Result<(), CaptureError> {
        let offset = input.offset.saturating_sub(done as u64);
        let cut = CaptureError::Cut { offset };
        let head = input.ahead(8)?;
        let Some((length, order)) = head.split_first_chunk::<4>() else { return Err(cut) };
        self.order = match order {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            [_, _, _, _] => {
                let reason = "a section without the byte-order mark".to_owned();
                return Err(CaptureError::Damaged { offset, reason });
            }
            _ => return Err(cut),
        };
        self.interfaces.clear();
        let padded = padded(self.order.u32(length, 0), 12, offset)?;
        if input.ahead(padded - done)?.len() < padded - done {
            return Err(cut);
        }
        input.pass(padded - done);
        Ok(())
    }

    fn interface(&mut self, body: &[u8], offset: u64) -> Result<(), CaptureError> {
        if self.interfaces.len() >= MAX_INTERFACES {
            let reason = format!("more than {MAX_INTERFACES} interfaces in a section");
            return Err(CaptureError::Damaged { offset, reason });
        }
        let mut found = Interface {
            link: LinkType(u32::from(self.order.u16(body, 0))),
            snap_length: self.order.u32(body, 4),
            resolution: 6,
            offset_seconds: 0,
        };
        let mut at = 8;
        while at + 4 <= body.len() {
            let (code, length) = (self.order.u16(body, at), self.order.u16(body, at + 2));
            match code {
                0 => break,
                9 => found.resolution = body.get(at + 4).copied().unwrap_or(6),
                14 => found.offset_seconds = self.order.i64(body, at + 4),
                _ => {}
            }
            at += 4 + usize::from(length).next_multiple_of(4);
        }
        self.interfaces.push(found);
        Ok(())
    }

    fn enhanced(&self, body: &[u8]) -> Option<Packet> {
        let word = |at| self.order.u32(body, at);
        let interface = *self.interfaces.get(word(0) as usize)?;
        Some(packet(body, interface, (word(4), word(8)), 20, word(12), word(16)))
    }

    fn old(&self, body: &[u8]) -> Option<Packet> {
        let word = |at| self.order.u32(body, at);
        let interface = *self.interfaces.get(usize::from(self.order.u16(body, 0)))?;
        Some(packet(body, interface, (word(4), word(8)), 20, word(12), word(16)))
    }

    fn simple(&self, body: &[u8]) -> Option<Packet> {
        let interface = *self.interfaces.first()?;
        let wire_length = self.order.u32(body, 0);
        let snap = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
        let captured = (wire_length.min(snap) as usize).min(body.len().saturating_sub(4));
        Some(Packet { interface, at: self.last, start: 4, captured, wire_length })
    }
}

/// Where the body of a block lies: `length` bytes, `back` bytes before the place that the input is at.
struct Block {
    kind: u32,
    length: usize,
    back: usize,
}

fn packet(
    body: &[u8],
    interface: Interface,
    (high, low): (u32, u32),
    start: usize,
    captured: u32,
    wire_length: u32,
) -> Packet {
    let units = (u64::from(high) << 32) | u64::from(low);
    let at = interface.moment(units);
    let room = body.len().saturating_sub(start);
    Packet { interface, at, start, captured: (captured as usize).min(room), wire_length }
}

/// The whole length of a block that says `length`, which is at least `least` and the trailing length. Blocks are padded to
/// four bytes; some writers forget that in the length.
fn padded(length: u32, least: usize, offset: u64) -> Result<usize, CaptureError> {
    let length = length as usize;
    if length < least + 4 || length > MAX_FRAME_BYTES + (1 << 16) {
        let reason = format!("a block of {length} bytes");
        return Err(CaptureError::Damaged { offset, reason });
    }
    Ok(length.next_multiple_of(4))
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
