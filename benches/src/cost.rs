//! What processes cost, as the kernel counts it: processor time and the largest memory.

use std::fs;

use serde::Serialize;

/// Ticks of a second in `/proc/PID/stat`: `USER_HZ`, which is 100 on every machine that we support.
const TICKS: u32 = 100;

/// What one process, or several together, cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// Processor time in user and kernel mode, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Largest resident memory so far, in MiB.
    pub(crate) peak_rss_mib: f64,
}

impl Cost {
    /// Of the process `pid`; zero once it is gone.
    pub(crate) fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        Self { cpu_seconds: cpu_seconds(&stat), peak_rss_mib: peak_rss_mib(&status) }
    }

    /// Of all children of `pid` together.
    pub(crate) fn of_children(pid: u32) -> Self {
        children(pid).into_iter().map(Self::of).fold(Self::default(), |sum, one| Self {
            cpu_seconds: sum.cpu_seconds + one.cpu_seconds,
            peak_rss_mib: sum.peak_rss_mib + one.peak_rss_mib,
        })
    }

    /// Processor time since `earlier`; the memory stays.
    pub(crate) fn since(self, earlier: Self) -> Self {
        let ticks = (self.cpu_seconds - earlier.cpu_seconds) * f64::from(TICKS);
        Self { cpu_seconds: ticks.round() / f64::from(TICKS), ..self }
    }
}

/// The processes whose parent is `pid`.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|child| {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            field(&stat, 4) == Some(u64::from(pid))
        })
        .collect()
}

/// The numeric field `number` (from 1, as in proc(5)) behind the program's name, which may hold anything.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> f64 {
    let ticks = |number| field(stat, number).and_then(|ticks| u32::try_from(ticks).ok()).unwrap_or(0);
    (f64::from(ticks(14)) + f64::from(ticks(15))) / f64::from(TICKS)
}

fn peak_rss_mib(status: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse::<u32>().ok());
    (f64::from(kib.unwrap_or(0)) / 1_024.0).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 1 0 5 1000 10";
        assert_eq!(field(stat, 4), Some(3));
        assert!((cpu_seconds(stat) - 2.0).abs() < 1e-9);
        assert_eq!(field("", 4), None);
    }

    #[test]
    fn this_process_takes_memory() {
        assert!(Cost::of(std::process::id()).peak_rss_mib > 1.0);
        assert!((peak_rss_mib("Name:\tx\nVmHWM:\t  2048 kB\n") - 2.0).abs() < 1e-9);
    }
}
