//! The settings that client and server exchange in the clear (MS-RDPBCGR, 2.2.1.3 and 2.2.1.4).
//!
//! In: an MCS message (T.125): connect-initial or connect-response, in whose user data (T.124) stand blocks with type and
//! length. Out: fields of the event, and certificates. Memory: none beyond the event.

use dongson_event::{Event, Timestamp};

use super::names;
use crate::protocol::der::Der;
use crate::protocol::{le, tls};

/// Channels of a client (MS-RDPBCGR, 2.2.1.3.4).
const MAX_CHANNELS: usize = 31;
/// Certificates of a chain.
const MAX_CERTIFICATES: usize = 16;

/// Reads a message; true when it was the server's.
pub(super) fn describe(event: &mut Event, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) -> bool {
    let (server, key): (bool, &[u8; 4]) = match bytes {
        [0x7f, 0x65, ..] => (false, b"Duca"),
        [0x7f, 0x66, ..] => (true, b"McDn"),
        _ => return false,
    };
    let Some(user) = user_data(bytes) else { return server };
    let Some(place) = user.windows(4).position(|four| four == key) else { return server };
    if server && let Some(result) = place.checked_sub(4).and_then(|at| le::u8(user, at)) {
        event.set("dongson.rdp.result", names::result(result));
        event.set("event.outcome", if result == 0 { "success" } else { "failure" });
    }
    let mut rest = match user.get(place + 4..) {
        Some([first, rest @ ..]) if first & 0x80 == 0 => rest,
        Some([_, _, rest @ ..]) => rest,
        _ => return server,
    };
    while let (Some(kind), Some(length)) = (le::u16(rest, 0), le::u16(rest, 2)) {
        let Some(block) = rest.get(4..usize::from(length)) else { break };
        match kind {
            0xc001 => client_core(event, block),
            0xc003 => channels(event, block),
            0x0c02 => server_security(event, at, block, out),
            _ => {}
        }
        rest = rest.get(usize::from(length)..).unwrap_or_default();
    }
    server
}

/// The last octet string of the message; its tag has two bytes, of which the second alone tells the length's place.
fn user_data(bytes: &[u8]) -> Option<&[u8]> {
    let (_, value) = Der::new(bytes.get(1..)?).next()?;
    let (mut fields, mut user) = (Der::new(value), None);
    while let Some((tag, value)) = fields.next() {
        if tag == 4 {
            user = Some(value);
        }
    }
    user
}

/// MS-RDPBCGR, 2.2.1.3.2.
fn client_core(event: &mut Event, block: &[u8]) {
    let number = |at| le::u16(block, at).map(i64::from);
    event.set_some("dongson.rdp.desktop_width", number(4));
    event.set_some("dongson.rdp.desktop_height", number(6));
    event.set_some("dongson.rdp.keyboard_layout", le::u32(block, 12).map(names::keyboard));
    event.set_some("dongson.rdp.client.build", le::u32(block, 16).map(names::build));
    event.set_some("dongson.rdp.client.build_number", le::u32(block, 16).map(i64::from));
    let text = |at, length| le::part(block, at, length).map(le::utf16).filter(|text| !text.is_empty());
    event.set_some("dongson.rdp.client.name", text(20, 32));
    event.set_some("dongson.rdp.client.product_id", text(142, 64));
    let thick = le::u16(block, 140).is_some_and(|flags| flags & 2 != 0);
    let depth = if thick { Some(32) } else { le::u16(block, 136) };
    event.set_some("dongson.rdp.requested_color_depth", depth.map(names::colours));
}

/// MS-RDPBCGR, 2.2.1.3.4: names of eight bytes with flags behind each.
fn channels(event: &mut Event, block: &[u8]) {
    let entries = block.get(4..).unwrap_or_default().as_chunks::<12>().0;
    let names = entries.iter().take(MAX_CHANNELS).filter_map(|entry| entry.get(..8)).map(le::ascii);
    event.set("dongson.rdp.client.channels", names.collect::<Vec<_>>());
}

/// MS-RDPBCGR, 2.2.1.4.3.
fn server_security(event: &mut Event, at: Timestamp, block: &[u8], out: &mut Vec<Event>) {
    event.set_some("dongson.rdp.encryption_method", le::u32(block, 0).map(names::method));
    event.set_some("dongson.rdp.encryption_level", le::u32(block, 4).map(names::level));
    let length = |at| le::u32(block, at).and_then(|length| usize::try_from(length).ok());
    let (Some(random), Some(size)) = (length(8), length(12)) else { return };
    let Some(place) = random.checked_add(16) else { return };
    let Some(certificate) = le::part(block, place, size) else { return };
    let Some(version) = le::u32(certificate, 0) else { return };
    event.set("dongson.rdp.certificate_permanent", version >> 31 == 0);
    match version & 0x7fff_ffff {
        1 => {
            event.set("dongson.rdp.certificate_type", "RSA");
        }
        2 => {
            let chain = chain(certificate);
            event.set("dongson.rdp.certificate_type", "X.509");
            event.set("dongson.rdp.certificate_count", chain.len());
            tls::certificates("rdp", &chain, at, out);
        }
        _ => {}
    }
}

/// MS-RDPELE, 2.2.1.4.2: a number, and each certificate behind its length.
fn chain(bytes: &[u8]) -> Vec<&[u8]> {
    let mut at = 8;
    let count = le::u32(bytes, 4).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let next = |_| {
        let length = usize::try_from(le::u32(bytes, at)?).ok()?;
        let der = le::part(bytes, at + 4, length)?;
        at += 4 + length;
        Some(der)
    };
    (0..count.min(MAX_CERTIFICATES)).map_while(next).collect()
}

#[cfg(test)]
pub(super) mod tests {
    fn octets(tag: u8, bytes: &[u8]) -> Vec<u8> {
        [&[tag, 0x82][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    fn block(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 4).unwrap();
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), body].concat()
    }

    fn message(tag: u8, fields: &[u8], before: &[u8], blocks: &[u8]) -> Vec<u8> {
        let length = u16::try_from(blocks.len()).unwrap() | 0x8000;
        let user = [before, &length.to_be_bytes(), blocks].concat();
        let body = [fields, &octets(4, &user)].concat();
        [&[0x7f][..], &octets(tag, &body)].concat()
    }

    /// A connect-initial with core settings and two channels.
    pub(in super::super) fn client() -> Vec<u8> {
        let mut core = vec![0; 206];
        core[4..8].copy_from_slice(&[0, 4, 0, 3]);
        core[12..14].copy_from_slice(&0x042a_u16.to_le_bytes());
        core[16..18].copy_from_slice(&9600_u16.to_le_bytes());
        for (at, unit) in "MÁY-7".encode_utf16().enumerate() {
            core[20 + at * 2..22 + at * 2].copy_from_slice(&unit.to_le_bytes());
        }
        core[136] = 24;
        let channels = [&[2, 0, 0, 0][..], b"rdpdr\0\0\0\0\0\0\0", b"cliprdr\0\0\0\0\0"].concat();
        let blocks = [block(0xc001, &core), block(0xc003, &channels)].concat();
        message(0x65, &octets(4, &[1]), b"\0\x05\0\x14\x7c\0\x01\0\x08\0\x10\0\x01\xc0\0Duca", &blocks)
    }

    /// A connect-response with RDP's own encryption.
    pub(in super::super) fn server() -> Vec<u8> {
        let security = [[2, 0, 0, 0], [3, 0, 0, 0], [4, 0, 0, 0], [8, 0, 0, 0], [9; 4], [1, 0, 0, 0], [0; 4]];
        let blocks = [block(0x0c01, &[4, 0, 8, 0]), block(0x0c02, &security.concat())].concat();
        let before = b"\0\x05\0\x14\x7c\0\x01\x2a\x14\x76\x0a\x01\x01\0\x01\xc0\0McDn";
        message(0x66, &[10, 1, 0], before, &blocks)
    }
}
