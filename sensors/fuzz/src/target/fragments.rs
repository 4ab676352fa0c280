//! Fragments of IPv4 and IPv6 put together.
//!
//! Input: a byte (bit 0: hostile, bit 1: IPv6), seed (4), bytes. What must hold: a datagram that is cut anywhere, whose pieces
//! overlap, lie, come twice and in any order is what a plain model says, in which the first byte for a place stays.
//! Hostile, the bytes themselves are the list of fragments.

use dongson_event::Timestamp;
use dongson_sensor::capture::{Frame, LinkType};
use dongson_sensor::layer::{Decoder, FragmentLimits, Vlans};
use fastrand::Rng;

use super::Target;
use super::wire::{Ip, QUESTION, Take, ethernet, ipv6, udp};
use crate::mutate;

/// Longest input in bytes.
const MAX_BYTES: usize = 4 << 10;
/// Most memory: what may wait, and a datagram.
const MEMORY: usize = 20 << 20;

/// The target.
#[derive(Debug)]
pub struct Defragmentation;

/// A piece of a datagram; the offset is in units of eight bytes.
#[derive(Debug, Clone)]
struct Piece {
    identifier: u16,
    offset: u16,
    more: bool,
    bytes: Vec<u8>,
}

impl Target for Defragmentation {
    fn name(&self) -> &'static str {
        "defragmentation"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let long = udp(40_000, 9, &[0x5a; 700]);
        let mut all = Vec::new();
        for mode in 0..4 {
            for payload in [udp(40_000, 53, QUESTION), long.clone()] {
                all.push([&[mode, 0, 0, 0, 9][..], &payload].concat());
            }
        }
        // A list: identifier, offset and the flag, length, bytes.
        all.push([&[1, 0, 0, 0, 1][..], &[1, 0x80, 0, 8], &[7; 8], &[1, 0, 1, 8], &[8; 8]].concat());
        all
    }

    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let [a, b, c, d] = rng.u32(..).to_be_bytes();
        let mut bytes = input.get(5..).unwrap_or_default().to_vec();
        mutate::change(rng, &mut bytes, &[], other.get(5..).unwrap_or_default(), MAX_BYTES);
        [vec![rng.u8(0..4), a, b, c, d], bytes].concat()
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        let mut head = Take(input);
        let (mode, seed) = (head.number(1), head.number(4));
        let six = mode & 2 != 0;
        if mode & 1 != 0 {
            return decoded(&listed(head), six).map(drop);
        }
        let pieces = cut(&mut Rng::with_seed(seed as u64), head.0);
        let (told, expected) = (decoded(&pieces, six)?, model(&pieces));
        if told == expected {
            return Ok(());
        }
        Err(format!("{} datagrams, expected {}; of {pieces:?}", told.len(), expected.len()))
    }

    fn memory(&self) -> usize {
        MEMORY
    }
}

/// A hostile list of fragments.
fn listed(mut rest: Take<'_>) -> Vec<Piece> {
    let mut all = Vec::new();
    while !rest.0.is_empty() {
        let identifier = u16::try_from(rest.number(1)).unwrap_or_default();
        let offset = u16::try_from(rest.number(2)).unwrap_or_default();
        let length = rest.number(1);
        all.push(Piece {
            identifier,
            offset: offset & 0x1fff,
            more: offset & 0x8000 != 0,
            bytes: rest.bytes(length).to_vec(),
        });
    }
    all
}

/// A payload in fragments, with more of them that overlap or come twice, in any order; every other one of two datagrams.
fn cut(rng: &mut Rng, payload: &[u8]) -> Vec<Piece> {
    let mut all = Vec::new();
    for identifier in 1..=rng.u16(1..3) {
        let size = rng.usize(1..9).max(payload.len().div_ceil(8 * 40)) * 8;
        for (number, bytes) in payload.chunks(size).enumerate() {
            let offset = number * size;
            let more = offset + bytes.len() < payload.len();
            let piece = |offset: usize, more, bytes: &[u8]| Piece {
                identifier,
                offset: u16::try_from(offset / 8).unwrap_or_default(),
                more,
                bytes: bytes.to_vec(),
            };
            all.push(piece(offset, more, bytes));
            match rng.u8(0..8) {
                0 => all.push(piece(offset, more, bytes)),
                1 if more => all.push(piece(offset, true, &vec![rng.u8(..); bytes.len()])),
                2 => {
                    let early = offset - (rng.usize(0..=offset / 8) * 8);
                    all.push(piece(
                        early,
                        more,
                        payload.get(early..offset + bytes.len()).unwrap_or_default(),
                    ));
                }
                _ => {}
            }
        }
    }
    rng.shuffle(&mut all);
    all
}

/// What the decoder puts together.
fn decoded(pieces: &[Piece], six: bool) -> Result<Vec<Vec<u8>>, String> {
    let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
    let mut told = Vec::new();
    let mut longest = 0;
    for Piece { identifier, offset, more, bytes } in pieces {
        let frame = if six {
            let place = (offset << 3 | u16::from(*more)).to_be_bytes();
            let identifier = u32::from(*identifier).to_be_bytes();
            ethernet(0x86dd, &ipv6(44, &[&[17, 0][..], &place, &identifier, bytes].concat()))
        } else {
            let fragment = offset | if *more { 0x2000 } else { 0 };
            let ip = Ip { identifier: *identifier, fragment, ..Ip::new(false, 17) };
            ethernet(0x0800, &ip.packet(bytes))
        };
        let wire_length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let at = Timestamp::from_seconds(1_700_000_000);
        let frame = Frame { at, link: LinkType::ETHERNET, bytes: &frame, wire_length, vlan: None };
        decoder.frame(&frame, &mut |datagram| {
            longest = longest.max(datagram.payload.len());
            if datagram.reassembled {
                told.push(datagram.payload.to_vec());
            }
        });
    }
    if longest > usize::from(u16::MAX) { Err(format!("a datagram of {longest} bytes")) } else { Ok(told) }
}

/// What the plain model puts together: the first byte for a place stays.
fn model(pieces: &[Piece]) -> Vec<Vec<u8>> {
    let mut told = Vec::new();
    let mut waiting: Vec<(u16, Vec<Option<u8>>, Option<usize>)> = Vec::new();
    for Piece { identifier, offset, more, bytes } in pieces {
        let start = usize::from(*offset) * 8;
        if start == 0 && !more {
            // Not a fragment at all.
            continue;
        }
        let place = waiting.iter().position(|(known, ..)| known == identifier).unwrap_or_else(|| {
            waiting.push((*identifier, Vec::new(), None));
            waiting.len() - 1
        });
        let Some((_, held, end)) = waiting.get_mut(place) else { continue };
        held.resize(held.len().max(start + bytes.len()), None);
        for (slot, byte) in held.iter_mut().skip(start).zip(bytes) {
            slot.get_or_insert(*byte);
        }
        if !more {
            end.get_or_insert(start + bytes.len());
        }
        let Some(end) = *end else { continue };
        let whole: Option<Vec<u8>> = held.iter().take(end).copied().collect();
        if let Some(whole) = whole {
            told.push(whole);
            waiting.remove(place);
        }
    }
    told
}
