//! The thread that serves requests, one after the other.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use dongson_event::Timestamp;
use dongson_event::trust::{PacketAccount, PacketAnswer, PacketRequest, TrustError};
use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};

use super::journal::{Deed, Journal, JournalError, Progress};
use super::rules::Rules;
use super::send::{Road, SendError};
use crate::capture::portable::now;
use crate::desired::{DesiredError, SignedRequest, trusted};
use crate::packets::{Found, PacketError, Query, find};
use crate::ship::{Identity, Meter, write_whole};

/// Pause after the first failure to reach the collector; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long a refusal is tried to be told.
const REFUSAL_LIFE: Duration = Duration::from_mins(10);

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    told: Condvar,
}

impl Stop {
    fn is_set(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `pause`, or until the end; true at the end.
    fn wait(&self, pause: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(stopped, pause, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Serves requests until it is dropped.
pub struct Answerer {
    stop: Arc<Stop>,
}

impl Answerer {
    /// Starts to serve `requests` with the journal in `folder`.
    pub fn start(
        folder: &Path,
        identity: &Identity,
        rules: Rules,
        meter: Meter,
        requests: Receiver<SignedRequest>,
    ) -> Result<Self, JournalError> {
        let stop = Arc::<Stop>::default();
        let (folder, identity, journal) =
            (folder.to_owned(), identity.clone(), Journal::open(folder, now())?);
        let desk = Desk { folder, identity, rules, meter, journal, stop: Arc::clone(&stop) };
        let spawned =
            std::thread::Builder::new().name("answer".to_owned()).spawn(move || run(desk, &requests));
        spawned.map_err(|error| JournalError::Disk { path: PathBuf::from("a thread"), error })?;
        Ok(Self { stop })
    }
}

impl Drop for Answerer {
    /// The thread ends by itself; what it was sending goes on at the next start.
    fn drop(&mut self) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.told.notify_all();
    }
}

fn run(mut desk: Desk, requests: &Receiver<SignedRequest>) {
    for signed in requests {
        if desk.stop.is_set() {
            return;
        }
        if let Err(error) = desk.serve(&signed) {
            error!(%error, "a request for packets could not be served");
        }
    }
}

/// Why a request was not served to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Packets(#[from] PacketError),
    #[error(transparent)]
    Trust(#[from] DesiredError),
    #[error("{path:?}: {error}")]
    Disk { path: PathBuf, error: io::Error },
    #[error("the sensor ends")]
    Stopped,
}

/// What requests are served with.
pub(super) struct Desk {
    folder: PathBuf,
    identity: Identity,
    rules: Rules,
    meter: Meter,
    journal: Journal,
    stop: Arc<Stop>,
}

impl Desk {
    #[cfg(test)]
    pub(super) fn new(folder: &Path, identity: &Identity, rules: Rules) -> Self {
        let (folder, identity) = (folder.to_owned(), identity.clone());
        let journal = Journal::open(&folder, now()).expect("a journal in a new folder");
        Self { folder, identity, rules, meter: Meter::default(), journal, stop: Arc::default() }
    }

    /// From now on nobody is waited for.
    #[cfg(test)]
    pub(super) fn stop(&self) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Serves one request.
    pub(super) fn serve(&mut self, signed: &SignedRequest) -> Result<(), ServeError> {
        let claimed = PacketRequest::read(&signed.envelope.payload).ok().map(|request| request.id);
        if let Some(id) = &claimed
            && let Some(progress) = self.journal.progress(id).cloned()
        {
            match progress {
                Progress::Accepted => {}
                Progress::Refused(reason) => return self.tell(id, &PacketAnswer::Refused { reason }),
                Progress::Answered(account) => return self.tell(id, &PacketAnswer::Packets(account)),
            }
        }
        let verified = self.verify(signed)?;
        let (request, folder, query) = match verified.map_err(|error| error.to_string()).and_then(|request| {
            let known = self.journal.progress(&request.id).is_some();
            let today = if known { 0 } else { self.journal.of_the_day(now()) };
            self.rules.admit(&request, today).map(|(folder, query)| (request, folder, query))
        }) {
            Ok(admitted) => admitted,
            Err(reason) => return self.refuse(signed, claimed, reason),
        };
        if self.journal.progress(&request.id).is_none() {
            let signers =
                signed.envelope.signatures.iter().map(|signature| signature.keyid.clone()).collect();
            self.journal.write(Deed::Accepted { request: Box::new(request.clone()), signers }, now())?;
        }
        info!(request = request.id, incident = ?request.incident, "packets are looked for");
        match self.find(&request.id, &folder, &query) {
            Ok((path, account)) => self.send(&request, &path, &account),
            Err(error) => {
                let reason = error.to_string();
                let dropped = Deed::Dropped { request: request.id.clone(), reason: reason.clone() };
                self.journal.write(dropped, now())?;
                self.tell(&request.id, &PacketAnswer::Refused { reason })
            }
        }
    }

    fn verify(&self, signed: &SignedRequest) -> Result<Result<PacketRequest, TrustError>, DesiredError> {
        let trust = trusted(&self.folder)?.ok_or(TrustError::NoRole("request"));
        let us = (self.identity.organization.as_str(), self.identity.sensor.as_str());
        Ok(trust.and_then(|trust| PacketRequest::verify(&trust, &signed.envelope, us, now())))
    }

    fn refuse(
        &mut self,
        signed: &SignedRequest,
        id: Option<String>,
        reason: String,
    ) -> Result<(), ServeError> {
        warn!(request = ?id, reason, "a request for packets is refused");
        let payload_sha256 = hex::encode(Sha256::digest(&signed.envelope.payload));
        // An id that is none stays out of the journal and of addresses.
        let id = id.filter(|id| {
            !id.is_empty()
                && id.len() <= 64
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        let deed = Deed::Refused { request: id.clone(), payload_sha256, reason: reason.clone() };
        self.journal.write(deed, now())?;
        id.map_or(Ok(()), |id| self.tell(&id, &PacketAnswer::Refused { reason }))
    }

    /// The answer on the disk; one that was made before is taken up.
    fn find(&self, id: &str, packets: &Path, query: &Query) -> Result<(PathBuf, PacketAccount), ServeError> {
        let answers = self.folder.join("answers");
        let (path, note) = (answers.join(format!("{id}.pcapng")), answers.join(format!("{id}.json")));
        let made =
            fs::read(&note).ok().and_then(|bytes| serde_json::from_slice::<PacketAccount>(&bytes).ok());
        if let Some(account) =
            made.filter(|account| path.metadata().is_ok_and(|file| file.len() == account.bytes))
        {
            return Ok((path, account));
        }
        let failed = |error| ServeError::Disk { path: path.clone(), error };
        // One answer at a time: what another request left is not needed any more.
        if answers.exists() {
            fs::remove_dir_all(&answers).map_err(failed)?;
        }
        fs::create_dir_all(&answers).map_err(failed)?;
        let account = write_answer(&path, packets, query).inspect_err(|_| {
            // Half an answer is none.
            drop(fs::remove_file(&path));
        })?;
        let text = serde_json::to_vec(&account).map_err(|error| failed(error.into()))?;
        write_whole(&note, &text, 0o600).map_err(failed)?;
        Ok((path, account))
    }

    fn send(
        &mut self,
        request: &PacketRequest,
        path: &Path,
        account: &PacketAccount,
    ) -> Result<(), ServeError> {
        let sending = Deed::Sending { request: request.id.clone(), account: account.clone() };
        self.journal.write(sending, now())?;
        let id = request.id.as_str();
        let stop = Arc::clone(&self.stop);
        let wanted = || !stop.is_set() && now() < request.expires_at;
        let sent = self.insist(request.expires_at, &|road| {
            road.parts(id, path, &wanted)?;
            road.end(id, &PacketAnswer::Packets(account.clone()))
        });
        let deed = match sent {
            Ok(()) => Deed::Answered { request: request.id.clone() },
            Err(ServeError::Stopped) => return Err(ServeError::Stopped),
            Err(error) => Deed::Dropped { request: request.id.clone(), reason: error.to_string() },
        };
        info!(request = id, frames = account.frames, bytes = account.bytes, "a request for packets is over");
        self.journal.write(deed, now())?;
        let answers = self.folder.join("answers");
        fs::remove_dir_all(&answers).map_err(|error| ServeError::Disk { path: answers, error })
    }

    /// Tells how a request ended; when the collector has no ear for it for long, it asks again itself.
    fn tell(&self, id: &str, answer: &PacketAnswer) -> Result<(), ServeError> {
        match self.insist(now().plus(REFUSAL_LIFE), &|road| road.end(id, answer)) {
            Err(ServeError::Stopped) => Err(ServeError::Stopped),
            Err(error) => {
                warn!(request = id, %error, "the end of a request could not be told");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Does `what` until it is done, not wanted, or `until` is past.
    fn insist(
        &self,
        until: Timestamp,
        what: &dyn Fn(&Road) -> Result<(), SendError>,
    ) -> Result<(), ServeError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match Road::open(&self.folder, &self.meter).and_then(|road| what(&road)) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let failed =
                || ServeError::Disk { path: self.folder.clone(), error: io::Error::other(error.to_string()) };
            if self.stop.is_set() {
                return Err(ServeError::Stopped);
            }
            if matches!(error, SendError::Unwanted(_)) || now() >= until {
                return Err(failed());
            }
            if self.stop.wait(pause) {
                return Err(ServeError::Stopped);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn write_answer(path: &Path, packets: &Path, query: &Query) -> Result<PacketAccount, ServeError> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let failed = |error| ServeError::Disk { path: path.to_owned(), error };
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut out = Summed { out: BufWriter::new(file), sum: Sha256::new() };
    let found = find(packets, query, &mut out)?;
    let Summed { out, sum } = out;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(account(&found, hex::encode(sum.finalize())))
}

fn account(found: &Found, sha256: String) -> PacketAccount {
    PacketAccount {
        sha256,
        bytes: found.bytes,
        frames: found.frames,
        cut_frames: found.cut_frames,
        cut_bytes: found.cut_bytes,
        lost_frames: found.lost_frames,
        truncated: found.truncated,
        oldest: found.oldest,
    }
}

/// Hashes what is written.
struct Summed<W: Write> {
    out: BufWriter<W>,
    sum: Sha256,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.sum.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
