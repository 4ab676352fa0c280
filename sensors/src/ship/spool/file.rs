//! A batch as a file: `SEQUENCE-CLASS-EVENTS.ndjson.zst`, its head in a skippable frame of zstd (RFC 8878, 3.1.2), then
//! its lines in a frame of zstd. The head does not go over the wire; any tool for zstd reads past it.
//!
//! Files of former versions, `SEQUENCE-EVENTS.ndjson.zst`, have no head and are of mixed classes; they count as
//! conversations.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use dongson_event::batch::Class;
use serde::{Deserialize, Serialize};

use super::batch::root_of;
use crate::relay::Place;

const SUFFIX: &str = ".ndjson.zst";
/// One of the sixteen magic numbers of skippable frames, as it stands in the file.
const MAGIC: [u8; 4] = 0x184D_2A5D_u32.to_le_bytes();
/// Highest sequence that a batch can have.
pub(super) const MAX_SEQUENCE: u64 = i64::MAX.cast_unsigned();
/// Most bytes of a head.
const MAX_HEAD: usize = 64 << 10;
/// Most bytes of lines that are unpacked to find the root of a former version's file.
const MAX_LINES: u64 = 64 << 20;
/// Class of the files of former versions.
const FORMER: Class = Class::Conn;

/// A batch that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its sequence.
    pub sequence: u64,
    /// How urgent it is.
    pub class: Class,
    /// How many events it holds.
    pub events: u64,
    /// Its file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What a file says about its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The Merkle tree hash of the lines, hexadecimal.
    pub root: String,
    /// How many events of which dataset; none of a file of a former version.
    #[serde(default)]
    pub datasets: BTreeMap<String, u64>,
    /// How far followed files were read with this batch, by the names of their inputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<String, Place>,
}

/// The file's name.
pub(super) fn name(sequence: u64, class: Class, events: u64) -> String {
    format!("{sequence:020}-{}-{events}{SUFFIX}", class.as_str())
}

/// Sequence, class and events by the name of a file; `None` for one that is no batch.
pub(super) fn parse_name(path: &Path) -> Option<(u64, Class, u64)> {
    let mut words = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.split('-');
    let (sequence, second) = (words.next()?.parse().ok()?, words.next()?);
    // No spool has counted so far: what bears such a number was put there by somebody else.
    if sequence > MAX_SEQUENCE {
        return None;
    }
    match (words.next(), words.next()) {
        (None, _) => Some((sequence, FORMER, second.parse().ok()?)),
        (Some(events), None) => Some((sequence, Class::parse(second)?, events.parse().ok()?)),
        _ => None,
    }
}

/// The bytes of a file: the head, then the packed lines.
pub(super) fn pack(head: &Head, packed: &[u8]) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(head)?;
    let length = u32::try_from(head.len()).map_err(io::Error::other)?;
    Ok([&MAGIC, &length.to_le_bytes()[..], &head, packed].concat())
}

/// Head and packed lines of the bytes of a file.
pub fn unpack(mut bytes: Vec<u8>) -> io::Result<(Head, Vec<u8>)> {
    let broken = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    if !bytes.starts_with(&MAGIC) {
        let mut lines = Vec::new();
        zstd::stream::read::Decoder::new(&bytes[..])?.take(MAX_LINES).read_to_end(&mut lines)?;
        let root = hex::encode(root_of(&lines));
        return Ok((Head { root, ..Head::default() }, bytes));
    }
    let length = bytes.get(4..8).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
    let length = length.map_or(usize::MAX, |length| length as usize);
    if length > MAX_HEAD {
        return Err(broken("the head of the batch is cut or too long"));
    }
    let head = bytes.get(8..8 + length).ok_or_else(|| broken("the head of the batch is cut"))?;
    let head = serde_json::from_slice(head)?;
    Ok((head, bytes.split_off(8 + length)))
}

/// The head of a file, without reading its lines; `None` for a file of a former version.
pub(super) fn head(path: &Path) -> io::Result<Option<Head>> {
    let mut file = fs::File::open(path)?;
    let mut start = [0; 8];
    file.read_exact(&mut start)?;
    let [a, b, c, d, length @ ..] = start;
    if [a, b, c, d] != MAGIC {
        return Ok(None);
    }
    let mut head = Vec::new();
    file.take(u64::from(u32::from_le_bytes(length)).min(MAX_HEAD as u64)).read_to_end(&mut head)?;
    Ok(Some(serde_json::from_slice(&head)?))
}

/// The whole batches in `folder`; unfinished ones are removed.
pub(super) fn scan(folder: &Path) -> Result<Vec<Waiting>, (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(&path).map_err(at(&path))?;
        } else if let Some((sequence, class, events)) = parse_name(&path) {
            let bytes = fs::metadata(&path).map_err(at(&path))?.len();
            found.push(Waiting { sequence, class, events, path, bytes });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_versions() {
        let check = |name: &str, expected| assert_eq!(parse_name(Path::new(name)), expected, "{name}");
        check("00000000000000000007-alert-3.ndjson.zst", Some((7, Class::Alert, 3)));
        check("00000000000000000007-3.ndjson.zst", Some((7, FORMER, 3)));
        for bad in
            ["7-other-3.ndjson.zst", "7-alert-3-4.ndjson.zst", "7.ndjson.zst", "state.json", "x-3.ndjson.zst"]
        {
            check(bad, None);
        }
        assert_eq!(parse_name(Path::new(&name(7, Class::File, 3))), Some((7, Class::File, 3)));
    }

    #[test]
    fn a_head_is_found_again_and_zstd_reads_past_it() {
        let lines = b"{}\n{\"a\":1}\n";
        let packed = zstd::encode_all(&lines[..], 3).unwrap();
        let head = Head {
            root: hex::encode(root_of(lines)),
            datasets: BTreeMap::from([("d".to_owned(), 2)]),
            ..Head::default()
        };
        let file = pack(&head, &packed).unwrap();
        assert_eq!(zstd::decode_all(&file[..]).unwrap(), lines);
        assert_eq!(unpack(file).unwrap(), (head.clone(), packed.clone()));
        let (former, whole) = unpack(packed.clone()).unwrap();
        assert_eq!((former.root, whole), (head.root, packed));
    }

    #[test]
    fn cut_files_are_errors() {
        let file = pack(&Head::default(), b"").unwrap();
        for length in 0..file.len() {
            assert!(unpack(file[..length].to_vec()).is_err(), "{length}");
        }
    }
}
