//! Conversations of real captures, where the folder `DONGSON_SHARED` is: more to begin with; nothing of them is kept.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dongson_event::Timestamp;
use dongson_sensor::capture::CaptureFile;
use dongson_sensor::layer::{Datagram, Decoder, FragmentLimits, Vlans};
use dongson_sensor::protocol::{Side, Tcp, Udp};

use crate::seed::{self, Transport};
use crate::talk::{CLIENT, SERVER, Talk, Turn};

/// Most bytes kept of a conversation.
const MAX_BYTES: usize = 8 << 10;
/// Most conversations of one capture.
const MAX_TALKS: usize = 2_000;
/// Most frames read of one capture.
const MAX_FRAMES: usize = 20_000;

/// Most inputs of one target.
const MAX_INPUTS: usize = 3_000;

/// Who speaks to whom: transport, addresses and ports.
type Key = (u8, IpAddr, u16, IpAddr, u16);

/// The conversations of the captures of `DONGSON_SHARED` for one target, as inputs; none where that is not set, or where the
/// target has no conversations.
pub fn inputs(target: &str) -> Vec<Vec<u8>> {
    static ALL: OnceLock<Vec<(Transport, &'static str, Talk)>> = OnceLock::new();
    let Some(folder) = std::env::var_os("DONGSON_SHARED") else { return Vec::new() };
    let Some(seed) = seed::all().unwrap_or_default().into_iter().find(|seed| seed.name == target) else {
        return Vec::new();
    };
    let read =
        || captures(&Path::new(&folder).join("data/pcap")).iter().flat_map(|path| talks(path)).collect();
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (transport, service, talk) in ALL.get_or_init(read) {
        let place = seed.services.iter().position(|(one, name)| one == transport && name == service);
        let Some(service) = place.and_then(|place| u8::try_from(place).ok()) else { continue };
        all.push(Talk { service, ..talk.clone() }.to_bytes());
    }
    all.truncate(MAX_INPUTS);
    all
}

/// The captures below `folder`.
pub fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(captures(&path));
        } else if dongson_sensor::follow::is_capture(&path) {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// The conversations of a capture, and what each speaks; what cannot be read is left out.
pub fn talks(path: &Path) -> Vec<(Transport, &'static str, Talk)> {
    let mut talks: HashMap<Key, Talk> = HashMap::new();
    let mut order = Vec::new();
    let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
    let Ok(mut capture) = CaptureFile::open(path) else { return Vec::new() };
    let mut frames = 0;
    while let Ok(Some(frame)) = capture.next_frame() {
        frames += 1;
        if frames > MAX_FRAMES || order.len() >= MAX_TALKS {
            break;
        }
        decoder.frame(&frame, &mut |datagram| take(datagram, &mut talks, &mut order));
    }
    order.into_iter().filter_map(|key| named(key.0, talks.remove(&key)?)).collect()
}

/// Adds what a packet says to its conversation. Segments that come again or out of order stay as they are: an input need
/// not be right.
fn take(datagram: &Datagram<'_>, talks: &mut HashMap<Key, Talk>, order: &mut Vec<Key>) {
    let port = |at: usize| {
        datagram
            .payload
            .get(at..at + 2)
            .map(|pair| pair.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte)))
    };
    let (Some(from), Some(to)) = (port(0), port(2)) else { return };
    let head = match datagram.protocol {
        6 => usize::from(datagram.payload.get(12).copied().unwrap_or_default() >> 4) * 4,
        17 => 8,
        _ => return,
    };
    let said = datagram.payload.get(head..).unwrap_or_default();
    let key = (datagram.protocol, datagram.source, from, datagram.destination, to);
    let back = (datagram.protocol, datagram.destination, to, datagram.source, from);
    let (key, kind) = if talks.contains_key(&back) { (back, SERVER) } else { (key, CLIENT) };
    if said.is_empty() {
        // A SYN tells who the client is.
        talks.entry(key).or_insert_with(|| {
            order.push(key);
            Talk { port: key.4, ..Talk::default() }
        });
        return;
    }
    let talk = talks.entry(key).or_insert_with(|| {
        order.push(key);
        Talk { port: key.4, ..Talk::default() }
    });
    if talk.said() + said.len() > MAX_BYTES {
        return;
    }
    match talk.turns.last_mut() {
        Some(turn) if turn.kind == kind && datagram.protocol == 6 => turn.bytes.extend_from_slice(said),
        _ => talk.turns.push(Turn { kind, missing: 0, bytes: said.to_vec() }),
    }
}

/// What a conversation speaks; none that says nothing we know.
fn named(protocol: u8, talk: Talk) -> Option<(Transport, &'static str, Talk)> {
    let (at, mut out) = (Timestamp::default(), Vec::new());
    let side = |turn: &Turn| if turn.kind == CLIENT { Side::Originator } else { Side::Responder };
    if protocol == 6 {
        let mut tcp = Tcp::new(40_000, talk.port);
        for turn in &talk.turns {
            tcp.data(side(turn), at, &turn.bytes, &mut out);
        }
        let service = tcp.service()?;
        // A service that turned into TLS is told as both.
        return Some((Transport::Tcp, service.split(',').next()?, talk));
    }
    let mut udp = Udp::new(40_000, talk.port);
    for turn in &talk.turns {
        udp.datagram(side(turn), at, &turn.bytes, &mut out);
    }
    Some((Transport::Udp, udp.service()?, talk))
}
