//! The parser of a protocol: conversations, changed, read whole and in pieces.
//!
//! What must hold: no panic, bounded memory, and of a stream the same events in any pieces.

use std::fs;
use std::path::Path;

use dongson_event::{Event, Timestamp};
use dongson_sensor::protocol::{Options, Side, Tcp, Udp};
use fastrand::Rng;

use super::Target;
use crate::seed::{Seed, Transport, home};
use crate::talk::{self, CLIENT, GAP, Talk, Turn, UNKNOWN};

/// Most memory of one connection and its events: `sensors/src/protocol/mod.rs` promises about 2 MiB.
const MEMORY: usize = 8 << 20;
/// The client's port.
const CLIENT_PORT: u16 = 40_000;
/// Longest word of the sources that is put into inputs.
const LONGEST_WORD: usize = 64;

/// A protocol, named after its file in `seeds/`.
#[derive(Debug)]
pub struct Protocol {
    name: &'static str,
    seed: Seed,
    services: Vec<(Transport, &'static str)>,
    words: Vec<Vec<u8>>,
}

impl Protocol {
    /// The target of a file; names live as long as the program, and there are few.
    pub fn new(seed: Seed) -> Self {
        let leak = |name: &str| -> &'static str { name.to_owned().leak() };
        let services = seed.services.iter().map(|(transport, name)| (*transport, leak(name))).collect();
        let mut words = Vec::new();
        for path in &seed.reads {
            let path = home().join("../src/protocol").join(path);
            collect(&path, &mut words);
            collect(&path.with_extension("rs"), &mut words);
        }
        words.sort();
        words.dedup();
        Self { name: leak(&seed.name), seed, services, words }
    }

    fn service(&self, talk: &Talk) -> Option<(Transport, &'static str)> {
        let place = usize::from(talk.service & !UNKNOWN);
        place.checked_rem(self.services.len()).and_then(|place| self.services.get(place)).copied()
    }

    /// The events of a conversation and what was spoken; `pieces` is the seed of the cuts, if any.
    pub fn events(&self, talk: &Talk, pieces: Option<u64>) -> (Vec<Event>, Option<&'static str>) {
        match self.service(talk) {
            Some((Transport::Tcp, service)) => stream(talk, service, pieces),
            Some((Transport::Udp, service)) => datagrams(talk, service),
            None => (Vec::new(), None),
        }
    }

    /// The conversations of the file.
    pub fn talks(&self) -> &[Talk] {
        &self.seed.talks
    }

    /// What the conversations of the file speak.
    pub fn services(&self) -> &[(Transport, &'static str)] {
        &self.services
    }

    /// Which sources the file is for.
    pub fn reads(&self) -> &[String] {
        &self.seed.reads
    }
}

fn side(turn: &Turn) -> Side {
    if turn.kind & !GAP == CLIENT { Side::Originator } else { Side::Responder }
}

fn stream(talk: &Talk, service: &'static str, pieces: Option<u64>) -> (Vec<Event>, Option<&'static str>) {
    let ports = [CLIENT_PORT, talk.port];
    let known = (talk.service & UNKNOWN == 0)
        .then(|| Tcp::speaking(service, Side::Originator, ports, Options::default()))
        .flatten();
    let mut tcp = known.unwrap_or_else(|| Tcp::new(CLIENT_PORT, talk.port));
    let mut rng = pieces.map(Rng::with_seed);
    let mut out = Vec::new();
    let mut at = Timestamp::default();
    for turn in &talk.turns {
        // A turn comes in one moment, however it is cut.
        at = Timestamp::from_nanos(at.nanos() + 1_000_000);
        if turn.kind & GAP != 0 {
            tcp.gap(side(turn), u64::from(turn.missing));
            continue;
        }
        let mut rest = turn.bytes.as_slice();
        while let Some(rng) = rng.as_mut().filter(|_| rest.len() > 1) {
            let most = if rng.bool() { 4 } else { rest.len() };
            let (piece, tail) = rest.split_at(rng.usize(1..=most.min(rest.len())));
            tcp.data(side(turn), at, piece, &mut out);
            rest = tail;
        }
        if !rest.is_empty() {
            tcp.data(side(turn), at, rest, &mut out);
        }
    }
    tcp.finish(at, &mut out);
    (out, tcp.service())
}

fn datagrams(talk: &Talk, service: &'static str) -> (Vec<Event>, Option<&'static str>) {
    let ports = [CLIENT_PORT, talk.port];
    let known =
        (talk.service & UNKNOWN == 0).then(|| Udp::speaking(service, ports, Options::default())).flatten();
    let mut udp = known.unwrap_or_else(|| Udp::new(CLIENT_PORT, talk.port));
    let mut out = Vec::new();
    let mut at = Timestamp::default();
    for turn in talk.turns.iter().filter(|turn| turn.kind & GAP == 0) {
        at = Timestamp::from_nanos(at.nanos() + 1_000_000);
        let sealed = match turn.bytes.split_first_chunk() {
            Some(([1, number], frames)) if service == "quic" => super::quic::initial(*number, frames),
            _ => None,
        };
        udp.datagram(side(turn), at, sealed.as_ref().unwrap_or(&turn.bytes), &mut out);
    }
    udp.finish(at, &mut out);
    (out, udp.service())
}

impl Target for Protocol {
    fn name(&self) -> &'static str {
        self.name
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let known = self.seed.talks.iter().map(Talk::to_bytes);
        let unknown = self
            .seed
            .talks
            .iter()
            .map(|talk| Talk { service: talk.service | UNKNOWN, cuts: 1, ..talk.clone() }.to_bytes());
        known.chain(unknown).collect()
    }

    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
        talk::change(rng, input, other, &self.words)
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        let talk = Talk::read(input);
        let whole = self.events(&talk, None);
        if talk.cuts == 0 {
            return Ok(());
        }
        let pieces = self.events(&talk, Some(u64::from(talk.cuts)));
        if whole == pieces { Ok(()) } else { Err(difference(&whole, &pieces)) }
    }

    fn memory(&self) -> usize {
        MEMORY
    }
}

/// Where two readings of one conversation part.
fn difference(
    whole: &(Vec<Event>, Option<&'static str>),
    pieces: &(Vec<Event>, Option<&'static str>),
) -> String {
    if whole.1 != pieces.1 {
        return format!("whole it is {:?}, in pieces {:?}", whole.1, pieces.1);
    }
    let place = whole.0.iter().zip(&pieces.0).position(|(one, other)| one != other);
    let place = place.unwrap_or(whole.0.len().min(pieces.0.len()));
    let print = |events: &[Event]| events.get(place).map(Event::to_json).unwrap_or_default();
    format!("event {place} is whole {} and in pieces {}", print(&whole.0), print(&pieces.0))
}

/// The byte strings that stand in the sources at `path`: words of the protocol, and bytes that its tests use.
fn collect(path: &Path, words: &mut Vec<Vec<u8>>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            collect(&entry.path(), words);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        for (at, _) in text.match_indices('"') {
            words.extend(literal(text.get(at + 1..).unwrap_or_default()));
        }
    }
}

/// The literal that begins here, where it is one and short; a quotation mark that ends one gives harmless bytes.
fn literal(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut signs = text.chars();
    while out.len() <= LONGEST_WORD {
        match signs.next()? {
            '"' => return (!out.is_empty()).then_some(out),
            '\n' => return None,
            '\\' => match signs.next()? {
                'r' => out.push(b'\r'),
                'n' => out.push(b'\n'),
                't' => out.push(b'\t'),
                '0' => out.push(0),
                'x' => {
                    let digits = signs.as_str().get(..2)?;
                    out.push(u8::from_str_radix(digits, 16).ok()?);
                    signs.nth(1);
                }
                other => out.extend(other.encode_utf8(&mut [0; 4]).bytes()),
            },
            other => out.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    None
}
