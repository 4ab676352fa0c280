//! The way of an answer to the collector. `GET /v1/packets/{id}` says how many bytes it has; `POST /v1/packets/{id}?offset=N` adds a part;
//! `POST /v1/packets/{id}/answer` ends the request.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use dongson_event::trust::PacketAnswer;
use serde::Deserialize;
use ureq::Agent;

use crate::ship::{Identity, IdentityError, Meter};

/// Bytes of a part.
pub(super) const PART_BYTES: u64 = 1 << 20;
/// Longest that one part may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Why something did not reach the collector.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// It does not want it: answered already, withdrawn, or never asked for.
    #[error("the collector does not want it: {0}")]
    Unwanted(String),
    /// Not now.
    #[error("{0}")]
    Later(String),
    /// There is no usable identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The answer cannot be read.
    #[error("reading the answer: {0}")]
    Disk(#[from] std::io::Error),
}

#[derive(Debug, Deserialize)]
struct Received {
    received: u64,
}

/// The road to the collector.
pub(super) struct Road {
    agent: Agent,
    url: String,
    meter: Meter,
}

impl Road {
    /// With the identity that `folder` has now; it may have been renewed.
    pub(super) fn open(folder: &Path, meter: &Meter) -> Result<Self, SendError> {
        let identity = Identity::load(folder)?;
        let config = Agent::config_builder()
            .tls_config(identity.tls(folder)?)
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false);
        Ok(Self { agent: config.build().into(), url: identity.url, meter: meter.clone() })
    }

    /// Sends what the collector has not got of `file`; goes on while `wanted`.
    pub(super) fn parts(&self, id: &str, file: &Path, wanted: &dyn Fn() -> bool) -> Result<(), SendError> {
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        let url = format!("{}/v1/packets/{id}", self.url);
        self.meter.spend(0);
        let mut received = told(self.agent.get(&url).call())?;
        if received > length {
            // The rest of another try: from the beginning.
            received = 0;
        }
        while received < length {
            if !wanted() {
                return Err(SendError::Later("the sensor ends".to_owned()));
            }
            file.seek(SeekFrom::Start(received))?;
            let mut part = Vec::new();
            file.by_ref().take(PART_BYTES).read_to_end(&mut part)?;
            self.meter.spend(part.len() as u64);
            let request = self.agent.post(format!("{url}?offset={received}"));
            let now = told(request.header("content-type", "application/octet-stream").send(&part[..]))?;
            if now <= received {
                return Err(SendError::Later(format!("the collector has {now} bytes after {received}")));
            }
            received = now;
        }
        Ok(())
    }

    /// Ends the request.
    pub(super) fn end(&self, id: &str, answer: &PacketAnswer) -> Result<(), SendError> {
        let request = self.agent.post(format!("{}/v1/packets/{id}/answer", self.url));
        let text = serde_json::to_string(answer).map_err(std::io::Error::other)?;
        self.meter.spend(text.len() as u64);
        body(request.header("content-type", "application/json").send(&text)).map(drop)
    }
}

fn told(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<u64, SendError> {
    let body = body(answer)?;
    let received: Received = serde_json::from_slice(&body)
        .map_err(|error| SendError::Later(format!("the collector's answer is not understood: {error}")))?;
    Ok(received.received)
}

fn body(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Vec<u8>, SendError> {
    let mut answer = answer.map_err(|error| SendError::Later(error.to_string()))?;
    let status = answer.status();
    let read = answer.body_mut().with_config().limit(1 << 16).read_to_vec();
    let read = read.map_err(|error| SendError::Later(error.to_string()))?;
    if status.is_success() {
        return Ok(read);
    }
    let said: String = String::from_utf8_lossy(&read).chars().take(300).collect();
    let words = format!("{status} {said:?}");
    Err(match status.as_u16() {
        400 | 404 | 409 | 410 | 413 => SendError::Unwanted(words),
        _ => SendError::Later(format!("the collector answered {words}")),
    })
}
