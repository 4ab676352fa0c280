//! The last packets on disk: a ring of capture files, and how packets are found in it again.
//!
//! [`Packets`] is the writer: a thread of its own with a bounded queue, so that capturing never waits for the disk; what it
//! could not take is counted ([`Counts`]). The files (pcapng, nanoseconds) lie in one folder, each beside an index that says which
//! flows it has where. Of each flow only the first bytes are kept ([`Limits::flow_bytes`]); the oldest files go when the size
//! or the age is reached, or the disk is full. [`find()`] reads the same folder, from any process that may.
//!
//! What always holds: a kill -9 loses what was not written yet (about a second), never what was, and leaves files that can be
//! read; the index is an accelerator only: what it does not cover is read through.

mod block;
mod find;
mod flows;
mod index;
mod recorder;
mod ring;
mod segment;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use find::{Flow, Found, Query, Span, find, spans};
pub use recorder::{Packets, Recorder};
pub use ring::Ring;

/// What bounds the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of all files with their indexes.
    pub bytes: u64,
    /// How old a packet may become.
    pub age: Duration,
    /// How many bytes of frames of each flow are kept, both directions together; 0 for all. Segments that open or close
    /// a TCP connection are kept in any case.
    pub flow_bytes: u64,
}

impl Default for Limits {
    /// 4 GiB, three days, the first MiB of each flow.
    fn default() -> Self {
        Self { bytes: 4 << 30, age: Duration::from_hours(72), flow_bytes: 1 << 20 }
    }
}

/// Least [`Limits::bytes`].
pub const LEAST_BYTES: u64 = 4 << 20;

/// What the ring has done since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames written.
    pub frames: u64,
    /// Their bytes as captured.
    pub bytes: u64,
    /// Frames of flows of which enough was kept.
    pub cut_frames: u64,
    /// Their bytes.
    pub cut_bytes: u64,
    /// Frames that the queue had no room for.
    pub queue_lost: u64,
    /// Frames that the disk refused.
    pub disk_lost: u64,
    /// Files removed to keep within size or age.
    pub files_aged: u64,
    /// Files removed because the disk was full.
    pub files_for_room: u64,
}

/// Why packets cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// The disk refused.
    #[error("{path:?}: {error}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process writes to the folder.
    #[error(
        "{0:?} is in use: another dongson-sensor keeps packets there; end it, or give this one another folder"
    )]
    Busy(PathBuf),
    /// The folder cannot be this one.
    #[error("{0:?} holds no packets of a sensor: give the folder of `run --packets`")]
    NoFolder(PathBuf),
    /// The size is too small.
    #[error("{0} bytes are too few for packets: at least {LEAST_BYTES}")]
    TooSmall(u64),
    /// What was found could not be written.
    #[error("writing the packets that were found: {0}")]
    Output(io::Error),
    /// A Community ID that is none.
    #[error("{0:?} is no Community ID: it looks like 1:LQU9qZlK+B5F3KDmev6m5PMibrg=")]
    CommunityId(String),
    /// A 5-tuple that is none.
    #[error(
        "{0:?} is no 5-tuple: it looks like \"tcp 10.0.0.1 40000 10.0.0.2 443\" (tcp, udp or sctp; IPv6 as it is)"
    )]
    Tuple(String),
    /// The thread could not be started.
    #[error("the thread that writes packets could not be started: {0}")]
    Thread(io::Error),
}

fn disk(path: &Path, error: io::Error) -> PacketError {
    PacketError::Disk { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests;
