//! Readers of capture files: pcap and pcapng in both byte orders, plain, gzip, zstd.
//!
//! Input: a byte (odd: the file is read compressed too, and must give the same), then the file.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Cursor, Write as _};

use dongson_sensor::capture::CaptureFile;
use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Target;
use super::wire::{Ip, QUESTION, ethernet, udp};
use crate::mutate;

/// Most frames of a file that are read: what is compressed may have very many.
const MAX_FRAMES: usize = 20_000;
/// Longest input in bytes.
const MAX_BYTES: usize = 8 << 10;

/// The target.
#[derive(Debug)]
pub struct Captures;

impl Target for Captures {
    fn name(&self) -> &'static str {
        "capture"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for big in [false, true] {
            for file in [pcap(big, false), pcap(big, true), pcapng(big)] {
                all.extend([[vec![0], gzip(&file)].concat(), [vec![0], zstandard(&file)].concat()]);
                all.push([vec![1], file].concat());
            }
        }
        all
    }

    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let words =
            [0x0a0d_0d0a_u32, 0x1a2b_3c4d, 0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34, 6, 3, 2, 1, 16 << 20];
        let words: Vec<Vec<u8>> = words
            .iter()
            .flat_map(|word| [word.to_le_bytes().to_vec(), word.to_be_bytes().to_vec()])
            .collect();
        let mut file = input.get(1..).unwrap_or_default().to_vec();
        mutate::change(rng, &mut file, &words, other.get(1..).unwrap_or_default(), MAX_BYTES);
        [vec![u8::from(rng.u8(0..64) == 0)], file].concat()
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        let (mode, file) = input.split_first().unwrap_or((&0, &[]));
        let plain = read(file.to_vec());
        let compressed = file.starts_with(b"\x1f\x8b") || file.starts_with(b"\x28\xb5\x2f\xfd");
        if mode & 1 == 0 || compressed || file.is_empty() {
            return Ok(());
        }
        for (name, other) in [("gzip", read(gzip(file))), ("zstd", read(zstandard(file)))] {
            if other != plain {
                return Err(format!("plain {plain:?}, in {name} {other:?}"));
            }
        }
        Ok(())
    }

    /// A frame, and the blocks before it is handed out.
    fn memory(&self) -> usize {
        48 << 20
    }
}

/// How many frames there are, a sum over them, and how it ended.
fn read(file: Vec<u8>) -> (usize, u64, String) {
    let mut capture = match CaptureFile::from_reader(Cursor::new(file)) {
        Ok(capture) => capture,
        Err(error) => return (0, 0, error.to_string()),
    };
    let (mut frames, mut sum) = (0, DefaultHasher::new());
    while frames < MAX_FRAMES {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                frames += 1;
                (frame.at.nanos(), frame.link, frame.wire_length, frame.bytes).hash(&mut sum);
            }
            Ok(None) => return (frames, sum.finish(), String::new()),
            Err(error) => return (frames, sum.finish(), error.to_string()),
        }
    }
    (frames, sum.finish(), "more".to_owned())
}

/// Writing to memory does not fail; if it did, the file would be shorter and the comparison would tell.
fn gzip(file: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(file);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

fn zstandard(file: &[u8]) -> Vec<u8> {
    zstd::encode_all(file, 1).unwrap_or_default()
}

fn frames() -> Vec<Vec<u8>> {
    let question = |port| ethernet(0x0800, &Ip::new(false, 17).packet(&udp(port, 53, QUESTION)));
    vec![question(40_000), question(40_001), vec![0; 60]]
}

/// A file of the classic format, in this byte order, with nanoseconds or without.
pub fn pcap(big: bool, nanos: bool) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut out = word(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
    out.extend(if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] });
    out.extend([word(0), word(0), word(65_535), word(1)].concat());
    for frame in frames() {
        let length = u32::try_from(frame.len()).unwrap_or_default();
        out.extend([word(1_700_000_000), word(5), word(length), word(length)].concat());
        out.extend(frame);
    }
    out
}

/// A file of blocks: two interfaces, and packets in each of the three kinds of blocks.
pub fn pcapng(big: bool) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let block = |kind: u32, mut body: Vec<u8>| {
        body.resize(body.len().next_multiple_of(4), 0);
        let length = word(u32::try_from(body.len() + 12).unwrap_or_default());
        [&word(kind)[..], &length, &body, &length].concat()
    };
    let versions = [half(1), half(0)].concat();
    let section = [&word(0x1a2b_3c4d)[..], &versions, &[0xff; 8]].concat();
    let interface = [&half(1)[..], &half(0), &word(0)].concat();
    let nanos = [&interface[..], &half(9), &half(1), &[9, 0, 0, 0], &half(0), &half(0)].concat();
    let mut out =
        [block(0x0a0d_0d0a, section), block(1, interface), block(1, nanos), block(5, vec![0; 12])].concat();
    for frame in frames() {
        let length = word(u32::try_from(frame.len()).unwrap_or_default());
        let enhanced = [&word(1)[..], &word(0x000b_0000), &word(9), &length, &length, &frame].concat();
        let old = [&half(0)[..], &half(0), &word(0x0005_0000), &word(9), &length, &length, &frame].concat();
        let simple = [&length[..], &frame].concat();
        out.extend([block(6, enhanced), block(2, old), block(3, simple)].concat());
    }
    out
}
