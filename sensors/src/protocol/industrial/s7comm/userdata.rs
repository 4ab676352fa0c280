//! User data of S7comm: what a programming device asks beside jobs (clock, blocks, identification, password).

use dongson_event::Event;

use super::super::super::wire::{Cursor, text};
use super::names;
use crate::protocol::secret;

/// Texts of an answer that are told.
const MAX_TEXTS: usize = 16;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// A report that nobody asked for.
    Report,
    Request,
    Answer,
}

/// Three bytes of head, their length, method, kind and group, what is asked, sequence number; of an answer also the error.
struct Parameters {
    turn: Turn,
    group: u8,
    code: u8,
    error: u16,
}

fn read(parameters: &[u8]) -> Option<Parameters> {
    let mut cursor = Cursor::new(parameters);
    cursor.take(3)?;
    let mut cursor = Cursor::new(cursor.vec8()?);
    cursor.u8()?;
    let (kind, code) = (cursor.u8()?, cursor.u8()?);
    let turn = match kind >> 4 {
        0 => Turn::Report,
        4 => Turn::Request,
        8 => Turn::Answer,
        _ => return None,
    };
    cursor.take(3);
    Some(Parameters { turn, group: kind & 0x0f, code, error: cursor.u16().unwrap_or(0) })
}

pub(super) fn turn(parameters: &[u8]) -> Option<Turn> {
    read(parameters).map(|parameters| parameters.turn)
}

/// Result, kind and length of the data, and the data.
fn payload(data: &[u8]) -> Option<(u8, &[u8])> {
    let mut cursor = Cursor::new(data);
    let result = cursor.u8()?;
    cursor.u8()?;
    let length = usize::from(cursor.u16()?);
    Some((result, cursor.rest().get(..length).unwrap_or(cursor.rest())))
}

/// What is asked or reported.
pub(super) fn describe(event: &mut Event, parameters: &[u8], data: &[u8], key: &[u8; 32]) -> Option<()> {
    let parameters = read(parameters)?;
    named(event, &parameters);
    let (_, data) = payload(data)?;
    match (parameters.group, parameters.code) {
        (4, 1) => {
            let mut cursor = Cursor::new(data);
            event.set("dongson.s7comm.szl_id", cursor.u16()?);
            event.set("dongson.s7comm.szl_index", cursor.u16()?);
        }
        (5, 1) if !data.is_empty() => {
            event.set("dongson.s7comm.password", secret::seal(key, data));
        }
        (3, 3) => {
            event.set_some("dongson.s7comm.block.type", data.get(..2).and_then(names::block));
            let number = data.get(2..7).unwrap_or_default();
            event.set_some("dongson.s7comm.block.number", text(number, 5).parse::<u32>().ok());
        }
        _ => {}
    }
    Some(())
}

fn named(event: &mut Event, parameters: &Parameters) {
    let group = names::group(parameters.group);
    event.set("dongson.s7comm.function_code", parameters.group);
    event.set("dongson.s7comm.function", group);
    let subfunction = names::subfunction(parameters.group, parameters.code);
    let subfunction = subfunction.map_or_else(|| format!("unknown-{:#04x}", parameters.code), str::to_owned);
    event.set("dongson.s7comm.subfunction", subfunction.clone());
    event.set("event.action", subfunction);
}

/// The answer; of the lists 0x11 and 0x1c the texts that tell the module's order number, name and place.
pub(super) fn answer(event: &mut Event, parameters: &[u8], data: &[u8]) -> Option<()> {
    let parameters = read(parameters)?;
    if event.get("dongson.s7comm.function").is_none() {
        named(event, &parameters);
    }
    let (result, data) = payload(data).unzip();
    let failed = parameters.error != 0 || result.is_some_and(|result| !matches!(result, 0xff | 0x0a));
    if parameters.error != 0 {
        event.set("dongson.s7comm.error_code", parameters.error);
    }
    event.set("event.outcome", if failed { "failure" } else { "success" });
    if (parameters.group, parameters.code) == (4, 1) {
        let mut cursor = Cursor::new(data?);
        let (list, index) = (cursor.u16()?, cursor.u16()?);
        event.set_absent("dongson.s7comm.szl_id", list);
        event.set_absent("dongson.s7comm.szl_index", index);
        let length = usize::from(cursor.u16()?);
        cursor.u16()?;
        let wanted = match list & 0xff {
            0x11 => 2..22,
            0x1c => 2..34,
            _ => return Some(()),
        };
        let texts: Vec<String> = cursor
            .rest()
            .chunks(length.max(1))
            .filter_map(|record| record.get(wanted.clone()))
            .map(|words| words.split(|sign| *sign == 0).next().unwrap_or_default().trim_ascii())
            .filter(|words| words.iter().any(u8::is_ascii_alphanumeric))
            .map(|words| text(words, 32))
            .take(MAX_TEXTS)
            .collect();
        if !texts.is_empty() {
            event.set("dongson.s7comm.identification", texts);
        }
    }
    Some(())
}
