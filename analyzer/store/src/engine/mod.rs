//! The embedded engine: `libchdb.so`, opened at run time.
//!
//! A thin binding of the few functions of its C interface that we use (`chdb.h` of chdb 26.7). This folder is the
//! only unsafe code of the room. What always holds: a connection runs one statement at a time, is closed when it is
//! dropped, and a process ends only after all are closed or through [`leave`], because the engine crashes in the
//! exit handlers otherwise.
#![expect(unsafe_code, reason = "the C interface of the engine and two system calls")]

mod binding;
mod connection;

pub(crate) use binding::Engine;
pub(crate) use connection::Connection;

/// What the engine answered instead of a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct EngineError {
    /// `ClickHouse`'s number of the error; 0 when it gave none.
    pub(crate) code: u32,
    /// Its words, `Code: N. DB::Exception: ...`.
    pub(crate) text: String,
}

impl EngineError {
    /// From the engine's words.
    pub(crate) fn new(text: String) -> Self {
        let digits = text.split_once("Code: ").map_or("", |(_, rest)| rest);
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        Self { code: digits.parse().unwrap_or(0), text }
    }
}

/// Ends the process at once, without exit handlers.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// Asks the kernel to kill this process when the thread that started it ends.
pub(crate) fn die_with_parent() {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory of ours.
    let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if done != 0 {
        tracing::warn!(
            "the kernel refused PR_SET_PDEATHSIG; the pipe from the parent is watched all the same"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read() {
        let error = EngineError::new("Code: 60. DB::Exception: Unknown table".to_owned());
        assert_eq!(error.code, 60);
        assert_eq!(EngineError::new("no code".to_owned()).code, 0);
    }
}
