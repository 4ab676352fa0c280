//! Where an execution went: the counters that LLVM puts on every edge when `instrument` builds the sensor.
//!
//! Without them everything works, and no input is told from another. Source: LLVM's `SanitizerCoverage`, "Inline 8bit-counters".

#![expect(unsafe_code, reason = "the counters are memory that instrumented code writes to")]

use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the counters begin and end; all modules share one section.
static COUNTERS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Called before `main` by each instrumented module.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let [first, last] = &COUNTERS;
    first.store(start as usize, Ordering::Relaxed);
    last.store(stop as usize, Ordering::Relaxed);
}

/// The edges that were taken, each with how often, in eight classes.
#[derive(Debug, Default)]
pub struct Seen {
    classes: Vec<u8>,
}

impl Seen {
    /// Takes what was counted since the last call and sets the counters to zero; true when an edge was taken that never
    /// was, or never as often.
    pub fn take(&mut self) -> bool {
        let counters = counters();
        self.classes.resize(counters.len(), 0);
        let mut new = false;
        for (counted, known) in counters.chunks_mut(32).zip(self.classes.chunks_mut(32)) {
            // Most edges are not taken: whole rows of zeros are passed over.
            if counted.iter().fold(0, |all, count| all | *count) == 0 {
                continue;
            }
            for (count, known) in counted.iter_mut().zip(known) {
                let class = class(*count);
                new |= class & !*known != 0;
                *known |= class;
                *count = 0;
            }
        }
        new
    }

    /// How many edges were ever taken, of how many.
    pub fn edges(&self) -> (usize, usize) {
        (self.classes.iter().filter(|classes| **classes != 0).count(), self.classes.len())
    }
}

/// The class of a count as a bit; none for 0.
fn class(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        _ => 128,
    }
}

/// All counters; none when nothing was instrumented.
fn counters() -> &'static mut [u8] {
    let [start, stop] = [&COUNTERS[0], &COUNTERS[1]].map(|place| place.load(Ordering::Relaxed));
    if start == 0 || stop <= start {
        return &mut [];
    }
    // SAFETY: the section lives as long as the program, and instrumented code does not run while the slice is used: one
    // thread executes targets and asks here between two of them.
    unsafe { std::slice::from_raw_parts_mut(start as *mut u8, stop - start) }
}
