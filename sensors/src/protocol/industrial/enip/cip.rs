//! Messages of CIP: a service of an object, or its result (volume 1, 2-4 and appendix C).

use dongson_event::Event;

use super::super::super::le;
use super::super::super::wire::{Cursor, text};
use super::{identity, names};

/// Bit of a service that marks an answer.
const ANSWER: u8 = 0x80;
/// Services in one message that are told.
const MAX_SERVICES: usize = 64;

const MULTIPLE_SERVICE_PACKET: u8 = 0x0a;
const UNCONNECTED_SEND: u8 = 0x52;

pub(super) fn is_answer(bytes: &[u8]) -> Option<bool> {
    bytes.first().map(|service| service & ANSWER != 0)
}

/// Which object a path names (volume 1, appendix C-1.4).
#[derive(Debug, Default)]
struct Path {
    class: Option<u32>,
    instance: Option<u32>,
    attribute: Option<u32>,
    /// Names of variables, joined with points.
    symbol: String,
}

impl Path {
    fn read(bytes: &[u8]) -> Self {
        let (mut path, mut cursor) = (Self::default(), Cursor::new(bytes));
        while path.segment(&mut cursor).is_some() {}
        path
    }

    /// One segment; `None` at the end, and where one is of a kind whose length is not known here.
    fn segment(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let kind = cursor.u8()?;
        match kind {
            // A port: its link address is one byte, or as long as the byte behind tells.
            0x01..=0x0e => drop(cursor.u8()?),
            0x11..=0x1e => {
                let length = usize::from(cursor.u8()?);
                cursor.take(length + length % 2)?;
            }
            0x20..=0x33 => {
                let value = match kind & 3 {
                    0 => u32::from(cursor.u8()?),
                    1 => {
                        cursor.u8()?;
                        u32::from(u16::from_le_bytes(*cursor.take(2)?.first_chunk()?))
                    }
                    2 => {
                        cursor.u8()?;
                        u32::from_le_bytes(*cursor.take(4)?.first_chunk()?)
                    }
                    _ => return None,
                };
                match kind & 0xfc {
                    0x20 => self.class = self.class.or(Some(value)),
                    0x24 => self.instance = self.instance.or(Some(value)),
                    0x30 => self.attribute = self.attribute.or(Some(value)),
                    _ => {}
                }
            }
            0x34 => drop(cursor.vec8()?),
            0x91 => {
                let name = cursor.vec8()?;
                if name.len() % 2 == 1 {
                    cursor.u8();
                }
                if !self.symbol.is_empty() {
                    self.symbol.push('.');
                }
                self.symbol.push_str(&text(name, 80));
            }
            _ => return None,
        }
        Some(())
    }
}

/// Service, length of the path in words, path, data.
fn parts(bytes: &[u8]) -> Option<(u8, Path, &[u8])> {
    let mut cursor = Cursor::new(bytes);
    let (service, words) = (cursor.u8()?, usize::from(cursor.u8()?));
    let path = Path::read(cursor.take(words * 2)?);
    Some((service, path, cursor.rest()))
}

pub(super) fn request(event: &mut Event, bytes: &[u8]) -> Option<()> {
    let (service, path, data) = parts(bytes)?;
    let name = names::service(service, path.class);
    event.set("event.action", name.clone());
    event.set("dongson.cip.service", name);
    event.set("dongson.cip.service_code", service);
    event.set_some("dongson.cip.class", path.class.and_then(names::class));
    event.set_some("dongson.cip.class_id", path.class);
    event.set_some("dongson.cip.instance_id", path.instance);
    event.set_some("dongson.cip.attribute_id", path.attribute);
    let mut symbols: Vec<String> =
        Some(path.symbol).filter(|symbol| !symbol.is_empty()).into_iter().collect();
    let mut services = Vec::new();
    for inner in inside(service, path.class, data) {
        let Some((service, path, _)) = parts(inner) else { continue };
        services.push(names::service(service, path.class));
        if !path.symbol.is_empty() {
            symbols.push(path.symbol);
        }
    }
    if !services.is_empty() {
        event.set("dongson.cip.services", services);
    }
    if !symbols.is_empty() {
        event.set("dongson.cip.symbols", symbols);
    }
    Some(())
}

/// The messages that a message carries: several in one packet (volume 1, A-4.10), or one on its way to another device (3-5.5.4).
fn inside(service: u8, class: Option<u32>, data: &[u8]) -> Vec<&[u8]> {
    match (service, class) {
        (MULTIPLE_SERVICE_PACKET, _) => {
            let count = le::u16(data, 0).map_or(0, usize::from).min(MAX_SERVICES);
            let place = |number: usize| le::u16(data, 2 + 2 * number).map(usize::from);
            (0..count)
                .filter_map(|number| {
                    let from = place(number)?;
                    let to = if number + 1 < count { place(number + 1)? } else { data.len() };
                    data.get(from..to)
                })
                .collect()
        }
        (UNCONNECTED_SEND, Some(6)) => {
            let length = le::u16(data, 2).map_or(0, usize::from);
            data.get(4..).and_then(|rest| rest.get(..length)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Service, a byte of zero, status, words of extended status, data.
pub(super) fn answer(event: &mut Event, bytes: &[u8]) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    let service = cursor.u8()? & !ANSWER;
    cursor.u8()?;
    let (status, words) = (cursor.u8()?, usize::from(cursor.u8()?));
    if event.get("dongson.cip.service").is_none() {
        let name = names::service(service, None);
        event.set("event.action", name.clone());
        event.set("dongson.cip.service", name);
        event.set("dongson.cip.service_code", service);
    }
    event.set("dongson.cip.status", names::result(status));
    event.set("dongson.cip.status_code", status);
    // 6: more of the answer follows.
    event.set("event.outcome", if matches!(status, 0 | 6) { "success" } else { "failure" });
    let extended = cursor.take(words * 2)?;
    event.set_some("dongson.cip.extended_status", le::u16(extended, 0));
    if (service, event.int("dongson.cip.class_id")) == (1, Some(1)) && status == 0 {
        identity::described(event, cursor.rest());
    }
    Some(())
}
