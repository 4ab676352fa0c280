//! What all handlers share.

use std::{fmt, sync::Arc};

use dongson_registry::{Channel, Millis, Registry, SessionLimits};
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Facts, RuleInfo, hunt,
    limit::{SignInLimit, StreamLimit},
};

/// Sends a test through a notification channel; answers which addresses were refused while others were not, or why
/// nothing was sent.
pub type SendTest = Arc<dyn Fn(Channel) -> BoxFuture<'static, Result<Option<String>, String>> + Send + Sync>;

/// Looks after a part of the system: `None` when it can work, else its name and why not (`bus: ...`).
pub type HealthCheck = Arc<dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// What the console is made of.
pub struct Parts {
    /// How it is set up.
    pub config: Config,
    /// The transactional database.
    pub registry: Registry,
    /// The event store.
    pub facts: Arc<dyn Facts>,
    /// The rules that are live.
    pub rules: Vec<RuleInfo>,
    /// Where sensors reach the collector (`https://host:port`), best first.
    pub collector_urls: Vec<String>,
    /// Names of the parsers that a log source may be given.
    pub parsers: Vec<String>,
    /// Makes the text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Sends a test message through a channel (with its secrets) and answers within ten seconds; the error is for people.
    pub send_test: SendTest,
    /// Asks the parts that the console does not read itself; the name of one that cannot work, and why.
    pub health: HealthCheck,
    /// Tells the time; tests hold it still.
    pub clock: fn() -> Millis,
}

/// The shared state of the handlers. Cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

/// The parts of [`Console`], for the handlers of this crate alone.
#[doc(hidden)]
pub struct Inner {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) facts: Arc<dyn Facts>,
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) collector_urls: Vec<String>,
    pub(crate) parsers: Vec<String>,
    pub(crate) metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) send_test: SendTest,
    pub(crate) health: HealthCheck,
    pub(crate) clock: fn() -> Millis,
    pub(crate) sign_ins: SignInLimit,
    pub(crate) streams: StreamLimit,
    /// Bounds the questions of hunts.
    pub(crate) hunts: Arc<Semaphore>,
    /// Ends the open streams.
    pub(crate) shutdown: CancellationToken,
}

impl Console {
    /// Puts the parts together; `shutdown` ends open streams.
    pub fn new(parts: Parts, shutdown: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            config: parts.config,
            registry: parts.registry,
            facts: parts.facts,
            rules: parts.rules,
            collector_urls: parts.collector_urls,
            parsers: parts.parsers,
            metrics: parts.metrics,
            send_test: parts.send_test,
            health: parts.health,
            clock: parts.clock,
            sign_ins: SignInLimit::default(),
            streams: StreamLimit::default(),
            hunts: Arc::new(Semaphore::new(hunt::SLOTS)),
            shutdown,
        }))
    }

    /// The present time.
    pub(crate) fn now(&self) -> Millis {
        (self.clock)()
    }

    /// How long sessions live.
    pub(crate) fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            life_ms: Millis::from(self.config.session_minutes) * 60_000,
            idle_ms: Millis::from(self.config.idle_minutes) * 60_000,
        }
    }
}

impl std::ops::Deref for Console {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Console").field("config", &self.config).finish_non_exhaustive()
    }
}
