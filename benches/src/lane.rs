//! Lanes: connections to the collector, each another sender with another name, so that the log may spread them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dongson_sensor::ship::enrol;
use socket2::{Domain, Socket, Type};
use ureq::Agent;

use crate::record::{Batch, Kind};
use crate::system::{System, client};

/// The agency whose records are counted, except those of syslog.
pub(crate) const AGENCY: &str = "xa-thu-tai";
/// The agency of syslog peers that no source of the registry names.
const UNASSIGNED: &str = "unassigned";
/// How often a batch that the collector does not take now is sent again before we give up.
const TRIES: u32 = 30;
/// Longest pause before that, in seconds, whatever the collector asks for.
const LONGEST_PAUSE: u64 = 10;
/// Longest wait for a socket.
const SOCKET: Duration = Duration::from_mins(1);
/// Speed over size, as on a small gateway.
const ZSTD_LEVEL: i32 = 1;

/// The agency to which records of `kind` belong.
pub(crate) fn agency(kind: Kind) -> &'static str {
    if kind == Kind::Syslog { UNASSIGNED } else { AGENCY }
}

/// One way in.
#[derive(Debug)]
pub(crate) enum Lane {
    /// One TCP connection.
    Syslog(TcpStream),
    /// Requests with a body, one after the other.
    Http(Http),
}

/// Requests to one address in one name.
#[derive(Debug)]
pub(crate) struct Http {
    agent: Agent,
    url: String,
    /// Who sends.
    right: Right,
    /// Requests acknowledged so far.
    sequence: u64,
    /// Requests that had to be sent again.
    again: u64,
}

/// By what the collector knows the sender.
#[derive(Debug)]
enum Right {
    /// An API key's secret.
    Key(String),
    /// A client certificate, which is the agent's; the batches are of this epoch.
    Certificate(u64),
}

impl Lane {
    /// Opens lane `number` (from 0) of `system`; the agency must be there.
    pub(crate) fn open(system: &System, kind: Kind, number: u8) -> Result<Self> {
        Ok(match kind {
            Kind::Syslog => Self::Syslog(connect(system.running().syslog_tcp, number)?),
            Kind::Ndjson => Self::Http(Http::with_key(system, &format!("may-chu-{number}"))?),
            Kind::Sensor => Self::Http(Http::as_sensor(system, &format!("cam-bien-{number}"))?),
        })
    }

    /// Sends a batch; when this returns, HTTP has acknowledged it, and TCP has taken it.
    pub(crate) fn send(&mut self, batch: &Batch) -> Result<()> {
        match self {
            Self::Syslog(stream) => Ok(stream.write_all(batch.text.as_bytes())?),
            Self::Http(http) => http.send(batch),
        }
    }

    /// Ends the lane; for TCP, waits until the collector has read everything. Answers how many requests were sent again.
    pub(crate) fn close(self) -> Result<u64> {
        match self {
            Self::Syslog(mut stream) => {
                stream.shutdown(std::net::Shutdown::Write)?;
                let mut rest = [0; 64];
                while stream.read(&mut rest).context("waiting until the collector has read everything")? > 0 {
                }
                Ok(0)
            }
            Self::Http(http) => Ok(http.again),
        }
    }
}

/// A connection from a loopback address of the lane's own: the collector tells syslog peers apart by address.
fn connect(target: SocketAddr, number: u8) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 1, number.saturating_add(1)), 0)).into())?;
    socket.connect_timeout(&target.into(), SOCKET).with_context(|| format!("connecting to {target}"))?;
    let stream: TcpStream = socket.into();
    stream.set_write_timeout(Some(SOCKET))?;
    stream.set_read_timeout(Some(SOCKET))?;
    Ok(stream)
}

impl Http {
    /// With a new API key for the source `name`.
    pub(crate) fn with_key(system: &System, name: &str) -> Result<Self> {
        let secret = system.make_key(AGENCY, name)?;
        let url = format!("{}/v1/events", system.url());
        Ok(Self { agent: system.client()?, url, right: Right::Key(secret), sequence: 0, again: 0 })
    }

    /// As a new sensor at `node`.
    fn as_sensor(system: &System, node: &str) -> Result<Self> {
        let token = system.make_token(AGENCY, node)?;
        let folder = system.scratch(node);
        let identity = enrol(&system.url(), &token, &folder)?;
        let agent = client(identity.tls(&folder)?);
        let url = format!("{}/v1/batch", system.url());
        Ok(Self { agent, url, right: Right::Certificate(1), sequence: 0, again: 0 })
    }

    /// Sends a batch until it is acknowledged; a repetition is the same batch to the collector.
    pub(crate) fn send(&mut self, batch: &Batch) -> Result<()> {
        let packed = match self.right {
            Right::Certificate(_) => zstd::bulk::compress(batch.text.as_bytes(), ZSTD_LEVEL)?,
            Right::Key(_) => Vec::new(),
        };
        for _ in 0..TRIES {
            if let Some(pause) = self.attempt(batch, &packed)? {
                self.again += 1;
                sleep(pause);
                continue;
            }
            self.sequence += 1;
            return Ok(());
        }
        bail!("{}: a batch was not taken in {TRIES} tries", self.url)
    }

    /// One try: `None` when it was acknowledged, a pause when it may be sent again.
    fn attempt(&self, batch: &Batch, packed: &[u8]) -> Result<Option<Duration>> {
        let request = self.agent.post(&self.url).header("content-type", "application/x-ndjson");
        let answer = match &self.right {
            Right::Key(secret) => request
                .header("authorization", format!("Bearer {secret}"))
                .header("idempotency-key", format!("batch-{}", self.sequence))
                .send(batch.text.as_bytes()),
            Right::Certificate(epoch) => request
                .header("content-encoding", "zstd")
                .header("dongson-epoch", epoch.to_string())
                .header("dongson-sequence", self.sequence.to_string())
                .header("dongson-events", batch.records.to_string())
                .send(packed),
        };
        let mut answer = answer.with_context(|| format!("sending to {}", self.url))?;
        let status = answer.status().as_u16();
        let asked = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let seconds = asked.and_then(|text| text.parse().ok()).unwrap_or(1_u64).min(LONGEST_PAUSE);
        let said = answer.body_mut().read_to_string()?;
        match status {
            200..=299 => Ok(None),
            429 | 503 => Ok(Some(Duration::from_secs(seconds))),
            _ => bail!("{}: the collector answered {status}: {said}", self.url),
        }
    }
}
