//! The blocks of pcapng that the ring writes, and one of its own files read back from any place.
//!
//! A file starts with a section header (little-endian, no length) and has an interface description for each link type
//! where it first occurs, with time in nanoseconds; then enhanced packet blocks. Source: draft-ietf-opsawg-pcapng.

use dongson_event::Timestamp;

use crate::capture::{Frame, LinkType};
use crate::layer::Bytes as _;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
/// Bytes of a packet block beside its frame: type, two lengths, five words.
const PACKET_BYTES: usize = 32;
/// Longest block that is believed.
const LONGEST: usize = crate::capture::MAX_FRAME_BYTES + 64;

/// Writes the section header.
pub(super) fn section(out: &mut Vec<u8>) {
    let name = concat!("dongson-sensor ", env!("CARGO_PKG_VERSION"));
    let mut body = Vec::new();
    body.extend(0x1a2b_3c4d_u32.to_le_bytes());
    body.extend([1, 0, 0, 0]);
    body.extend([0xff; 8]);
    // Option 4: the program that wrote it; then the end of the options.
    body.extend(4_u16.to_le_bytes());
    body.extend(u16::try_from(name.len()).unwrap_or(0).to_le_bytes());
    body.extend(name.as_bytes());
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend([0; 4]);
    block(out, SECTION, &body);
}

/// Writes the description of an interface whose frames have this link type.
pub(super) fn interface(out: &mut Vec<u8>, link: LinkType) {
    let [low, high, ..] = link.0.to_le_bytes();
    // Option 9: the resolution of times, ten to the minus nine; then the end of the options.
    let body = [low, high, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    block(out, INTERFACE, &body);
}

fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    out.extend(body);
    out.extend(length);
}

/// Writes a frame. An outer VLAN tag that the kernel took out of an Ethernet frame is put back.
pub(super) fn packet(out: &mut Vec<u8>, interface: u32, frame: &Frame<'_>) {
    let tag = frame.vlan.filter(|_| frame.link == LinkType::ETHERNET && frame.bytes.len() >= 12);
    let added = if tag.is_some() { 4 } else { 0 };
    let captured = frame.bytes.len() + added;
    let padded = captured.next_multiple_of(4);
    let nanos = u64::try_from(frame.at.nanos()).unwrap_or(0);
    let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let length = word(padded + PACKET_BYTES);
    out.extend(PACKET.to_le_bytes());
    out.extend(length);
    out.extend(interface.to_le_bytes());
    // The upper half of the time comes first.
    out.extend(nanos.rotate_left(32).to_le_bytes());
    out.extend(word(captured));
    out.extend(frame.wire_length.saturating_add(if tag.is_some() { 4 } else { 0 }).to_le_bytes());
    let (head, rest) =
        frame.bytes.split_at_checked(12).filter(|_| tag.is_some()).unwrap_or((&[], frame.bytes));
    out.extend(head);
    if let Some(tag) = tag {
        let [high, low] = tag.to_be_bytes();
        out.extend([0x81, 0x00, high, low]);
    }
    out.extend(rest);
    out.resize(out.len() + padded - captured, 0);
    out.extend(length);
}

/// What stands at one place of a file.
pub(super) enum Block<'b> {
    /// An interface begins here.
    Interface(LinkType),
    /// A frame: the number of its interface, and the rest.
    Packet(u32, Timestamp, &'b [u8], u32),
    /// Anything else.
    Other,
}

/// Reads the block at the start of `bytes`: what it is, and its length. `None` when it is not whole or makes no sense.
pub(super) fn read(bytes: &[u8]) -> Option<(Block<'_>, usize)> {
    let kind = bytes.le32(0)?;
    let length = usize::try_from(bytes.le32(4)?).ok()?;
    if !(12..=LONGEST).contains(&length) || !length.is_multiple_of(4) {
        return None;
    }
    let whole = bytes.get(..length)?;
    if whole.le32(length - 4)? != bytes.le32(4)? {
        return None;
    }
    let block = match kind {
        INTERFACE => Block::Interface(LinkType(whole.le32(8)? & 0xffff)),
        PACKET => {
            let (high, low) = (whole.le32(12)?, whole.le32(16)?);
            let nanos = (u64::from(high) << 32) | u64::from(low);
            let captured = usize::try_from(whole.le32(20)?).ok()?;
            let frame = whole.get(28..length - 4)?.get(..captured)?;
            let at = Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
            Block::Packet(whole.le32(8)?, at, frame, whole.le32(24)?)
        }
        _ => Block::Other,
    };
    Some((block, length))
}
