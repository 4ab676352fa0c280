//! Many executions of one target: inputs that go where none went before are kept and changed further.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;

use crate::coverage::Seen;
use crate::guard;
use crate::target::Target;

/// Findings after which a run ends.
const ENOUGH: u64 = 10;
/// Most inputs that are kept, in number and bytes.
const KEPT: (usize, usize) = (30_000, 64 << 20);
/// How often the clock is looked at, in executions.
const LOOK_EVERY: u64 = 64;

/// How long a run goes on: whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Most executions.
    pub executions: u64,
    /// Longest processor time.
    pub time: Duration,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// How many inputs were run.
    pub executions: u64,
    /// Processor time.
    pub time: Duration,
    /// Inputs that a target did not survive, or after which something did not hold: where they lie, and what it was.
    pub found: Vec<(PathBuf, String)>,
    /// Edges taken, of how many; none in a build without them.
    pub edges: (usize, usize),
    /// Inputs that went where none before them did.
    pub kept: Vec<Vec<u8>>,
}

/// Runs `target` from its own seeds and `more`; what is found is written to `crashes`.
///
/// # Errors
/// A finding cannot be written.
pub fn run(
    target: &mut dyn Target,
    more: Vec<Vec<u8>>,
    rng: &mut Rng,
    budget: Budget,
    crashes: &Path,
) -> std::io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut seen = Seen::default();
    let mut inputs = target.seeds();
    let own = inputs.len();
    inputs.extend(more);
    let begun = guard::process_time();
    // Where the seeds go is known, so that only what is new is kept.
    seen.take();
    let mut pending: Vec<Vec<u8>> = inputs.clone();
    let mut kept_bytes = 0;
    while outcome.executions < budget.executions && (outcome.found.len() as u64) < ENOUGH {
        if outcome.executions.is_multiple_of(LOOK_EVERY) {
            outcome.time = guard::process_time().saturating_sub(begun);
            if outcome.time >= budget.time {
                break;
            }
        }
        let (input, fresh) = match pending.pop() {
            Some(input) => (input, false),
            None => (next(target, rng, &inputs, own), true),
        };
        outcome.executions += 1;
        let result = guard::run(target, &input);
        let new = seen.take();
        if let Err(what) = result {
            let file = crashes.join(format!("{}-{:016x}", target.name(), sum(&input)));
            fs::write(&file, &input)?;
            outcome.found.push((file, what));
        } else if new && fresh && inputs.len() < KEPT.0 && kept_bytes < KEPT.1 {
            kept_bytes += input.len();
            outcome.kept.push(input.clone());
            inputs.push(input);
        }
    }
    outcome.time = guard::process_time().saturating_sub(begun);
    outcome.edges = seen.edges();
    Ok(outcome)
}

/// An input made from two others; every fourth from the target's own seeds, every other one from the newest.
fn next(target: &dyn Target, rng: &mut Rng, inputs: &[Vec<u8>], own: usize) -> Vec<u8> {
    if inputs.is_empty() {
        return target.change(rng, &[], &[]);
    }
    let from = match rng.u8(0..4) {
        0 => 0..own.max(1).min(inputs.len()),
        1 => 0..inputs.len(),
        _ => inputs.len() - inputs.len().div_ceil(4)..inputs.len(),
    };
    let one = inputs.get(rng.usize(from)).map_or(&[][..], Vec::as_slice);
    let other = inputs.get(rng.usize(0..inputs.len())).map_or(&[][..], Vec::as_slice);
    target.change(rng, one, other)
}

/// FNV-1a: a name for an input that stays the same.
pub fn sum(input: &[u8]) -> u64 {
    input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
