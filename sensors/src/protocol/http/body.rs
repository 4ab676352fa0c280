//! What a body weighs and looks like: its length on the wire, its length unpacked, its first bytes, the files in it.
//!
//! gzip, deflate, br and zstd are unpacked as the bytes come, up to [`MAX_UNPACKED`]; while its body runs an unpacker holds
//! about 45 KiB, for br and zstd as much as their window, at most 4 and 8 MiB (RFC 9659 allows zstd no more). Nothing of a body is kept but [`SNIFF`] bytes, and what [`File`] and [`Reader`] keep of the files.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use dongson_event::{Event, Timestamp};
use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};

use crate::protocol::file::{File, State};
use crate::protocol::mail::multipart::Reader;

/// First bytes kept to tell the type.
const SNIFF: usize = 512;
/// Unpacked bytes after which a body is not unpacked further.
const MAX_UNPACKED: u64 = 8 * 1024 * 1024;
/// Largest windows, as powers of two.
const MAX_BROTLI_WINDOW: u8 = 22;
const MAX_ZSTD_WINDOW: u32 = 23;

/// What the unpacked bytes are.
#[derive(Debug)]
pub(super) enum Content {
    File(Box<File>),
    /// A form, whose parts may be files.
    Form(Box<Reader>),
}

/// Counts what is written, keeps the beginning and passes it on to the files.
#[derive(Debug, Default)]
struct Tally {
    bytes: u64,
    start: Vec<u8>,
    at: Timestamp,
    content: Option<Box<Content>>,
}

impl Tally {
    fn count(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = SNIFF.saturating_sub(self.start.len());
        self.start.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        match self.content.as_deref_mut() {
            Some(Content::File(file)) => file.data(self.at, bytes),
            Some(Content::Form(reader)) => reader.data(self.at, bytes),
            None => {}
        }
    }

    fn gap(&mut self, length: u64) {
        match self.content.as_deref_mut() {
            Some(Content::File(file)) => file.gap(length),
            Some(Content::Form(reader)) => reader.gap(length),
            None => {}
        }
    }
}

impl Write for Tally {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes > MAX_UNPACKED {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.count(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the bytes are packed.
enum Packing {
    Plain(Tally),
    Gzip(Box<GzDecoder<Tally>>),
    Zlib(Box<ZlibDecoder<Tally>>),
    Deflate(Box<DeflateDecoder<Tally>>),
    Brotli(Box<DecompressorWriter<Tally>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Tally>>),
    /// "br", before the byte that tells its window.
    Unopened(Tally),
    /// "deflate", of which the first two bytes tell whether a zlib header is there.
    Undecided(Vec<u8>, Tally),
    /// Ended or broken: what was counted stays.
    Closed(Tally),
}

impl std::fmt::Debug for Packing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zlib(_) => "Zlib",
            Self::Deflate(_) => "Deflate",
            Self::Brotli(_) => "Brotli",
            Self::Zstd(_) => "Zstd",
            Self::Unopened(_) => "Unopened",
            Self::Undecided(..) => "Undecided",
            Self::Closed(_) => "Closed",
        })
    }
}

/// A body in passing.
#[derive(Debug)]
pub(super) struct Body {
    wire_bytes: u64,
    packing: Packing,
    /// Its end was seen.
    pub(super) complete: bool,
}

impl Default for Body {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl Body {
    /// A body with this `Content-Encoding` (lower case), and what it is.
    pub(super) fn new(encoding: Option<&str>, content: Option<Content>) -> Self {
        let tally = Tally { content: content.map(Box::new), ..Tally::default() };
        let packing = match encoding {
            Some("gzip" | "x-gzip") => Packing::Gzip(Box::new(GzDecoder::new(tally))),
            Some("deflate" | "x-deflate") => Packing::Undecided(Vec::new(), tally),
            Some("br") => Packing::Unopened(tally),
            Some("zstd") => zstandard(tally),
            _ => Packing::Plain(tally),
        };
        Self { wire_bytes: 0, packing, complete: false }
    }

    /// The next bytes, without chunk framing.
    pub(super) fn push(&mut self, at: Timestamp, bytes: &[u8]) {
        self.wire_bytes += bytes.len() as u64;
        self.tally().at = at;
        let whole = match &mut self.packing {
            Packing::Plain(tally) => return tally.count(bytes),
            Packing::Gzip(decoder) => decoder.write_all(bytes).is_ok(),
            Packing::Zlib(decoder) => decoder.write_all(bytes).is_ok(),
            Packing::Deflate(decoder) => decoder.write_all(bytes).is_ok(),
            Packing::Brotli(decoder) => decoder.write_all(bytes).is_ok(),
            Packing::Zstd(decoder) => decoder.write_all(bytes).is_ok(),
            Packing::Unopened(tally) => {
                let Some(first) = bytes.first() else { return };
                self.packing = brotli(*first, std::mem::take(tally));
                self.wire_bytes -= bytes.len() as u64;
                return self.push(at, bytes);
            }
            Packing::Undecided(held, tally) => {
                return self.packing = decide(std::mem::take(held), bytes, std::mem::take(tally));
            }
            Packing::Closed(_) => true,
        };
        if !whole {
            self.close();
        }
    }

    /// `length` bytes are missing here; what is packed cannot be unpacked behind them.
    pub(super) fn gap(&mut self, length: u64) {
        if !matches!(self.packing, Packing::Plain(_)) {
            self.close();
        }
        self.tally().gap(length);
    }

    /// Counts, wherever they are.
    fn tally(&mut self) -> &mut Tally {
        match &mut self.packing {
            Packing::Gzip(decoder) => decoder.get_mut(),
            Packing::Zlib(decoder) => decoder.get_mut(),
            Packing::Deflate(decoder) => decoder.get_mut(),
            Packing::Brotli(decoder) => decoder.get_mut(),
            Packing::Zstd(decoder) => decoder.get_mut(),
            Packing::Plain(tally)
            | Packing::Unopened(tally)
            | Packing::Undecided(_, tally)
            | Packing::Closed(tally) => tally,
        }
    }

    /// The events of the files in it, behind [`Self::close`].
    pub(super) fn files(&mut self, out: &mut Vec<Event>) {
        let state = if self.complete { State::Closed } else { State::Truncated };
        match self.tally().content.take().map(|content| *content) {
            Some(Content::File(file)) if file.size() > 0 => out.push(file.describe(state)),
            Some(Content::Form(mut reader)) => {
                let cut = reader.is_inside() && !self.complete;
                reader.finish();
                let last = reader.files.len().saturating_sub(1);
                for (at, file) in reader.files.into_iter().enumerate() {
                    out.push(file.describe(if cut && at == last { state } else { State::Closed }));
                }
            }
            _ => {}
        }
    }

    /// Ends the unpacking and frees its memory.
    pub(super) fn close(&mut self) {
        let packing = std::mem::replace(&mut self.packing, Packing::Closed(Tally::default()));
        self.packing = match packing {
            Packing::Gzip(mut decoder) => closed(decoder.try_finish(), decoder.get_mut()),
            Packing::Zlib(mut decoder) => closed(decoder.try_finish(), decoder.get_mut()),
            Packing::Deflate(mut decoder) => closed(decoder.try_finish(), decoder.get_mut()),
            Packing::Brotli(mut decoder) => closed(decoder.close(), decoder.get_mut()),
            Packing::Zstd(mut decoder) => closed(decoder.flush(), decoder.get_mut()),
            Packing::Unopened(tally) | Packing::Undecided(_, tally) => Packing::Closed(tally),
            other => other,
        };
    }

    /// Bytes on the wire, without chunk framing.
    pub(super) fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// Unpacked bytes; `None` where the body was not packed.
    pub(super) fn unpacked_bytes(&self) -> Option<u64> {
        match &self.packing {
            Packing::Closed(tally) => Some(tally.bytes),
            _ => None,
        }
    }

    /// The first unpacked bytes; only whole after [`Self::close`].
    pub(super) fn start(&self) -> &[u8] {
        match &self.packing {
            Packing::Plain(tally) | Packing::Closed(tally) => &tally.start,
            _ => &[],
        }
    }
}

/// What a decoder wrote; an error at its end means only that the body was cut or broken.
fn closed(_end: io::Result<()>, tally: &mut Tally) -> Packing {
    Packing::Closed(std::mem::take(tally))
}

/// An unpacker of br (RFC 7932, 9.1), unless its first byte asks for more memory than there is to give.
fn brotli(first: u8, tally: Tally) -> Packing {
    let window = match (first & 1, (first >> 1) & 7, (first >> 4) & 7) {
        (0, ..) => 16,
        (_, 0, 0) => 17,
        // What asks for windows of up to 2^62 bytes.
        (_, 0, 1) => u8::MAX,
        (_, 0, small) => 8 + small,
        (_, large, _) => 17 + large,
    };
    if window > MAX_BROTLI_WINDOW {
        return Packing::Plain(tally);
    }
    Packing::Brotli(Box::new(DecompressorWriter::new(tally, 4096)))
}

/// An unpacker of zstd (RFC 8878).
fn zstandard(tally: Tally) -> Packing {
    let plain = Packing::Plain(Tally::default());
    let Ok(mut decoder) = zstd::stream::write::Decoder::new(Tally::default()) else { return plain };
    if decoder.window_log_max(MAX_ZSTD_WINDOW).is_err() {
        return plain;
    }
    *decoder.get_mut() = tally;
    Packing::Zstd(Box::new(decoder))
}

/// Chooses between zlib (RFC 1950) and bare deflate, which some servers send under the same name.
fn decide(mut held: Vec<u8>, bytes: &[u8], tally: Tally) -> Packing {
    held.extend_from_slice(bytes);
    let &[first, second, ..] = held.as_slice() else { return Packing::Undecided(held, tally) };
    let zlib = first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31);
    let at = tally.at;
    let mut body = Body {
        wire_bytes: 0,
        packing: if zlib {
            Packing::Zlib(Box::new(ZlibDecoder::new(tally)))
        } else {
            Packing::Deflate(Box::new(DeflateDecoder::new(tally)))
        },
        complete: false,
    };
    body.push(at, &held);
    body.packing
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    fn check(encoding: Option<&str>, packed: &[u8], chunk: usize, expected: &[u8]) {
        let mut body = Body::new(encoding, None);
        for part in packed.chunks(chunk) {
            body.push(Timestamp::default(), part);
        }
        body.close();
        assert_eq!(body.wire_bytes(), packed.len() as u64);
        assert_eq!(body.unpacked_bytes().unwrap_or(body.wire_bytes()), expected.len() as u64);
        assert_eq!(body.start(), &expected[..expected.len().min(SNIFF)]);
    }

    /// A stream of br with a window of 64 KiB and one block that is not packed (RFC 7932, 9).
    fn brotli_of(plain: &[u8]) -> Vec<u8> {
        let length = u32::try_from(plain.len() - 1).unwrap();
        assert!(length < 1 << 16);
        let header = (length << 4) | (1 << 20);
        [&header.to_le_bytes()[..3], plain, &[3]].concat()
    }

    #[test]
    fn counts_packed_and_unpacked() {
        let plain = b"<html>xin chao</html>".repeat(100);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain).unwrap();
        zlib.write_all(&plain).unwrap();
        bare.write_all(&plain).unwrap();
        let (gzip, zlib, bare) = (gzip.finish().unwrap(), zlib.finish().unwrap(), bare.finish().unwrap());
        for chunk in [1, 3, 10_000] {
            check(None, &plain, chunk, &plain);
            check(Some("gzip"), &gzip, chunk, &plain);
            check(Some("deflate"), &zlib, chunk, &plain);
            check(Some("deflate"), &bare, chunk, &plain);
        }
        check(Some("gzip"), b"not gzip at all", 4, b"");
        let zstd = zstd::encode_all(&plain[..], 3).unwrap();
        let br = brotli_of(&plain);
        for chunk in [1, 3, 10_000] {
            check(Some("zstd"), &zstd, chunk, &plain);
            check(Some("br"), &br, chunk, &plain);
        }
        // A window of 16 MiB is not given: the body stays packed.
        check(Some("br"), &[0x0f, 1, 2, 3], 2, &[0x0f, 1, 2, 3]);
        check(Some("zstd"), b"not zstd at all", 4, b"");
    }

    #[test]
    fn a_bomb_is_not_unpacked_to_the_end() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..64 {
            gzip.write_all(&vec![0; 1 << 20]).unwrap();
        }
        let mut body = Body::new(Some("gzip"), None);
        body.push(Timestamp::default(), &gzip.finish().unwrap());
        body.close();
        let unpacked = body.unpacked_bytes().unwrap();
        assert!((MAX_UNPACKED..MAX_UNPACKED + (1 << 20)).contains(&unpacked), "{unpacked}");
    }
}
