//! The thread that asks: one question at a time, which the collector answers when it has news or after half a minute.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use dongson_event::trust::{Envelope, Purpose, Trust};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};
use ureq::Agent;

use super::keep::Kept;
use super::pack::Packs;
use super::witness::{Heard, Witness};
use super::{DesiredError, Shared, SignedRequest, State, anchor, lock};
use crate::capture::portable::now;
use crate::ship::{Identity, IdentityError, Meter};

/// Longest answer in bytes.
pub(super) const MAX_ANSWER_BYTES: u64 = 32 << 20;
/// Longest part of a pack in bytes.
const MAX_PART_BYTES: u64 = 8 << 20;
/// How long the collector may wait for news, in seconds.
const WAIT_SECONDS: u64 = 30;
/// Longest that one question may take.
const TIMEOUT: Duration = Duration::from_secs(WAIT_SECONDS + 30);
/// Pause after the first failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Most requests that are remembered as given on; all are forgotten then.
const REMEMBERED: usize = 4_096;

/// How the sensor stands with its collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nothing was answered yet.
    #[default]
    Unknown,
    /// It answers.
    Good,
    /// It cannot be reached, or does not know of desired state.
    Away,
    /// It refuses this sensor: revoked, or the certificate is not taken.
    Refused,
}

/// The road to the collector, for questions.
#[derive(Debug)]
pub struct Link {
    agent: Agent,
    identity: Identity,
}

/// The answer to a question.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    roots: Vec<Envelope>,
    #[serde(default)]
    desired: Vec<Envelope>,
    #[serde(default)]
    packs: Vec<Envelope>,
    #[serde(default)]
    requests: Vec<Envelope>,
}

/// What came back.
struct Asked {
    news: Option<(Answer, Option<String>)>,
    heard: Option<Heard>,
}

impl Link {
    /// A link with the identity of `folder`.
    pub fn new(folder: &Path, identity: &Identity) -> Result<Self, IdentityError> {
        let config = Agent::config_builder()
            .tls_config(identity.tls(folder)?)
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false);
        Ok(Self { agent: config.build().into(), identity: identity.clone() })
    }

    /// Asks; the answer is `None` when there is no news. The new etag comes with the answer, and with each what the
    /// collector says of the transparency log to who knows `log` entries of it.
    fn ask(&self, root: u64, etag: Option<&str>, log: u64) -> Result<Asked, DesiredError> {
        let request = self.agent.get(format!("{}/v1/desired?root={root}", self.identity.url));
        let mut request = request.header("x-dongson-log-size", log.to_string());
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag).header("prefer", format!("wait={WAIT_SECONDS}"));
        }
        let mut answer = request.call().map_err(|error| unreachable(&error))?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let etag = header("etag").map(str::to_owned);
        let said = header("x-dongson-log-key").zip(header("x-dongson-log-head"));
        let heard = said.and_then(|(key, note)| {
            Heard::read(key, note, header("x-dongson-log-proof").unwrap_or_default())
        });
        if answer.status().as_u16() == 304 {
            return Ok(Asked { news: None, heard });
        }
        let body = body(&mut answer, MAX_ANSWER_BYTES)?;
        let told = serde_json::from_slice(&body)
            .map_err(|error| DesiredError::Unreachable(format!("the answer is not understood: {error}")))?;
        Ok(Asked { news: Some((told, etag)), heard })
    }

    /// A part of a pack from `offset` on.
    fn part(&self, sha256: &str, offset: u64) -> Result<Vec<u8>, DesiredError> {
        let request = self.agent.get(format!("{}/v1/pack/{sha256}", self.identity.url));
        let mut answer = request
            .header("range", format!("bytes={offset}-"))
            .call()
            .map_err(|error| unreachable(&error))?;
        if answer.status().as_u16() == 200 && offset > 0 {
            return Err(DesiredError::Unreachable("the collector does not send parts of packs".to_owned()));
        }
        body(&mut answer, MAX_PART_BYTES)
    }
}

fn unreachable(error: &ureq::Error) -> DesiredError {
    DesiredError::Unreachable(error.to_string())
}

/// The body of a good answer; anything else is an error with the collector's words.
fn body(answer: &mut ureq::http::Response<ureq::Body>, most: u64) -> Result<Vec<u8>, DesiredError> {
    let status = answer.status();
    let read =
        answer.body_mut().with_config().limit(most).read_to_vec().map_err(|error| unreachable(&error))?;
    if status.is_success() {
        return Ok(read);
    }
    let said: String = String::from_utf8_lossy(&read).chars().take(300).collect();
    let words = format!("{status} {said:?}");
    Err(match status.as_u16() {
        401 | 403 => DesiredError::Refused(words),
        _ => DesiredError::Unreachable(format!("the collector answered {words}")),
    })
}

/// Asks, verifies, keeps.
pub(super) struct Asker {
    folder: PathBuf,
    link: Link,
    trust: Option<Trust>,
    kept: Kept,
    packs: Packs,
    witness: Witness,
    etag: Option<String>,
    problem: Option<String>,
    standing: Standing,
    /// SHA-256 of the requests that were given on.
    given: HashSet<[u8; 32]>,
    meter: Meter,
}

impl Asker {
    pub(super) fn open(folder: &Path, identity: &Identity, meter: Meter) -> Result<Self, DesiredError> {
        let trust = anchor::load(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            link: Link::new(folder, identity)?,
            kept: Kept::open(folder, identity, trust.as_ref())?,
            packs: Packs::open(folder, trust.as_ref())?,
            witness: Witness::open(folder)?,
            trust,
            etag: None,
            problem: None,
            standing: Standing::Unknown,
            given: HashSet::new(),
            meter,
        })
    }

    pub(super) fn state(&self) -> State {
        let (version, configuration) = self.kept.whole();
        State {
            root: self.root(),
            version,
            configuration,
            packs: self.packs.held(),
            problem: self.problem.clone(),
            standing: self.standing,
            log: self.witness.state(),
        }
    }

    fn root(&self) -> u64 {
        self.trust.as_ref().map_or(0, |trust| trust.root().version)
    }

    /// Asks until it is stopped.
    pub(super) fn run(&mut self, shared: &Shared, requests: &SyncSender<SignedRequest>) {
        let mut pause = FIRST_PAUSE;
        while !*lock(&shared.stopped) {
            let begun = Instant::now();
            let asked = self.turn(requests);
            if *lock(&shared.stopped) {
                return;
            }
            let whole = match asked {
                Ok(whole) => {
                    self.standing = Standing::Good;
                    whole
                }
                Err(error) => {
                    self.note(&error);
                    false
                }
            };
            // Never hotter than this, whatever the collector answers.
            let usual = FIRST_PAUSE.saturating_sub(begun.elapsed());
            let (rest, next) =
                if whole { (usual, FIRST_PAUSE) } else { (pause, (pause * 2).min(LONGEST_PAUSE)) };
            pause = next;
            shared.set(self.state());
            wait(shared, rest);
        }
    }

    /// Notes why there is no news; the log is told when it changes.
    fn note(&mut self, error: &DesiredError) {
        let standing = match error {
            DesiredError::Refused(_) => Standing::Refused,
            _ => Standing::Away,
        };
        if standing != self.standing && standing == Standing::Refused {
            error!(%error, "the collector refuses this sensor: what it sees is kept until it may send again");
        } else if standing != self.standing {
            info!(%error, "the collector does not answer what it wants of this sensor");
        }
        self.standing = standing;
    }

    /// One question and what follows from its answer; true when the next one may wait for news, false when
    /// something is to be tried again: a pack broke off, or requests found nobody who takes them.
    pub(super) fn turn(&mut self, requests: &SyncSender<SignedRequest>) -> Result<bool, DesiredError> {
        self.renew_link()?;
        self.meter.spend(0);
        let Asked { news, heard } = self.link.ask(self.root(), self.etag.as_deref(), self.witness.size())?;
        if let Some(heard) = heard {
            self.witness.hear(&heard, now())?;
        }
        let Some((answer, etag)) = news else { return Ok(true) };
        let mut problems = Vec::new();
        let mut full = false;
        let mut again = false;
        let mut note = |problem: Result<(), DesiredError>| {
            if let Err(error) = problem {
                again |= matches!(error, DesiredError::Unreachable(_) | DesiredError::Disk { .. });
                problems.push(error.to_string());
            }
        };
        note(self.take_roots(&answer.roots));
        if let Some(trust) = &self.trust {
            let (at, identity) = (now(), &self.link.identity);
            for envelope in &answer.desired {
                note(self.kept.take(trust, envelope, identity, at).map(drop));
            }
            let link = &self.link;
            for envelope in &answer.packs {
                let fetch = &mut |sha256: &str, offset| link.part(sha256, offset);
                note(self.packs.take(trust, envelope, identity, at, fetch).map(drop));
            }
            for envelope in &answer.requests {
                note(trust.verify(Purpose::Request, envelope, at).map(drop).map_err(Into::into));
                full |= !give(&mut self.given, envelope, requests);
            }
        }
        // What may go better the next time is asked for again.
        self.etag = etag.filter(|_| !full && !again);
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        if problem != self.problem
            && let Some(problem) = &problem
        {
            warn!(problem, "what the centre wants was not taken whole");
        }
        self.problem = problem;
        Ok(!full && !again)
    }

    /// The identity on the disk decides: the link for batches may have renewed it.
    fn renew_link(&mut self) -> Result<(), DesiredError> {
        let identity = Identity::load(&self.folder)?;
        if identity != self.link.identity {
            self.link = Link::new(&self.folder, &identity)?;
        }
        Ok(())
    }

    fn take_roots(&mut self, roots: &[Envelope]) -> Result<(), DesiredError> {
        if roots.is_empty() {
            return Ok(());
        }
        let taken = anchor::take_roots(&self.folder, roots);
        self.trust = anchor::load(&self.folder)?;
        taken
    }
}

/// Gives a request on, once; false when nobody could take it.
fn give(given: &mut HashSet<[u8; 32]>, envelope: &Envelope, requests: &SyncSender<SignedRequest>) -> bool {
    // With the signatures: a forgery must not stand in the way of what it was made from.
    let mark: [u8; 32] = Sha256::digest(envelope.to_json()).into();
    if given.contains(&mark) {
        return true;
    }
    match requests.try_send(SignedRequest { envelope: envelope.clone() }) {
        Ok(()) => {
            if given.len() >= REMEMBERED {
                // Who serves requests knows which were answered; this only spares it repetitions.
                given.clear();
            }
            given.insert(mark);
            true
        }
        Err(TrySendError::Full(_)) => false,
        // Nobody serves requests in this process.
        Err(TrySendError::Disconnected(_)) => true,
    }
}

/// Waits for `pause`, or until the end.
fn wait(shared: &Shared, pause: Duration) {
    let stopped = lock(&shared.stopped);
    let waited = shared
        .changed
        .wait_timeout_while(stopped, pause, |stopped| !*stopped)
        .unwrap_or_else(PoisonError::into_inner);
    drop(waited);
}
