//! A file on its way through any protocol: size, type, hashes, state (RFC 1321, FIPS 180-4 for the hashes).
//!
//! In: what a protocol says of the file, its bytes as they come, holes. Out: one `sensor.file` event. A protocol makes a [`File`]
//! when the first byte of a body comes, gives it [`File::data`] and [`File::gap`], and turns it into its event by
//! [`File::describe`]; names and the like go into `about` before. Hashes of a file with a hole would be those of another file and
//! are left out. Memory: about 1 KiB a file ([`START`] first bytes, three hash states), [`START_OF_PROGRAM`] of a program.

use dongson_event::{Event, Timestamp};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::Side;
use super::sniff;

/// First bytes kept to tell the type.
const START: usize = 512;
/// First bytes kept of what begins like a program.
const START_OF_PROGRAM: usize = 4096;
/// Longest name kept, in bytes.
const MAX_NAME: usize = 1024;

/// How the transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As its protocol says that it should.
    Closed,
    /// Before its end, or with a hole.
    Truncated,
}

/// What its protocol says of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) protocol: &'static str,
    /// As sent, perhaps with a path.
    pub(super) name: Option<String>,
    /// Announced length.
    pub(super) total: Option<u64>,
    /// Where in its connection: number of the request, or depth of the part in a mail.
    pub(super) depth: Option<u64>,
}

/// A file in passing.
#[derive(Debug)]
pub(super) struct File {
    pub(super) about: About,
    sender: Side,
    started: Timestamp,
    last: Timestamp,
    size: u64,
    missing: u64,
    start: Vec<u8>,
    hashes: Option<Box<Hashes>>,
}

#[derive(Debug, Default)]
struct Hashes {
    md5: Md5,
    sha1: Sha1,
    sha256: Sha256,
}

impl File {
    /// A file that `sender` begins to send.
    pub(super) fn new(about: About, sender: Side, started: Timestamp) -> Self {
        let hashes = Some(Box::default());
        Self { about, sender, started, last: started, size: 0, missing: 0, start: Vec::new(), hashes }
    }

    /// The next bytes.
    pub(super) fn data(&mut self, at: Timestamp, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.last = self.last.max(at);
        self.size += bytes.len() as u64;
        let limit = match self.start.as_slice() {
            [b'M', b'Z', ..] => START_OF_PROGRAM,
            [] if bytes.starts_with(b"MZ") => START_OF_PROGRAM,
            _ => START,
        };
        let room = limit.saturating_sub(self.start.len());
        if room > 0 && self.missing == 0 {
            self.start.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        if let Some(hashes) = &mut self.hashes {
            hashes.md5.update(bytes);
            hashes.sha1.update(bytes);
            hashes.sha256.update(bytes);
        }
    }

    /// `length` bytes are missing here.
    pub(super) fn gap(&mut self, length: u64) {
        self.missing += length;
        self.hashes = None;
    }

    /// Bytes seen.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The type as the first bytes so far tell it.
    pub(super) fn mime_type(&self) -> Option<&'static str> {
        sniff::sniff(&self.start)
    }

    /// The event of this file, at the time of its first byte.
    pub(super) fn describe(self, state: State) -> Event {
        let mut event = Event::of("sensor.file", self.started);
        event.set("network.protocol", self.about.protocol);
        event.set("event.duration", self.last.nanos().saturating_sub(self.started.nanos()));
        if let Some(name) = self.about.name.filter(|name| !name.is_empty()) {
            describe_name(&mut event, &name);
        }
        event.set("file.size", self.size);
        event.set_some("file.mime_type", sniff::sniff(&self.start));
        let whole = state == State::Closed && self.missing == 0;
        event.set("dongson.file.state", if whole { "closed" } else { "truncated" });
        event.set("dongson.file.missing_bytes", self.missing);
        event.set("dongson.file.from_source", self.sender == Side::Originator);
        event.set_some("dongson.file.total_bytes", self.about.total);
        event.set_some("dongson.file.depth", self.about.depth);
        if let Some(hashes) = self.hashes {
            event.set("file.hash.md5", hex::encode(hashes.md5.finalize()));
            event.set("file.hash.sha1", hex::encode(hashes.sha1.finalize()));
            event.set("file.hash.sha256", hex::encode(hashes.sha256.finalize()));
        }
        super::pe::describe(&mut event, &self.start);
        event
    }
}

/// The name without folders, its extension, and the whole where it has folders.
pub(super) fn describe_name(event: &mut Event, whole: &str) {
    let end = whole.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_NAME).last().unwrap_or(0);
    let whole = if whole.len() > MAX_NAME { whole.get(..end).unwrap_or(whole) } else { whole };
    let name = whole.rsplit(['/', '\\']).next().unwrap_or(whole);
    if !name.is_empty() {
        event.set("file.name", name);
    }
    if name.len() != whole.len() {
        event.set("file.path", whole);
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    event.set_some("file.extension", extension.filter(|extension| (1..=16).contains(&extension.len())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn about(name: &str) -> About {
        About { protocol: "ftp", name: Some(name.to_owned()), total: Some(3), depth: None }
    }

    #[test]
    fn a_whole_file_has_its_hashes() {
        let mut file = File::new(about("/pub/Xin chào.TXT"), Side::Responder, Timestamp::default());
        file.data(Timestamp::default(), b"ab");
        file.data(Timestamp::from_nanos(7), b"c");
        let event = file.describe(State::Closed);
        assert_eq!(event.text("file.name"), Some("Xin chào.TXT"));
        assert_eq!(event.text("file.extension"), Some("txt"));
        assert_eq!(event.text("file.path"), Some("/pub/Xin chào.TXT"));
        assert_eq!(event.text("file.hash.md5"), Some("900150983cd24fb0d6963f7d28e17f72"));
        assert_eq!(event.text("file.hash.sha1"), Some("a9993e364706816aba3e25717850c26c9cd0d89d"));
        assert_eq!(event.text("dongson.file.state"), Some("closed"));
        assert_eq!((event.int("file.size"), event.int("event.duration")), (Some(3), Some(7)));
    }

    #[test]
    fn a_file_with_a_hole_has_none() {
        let mut file = File::new(about("a"), Side::Originator, Timestamp::default());
        file.data(Timestamp::default(), b"ab");
        file.gap(5);
        let event = file.describe(State::Closed);
        assert_eq!(event.text("file.hash.sha256"), None);
        assert_eq!(event.text("dongson.file.state"), Some("truncated"));
        assert_eq!(event.int("dongson.file.missing_bytes"), Some(5));
    }

    proptest! {
        #[test]
        fn any_file_is_described(name: String, bytes: Vec<u8>, cut in 0..64_usize) {
            let cut = cut.min(bytes.len());
            let run = |parts: &[&[u8]]| {
                let mut file = File::new(about(&name), Side::Originator, Timestamp::default());
                for part in parts {
                    file.data(Timestamp::default(), part);
                }
                file.describe(State::Closed)
            };
            prop_assert_eq!(run(&[&bytes]), run(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
