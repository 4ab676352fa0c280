//! CPU time and memory of this process, as the kernel counts them.

use std::fs;

/// CPU time of this thread in nanoseconds.
pub(crate) fn nanos() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Memory now, in MB.
pub(crate) fn resident_mb() -> u64 {
    status("VmRSS:")
}

/// Most memory so far, in MB.
pub(crate) fn peak_mb() -> u64 {
    status("VmHWM:")
}

fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).map_or(0, |kb| kb / 1_024)
}
