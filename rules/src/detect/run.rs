//! Files over all cores: one thread reads, any number match, the caller puts the results back in order.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::Hit;
use super::merge::{Merger, Wanted};
use super::reader::BadRecord;
use super::scan::{Costs, Found, Job, Scanner};
use crate::engine::{Engine, Tuner};

/// Parts under way for each thread: memory does not grow with the files.
const AHEAD: usize = 4;

/// What the caller hears.
pub trait Sink {
    /// Why it cannot go on.
    type Error;
    /// A match, in the order of files and records whatever the number of threads; those of correlations come last, in the
    /// order of event time.
    fn hit(&mut self, hit: Hit) -> Result<(), Self::Error>;
    /// Something that is no record.
    fn bad(&mut self, file: &str, bad: &BadRecord);
    /// A file that cannot be read, or not further.
    fn unreadable(&mut self, file: &str, reason: &str);
}

/// What was looked at.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Events that were read; what could not be read is none.
    pub records: u64,
    /// Events whose log source no rule asks for.
    pub unruled: u64,
    /// Bytes of JSON text, unpacked; other formats are not counted.
    pub bytes: u64,
    /// What rules cost, where it was asked for.
    pub costs: Costs,
    /// Matches that correlations counted out of their order, because too many waited.
    pub late: u64,
}

/// How to go about it.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Threads that match; with 1 everything happens in the caller's thread.
    pub threads: usize,
    /// Which matches are wanted.
    pub wanted: Wanted,
    /// Note what rules cost.
    pub costs: bool,
}

/// Looks at all `jobs`; the sink hears the same in the same order whatever the number of threads.
pub fn run<S: Sink>(
    engine: &Arc<Engine>,
    plan: Plan,
    jobs: impl Iterator<Item = Job> + Send,
    sink: &mut S,
) -> Result<Totals, S::Error> {
    let mut gather = Gather {
        merger: Merger::new(Arc::clone(engine.rules()), plan.wanted),
        totals: Totals::default(),
        sink,
    };
    let tuner = Arc::new(Tuner::new(Arc::clone(engine)));
    if plan.threads <= 1 {
        let mut scanner = Scanner::new(tuner, plan.costs);
        for job in jobs {
            gather.take(scanner.look(job))?;
        }
        gather.totals.costs.add(&scanner.costs());
        return gather.end();
    }
    // The reader pays with a permit for each part; the permit comes back when the part was told.
    let (permits, returned) = sync_channel::<()>(plan.threads * AHEAD);
    let (to_do, waiting) = channel::<(u64, Job)>();
    let (done, results) = channel::<(u64, Found)>();
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        scope.spawn(move || {
            for (number, job) in (0..).zip(jobs) {
                // Nobody listens any more when the sink has failed.
                if permits.send(()).is_err() || to_do.send((number, job)).is_err() {
                    break;
                }
            }
        });
        let waiting = &waiting;
        let workers: Vec<_> = (0..plan.threads)
            .map(|_| {
                let done = done.clone();
                let tuner = Arc::clone(&tuner);
                scope.spawn(move || work(&mut Scanner::new(tuner, plan.costs), waiting, &done))
            })
            .collect();
        drop(done);
        // What comes too early waits.
        let mut early = BTreeMap::new();
        let mut next = 0;
        let mut outcome = Ok(());
        'all: for (number, found) in &results {
            early.insert(number, found);
            while let Some(found) = early.remove(&next) {
                next += 1;
                outcome = gather.take(found);
                if outcome.is_err() || returned.recv().is_err() {
                    break 'all;
                }
            }
        }
        drop((returned, results));
        for worker in workers {
            if let Ok(costs) = worker.join() {
                gather.totals.costs.add(&costs);
            }
        }
        outcome.and_then(|()| gather.end())
    })
}

fn work(scanner: &mut Scanner, waiting: &Mutex<Receiver<(u64, Job)>>, done: &Sender<(u64, Found)>) -> Costs {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, job)) = job else { break };
        if done.send((number, scanner.look(job))).is_err() {
            break;
        }
    }
    scanner.costs()
}

struct Gather<'s, S> {
    merger: Merger,
    totals: Totals,
    sink: &'s mut S,
}

impl<S: Sink> Gather<'_, S> {
    /// Everything was read: what correlations found comes last.
    fn end(mut self) -> Result<Totals, S::Error> {
        self.merger.end(&mut |hit| self.sink.hit(hit))?;
        self.totals.late = self.merger.late();
        Ok(self.totals)
    }

    fn take(&mut self, mut found: Found) -> Result<(), S::Error> {
        self.totals.records += found.records;
        self.totals.unruled += found.unruled;
        self.totals.bytes += found.bytes;
        let outcome = self.merger.add(&mut found, &mut |hit| self.sink.hit(hit));
        for bad in &found.bad {
            self.sink.bad(&found.file, bad);
        }
        if let Some(reason) = &found.unreadable {
            self.sink.unreadable(&found.file, reason);
        }
        outcome
    }
}
