//! What a prefix can be compared with; every answer but `Maybe` is final.

use super::{Scene, Verdict};

/// `Yes` when the prefix begins with one of `words`; `Maybe` while one is still possible.
pub(super) fn begins(prefix: &[u8], words: &[&[u8]]) -> Verdict {
    if words.iter().any(|word| prefix.starts_with(word)) {
        Verdict::Yes
    } else if words.iter().any(|word| word.starts_with(prefix)) {
        Verdict::Maybe
    } else {
        Verdict::No
    }
}

pub(super) fn on_port(scene: &Scene<'_>, port: u16, words: &[&[u8]]) -> Verdict {
    if scene.on(port) { begins(scene.prefix, words) } else { Verdict::No }
}

/// The bytes at `at`, all of whose positions `fits` accepts; `Maybe` while fewer than `count` are there and all fit.
pub(super) fn shape(prefix: &[u8], count: usize, fits: impl Fn(usize, u8) -> bool) -> Verdict {
    let seen = prefix.get(..count).unwrap_or(prefix);
    if !seen.iter().enumerate().all(|(at, &byte)| fits(at, byte)) {
        Verdict::No
    } else if seen.len() == count {
        Verdict::Yes
    } else {
        Verdict::Maybe
    }
}

/// Judges the first line, once it is whole or 512 bytes long, if the prefix begins as `start` says.
pub(super) fn first_line(prefix: &[u8], start: &[&[u8]], judge: impl Fn(&[u8]) -> bool) -> Verdict {
    match begins(prefix, start) {
        Verdict::Yes => {}
        other => return other,
    }
    let seen = prefix.get(..512).unwrap_or(prefix);
    let end = seen.iter().position(|&sign| sign == b'\n');
    if end.is_none() && seen.len() < 512 {
        return Verdict::Maybe;
    }
    if judge(seen.get(..end.unwrap_or(seen.len())).unwrap_or(seen)) { Verdict::Yes } else { Verdict::No }
}
