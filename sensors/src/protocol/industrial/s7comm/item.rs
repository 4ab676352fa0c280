//! Variables of S7comm: which were read or written, and with what result.

use dongson_event::Event;

use super::super::super::wire::Cursor;

/// Variables of one job that are told: more than fit into one PDU.
const MAX_ITEMS: usize = 64;

/// The variables of a job: their number, and each with a header, its length and its address.
pub(super) fn describe(event: &mut Event, mut cursor: Cursor<'_>) -> Option<()> {
    let count = usize::from(cursor.u8()?);
    event.set("dongson.s7comm.item_count", u64::try_from(count).ok()?);
    let mut items = Vec::new();
    while let Some(0x12) = cursor.u8() {
        let Some(address) = cursor.vec8() else { break };
        if items.len() == count.min(MAX_ITEMS) {
            break;
        }
        items.push(any(address).unwrap_or_else(|| "symbolic".to_owned()));
        // Items of an odd length are filled up to an even one.
        if address.len() % 2 == 1 {
            cursor.u8();
        }
    }
    if !items.is_empty() {
        event.set("dongson.s7comm.items", items);
    }
    Some(())
}

/// An address of the kind "any" (0x10), as programmers write it: `DB10.DBX20.0 BYTE 4`, `M3.0 BIT 1`.
fn any(address: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(address);
    if cursor.u8()? != 0x10 {
        return None;
    }
    let (kind, count, block, area) = (cursor.u8()?, cursor.u16()?, cursor.u16()?, cursor.u8()?);
    let bits = cursor.u24()?;
    let (byte, bit) = (bits / 8, bits % 8);
    let place = match area {
        0x84 => format!("DB{block}.DBX{byte}.{bit}"),
        0x85 => format!("DI{block}.DIX{byte}.{bit}"),
        // Counters and timers are numbered.
        0x1c | 0x1e => format!("C{bits}"),
        0x1d | 0x1f => format!("T{bits}"),
        0x80 => format!("P{byte}.{bit}"),
        0x81 => format!("I{byte}.{bit}"),
        0x82 => format!("Q{byte}.{bit}"),
        0x83 => format!("M{byte}.{bit}"),
        0x86 => format!("L{byte}.{bit}"),
        0x87 => format!("V{byte}.{bit}"),
        other => format!("area-{other:#04x}:{byte}.{bit}"),
    };
    Some(format!("{place} {} {count}", size(kind)))
}

/// In which unit the length of a variable is told.
fn size(code: u8) -> String {
    let name = match code {
        1 => "BIT",
        2 => "BYTE",
        3 => "CHAR",
        4 => "WORD",
        5 => "INT",
        6 => "DWORD",
        7 => "DINT",
        8 => "REAL",
        9 => "DATE",
        10 => "TOD",
        11 => "TIME",
        12 => "S5TIME",
        15 => "DATE_AND_TIME",
        28 => "COUNTER",
        29 => "TIMER",
        other => return format!("TYPE-{other}"),
    };
    name.to_owned()
}

/// The result of each variable: of a write one byte each; of a read with kind, length and value behind it.
pub(super) fn results(write: bool, count: usize, data: &[u8]) -> Vec<u8> {
    let mut cursor = Cursor::new(data);
    let mut results = Vec::new();
    while results.len() < count.min(MAX_ITEMS) {
        let Some(result) = cursor.u8() else { break };
        results.push(result);
        if write {
            continue;
        }
        let (Some(kind), Some(length)) = (cursor.u8(), cursor.u16()) else { break };
        // Kinds 3 to 5 tell their length in bits.
        let length = usize::from(length);
        let bytes = if matches!(kind, 3..=5) { length.div_ceil(8) } else { length };
        if cursor.take(bytes + bytes % 2).is_none() {
            break;
        }
    }
    results
}
