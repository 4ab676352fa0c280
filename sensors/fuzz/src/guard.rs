//! One execution of a target, watched: panics are caught, memory and processor time have bounds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::alloc;
use crate::target::Target;

/// Longest processor time of one execution; a build without optimisation is several times slower.
pub const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 2 });
/// An execution that takes longer is a hang: the input is kept and the program ends.
const HANG: Duration = Duration::from_secs(30);

/// What is being executed: how many executions began, the target, its input.
static CURRENT: Mutex<(u64, &'static str, Vec<u8>)> = Mutex::new((0, "", Vec::new()));
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Executes `input`.
///
/// # Errors
/// What did not hold, in words.
pub fn run(target: &mut dyn Target, input: &[u8]) -> Result<(), String> {
    if let Ok(mut current) = CURRENT.lock() {
        current.0 = BEGUN.fetch_add(1, Ordering::Relaxed);
        current.1 = target.name();
        current.2.clear();
        current.2.extend_from_slice(input);
    }
    let begun = Instant::now();
    // The thread's own time, where the wall clock says that it may matter: on a busy machine that alone would accuse the innocent.
    let spent = thread_time();
    let held = alloc::reset();
    let outcome = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    let memory = usize::try_from(alloc::peak() - held).unwrap_or(0);
    let took = if begun.elapsed() > PATIENCE { thread_time().saturating_sub(spent) } else { Duration::ZERO };
    match outcome {
        Err(cause) => {
            let words = cause.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| cause.downcast_ref::<&str>().copied());
            Err(format!("a panic: {}", words.unwrap_or("without words")))
        }
        Ok(_) if took > PATIENCE => Err(format!("took {took:?}")),
        Ok(_) if memory > target.memory() => {
            Err(format!("held {memory} bytes; {} are allowed", target.memory()))
        }
        Ok(outcome) => outcome,
    }
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Processor time of the whole program.
pub fn process_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Starts a thread that writes the input of an endless execution to `crashes` and ends the program.
///
/// # Errors
/// The thread could not be started.
pub fn watch(crashes: &Path) -> std::io::Result<()> {
    let crashes: PathBuf = crashes.to_owned();
    let look = move || {
        let mut last = (u64::MAX, Duration::ZERO);
        loop {
            std::thread::sleep(HANG / 10);
            let begun = BEGUN.load(Ordering::Relaxed);
            if begun != last.0 {
                last = (begun, process_time());
            } else if process_time().saturating_sub(last.1) > HANG {
                keep(&crashes);
            }
        }
    };
    std::thread::Builder::new().name("watch".to_owned()).spawn(look).map(drop)
}

#[expect(clippy::print_stderr, reason = "what was found is for the person at the terminal")]
fn keep(crashes: &Path) -> ! {
    if let Ok(current) = CURRENT.lock() {
        let file = crashes.join(format!("{}-hang-{}", current.1, current.0));
        let kept = std::fs::write(&file, &current.2);
        eprintln!("{}: an execution does not end ({kept:?})", file.display());
    }
    std::process::exit(3)
}
