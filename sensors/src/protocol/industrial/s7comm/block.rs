//! Blocks of programs that go to a controller or come from it, and what runs there.

use dongson_event::Event;

use super::super::super::wire::{Cursor, text};
use super::names;

/// Loading up and down (0x1a to 0x1f): status, two bytes, a session of four; where a block is named, its name.
pub(super) fn transfer(event: &mut Event, code: u8, mut cursor: Cursor<'_>) -> Option<()> {
    event.set("dongson.s7comm.function_status", cursor.u8()?);
    cursor.u16()?;
    let session = cursor.u32()?;
    if matches!(code, 0x1e | 0x1f) {
        event.set("dongson.s7comm.session_id", session);
        return Some(());
    }
    let file = cursor.vec8()?;
    block(event, file.get(1..).unwrap_or_default());
    event.set("dongson.s7comm.file", text(file, 64));
    if code == 0x1a {
        // One sign, then six digits of the length in load memory and six of that of the code.
        let lengths = cursor.vec8()?;
        event.set_some("dongson.s7comm.block.length", digits(lengths.get(1..7)?));
    }
    Some(())
}

/// Kind, five digits of the number, and where it lies.
fn block(event: &mut Event, name: &[u8]) {
    let Some(kind) = name.get(..2).and_then(names::block) else { return };
    event.set("dongson.s7comm.block.type", kind);
    event.set_some("dongson.s7comm.block.number", name.get(2..7).and_then(digits));
    event.set_some("dongson.s7comm.block.filesystem", name.get(7).copied().and_then(names::filesystem));
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |value, digit| {
        digit.is_ascii_digit().then(|| value.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
    })
}

/// Program invocation: seven bytes, the parameters with their length in front, the service's name.
pub(super) fn program_invocation(event: &mut Event, mut cursor: Cursor<'_>) -> Option<()> {
    cursor.take(7)?;
    let parameters = cursor.vec16()?;
    let service = cursor.vec8()?;
    event.set("dongson.s7comm.subfunction", text(service, 64));
    match service {
        // Starts the program: from the beginning (`C `) or where it was.
        b"P_PROGRAM" => drop(event.set("event.action", "plc_start")),
        b"_INSE" | b"_DELE" => {
            event.set("event.action", if service == b"_INSE" { "activate_block" } else { "delete_block" });
            block(event, parameters.get(2..).unwrap_or_default());
        }
        b"_GARB" => drop(event.set("event.action", "compress_memory")),
        b"_MODU" => drop(event.set("event.action", "copy_ram_to_rom")),
        _ => {}
    }
    if !parameters.is_empty() && parameters.iter().all(|sign| matches!(sign, b' '..=b'~')) {
        event.set("dongson.s7comm.parameter", text(parameters, 64));
    }
    Some(())
}

/// The stop of the program: five bytes, its name.
pub(super) fn stop(event: &mut Event, mut cursor: Cursor<'_>) -> Option<()> {
    cursor.take(5)?;
    event.set("dongson.s7comm.subfunction", text(cursor.vec8()?, 64));
    Some(())
}
