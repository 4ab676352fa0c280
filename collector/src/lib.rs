//! The collector: logs and sensor batches in, normalised events out to the bus.
//!
//! Bytes arrive in [`source`], become fields in [`parse`], become events of Dongson in [`intake`] (authority, identity,
//! times), and go to the bus in [`mod@publish`]. [`directory`] knows to whom a sender belongs, [`authority`] signs the
//! certificates of sensors, [`tally`] counts, and a watch reports who has fallen silent.
//!
//! What always holds: nothing is acknowledged before the bus has synced it; nothing is dropped silently (received =
//! parsed + unparsed + rejected + dropped); whatever is sent, memory and time are bounded.

pub mod authority;
pub mod config;
pub mod directory;
#[cfg(test)]
mod hostile;
pub mod intake;
pub mod parse;
pub mod publish;
mod rate;
mod silence;
pub mod source;
pub mod tally;

pub use config::{Config, Limits, Silence};

use authority::{Authority, AuthorityError};
use directory::Directory;
use dongson_bus::{Bus, BusError};
use dongson_event::{TOPIC_EVENTS, TOPIC_UNPARSED};
use dongson_registry::{Change, Registry, SILENCE_OWNER_SETTING};
use publish::{Publisher, now};
use source::https::{App, TlsError};
use source::{Hall, body, desired, https, relp, syslog};
use std::net::SocketAddr;
use std::sync::Arc;
use tally::Tally;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Partitions of a topic that the collector has to make itself.
const PARTITIONS: u32 = 8;
/// The registry's setting that holds the authority's fingerprint, for whoever prints enrolment tokens.
pub const FINGERPRINT_SETTING: &str = "collector.authority.fingerprint";

/// Why the collector does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {listener}: {error}")]
    Listen {
        /// Which listener.
        listener: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// A setting makes no sense.
    #[error("setting {0}")]
    Setting(#[from] config::Problem),
    /// The certificate authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The registry.
    #[error("registry: {0}")]
    Registry(#[from] dongson_registry::Error),
    /// The bus.
    #[error("bus: {0}")]
    Bus(#[from] BusError),
}

/// Where a running collector listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// HTTPS.
    pub https: SocketAddr,
    /// Syslog over UDP.
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP.
    pub syslog_tcp: Option<SocketAddr>,
    /// Syslog over TLS.
    pub syslog_tls: Option<SocketAddr>,
    /// RELP.
    pub relp: Option<SocketAddr>,
}

/// A collector that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addresses: Addresses,
    authority: Arc<Authority>,
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Running {
    /// The authority of its sensors: makes the text of enrolment tokens.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Waits until shutdown, then until all tasks have ended. A task that dies ends the collector.
    pub async fn wait(mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a listener died; the collector stops");
            }
            self.shutdown.cancel();
        }
    }
}

/// Runs the collector until `shutdown`.
pub async fn serve(
    config: Config,
    bus: Arc<dyn Bus>,
    registry: Registry,
    shutdown: CancellationToken,
) -> Result<(), StartError> {
    start(config, bus, registry, shutdown).await?.wait().await;
    Ok(())
}

/// Opens every listener; what cannot be opened is an error here, not later.
pub async fn start(
    config: Config,
    bus: Arc<dyn Bus>,
    registry: Registry,
    shutdown: CancellationToken,
) -> Result<Running, StartError> {
    config.check()?;
    let zone = jiff::tz::TimeZone::get(&config.time_zone)
        .map_err(|error| config::Problem { key: "time_zone", reason: error.to_string() })?;
    let at = now().millis();
    let authority = Arc::new(Authority::open(&config.data, at)?);
    publish(&registry, FINGERPRINT_SETTING, &authority.fingerprint().into(), at).await?;
    publish(&registry, SILENCE_OWNER_SETTING, &config.silence.owner.clone().into(), at).await?;
    check_silence_owner(&registry, config.silence.owner.as_deref()).await?;
    topics(&bus).await?;
    let directory = Arc::new(Directory::open(registry, zone).await?);
    let publisher = Publisher::new(Arc::clone(&bus), Arc::new(Tally::default()));
    // Listeners end with the caller's token or, if one of them dies, together.
    let shutdown = shutdown.child_token();
    let hall = Hall { directory, publisher, limits: config.limits.clone(), shutdown: shutdown.clone() };
    let mut tasks = JoinSet::new();
    let addresses = listen(&config, &hall, &authority, at, &mut tasks).await?;
    let (watched, publisher) = (Arc::clone(&hall.directory), hall.publisher.clone());
    let watch = silence::Watch::new(watched, publisher, bus, &config.silence, at);
    tasks.spawn(watch.run(hall.limits.watch(), shutdown.clone()));
    tracing::info!(?addresses, "the collector listens");
    Ok(Running { addresses, authority, tasks, shutdown })
}

async fn listen(
    config: &Config,
    hall: &Hall,
    authority: &Arc<Authority>,
    at: i64,
    tasks: &mut JoinSet<()>,
) -> Result<Addresses, StartError> {
    let (https_socket, https_address) = tcp("https", config.https).await?;
    let mut addresses =
        Addresses { https: https_address, syslog_udp: None, syslog_tcp: None, syslog_tls: None, relp: None };
    if let Some(address) = config.syslog_udp {
        let failed = |error| StartError::Listen { listener: "udp", address, error };
        let socket = syslog::bind_udp(address, config.limits.datagram_buffer_bytes).map_err(failed)?;
        addresses.syslog_udp = Some(socket.local_addr().map_err(failed)?);
        tasks.spawn(syslog::udp(hall.clone(), socket));
    }
    if let Some(address) = config.syslog_tcp {
        let (socket, local) = tcp("tcp", address).await?;
        addresses.syslog_tcp = Some(local);
        tasks.spawn(syslog::streams(hall.clone(), socket, None));
    }
    if let Some(address) = config.syslog_tls {
        let (socket, local) = tcp("tls", address).await?;
        addresses.syslog_tls = Some(local);
        let tls = https::syslog_tls(authority.server(&config.server_names, at)?)?;
        tasks.spawn(syslog::streams(hall.clone(), socket, Some(tls)));
    }
    if let Some(address) = config.relp {
        let (socket, local) = tcp("relp", address).await?;
        addresses.relp = Some(local);
        tasks.spawn(relp::serve(hall.clone(), socket));
    }
    let tls = https::https_tls(authority, authority.server(&config.server_names, at)?)?;
    let packs = config.data.join("packs");
    let registry = hall.directory.registry().clone();
    let (news, watching) = desired::News::watch(registry, packs, hall.shutdown.clone());
    tasks.spawn(watching);
    let app = App {
        hall: hall.clone(),
        room: body::Room::new(config.limits.inflight_bytes),
        authority: Arc::clone(authority),
        accounts: Arc::default(),
        guesses: Arc::default(),
        news,
    };
    tasks.spawn(https::serve(app, https_socket, tls));
    Ok(addresses)
}

async fn tcp(listener: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen { listener, address, error };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let local = socket.local_addr().map_err(failed)?;
    Ok((socket, local))
}

/// Makes the topics that nobody has made yet.
async fn topics(bus: &Arc<dyn Bus>) -> Result<(), BusError> {
    let there = bus.topics().await?;
    for topic in [TOPIC_EVENTS, TOPIC_UNPARSED] {
        if !there.iter().any(|(name, _)| name == topic) {
            bus.create_topic(topic, PARTITIONS).await?;
        }
    }
    Ok(())
}

/// Writes what other services ask the registry for, if it has changed.
async fn publish(
    registry: &Registry,
    key: &str,
    value: &serde_json::Value,
    at: i64,
) -> Result<(), dongson_registry::Error> {
    let held = registry.setting(key).await?;
    if held.as_ref().map_or(value.is_null(), |held| held.value == *value) {
        return Ok(());
    }
    let version = held.map_or(0, |held| held.version);
    registry.set_setting(&Change::service("collector", at), key, value, version).await?;
    Ok(())
}

/// An owner who cannot be given alerts does not stop the start: an administrator stands in, and the log says so.
async fn check_silence_owner(
    registry: &Registry,
    owner: Option<&str>,
) -> Result<(), dongson_registry::Error> {
    if let Some(owner) = owner
        && !registry.may_own(owner).await?
    {
        tracing::warn!(
            owner,
            "silence.owner is no account that may work on alerts: an administrator stands in"
        );
    }
    Ok(())
}
