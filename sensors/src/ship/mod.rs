//! From events to the collector: batches on disk, a link that sends them over mutual TLS, and the enrolment that
//! gives the sensor its certificate.
//!
//! [`spool`] keeps every batch on disk until the collector has acknowledged it; [`link`] sends them in order and
//! never gives one up because of the network; [`enrol()`] makes the key (which never leaves this machine) and gets the
//! certificate; [`renew`] replaces both before the certificate ends; [`identity`] is what enrolment leaves on disk;
//! [`signer`] signs the batches; [`budget`] holds back what a poor link cannot carry, and [`meter`] counts all
//! that is sent; [`clock`] measures this clock by the
//! collector's; [`health`] is what the sensor says about itself, [`sight`] how much it did not see.

pub mod budget;
pub mod clock;
pub mod enrol;
pub mod health;
pub mod identity;
pub mod link;
pub mod meter;
pub mod renew;
pub mod shipper;
pub mod sight;
pub mod signer;
pub mod spool;

pub use budget::BudgetOptions;
pub use enrol::{EnrolError, enrol};
pub use health::{Health, Seen};
pub use identity::{Identity, IdentityError, secret_key};
pub use link::{Link, LinkError, Sent};
pub use meter::Meter;
pub use renew::RenewError;
pub use shipper::{Counts, ShipError, ShipOptions, Shipper};
pub use spool::{Batch, Spool, SpoolError, Stored};

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes a file so that after a power cut it is there whole or not at all: a new name, synced, renamed, the folder
/// synced. `mode` is the file's permissions.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("the file has no folder"))?;
    let unfinished = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}
