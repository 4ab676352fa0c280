//! Conversations as TCP segments through the whole engine: cut, out of order, twice, overlapping, over the end of the
//! numbers.
//!
//! Input: seed (4 bytes), a byte (odd: hostile), then a [`Talk`]. What must hold: where every byte arrives as it was sent, the
//! events of the protocols are those of the conversation in order; hostile segments (other bytes for the same place, numbers
//! from nowhere, resets) are survived.

use dongson_event::{Event, Timestamp};
use dongson_sensor::capture::{Frame, LinkType};
use dongson_sensor::{Engine, Options};
use fastrand::Rng;

use super::Target;
use super::wire::{Ip, Take, ethernet, flag, tcp};
use crate::seed;
use crate::talk::{self, GAP, SERVER, Talk};

/// Most memory of an engine with one flow.
const MEMORY: usize = 16 << 20;
/// Longest segment in bytes.
const SEGMENT: usize = 1_400;
const CLIENT_PORT: u16 = 40_000;

/// The target.
#[derive(Debug)]
pub struct Reassembly;

/// A packet: from the server, when in milliseconds, sequence and acknowledged numbers, flags, bytes.
#[derive(Debug, Clone)]
struct Segment {
    back: bool,
    at: i64,
    numbers: (u32, u32),
    flags: u8,
    bytes: Vec<u8>,
}

impl Target for Reassembly {
    fn name(&self) -> &'static str {
        "reassembly"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        // A file that is not right is told by the targets of the protocols.
        for seed in seed::all().unwrap_or_default() {
            for talk in &seed.talks {
                let carried = seed.services.get(usize::from(talk.service));
                if carried.is_some_and(|(transport, _)| *transport == seed::Transport::Tcp) {
                    all.push([&[0, 0, 0, 7, 0][..], &talk.to_bytes()].concat());
                }
            }
        }
        all
    }

    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let (input, other) = (input.get(5..).unwrap_or_default(), other.get(5..).unwrap_or_default());
        let [a, b, c, d] = rng.u32(..).to_be_bytes();
        [vec![a, b, c, d, u8::from(rng.u8(0..4) == 0)], talk::change(rng, input, other, &[])].concat()
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        let mut head = Take(input);
        let (seed, hostile) = (head.number(4), head.number(1) & 1 != 0);
        let talk = Talk::read(head.0);
        let mut rng = Rng::with_seed(seed as u64);
        // Numbers that soon begin again at 0 are among them.
        let numbers = [rng.u32(..), if rng.bool() { u32::MAX - rng.u32(0..2_000) } else { rng.u32(..) }];
        if hostile {
            let mut segments = segments(&talk, numbers, Some(&mut rng));
            spoil(&mut rng, &mut segments);
            drop(events(talk.port, &segments));
            return Ok(());
        }
        let whole = events(talk.port, &segments(&talk, numbers, None));
        let mixed = events(talk.port, &segments(&talk, numbers, Some(&mut rng)));
        if whole == mixed {
            return Ok(());
        }
        let place = whole.iter().zip(&mixed).position(|(one, other)| one != other);
        let place = place.unwrap_or(whole.len().min(mixed.len()));
        let print = |events: &[Event]| events.get(place).map(Event::to_json).unwrap_or_default();
        Err(format!("event {place} is in order {} and mixed {}", print(&whole), print(&mixed)))
    }

    fn memory(&self) -> usize {
        MEMORY
    }
}

/// The conversation as segments; with `rng` those of each turn are cut anywhere, overlap, come twice and in any order.
fn segments(talk: &Talk, numbers: [u32; 2], mut rng: Option<&mut Rng>) -> Vec<Segment> {
    let [client, server] = numbers;
    let mut next = [client.wrapping_add(1), server.wrapping_add(1)];
    let plain = |back, numbers, flags| Segment { back, at: 0, numbers, flags, bytes: Vec::new() };
    let mut all = vec![
        plain(false, (client, 0), flag::SYN),
        plain(true, (server, next[0]), flag::SYN | flag::ACK),
        plain(false, (next[0], next[1]), flag::ACK),
    ];
    let mut at = 0;
    for turn in &talk.turns {
        at += 1;
        let back = turn.kind & SERVER != 0;
        let [own, other] = if back { [1, 0] } else { [0, 1] };
        let (Some(&start), Some(&acknowledged)) = (next.get(own), next.get(other)) else { continue };
        let length = if turn.kind & GAP == 0 {
            let pieces = pieces(&turn.bytes, rng.as_deref_mut());
            all.extend(pieces.into_iter().map(|(offset, bytes)| Segment {
                back,
                at,
                numbers: (start.wrapping_add(offset), acknowledged),
                flags: flag::ACK,
                bytes,
            }));
            u32::try_from(turn.bytes.len()).unwrap_or(0)
        } else {
            // Further than this and the window makes another connection of it.
            turn.missing.min(20_000)
        };
        if let Some(next) = next.get_mut(own) {
            *next = start.wrapping_add(length);
        }
    }
    let [client, server] = next;
    for (back, numbers) in [(false, (client, server)), (true, (server, client.wrapping_add(1)))] {
        all.push(Segment { at: at + 1, ..plain(back, numbers, flag::FIN | flag::ACK) });
    }
    all
}

/// The bytes of a turn with their places: in order, or in pieces that overlap, come twice and in any order.
fn pieces(bytes: &[u8], rng: Option<&mut Rng>) -> Vec<(u32, Vec<u8>)> {
    let mut all = Vec::new();
    let mut at = 0;
    let Some(rng) = rng else {
        for piece in bytes.chunks(SEGMENT) {
            all.push((at, piece.to_vec()));
            at += u32::try_from(piece.len()).unwrap_or(0);
        }
        return all;
    };
    let most = if rng.bool() { 8 } else { SEGMENT };
    let mut start = 0;
    while start < bytes.len() {
        let end = (start + rng.usize(1..=most)).min(bytes.len());
        let overlap = if rng.u8(0..4) == 0 { rng.usize(0..=20) } else { 0 };
        let early = start.saturating_sub(overlap);
        let piece = bytes.get(early..end).unwrap_or_default().to_vec();
        let place = u32::try_from(early).unwrap_or(0);
        if rng.u8(0..8) == 0 {
            all.push((place, piece.clone()));
        }
        all.push((place, piece));
        start = end;
    }
    rng.shuffle(&mut all);
    all
}

/// What an attacker does: other bytes for the same place, numbers from nowhere, flags at will, segments that go.
fn spoil(rng: &mut Rng, segments: &mut Vec<Segment>) {
    for _ in 0..rng.usize(1..12) {
        let Some(mut one) = rng.choice(&*segments).cloned() else { return };
        match rng.u8(0..6) {
            0 => one.bytes.iter_mut().for_each(|byte| *byte = rng.u8(..)),
            1 => one.numbers.0 = one.numbers.0.wrapping_add(rng.u32(0..3_000)).wrapping_sub(1_500),
            2 => one.numbers = (rng.u32(..), rng.u32(..)),
            3 => one.flags = rng.u8(..),
            4 => one.numbers.1 = one.numbers.1.wrapping_add(rng.u32(0..100_000)),
            _ => {
                segments.remove(rng.usize(0..segments.len()));
                continue;
            }
        }
        segments.insert(rng.usize(0..=segments.len()), one);
    }
}

/// The events of protocols; connections and anomalies tell of the segments themselves.
fn events(port: u16, segments: &[Segment]) -> Vec<Event> {
    let mut engine = Engine::new(Options::default());
    let mut out = Vec::new();
    let mut emit = |event: Event| {
        if !matches!(event.dataset(), "sensor.conn" | "sensor.weird") {
            out.push(event);
        }
    };
    for Segment { back, at, numbers, flags, bytes } in segments {
        let (from, to) = if *back { (port, CLIENT_PORT) } else { (CLIENT_PORT, port) };
        let packet = Ip::new(*back, 6).packet(&tcp(from, to, *numbers, *flags, bytes));
        let bytes = ethernet(0x0800, &packet);
        let at = Timestamp::from_nanos(1_700_000_000_000_000_000 + at * 1_000_000);
        let wire_length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        engine.packet(
            &Frame { at, link: LinkType::ETHERNET, bytes: &bytes, wire_length, vlan: None },
            &mut emit,
        );
    }
    engine.finish(&mut emit);
    out
}
