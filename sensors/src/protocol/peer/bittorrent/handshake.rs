//! The handshake between peers (BEP 3; its reserved bits by BEP 5, 6 and 10; the names of clients by BEP 20).

use dongson_event::Event;

use crate::protocol::wire::text;

/// How every handshake begins.
pub(super) const START: &[u8] = b"\x13BitTorrent protocol";

/// One peer's handshake.
#[derive(Debug)]
pub(super) struct Handshake {
    reserved: [u8; 8],
    info_hash: [u8; 20],
    peer_id: [u8; 20],
}

impl Handshake {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(START)?;
        let (reserved, rest) = rest.split_first_chunk()?;
        let (info_hash, rest) = rest.split_first_chunk()?;
        Some(Self { reserved: *reserved, info_hash: *info_hash, peer_id: *rest.first_chunk()? })
    }

    /// What the peer can do beside the protocol itself.
    fn extensions(&self) -> Vec<&'static str> {
        let [.., fifth, _, seventh] = self.reserved;
        let known = [(fifth & 0x10, "extension"), (seventh & 0x01, "dht"), (seventh & 0x04, "fast")];
        known.into_iter().filter(|(bit, _)| *bit != 0).map(|(_, name)| name).collect()
    }
}

/// Writes what both peers (originator, responder) said; hashes that differ are both told.
pub(super) fn describe(event: &mut Event, hands: &[Option<Handshake>; 2]) {
    let [client, server] = hands;
    for (hand, names) in [(client, CLIENT), (server, SERVER)] {
        let (Some(hand), [peer, named, extensions]) = (hand, names) else { continue };
        if event.get("dongson.bittorrent.info_hash").is_none() {
            event.set("dongson.bittorrent.info_hash", hex::encode(hand.info_hash));
        }
        event.set(peer, text(&hand.peer_id, 20));
        event.set_some(named, software(&hand.peer_id));
        event.set(extensions, hand.extensions());
    }
}

const CLIENT: [&str; 3] = [
    "dongson.bittorrent.client.peer_id",
    "dongson.bittorrent.client.software",
    "dongson.bittorrent.client.extensions",
];
const SERVER: [&str; 3] = [
    "dongson.bittorrent.server.peer_id",
    "dongson.bittorrent.server.software",
    "dongson.bittorrent.server.extensions",
];

/// The program that a peer's id names in Azureus' style: `-qB4630-`.
pub(super) fn software(peer_id: &[u8]) -> Option<String> {
    let [b'-', first, second, version @ ..] = peer_id else { return None };
    let (version, rest) = version.split_first_chunk::<4>()?;
    if rest.first() != Some(&b'-') || !version.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let letters = [*first, *second];
    let name = match letters {
        [b'A', b'G' | b'~'] => "Ares",
        [b'A', b'Z'] => "Vuze",
        [b'B', b'C'] => "BitComet",
        [b'B', b'T'] => "BitTorrent",
        [b'D', b'E'] => "Deluge",
        [b'K', b'T'] => "KTorrent",
        [b'L', b'T'] => "libtorrent (Rasterbar)",
        [b'l', b't'] => "libTorrent (Rakshasa)",
        [b'S', b'D' | b'P'] | [b'X', b'L'] => "Xunlei",
        [b'T', b'R'] => "Transmission",
        [b'U', b'T'] => "µTorrent",
        [b'U', b'M'] => "µTorrent for Mac",
        [b'W', b'W'] => "WebTorrent",
        [b'q', b'B'] => "qBittorrent",
        _ => std::str::from_utf8(&letters).ok().filter(|name| name.chars().all(char::is_alphanumeric))?,
    };
    let digits: Vec<String> = version.iter().map(|digit| char::from(*digit).to_string()).collect();
    Some(format!("{name} {}", digits.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named() {
        for (id, name) in [
            (&b"-DE1390-abcdefghijkl"[..], Some("Deluge 1.3.9.0")),
            (b"-ZZ0001-abcdefghijkl", Some("ZZ 0.0.0.1")),
            (b"M7-9-2--abcdefghijkl", None),
            (b"-UT", None),
        ] {
            assert_eq!(software(id).as_deref(), name);
        }
    }
}
