//! SSH: banners, key exchange and their fingerprints (RFC 4253; HASSH, Salesforce 2018, BSD-3).
//!
//! In: both directions. Out: one `sensor.ssh` event when both sides have said what they can, or at the end. Everything
//! after the first key exchange is encrypted and not read. Memory: a banner and one packet of each side, at most
//! [`MAX_PACKET`] bytes.

use dongson_event::{Event, Timestamp};
use md5::{Digest as _, Md5};

use crate::protocol::Side;
use crate::protocol::dissect::Stream;
use crate::protocol::wire::{Cursor, text};

/// Longest packet that must be taken (RFC 4253, 6.1).
const MAX_PACKET: usize = 35_000;
/// Longest line before the first packet (RFC 4253, 4.2, allows 255; old devices send more).
const MAX_LINE: usize = 1024;
/// Number of the message that offers algorithms (RFC 4253, 12).
const KEXINIT: u8 = 20;

/// What one side says.
#[derive(Debug, Default)]
struct Half {
    held: Vec<u8>,
    banner: Option<String>,
    offer: Option<Offer>,
    /// Nothing readable comes any more.
    ended: bool,
}

/// The name-lists of a key exchange, in the order of RFC 4253, 7.1.
#[derive(Debug)]
struct Offer {
    key_exchange: String,
    host_key: String,
    /// Client to server, server to client.
    ciphers: [String; 2],
    macs: [String; 2],
    compressions: [String; 2],
}

/// A connection that speaks SSH.
#[derive(Debug)]
pub(in crate::protocol) struct Ssh {
    client: Side,
    started: Option<Timestamp>,
    halves: [Half; 2],
    told: bool,
}

impl Ssh {
    pub(in crate::protocol) fn new(client: Side) -> Self {
        Self { client, started: None, halves: Default::default(), told: false }
    }

    fn tell(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        if !self.told && self.halves.iter().any(|half| half.banner.is_some()) {
            out.push(self.describe(self.started.unwrap_or(at)));
        }
        self.told = true;
        self.halves = Default::default();
    }

    fn describe(&self, at: Timestamp) -> Event {
        let (client, server) = (self.client.of(&self.halves), self.client.other().of(&self.halves));
        let mut event = Event::of("sensor.ssh", at);
        event.set("network.protocol", "ssh");
        for (half, names) in [(client, &CLIENT), (server, &SERVER)] {
            let Some(banner) = &half.banner else { continue };
            event.set(names.banner, banner.as_str());
            let (version, software) = parts(banner);
            event.set(names.version, version);
            event.set_some(names.software, software);
        }
        if let Some(offer) = &client.offer {
            let hassh = offer.fingerprinted(0);
            event.set(CLIENT.hassh, hex::encode(Md5::digest(&hassh)));
            event.set(CLIENT.hassh_text, hassh);
        }
        if let Some(offer) = &server.offer {
            let hassh = offer.fingerprinted(1);
            event.set(SERVER.hassh, hex::encode(Md5::digest(&hassh)));
            event.set(SERVER.hassh_text, hassh);
        }
        if let (Some(asked), Some(offered)) = (&client.offer, &server.offer) {
            describe_choice(&mut event, asked, offered);
        }
        event
    }
}

impl Stream for Ssh {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if self.told {
            return;
        }
        self.started.get_or_insert(at);
        side.of_mut(&mut self.halves).feed(bytes);
        if self.halves.iter().all(|half| half.ended) {
            self.tell(at, out);
        }
    }

    fn gap(&mut self, side: Side, _length: u64) {
        side.of_mut(&mut self.halves).ended = true;
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        self.tell(at, out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !self.told && !side.of(&self.halves).ended
    }
}

impl Half {
    fn feed(&mut self, bytes: &[u8]) {
        if self.ended {
            return;
        }
        let room = MAX_PACKET.saturating_sub(self.held.len());
        self.held.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        while self.banner.is_none() {
            let Some(end) = self.held.iter().take(MAX_LINE + 1).position(|sign| *sign == b'\n') else {
                self.ended = self.held.len() > MAX_LINE;
                return;
            };
            let line: Vec<u8> = self.held.drain(..=end).collect();
            // A server may send other lines before its banner (RFC 4253, 4.2).
            if line.starts_with(b"SSH-") {
                self.banner = Some(text(line.trim_ascii_end(), 255));
            }
        }
        let mut cursor = Cursor::new(&self.held);
        let Some(length) = cursor.u32().and_then(|length| usize::try_from(length).ok()) else { return };
        if !(2..=MAX_PACKET - 4).contains(&length) {
            self.ended = true;
        } else if let Some(packet) = cursor.take(length) {
            self.offer = Offer::parse(packet);
            self.ended = true;
        }
        if self.ended {
            self.held = Vec::new();
        }
    }
}

impl Offer {
    /// The payload of a packet without encryption: padding length, message number, cookie, ten name-lists.
    fn parse(packet: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(packet);
        let (_padding, message) = (cursor.u8()?, cursor.u8()?);
        if message != KEXINIT {
            return None;
        }
        cursor.take(16)?;
        let mut list = || {
            let length = usize::try_from(cursor.u32()?).ok()?;
            cursor.take(length).map(|names| text(names, MAX_PACKET))
        };
        let (key_exchange, host_key) = (list()?, list()?);
        let ciphers = [list()?, list()?];
        let macs = [list()?, list()?];
        let compressions = [list()?, list()?];
        Some(Self { key_exchange, host_key, ciphers, macs, compressions })
    }

    /// What HASSH is the MD5 of, for the direction from the one that offers.
    fn fingerprinted(&self, direction: usize) -> String {
        let of = |lists: &[String; 2]| lists.get(direction).cloned().unwrap_or_default();
        [self.key_exchange.clone(), of(&self.ciphers), of(&self.macs), of(&self.compressions)].join(";")
    }
}

/// The names of one side's fields.
struct Names {
    banner: &'static str,
    version: &'static str,
    software: &'static str,
    hassh: &'static str,
    hassh_text: &'static str,
}

const CLIENT: Names = Names {
    banner: "dongson.ssh.client.banner",
    version: "dongson.ssh.client.version",
    software: "dongson.ssh.client.software",
    hassh: "dongson.ssh.client.hassh",
    hassh_text: "dongson.ssh.client.hassh_string",
};

const SERVER: Names = Names {
    banner: "dongson.ssh.server.banner",
    version: "dongson.ssh.server.version",
    software: "dongson.ssh.server.software",
    hassh: "dongson.ssh.server.hassh",
    hassh_text: "dongson.ssh.server.hassh_string",
};

/// Version and software of `SSH-version-software comment`.
fn parts(banner: &str) -> (&str, Option<&str>) {
    let rest = banner.strip_prefix("SSH-").unwrap_or(banner);
    let (version, software) = rest.split_once('-').unwrap_or((rest, ""));
    let software = software.split(' ').next().filter(|software| !software.is_empty());
    (version, software)
}

/// What the two agree on: the client's first name that the server has too (RFC 4253, 7.1).
fn describe_choice(event: &mut Event, asked: &Offer, offered: &Offer) {
    let common = |asked: &str, offered: &str| {
        asked.split(',').find(|name| offered.split(',').any(|other| other == *name)).map(str::to_owned)
    };
    let from_client = |asked: &[String; 2], offered: &[String; 2]| common(&asked[0], &offered[0]);
    event.set_some("dongson.ssh.kex_algorithm", common(&asked.key_exchange, &offered.key_exchange));
    event.set_some("dongson.ssh.host_key_algorithm", common(&asked.host_key, &offered.host_key));
    event.set_some("dongson.ssh.cipher", from_client(&asked.ciphers, &offered.ciphers));
    event.set_some("dongson.ssh.mac", from_client(&asked.macs, &offered.macs));
    event.set_some("dongson.ssh.compression", from_client(&asked.compressions, &offered.compressions));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn offer(lists: [&str; 8]) -> Vec<u8> {
        let lists: Vec<u8> = lists
            .iter()
            .chain(&["", ""])
            .flat_map(|list| {
                [&u32::try_from(list.len()).unwrap().to_be_bytes()[..], list.as_bytes()].concat()
            })
            .collect();
        let packet = [&[4, KEXINIT][..], &[7; 16], &lists, &[0; 5], &[0; 4]].concat();
        [&u32::try_from(packet.len()).unwrap().to_be_bytes()[..], &packet].concat()
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        talk::hear(&mut Ssh::new(C), turns, chunk)
    }

    #[test]
    fn banners_algorithms_and_fingerprints() {
        let client = offer(["k1,k2", "rsa", "aes,des", "aes", "sha2", "sha2", "none", "none"]);
        let server = offer(["k2", "rsa,ed", "des", "des", "sha1,sha2", "sha1", "none", "zlib"]);
        let turns = [
            (S, b"Chao ban\r\nSSH-2.0-OpenSSH_9.2 Debian-2\r\n".to_vec()),
            (C, [b"SSH-2.0-libssh2_1.11\r\n".to_vec(), client, vec![9; 40]].concat()),
            (S, server),
        ];
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        let [event] = events.as_slice() else { panic!("{events:?}") };
        let expect = [
            ("dongson.ssh.server.banner", "SSH-2.0-OpenSSH_9.2 Debian-2"),
            ("dongson.ssh.server.software", "OpenSSH_9.2"),
            ("dongson.ssh.client.version", "2.0"),
            ("dongson.ssh.kex_algorithm", "k2"),
            ("dongson.ssh.cipher", "des"),
            ("dongson.ssh.client.hassh_string", "k1,k2;aes,des;sha2;none"),
            ("dongson.ssh.server.hassh_string", "k2;des;sha1;zlib"),
        ];
        for (name, value) in expect {
            assert_eq!(event.text(name), Some(value), "{name}");
        }
        let hash = hex::encode(Md5::digest("k1,k2;aes,des;sha2;none"));
        assert_eq!(event.text("dongson.ssh.client.hassh"), Some(hash.as_str()));
    }

    #[test]
    fn a_banner_alone_goes_out_at_the_end() {
        let events = run(&[(C, b"SSH-1.99-Cisco_client-1.25\n".to_vec())], 3);
        assert_eq!(events[0].text("dongson.ssh.client.software"), Some("Cisco_client-1.25"));
        assert!(run(&[(C, vec![b'x'; 5000])], 100).is_empty());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, Vec<u8>)>, begin: bool, chunk in 1..20_usize) {
            let mut turns: Vec<_> = talk.into_iter().map(|(client, bytes)| (if client { C } else { S }, bytes)).collect();
            if begin {
                turns.insert(0, (C, [b"SSH-2.0-x\r\n".to_vec(), offer(["a"; 8])].concat()));
            }
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
