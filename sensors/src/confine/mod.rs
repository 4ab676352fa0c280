//! Confinement: what a sensor gives up once its sockets are open, so that a packet that breaks a parser gains nothing.
//!
//! In: the folders that it writes to, and those in which it reads logs of the site. Out: a [`Report`] of what was given up. In this order: the user (root becomes the
//! owner of the first one), the capabilities (all of them), files and listening (landlock), system calls (seccomp). What the
//! kernel does not have is left out and named; what it has and refuses is an error.
//!
//! Landlock and capabilities belong to one thread and to those that it starts later, so [`confine`] is called before any
//! other thread is started.
//!
//! Sources: capabilities(7), landlock(7), seccomp(2), `no_new_privs` in the kernel's documentation.

mod calls;
mod files;
mod user;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the sensor could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The folder's owner cannot be asked for.
    #[error("{path:?}: {error}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The user could not be changed.
    #[error("becoming user {user}: {error}")]
    User {
        /// Its number.
        user: u32,
        /// What the system said.
        error: io::Error,
    },
    /// The capabilities could not be dropped.
    #[error("dropping the capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    /// The rules for files were refused.
    #[error("landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The filter of system calls was refused.
    #[error("seccomp: {0}")]
    Seccomp(#[from] seccompiler::Error),
    /// The filter of system calls could not be made.
    #[error("seccomp: {0}")]
    Filter(#[from] seccompiler::BackendError),
}

/// How much of a fence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// All that we know of.
    Whole,
    /// The older part, because the kernel is old.
    Part,
    /// Nothing: the kernel does not have it.
    Absent,
}

impl fmt::Display for Fence {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Whole => "yes",
            Self::Part => "in part (old kernel)",
            Self::Absent => "not in this kernel",
        })
    }
}

/// What was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The user as whom the process goes on.
    pub user: u32,
    /// Files outside the folder, and listening.
    pub files: Fence,
    /// System calls that a sensor never makes.
    pub calls: Fence,
}

/// Gives up all that a sensor with open sockets does not need; `folders` are what it still writes to, the first one's owner is
/// as whom root goes on; `read` are folders in which it only reads.
pub fn confine(folders: &[&Path], read: &[&Path]) -> Result<Report, ConfineError> {
    let owner = folders.first().map(|folder| user::owner(folder)).transpose()?;
    user::leave_root(owner)?;
    user::drop_capabilities()?;
    let files = files::restrict(folders, read)?;
    let calls = calls::restrict()?;
    Ok(Report { user: user::current(), files, calls })
}

/// Goes on as the owner of `folder` when this is root; what is written then belongs to the owner.
pub fn become_owner(folder: &Path) -> Result<(), ConfineError> {
    user::leave_root(Some(user::owner(folder)?))
}

/// What this kernel has, in a thread of its own: nothing is given up by asking.
pub fn offered() -> (Fence, Fence) {
    let asked = std::thread::spawn(|| (files::restrict(&[], &[]).ok(), calls::restrict().ok()));
    let (files, calls) = asked.join().unwrap_or_default();
    (files.unwrap_or(Fence::Absent), calls.unwrap_or(Fence::Absent))
}
