//! How far a file was read, and how the file is found again when it was given another name meanwhile.
//!
//! A file is known by its device and inode and by a hash of its first bytes, because inodes are used again. Rotation
//! moves a file to a name that begins with the old one (`eve.json.1`, `eve.json-20261123`), or empties it (copytruncate).
//! Packed files (`.gz`, `.xz`, `.zst`, `.bz2`) are not looked into.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes at the beginning of a file that are hashed, at most.
const HEAD: u64 = 256;

/// How far a file was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file's device and inode.
    pub(super) device: u64,
    pub(super) inode: u64,
    /// How many of its first bytes are hashed in `head`.
    pub(super) head_bytes: u64,
    /// Their SHA-256, hexadecimal.
    pub(super) head: String,
    /// The first byte that was not read.
    pub(super) offset: u64,
}

/// A file that is open, with what it is known by.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) file: File,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// The hash of the first [`HEAD`] bytes, once there are so many.
    head: Option<String>,
}

impl Known {
    /// Opens the file at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // Not to hang at a pipe that nobody writes to.
        let about = fs::metadata(path)?;
        if !about.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let file = File::open(path)?;
        let about = file.metadata()?;
        Ok(Self { file, device: about.dev(), inode: about.ino(), head: None })
    }

    /// The place at `offset` of it; the file position is left as it was.
    pub(super) fn place(&mut self, offset: u64) -> io::Result<Place> {
        if offset >= HEAD
            && let Some(head) = &self.head
        {
            let Self { device, inode, .. } = *self;
            return Ok(Place { device, inode, head_bytes: HEAD, head: head.clone(), offset });
        }
        let (head_bytes, head) = self.head(offset.min(HEAD))?;
        self.head = (head_bytes == HEAD).then(|| head.clone());
        Ok(Place { device: self.device, inode: self.inode, head_bytes, head, offset })
    }

    /// Whether this is the file of `place`.
    pub(super) fn is_at(&mut self, place: &Place) -> io::Result<bool> {
        let same = (self.device, self.inode) == (place.device, place.inode);
        Ok(same && self.head(place.head_bytes.min(HEAD))? == (place.head_bytes, place.head.clone()))
    }

    /// How many of the first `most` bytes there are, and their hash.
    fn head(&mut self, most: u64) -> io::Result<(u64, String)> {
        let back = self.file.stream_position()?;
        self.file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(most).read_to_end(&mut bytes)?;
        self.file.seek(SeekFrom::Start(back))?;
        Ok((bytes.len() as u64, hex::encode(Sha256::digest(&bytes))))
    }
}

/// The files that rotation made of `path`, and itself, the one written first first.
pub(super) fn rotated(path: &Path) -> Vec<(SystemTime, PathBuf)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|other| is_of(other, name)))
        .filter_map(|entry| {
            let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((about.modified().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Whether rotation gives `other` to a file called `name`.
fn is_of(other: &str, name: &str) -> bool {
    let packed = [".gz", ".xz", ".zst", ".bz2"].iter().any(|end| other.ends_with(end));
    let rest = other.strip_prefix(name);
    !packed && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotation_gives() {
        for (other, is) in [
            ("eve.json", true),
            ("eve.json.1", true),
            ("eve.json-20261123", true),
            ("eve.json.1.gz", false),
            ("eve.jsonl", false),
            ("x-eve.json", false),
        ] {
            assert_eq!(is_of(other, "eve.json"), is, "{other}");
        }
    }

    #[test]
    fn a_file_is_known_again_and_another_in_its_place_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "first line\nsecond").unwrap();
        let place = Known::open(&path).unwrap().place(11).unwrap();
        fs::write(&path, "first line\nsecond line\n").unwrap();
        assert!(Known::open(&path).unwrap().is_at(&place).unwrap(), "it has grown");
        fs::write(&path, "other line\nsecond").unwrap();
        assert!(!Known::open(&path).unwrap().is_at(&place).unwrap(), "the same inode, other bytes");
        fs::write(&path, "").unwrap();
        assert!(!Known::open(&path).unwrap().is_at(&place).unwrap(), "emptied");
        assert!(Known::open(folder.path()).is_err());
    }
}
