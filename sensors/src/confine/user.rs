//! The user and the capabilities of the process.

#![expect(unsafe_code, reason = "std has no calls to change the user")]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use caps::{CapSet, Capability};

use super::ConfineError;

/// User and group to whom `folder` belongs.
pub(super) fn owner(folder: &Path) -> Result<(u32, u32), ConfineError> {
    let found = fs::metadata(folder);
    let found = found.map_err(|error| ConfineError::Folder { path: folder.to_owned(), error })?;
    Ok((found.uid(), found.gid()))
}

/// As whom the process runs.
pub(super) fn current() -> u32 {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// Makes root the `owner`, for good; somebody else stays who it is. Every thread changes (nptl(7)).
pub(super) fn leave_root(owner: Option<(u32, u32)>) -> Result<(), ConfineError> {
    let Some((user, group)) = owner.filter(|(user, _)| *user != 0 && current() == 0) else { return Ok(()) };
    drop_bounding()?;
    let check = |result: libc::c_int| match result {
        0 => Ok(()),
        _ => Err(ConfineError::User { user, error: io::Error::last_os_error() }),
    };
    // SAFETY: no pointers but an empty list, which is not read.
    check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: no pointers are passed.
    check(unsafe { libc::setresgid(group, group, group) })?;
    // SAFETY: no pointers are passed.
    check(unsafe { libc::setresuid(user, user, user) })
}

/// Drops every capability, and the way back to them.
pub(super) fn drop_capabilities() -> Result<(), ConfineError> {
    drop_bounding()?;
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set)?;
    }
    Ok(())
}

/// Empties the bounding set where that is allowed; where it is not, `no_new_privs` closes the same door.
fn drop_bounding() -> Result<(), ConfineError> {
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::runtime::thread_all_supported() {
            caps::drop(None, CapSet::Bounding, capability)?;
        }
    }
    Ok(())
}
