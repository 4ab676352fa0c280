//! One run of a program over a capture: its processor time and its largest memory, as the kernel counts them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::cost::Cost;

/// How often a running process is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// What a run cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    /// Time on a processor, user and kernel mode together, in seconds.
    pub(crate) cpu_seconds: f64,
    /// From its start to its end, in seconds.
    pub(crate) wall_seconds: f64,
    /// Largest resident memory in MiB.
    pub(crate) peak_rss_mib: f64,
}

/// Starts `program`; what it prints goes to `out`.
fn start(program: &OsStr, arguments: &[&OsStr], out: &Path) -> Result<Child> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(File::create(out)?)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))
}

/// Runs `program` and waits for it.
pub(crate) fn run(program: &OsStr, arguments: &[&OsStr], out: &Path) -> Result<Run> {
    let [only] = run_all(program, &[(arguments, out)])?.try_into().unwrap_or([Run::default()]);
    Ok(only)
}

/// The cheapest of `times` runs: what others do on the machine only ever adds.
pub(crate) fn best(times: u32, mut one: impl FnMut() -> Result<Run>) -> Result<Run> {
    let mut best = one()?;
    for _ in 1..times {
        let next = one()?;
        if next.cpu_seconds < best.cpu_seconds {
            best = next;
        }
    }
    Ok(best)
}

/// Runs `program` once for each list of arguments, all at the same time.
pub(crate) fn run_all(program: &OsStr, lists: &[(&[&OsStr], &Path)]) -> Result<Vec<Run>> {
    let begin = Instant::now();
    let mut children = Vec::new();
    for (arguments, out) in lists {
        children.push((start(program, arguments, out)?, Run::default()));
    }
    let mut left = children.len();
    while left > 0 {
        sleep(LOOK);
        for (child, run) in &mut children {
            if run.wall_seconds > 0.0 {
                continue;
            }
            run.peak_rss_mib = run.peak_rss_mib.max(Cost::of(child.id()).peak_rss_mib);
            // A process that has ended keeps its account until it is waited for.
            if is_over(child.id()) {
                run.cpu_seconds = on_processor(&format!("/proc/{}/schedstat", child.id()));
                run.wall_seconds = begin.elapsed().as_secs_f64();
                let status = child.wait()?;
                ensure!(status.success(), "{} failed: {status}", program.display());
                left -= 1;
            }
        }
    }
    Ok(children.into_iter().map(|(_, run)| run).collect())
}

fn is_over(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// The first number of a `schedstat` file (proc(5)): nanoseconds on a processor; both programs have one thread.
pub(crate) fn on_processor(path: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let nanos: u64 = text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let count =
            [OsStr::new("-c"), OsStr::new("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done")];
        let run = run(OsStr::new("sh"), &count, &out).unwrap();
        assert!(run.cpu_seconds > 0.005 && run.wall_seconds >= run.cpu_seconds * 0.5, "{run:?}");
        assert_eq!(fs::read_to_string(&out).unwrap(), "done\n");
        let fails = [OsStr::new("-c"), OsStr::new("exit 3")];
        assert!(super::run(OsStr::new("sh"), &fails, &out).is_err());
    }
}
