//! What a child process took, which std does not tell.

#![expect(unsafe_code, reason = "std has no wait4")]

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};

/// Waits for `child`, whose handle is of no use afterwards; its end, and the memory and processor time that it used.
pub(crate) fn wait(child: &Child) -> (ExitStatus, libc::rusage) {
    let mut status = 0;
    // SAFETY: all zeros are a valid rusage, a structure of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let id = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: both pointers are to live variables of the types that the call fills.
    let ended = unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) };
    assert_eq!(ended, id, "{}", std::io::Error::last_os_error());
    (ExitStatus::from_raw(status), usage)
}
