//! The link: sends the spool's batches to the collector, the most urgent first, one at a time.
//!
//! `POST /v1/batch`, body zstd over JSON lines, headers `dongson-epoch`, `dongson-sequence`, `dongson-events`,
//! `dongson-class`, `dongson-root`, `dongson-signature` (made when it is sent, with the key of the certificate that the
//! connection shows). The
//! collector answers after its log has synced the batch; a batch whose answer was lost is sent again and is the same
//! events there. What the answers mean: 2xx acknowledged; 400 and 413 refused for good (set aside, counted); 401 and
//! 403 this sensor is not taken any more; all else, and every failure of the network: again later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dongson_event::batch::{Hash, Place};
use tracing::{info, warn};
use ureq::Agent;

use super::renew::{is_due, life, renew};
use super::signer::Signer;
use super::spool::{Waiting, unpack};
use super::{Identity, IdentityError};

/// Longest that one batch may take.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Longest that a health report may take: it must not hold up the batches.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the certificate's life is looked at.
const RENEWAL_EVERY: Duration = Duration::from_hours(1);
/// When a renewal that failed is tried again.
const RENEWAL_AGAIN: Duration = Duration::from_mins(1);
/// Pause after the first failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a batch was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no identity, or it is spoilt.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The batch's file could not be read.
    #[error("batch {sequence}: {error}")]
    Batch {
        /// Its sequence.
        sequence: u64,
        /// What the system said.
        error: io::Error,
    },
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The collector has it for good.
    Acknowledged,
    /// The collector will never take it.
    Refused(String),
    /// The collector refuses this sensor: it is revoked, or its certificate has ended. Nothing is taken from it any more;
    /// asking again is for the case that this changes.
    Barred {
        /// What the collector said.
        reason: String,
        /// How long to wait before the next try.
        pause: Duration,
    },
    /// Not now: network or overload.
    Later {
        /// What went wrong.
        reason: String,
        /// How long to wait before the next try.
        pause: Duration,
    },
}

/// The road to one collector.
#[derive(Debug)]
pub struct Link {
    agent: Agent,
    signer: Signer,
    identity: Identity,
    folder: PathBuf,
    /// Nonce of the drill session under which everything is sent.
    drill: Option<String>,
    pause: Duration,
    /// When the certificate's life is looked at next.
    look: Instant,
}

impl Link {
    /// A link with the identity of `folder`; with `drill` everything is sent under that session's nonce.
    pub fn new(identity: &Identity, folder: &Path, drill: Option<String>) -> Result<Self, LinkError> {
        Ok(Self {
            agent: agent(identity, folder)?,
            signer: Signer::load(identity, folder)?,
            identity: identity.clone(),
            folder: folder.to_owned(),
            drill,
            pause: FIRST_PAUSE,
            look: Instant::now(),
        })
    }

    /// Gets a new certificate when less than a third of the old one's life is left. A failure is logged and tried
    /// again later; the old certificate is used until then.
    pub fn keep_certificate(&mut self) {
        if Instant::now() < self.look {
            return;
        }
        self.look = Instant::now() + RENEWAL_EVERY;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if !is_due(&self.identity, i64::try_from(now).unwrap_or(i64::MAX)) {
            return;
        }
        let renewed = renew(&self.agent, &self.identity, &self.folder).map_err(|error| error.to_string());
        let renewed = renewed.and_then(|identity| {
            let agent = agent(&identity, &self.folder).map_err(|error| error.to_string())?;
            let signer = Signer::load(&identity, &self.folder).map_err(|error| error.to_string())?;
            Ok((identity, agent, signer))
        });
        match renewed {
            Ok((identity, agent, signer)) => {
                info!("the certificate was renewed");
                (self.identity, self.agent, self.signer) = (identity, agent, signer);
            }
            Err(reason) => {
                warn!(%reason, "the certificate ends soon and could not be renewed; trying again");
                self.look = Instant::now() + RENEWAL_AGAIN;
            }
        }
    }

    /// When the certificate in use ends, in seconds since 1970 UTC; `None` when it cannot be read.
    pub fn certificate_end(&self) -> Option<i64> {
        life(&self.identity.certificate).map(|(_, end)| end)
    }

    /// Tells the collector how the sensor is; true when it took the report. A report that is lost is not sent again:
    /// the next one says more.
    pub fn health(&self, report: &str) -> bool {
        self.tell("health", report)
    }

    /// Tells the collector how the spool is; true when it took the statement.
    pub fn account(&self, statement: &str) -> bool {
        self.tell("account", statement)
    }

    /// Sends JSON; true when it was taken.
    fn tell(&self, what: &str, json: &str) -> bool {
        let request = self.agent.post(format!("{}/v1/{what}", self.identity.url));
        let request = request.config().timeout_global(Some(HEALTH_TIMEOUT)).build();
        let answer = request.header("content-type", "application/json").send(json);
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Asks for the collector's time: the four times of the exchange in nanoseconds since 1970 UTC. Meant for a
    /// connection that is there already: a handshake would make it inexact.
    pub fn clock(&self) -> Option<[i64; 4]> {
        let request = self.agent.post(format!("{}/v1/clock", self.identity.url));
        let request = request.config().timeout_global(Some(HEALTH_TIMEOUT)).build();
        let asked = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let begun = Instant::now();
        let mut answer = request.send_empty().ok().filter(|answer| answer.status().is_success())?;
        // By the steady clock, which nobody sets.
        let answered = asked + begun.elapsed();
        let said: serde_json::Value = answer.body_mut().read_json().ok()?;
        let nanos = |since: Duration| i64::try_from(since.as_nanos()).ok();
        let said = |name: &str| said.get(name).and_then(serde_json::Value::as_i64);
        Some([nanos(asked)?, said("received")?, said("sent")?, nanos(answered)?])
    }

    /// Tries to send one batch.
    pub fn send(&mut self, epoch: u64, batch: &Waiting) -> Result<Sent, LinkError> {
        let unreadable = |error| LinkError::Batch { sequence: batch.sequence, error };
        let (head, body) = fs::read(&batch.path).and_then(unpack).map_err(unreadable)?;
        let broken = || unreadable(io::Error::other("the root in its head is no SHA-256"));
        let mut root: Hash = [0; 32];
        hex::decode_to_slice(&head.root, &mut root).map_err(|_| broken())?;
        let Waiting { sequence, class, events, .. } = *batch;
        let place = Place { sensor: &self.identity.sensor, epoch, sequence, class, events };
        let Some(signature) = self.signer.sign(&place, &root) else {
            return Ok(self.later("the system gives no random numbers".to_owned(), None));
        };
        let mut request = self.agent.post(format!("{}/v1/batch", self.identity.url));
        if let Some(nonce) = &self.drill {
            request = request.header("dongson-drill", nonce);
        }
        let answer = request
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", "zstd")
            .header("dongson-epoch", epoch.to_string())
            .header("dongson-sequence", batch.sequence.to_string())
            .header("dongson-events", batch.events.to_string())
            .header("dongson-class", batch.class.as_str())
            .header("dongson-root", &head.root)
            .header("dongson-signature", &signature)
            .send(&body[..]);
        let sent = match answer {
            Err(error) => self.later(error.to_string(), None),
            Ok(mut answer) => {
                let status = answer.status();
                let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let wait = wait.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                // The words of a refusal only help a person; that they cannot be read changes nothing.
                let said = answer.body_mut().read_to_string().unwrap_or_default();
                let said: String = said.chars().take(300).collect();
                match status.as_u16() {
                    200..=299 => {
                        self.pause = FIRST_PAUSE;
                        Sent::Acknowledged
                    }
                    401 | 403 => Sent::Barred { reason: format!("{status}: {said:?}"), pause: LONGEST_PAUSE },
                    400 | 413 => Sent::Refused(format!("the collector answered {status}: {said:?}")),
                    _ => self.later(format!("the collector answered {status}: {said:?}"), wait),
                }
            }
        };
        Ok(sent)
    }

    fn later(&mut self, reason: String, asked: Option<Duration>) -> Sent {
        let pause = asked.unwrap_or(self.pause).min(LONGEST_PAUSE);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Sent::Later { reason, pause }
    }
}

fn agent(identity: &Identity, folder: &Path) -> Result<Agent, IdentityError> {
    let config = Agent::config_builder()
        .tls_config(identity.tls(folder)?)
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false);
    Ok(config.build().into())
}
