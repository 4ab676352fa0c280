//! The walk over a ring that the kernel did not write: blocks as it writes them, changed.
//!
//! Input: blocks: length (2 bytes), bytes.

use std::mem::offset_of;

use dongson_sensor::capture::ring::walk;
use fastrand::Rng;
use libc::{sockaddr_ll, tpacket_bd_header_u, tpacket_block_desc, tpacket_hdr_v1, tpacket3_hdr};

use super::Target;
use super::wire::{Ip, QUESTION, Take, ethernet, udp};
use crate::mutate;

/// Longest block that a change makes.
const MAX_BYTES: usize = 4 << 10;
/// Where the first frame's header stands in a block.
const FIRST: usize = 48;
/// Where a frame's bytes stand behind its header.
const BYTES: usize = 82;
/// Where the header of a block stands.
const HEADER: usize = offset_of!(tpacket_block_desc, hdr) + offset_of!(tpacket_bd_header_u, bh1);
/// Where the address of a frame stands behind its header.
const ADDRESS: usize = size_of::<tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);

/// The target.
#[derive(Debug)]
pub struct Blocks;

impl Target for Blocks {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let frame = |port| ethernet(0x0800, &Ip::new(false, 17).packet(&udp(port, 53, QUESTION)));
        let few = block(&[frame(1), frame(2), frame(3)]);
        vec![
            encode(std::slice::from_ref(&few)),
            encode(&[block(&[]), few.clone(), block(&[vec![0; 60]]), few]),
        ]
    }

    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let (mut blocks, others) = (decode(input), decode(other));
        let piece = rng.choice(&others).map_or(&[][..], Vec::as_slice);
        if let Some(block) = rng.choice(&mut blocks) {
            mutate::change(rng, block, &[], piece, MAX_BYTES);
        }
        if rng.u8(0..10) == 0 {
            blocks.push(piece.to_vec());
        }
        blocks.truncate(6);
        encode(&blocks)
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        for block in decode(input) {
            let told = block
                .get(HEADER + offset_of!(tpacket_hdr_v1, num_pkts)..)
                .and_then(|rest| rest.first_chunk());
            let told = told.map_or(0, |word| u32::from_ne_bytes(*word)) as usize;
            let (mut seen, mut bytes) = (0, 0);
            let count = walk(&block, &mut |frame| {
                seen += 1;
                bytes += frame.bytes.len();
            });
            // Headers may overlap in a block that makes no sense, but each begins behind the last.
            if count != seen || count > told || bytes > block.len() * count {
                return Err(format!("{count} frames of {bytes} bytes, {seen} seen, {told} told"));
            }
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        1 << 20
    }
}

fn decode(input: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = Take(input);
    let mut all = Vec::new();
    while !rest.0.is_empty() {
        let length = rest.number(2);
        all.push(rest.bytes(length).to_vec());
    }
    all
}

fn encode(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in blocks {
        out.extend(u16::try_from(block.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(block);
    }
    out
}

/// A block with these frames, as the kernel writes it (its documentation, `networking/packet_mmap`).
pub fn block(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; FIRST];
    let word = |value: usize| u32::try_from(value).unwrap_or_default().to_ne_bytes();
    put(&mut out, HEADER + offset_of!(tpacket_hdr_v1, block_status), &libc::TP_STATUS_USER.to_ne_bytes());
    put(&mut out, HEADER + offset_of!(tpacket_hdr_v1, num_pkts), &word(frames.len()));
    put(&mut out, HEADER + offset_of!(tpacket_hdr_v1, offset_to_first_pkt), &word(FIRST));
    for (number, frame) in frames.iter().enumerate() {
        let start = out.len();
        let room = (BYTES + frame.len()).next_multiple_of(16);
        out.resize(start + room, 0);
        let next = if number + 1 < frames.len() { room } else { 0 };
        put(&mut out, start + offset_of!(tpacket3_hdr, tp_next_offset), &word(next));
        put(&mut out, start + offset_of!(tpacket3_hdr, tp_sec), &word(1_700_000_000));
        put(&mut out, start + offset_of!(tpacket3_hdr, tp_snaplen), &word(frame.len()));
        put(&mut out, start + offset_of!(tpacket3_hdr, tp_len), &word(frame.len()));
        put(
            &mut out,
            start + offset_of!(tpacket3_hdr, tp_mac),
            &u16::try_from(BYTES).unwrap_or_default().to_ne_bytes(),
        );
        put(
            &mut out,
            start + ADDRESS + offset_of!(sockaddr_ll, sll_hatype),
            &libc::ARPHRD_ETHER.to_ne_bytes(),
        );
        put(&mut out, start + BYTES, frame);
    }
    out
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in out.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let frames = [vec![1; 60], vec![2; 61], vec![3; 1_500]];
        let mut seen = Vec::new();
        walk(&block(&frames), &mut |frame| seen.push(frame.bytes.to_vec()));
        assert_eq!(seen, frames);
    }
}
