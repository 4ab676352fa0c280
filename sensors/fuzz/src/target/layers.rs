//! Frames taken apart: link headers, tags, tunnels in tunnels.
//!
//! Input: link type (4 bytes), the tag that the kernel took out (2; 0xffff for none), then frames: length (2), bytes.

use dongson_event::Timestamp;
use dongson_sensor::capture::{Frame, LinkType};
use dongson_sensor::layer::{Decoder, FragmentLimits, MAX_DEPTH, Vlans};
use fastrand::Rng;

use super::Target;
use super::wire::{Ip, QUESTION, Take, ethernet, ipv6, udp};
use crate::mutate;

/// Longest frame that a change makes.
const MAX_BYTES: usize = 2 << 10;
/// Most IP packets of one frame: its own, and those of the tunnels.
const MAX_DATAGRAMS: usize = MAX_DEPTH + 1;

/// The target.
#[derive(Debug)]
pub struct Layers;

impl Target for Layers {
    fn name(&self) -> &'static str {
        "layers"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        stacks().into_iter().map(|(_, link, frame)| encode(link, 0xffff, &[frame])).collect()
    }

    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let (mut head, mut frames) = decode(input);
        let (_, others) = decode(other);
        let words = [
            "0800",
            "86dd",
            "8100",
            "88a8",
            "8847",
            "8864",
            "88e7",
            "8926",
            "6558",
            "22eb",
            "880b",
            "89",
            "2f",
            "29",
            "04",
            "12b5",
            "17c1",
            "0868",
            "0dd8",
            "30ff",
            "aaaa03000000",
        ];
        let words: Vec<Vec<u8>> = words.iter().filter_map(|word| hex::decode(word).ok()).collect();
        let piece = rng.choice(&others).map_or(&[][..], Vec::as_slice);
        let frame = rng.choice(&mut frames);
        match (rng.u8(0..12), frame) {
            (0, _) => {
                head.0 = *rng.choice(&[0, 1, 9, 12, 101, 105, 113, 127, 228, 229, 276, 51]).unwrap_or(&1);
            }
            (1, _) => head.1 = rng.u16(..),
            (2, Some(frame)) => {
                let twin = frame.clone();
                frames.push(twin);
            }
            (3, Some(frame)) => {
                // A tunnel in a tunnel.
                let at = rng.usize(0..=frame.len());
                drop(frame.splice(at..at, piece.iter().copied()));
            }
            (_, Some(frame)) => mutate::change(rng, frame, &words, piece, MAX_BYTES),
            (_, None) => frames.push(piece.to_vec()),
        }
        frames.truncate(8);
        encode(head.0, head.1, &frames)
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        let ((link, tag), frames) = decode(input);
        let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
        for bytes in frames {
            let vlan = (tag < 0x1000).then_some(tag);
            let wire_length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let at = Timestamp::from_seconds(1_700_000_000);
            let frame = Frame { at, link: LinkType(link), bytes: &bytes, wire_length, vlan };
            let (mut count, mut longest) = (0, 0);
            decoder.frame(&frame, &mut |datagram| {
                count += 1;
                longest = longest.max(if datagram.reassembled { 0 } else { datagram.payload.len() });
            });
            if count > MAX_DATAGRAMS || longest > bytes.len() {
                return Err(format!(
                    "{count} packets, the longest of {longest} bytes, from {} bytes",
                    bytes.len()
                ));
            }
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        20 << 20
    }
}

fn decode(input: &[u8]) -> ((u32, u16), Vec<Vec<u8>>) {
    let mut rest = Take(input);
    let link = u32::try_from(rest.number(4)).unwrap_or_default();
    let tag = u16::try_from(rest.number(2)).unwrap_or_default();
    let mut frames = Vec::new();
    while !rest.0.is_empty() {
        let length = rest.number(2);
        frames.push(rest.bytes(length).to_vec());
    }
    ((link, tag), frames)
}

fn encode(link: u32, tag: u16, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = [&link.to_be_bytes()[..], &tag.to_be_bytes()].concat();
    for frame in frames {
        out.extend(u16::try_from(frame.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(frame);
    }
    out
}

/// A frame of each kind that the sensor opens, with a question of DNS in it: name, link type, bytes.
pub fn stacks() -> Vec<(&'static str, u32, Vec<u8>)> {
    let inner = Ip::new(false, 17).packet(&udp(40_000, 53, QUESTION));
    let six = ipv6(17, &udp(40_000, 53, QUESTION));
    let frame = ethernet(0x0800, &inner);
    let over = |protocol, head: &[u8], inside: &[u8]| {
        ethernet(0x0800, &Ip::new(false, protocol).packet(&[head, inside].concat()))
    };
    let port = |port, head: &[u8], inside: &[u8]| over(17, &[], &udp(4_000, port, &[head, inside].concat()));
    let behind = |kind, head: &[u8], inside: &[u8]| ethernet(kind, &[head, inside].concat());
    let ppp = |inside: &[u8]| [&[0, 0x21][..], inside].concat();
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes();
    let session = [&[0x11, 0, 0, 7][..], &length(&ppp(&inner)), &ppp(&inner)].concat();
    let mut llc = vec![0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    llc.extend(&inner);
    let wireless = [&[8, 1, 0, 0][..], &[2; 18], &[0, 0], &llc].concat();
    let radio = [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wireless].concat();
    let lookback = [&[2, 0, 0, 0][..], &inner].concat();
    let cooked = [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0][..], &inner].concat();
    let cooked2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &inner].concat();
    vec![
        ("ethernet", 1, frame.clone()),
        ("ipv6", 1, ethernet(0x86dd, &six)),
        ("vlan", 1, behind(0x8100, &[0, 7, 8, 0], &inner)),
        ("qinq", 1, behind(0x88a8, &[0, 9, 0x81, 0, 0, 7, 8, 0], &inner)),
        ("mpls", 1, behind(0x8847, &[0, 1, 0, 64, 0, 2, 1, 64], &inner)),
        ("pppoe", 1, ethernet(0x8864, &session)),
        ("gre", 1, over(47, &[0, 0, 8, 0], &inner)),
        ("gre_ethernet", 1, over(47, &[0x20, 0, 0x65, 0x58, 0, 0, 0, 9], &frame)),
        ("erspan", 1, over(47, &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 7, 0, 1, 0, 0, 0, 0], &frame)),
        ("ip_in_ip", 1, over(4, &[], &inner)),
        ("6in4", 1, over(41, &[], &six)),
        ("4in6", 1, ethernet(0x86dd, &ipv6(4, &inner))),
        ("vxlan", 1, port(4_789, &[8, 0, 0, 0, 0, 0, 9, 0], &frame)),
        ("geneve", 1, port(6_081, &[0, 0, 0x65, 0x58, 0, 0, 9, 0], &frame)),
        ("gtp", 1, port(2_152, &[&[0x30, 0xff][..], &length(&inner), &[0, 0, 0, 5]].concat(), &inner)),
        ("teredo", 1, port(3_544, &[], &six)),
        ("raw", 101, inner.clone()),
        ("ppp", 9, [&[0xff, 3][..], &ppp(&inner)].concat()),
        ("loopback", 0, lookback),
        ("sll", 113, cooked),
        ("sll2", 276, cooked2),
        ("wireless", 105, wireless),
        ("radiotap", 127, radio),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stack_is_opened_to_its_bottom() {
        for (name, link, bytes) in stacks() {
            let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
            let mut found = false;
            let wire_length = u32::try_from(bytes.len()).unwrap();
            let frame = Frame {
                at: Timestamp::default(),
                link: LinkType(link),
                bytes: &bytes,
                wire_length,
                vlan: None,
            };
            decoder.frame(&frame, &mut |datagram| {
                found |= datagram.payload.ends_with(QUESTION) && datagram.payload.len() == 8 + QUESTION.len();
            });
            assert!(found, "{name}");
        }
    }
}
