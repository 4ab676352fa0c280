//! The layout of `ClickHouse`'s types on the wire, as far as our columns need it: values, and rows in `RowBinary`.

use std::net::Ipv6Addr;

use dongson_event::Timestamp;
use dongson_event::fields::Kind;

use super::cell::{Cell, element};

/// Appends the value of a cell; nothing for null and for lists.
pub(super) fn put_value(bytes: &mut Vec<u8>, cell: &Cell<'_>) {
    match cell {
        Cell::Null | Cell::List(_) => {}
        Cell::Text(text) => put_text(bytes, text),
        Cell::Long(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Cell::Float(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Cell::Bool(truth) => bytes.push(u8::from(*truth)),
        Cell::Ip(address) => bytes.extend_from_slice(&address.octets()),
        Cell::Date(moment) => bytes.extend_from_slice(&moment.nanos().to_le_bytes()),
    }
}

/// Appends a length or count (LEB128).
pub(super) fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let mut rest = count as u64;
    loop {
        let low = rest.to_le_bytes()[0] & 0x7f;
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Appends a String.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_count(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Takes a cell of a column of `kind`; `None` when the bytes end too early or are not such a cell.
pub(super) fn take_cell(bytes: &mut &[u8], kind: Kind, nullable: bool) -> Option<Cell<'static>> {
    if let Some(element) = element(kind) {
        let count = take_count(bytes)?;
        let cells = (0..count).map(|_| take_value(bytes, element)).collect::<Option<Vec<_>>>()?;
        return Some(if cells.is_empty() { Cell::Null } else { Cell::List(cells) });
    }
    if nullable && take_array::<1>(bytes)? != [0] {
        return Some(Cell::Null);
    }
    take_value(bytes, kind)
}

fn take_value(bytes: &mut &[u8], kind: Kind) -> Option<Cell<'static>> {
    Some(match kind {
        Kind::Long => Cell::Long(i64::from_le_bytes(take_array(bytes)?)),
        Kind::Float => Cell::Float(f64::from_le_bytes(take_array(bytes)?)),
        Kind::Bool => Cell::Bool(take_array::<1>(bytes)? != [0]),
        Kind::Ip => Cell::Ip(Ipv6Addr::from(take_array::<16>(bytes)?)),
        Kind::Date => Cell::Date(Timestamp::from_nanos(i64::from_le_bytes(take_array(bytes)?))),
        _ => Cell::Text(take_text(bytes)?.into()),
    })
}

/// Takes a length or count.
pub(super) fn take_count(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let [byte] = take_array(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return usize::try_from(value).ok();
        }
    }
    None
}

/// Takes a String; bytes that are not UTF-8 are replaced (we never write such).
pub(super) fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = take_count(bytes)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Takes a Nullable(String).
#[expect(clippy::option_option, reason = "outside: it could be read; inside: it is not null")]
pub(super) fn take_nullable_text(bytes: &mut &[u8]) -> Option<Option<String>> {
    match take_array(bytes)? {
        [0] => take_text(bytes).map(Some),
        _ => Some(None),
    }
}

/// Takes a `UInt16`.
pub(super) fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take_array(bytes).map(u16::from_le_bytes)
}

/// Takes a `UInt32`.
pub(super) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take_array(bytes).map(u32::from_le_bytes)
}

/// Takes a `UInt64`.
pub(super) fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take_array(bytes).map(u64::from_le_bytes)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}
