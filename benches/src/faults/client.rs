//! Clients that are answered: NDJSON and `_bulk`. A batch is sent until it is acknowledged, and now and then once more
//! after that.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::history::{History, Way};
use super::mark::{BLOCK, Mark};
use super::pace::Pace;
use super::road::Road;
use crate::random::Random;

/// Pause before a batch that was not acknowledged is sent again.
const AGAIN: Duration = Duration::from_millis(200);
/// How many acknowledged batches may be sent again.
const REMEMBERED: usize = 40;
/// Of a hundred batches so many are followed by an old one.
const REPEATED: u64 = 8;

/// How documents are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// NDJSON: an Idempotency-Key for the request.
    Key,
    /// `_bulk`: an `_id` for each document.
    Id,
    /// `_bulk` without ids: the body names them.
    Body,
}

impl Naming {
    const fn way(self) -> Way {
        match self {
            Self::Key => Way::Ndjson,
            Self::Id | Self::Body => Way::Bulk,
        }
    }
}

/// One client.
pub(crate) struct Client {
    /// Its lane.
    pub(crate) lane: String,
    /// How it names what it sends.
    pub(crate) naming: Naming,
    /// Its way to the collector.
    pub(crate) road: Road,
    agent: ureq::Agent,
    secret: String,
}

/// What a client did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Repeats {
    /// Requests sent again because no acknowledgement came.
    pub(crate) unanswered: u64,
    /// Acknowledged requests sent once more.
    pub(crate) acknowledged: u64,
}

/// A request that can be sent again as it was.
#[derive(Debug, Clone)]
struct Request {
    number: u64,
    body: String,
}

impl Client {
    /// A client of the collector at `target` with the API key `secret`; `agent` trusts the collector.
    pub(crate) fn new(
        lane: String,
        naming: Naming,
        target: SocketAddr,
        agent: ureq::Agent,
        secret: String,
    ) -> Result<Self> {
        Ok(Self { lane, naming, road: Road::open(target)?, agent, secret })
    }

    /// Sends until `pace` ends; then the last batch until it is acknowledged, for at most `patience`.
    pub(crate) fn run(
        &self,
        history: &History,
        mut pace: Pace,
        seed: u64,
        patience: Duration,
    ) -> Result<Repeats> {
        let mut random = Random::new(seed, u64::from_be_bytes(*b"clients\0") ^ self.number());
        let (mut sent, mut next, mut old) = (Repeats::default(), 0, VecDeque::new());
        while pace.wait() {
            let upto = next + BLOCK * (1 + random.below(5));
            let request = Request { number: next, body: self.body(next..upto) };
            history.begin(self.naming.way(), &self.lane, 0, upto);
            self.insist(&request, &pace, patience, &mut sent)?;
            history.promise(&self.lane, 0, upto);
            pace.spend(upto - next);
            next = upto;
            old.push_back(request);
            if old.len() > REMEMBERED {
                old.pop_front();
            }
            if random.chance(REPEATED) {
                let which = usize::try_from(random.below(old.len() as u64)).unwrap_or(0);
                if let Some(request) = old.get(which).cloned() {
                    self.insist(&request, &pace, patience, &mut sent)?;
                    sent.acknowledged += 1;
                }
            }
        }
        Ok(sent)
    }

    fn number(&self) -> u64 {
        self.lane.bytes().fold(0, |sum, byte| sum * 256 + u64::from(byte))
    }

    fn insist(&self, request: &Request, pace: &Pace, patience: Duration, sent: &mut Repeats) -> Result<()> {
        let mut until = Instant::now() + patience;
        while !self.send(request)? {
            sent.unanswered += 1;
            // As long as faults come, everything may take long.
            if !pace.is_over() {
                until = Instant::now() + patience;
            }
            if Instant::now() > until {
                bail!("{}: batch {} was not acknowledged within {patience:?}", self.lane, request.number);
            }
            sleep(AGAIN);
        }
        Ok(())
    }

    /// True when it was acknowledged; an error when it never will be.
    fn send(&self, request: &Request) -> Result<bool> {
        let path = if self.naming == Naming::Key { "/v1/events" } else { "/_bulk" };
        let mut post = self
            .agent
            .post(format!("{}{path}", self.road.url()))
            .header("content-type", "application/x-ndjson")
            .header("authorization", format!("ApiKey {}", self.secret));
        if self.naming == Naming::Key {
            post = post.header("idempotency-key", format!("{}-{}", self.lane, request.number));
        }
        let Ok(mut answer) = post.send(request.body.as_bytes()) else { return Ok(false) };
        let Ok(said) = answer.body_mut().read_to_string() else { return Ok(false) };
        match answer.status().as_u16() {
            // An item that was not taken would stand among the items.
            200..=299 if said.contains("\"errors\":true") => bail!("{}: refused: {said}", self.lane),
            200..=299 => Ok(true),
            429 | 500..=599 => Ok(false),
            status => bail!("{}: the collector answered {status}: {said}", self.lane),
        }
    }

    fn body(&self, numbers: std::ops::Range<u64>) -> String {
        let mut body = String::new();
        for number in numbers {
            let mark = Mark { lane: &self.lane, run: 0, number, made_ms: now_ms() };
            match self.naming {
                Naming::Key => {}
                Naming::Id => {
                    // Writing to a `String` cannot fail.
                    let _written = writeln!(
                        body,
                        "{{\"create\":{{\"_index\":\"f\",\"_id\":\"{}-{number}\"}}}}",
                        self.lane
                    );
                }
                Naming::Body => body.push_str("{\"create\":{\"_index\":\"f\"}}\n"),
            }
            let at = jiff::Timestamp::from_millisecond(mark.made_ms).unwrap_or_default();
            let (message, host) = (mark.message(), mark.host());
            let document = serde_json::json!({
                "@timestamp": format!("{at:.3}"), "event.dataset": "syslog", "host.name": host, "message": message,
            });
            let _written = writeln!(body, "{document}");
        }
        body
    }
}

/// Milliseconds since 1970 UTC by this machine's clock.
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
