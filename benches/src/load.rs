//! Load: several lanes at once, each as fast as it may, for a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use jiff::Timestamp;

use crate::lane::Lane;
use crate::record::{Batch, Kind, Maker};

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// The kind of records.
    pub(crate) kind: Kind,
    /// Where the made-up numbers begin.
    pub(crate) seed: u64,
    /// Records of one request, or of one write.
    pub(crate) batch: u64,
    /// Records in a second over all lanes; none = as many as are taken.
    pub(crate) rate: Option<u64>,
    /// How long.
    pub(crate) time: Duration,
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    /// Records that were begun to be sent.
    pub(crate) begun: u64,
    /// Records that were acknowledged, or read to the end of the connection.
    pub(crate) acknowledged: u64,
    /// Their text before compression, in bytes.
    pub(crate) bytes: u64,
    /// Requests that had to be sent again.
    pub(crate) again: u64,
}

/// Sends over all `lanes` until the time is over or `stop` is true; the first error ends all.
pub(crate) fn send(load: Load, lanes: Vec<Lane>, stop: &AtomicBool) -> Result<Sent> {
    let count = lanes.len() as u64;
    let begin = Instant::now();
    let sent = AtomicU64::new(0);
    let parts: Vec<Result<Sent>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(lanes)
            .map(|(number, lane)| {
                let sent = &sent;
                scope.spawn(move || {
                    let pace = Pace::new(begin, load.rate, load.batch, count);
                    let done = one_lane(load, lane, number, pace, (stop, sent));
                    if done.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    done
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a lane panicked"))))
            .collect()
    });
    let mut total = Sent { begun: sent.into_inner(), ..Sent::default() };
    for part in parts {
        let part = part?;
        total.acknowledged += part.acknowledged;
        total.bytes += part.bytes;
        total.again += part.again;
    }
    Ok(total)
}

fn one_lane(
    load: Load,
    mut lane: Lane,
    number: u64,
    mut pace: Pace,
    (stop, sent): (&AtomicBool, &AtomicU64),
) -> Result<Sent> {
    let mut maker = Maker::new(load.kind, load.seed, number);
    let mut batch = Batch::default();
    let mut done = Sent::default();
    loop {
        pace.wait();
        if stop.load(Ordering::Relaxed) || pace.begin.elapsed() >= load.time {
            break;
        }
        maker.fill(&mut batch, load.batch, Timestamp::now());
        sent.fetch_add(batch.records, Ordering::Relaxed);
        lane.send(&batch)?;
        done.acknowledged += batch.records;
        done.bytes += batch.text.len() as u64;
    }
    done.again = lane.close()?;
    Ok(done)
}

/// Says when the next batch is due; sleeps until then.
#[derive(Debug)]
struct Pace {
    begin: Instant,
    /// Time between two batches of this lane; zero = at once.
    every: Duration,
    next: u32,
}

impl Pace {
    fn new(begin: Instant, rate: Option<u64>, batch: u64, lanes: u64) -> Self {
        let nanos = |rate: u64| (batch * lanes).saturating_mul(1_000_000_000) / rate.max(1);
        Self { begin, every: Duration::from_nanos(rate.map_or(0, nanos)), next: 0 }
    }

    fn wait(&mut self) {
        let due = self.every.saturating_mul(self.next);
        self.next = self.next.saturating_add(1);
        sleep(due.saturating_sub(self.begin.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_shared_by_the_lanes() {
        let pace = Pace::new(Instant::now(), Some(2_000), 100, 4);
        assert_eq!(pace.every, Duration::from_millis(200));
        assert_eq!(Pace::new(Instant::now(), None, 100, 4).every, Duration::ZERO);
    }
}
