//! Tells people of new alerts: takes what is due from the registry's outbox and sends it by SMTP or webhook.
//!
//! An alert enters the outbox in the transaction that makes it, so none is forgotten; a delivery may be repeated
//! after a crash, never lost. What fails is tried again as the registry says, and its last answer is kept.

mod roots;
mod smtp;
mod text;
mod webhook;

use std::path::{Path, PathBuf};
use std::time::Duration;

use dongson_registry::{Channel, ChannelKind, DueDelivery, Outcome, Registry, now};
use futures::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use roots::Roots;

/// How often the outbox is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// Deliveries taken at once.
const BATCH: u32 = 50;
/// Deliveries under way at the same time.
const PARALLEL: usize = 4;
/// Longest that one delivery may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// Longest that a test may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a message did not reach the other side.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The channel's settings lack something or hold something wrong.
    #[error("setting {name:?} of the channel {problem}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file of authorities cannot be used.
    #[error("{file:?}: {problem}")]
    Authority {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The other side refused it, or could not be reached.
    #[error("{0}")]
    Refused(String),
}

/// What a delivery gave: the addresses that the server refused and why, where others of the same message were taken.
type Sent = Result<Option<String>, NotifyError>;

/// Sends notifications. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Notifier {
    roots: Roots,
}

impl Notifier {
    /// One that trusts the authorities of this machine and those in `ca_files` (PEM).
    ///
    /// # Errors
    /// `Authority` when a file cannot be read or holds no certificate.
    pub fn new(ca_files: &[impl AsRef<Path>]) -> Result<Self, NotifyError> {
        Ok(Self { roots: Roots::read(ca_files)? })
    }

    /// Sends what is due until `stop`; `console` is the page's address for links, without a closing slash.
    pub async fn run(self, registry: Registry, console: String, stop: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = self.send_due(&registry, &console).await {
                warn!(%error, "the outbox of notifications could not be read");
            }
        }
    }

    /// Sends everything that is due now; answers how many were delivered.
    pub async fn send_due(&self, registry: &Registry, console: &str) -> dongson_registry::Result<usize> {
        let due = registry.due_deliveries(now(), BATCH).await?;
        let outcomes: Vec<(String, Outcome)> = stream::iter(due)
            .map(|delivery| async move {
                let outcome = outcome(self.deliver(&delivery, console).await);
                if let Outcome::DeliveredInPart(reason) | Outcome::Failed(reason) = &outcome {
                    warn!(channel = %delivery.channel.name, alert = %delivery.alert.id, reason, "a notification failed");
                }
                (delivery.id, outcome)
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let mut delivered = 0;
        for (id, outcome) in outcomes {
            registry.finish_delivery(&id, &outcome, now()).await?;
            let failed = matches!(outcome, Outcome::Failed(_));
            let name = if failed { "failed" } else { "delivered" };
            metrics::counter!("analyzer_notifications_total", "outcome" => name).increment(1);
            delivered += usize::from(!failed);
        }
        Ok(delivered)
    }

    async fn deliver(&self, delivery: &DueDelivery, console: &str) -> Sent {
        let (settings, alert) = (&delivery.channel.settings, &delivery.alert);
        match delivery.channel.kind {
            ChannelKind::Smtp => {
                let (subject, body) = (text::subject(alert), text::body(alert, console));
                smtp::send(settings, &self.roots, subject, body).await
            }
            ChannelKind::Webhook => {
                webhook::send(settings, &self.roots, webhook::body(alert, console)).await.map(|()| None)
            }
        }
    }

    /// Sends a message that says it is a test, now and once; `channel` has its secrets; `page` is the page's address, left
    /// out where it is not known. Gives up after ten seconds. Answers which addresses were refused while others were not.
    ///
    /// # Errors
    /// What the other side answered, or what is wrong with the channel's settings.
    pub async fn send_test(&self, channel: &Channel, page: Option<&str>) -> Sent {
        let sending = async {
            match channel.kind {
                ChannelKind::Smtp => {
                    let (subject, body) =
                        (text::TEST_SUBJECT.to_owned(), text::test_body(&channel.name, page));
                    smtp::send(&channel.settings, &self.roots, subject, body).await
                }
                ChannelKind::Webhook => {
                    let body = webhook::test_body(&channel.name, page);
                    webhook::send(&channel.settings, &self.roots, body).await.map(|()| None)
                }
            }
        };
        let late = |_| NotifyError::Refused("no answer within 10 seconds".to_owned());
        tokio::time::timeout(TEST_TIMEOUT, sending).await.map_err(late)?
    }
}

fn outcome(sent: Sent) -> Outcome {
    match sent {
        Ok(None) => Outcome::Delivered,
        Ok(Some(refused)) => Outcome::DeliveredInPart(refused),
        Err(error) => Outcome::Failed(error.to_string().chars().take(500).collect()),
    }
}

/// A setting that must be text and not empty.
fn required<'s>(settings: &'s serde_json::Value, name: &'static str) -> Result<&'s str, NotifyError> {
    let value = settings.get(name).ok_or(NotifyError::Setting { name, problem: "is missing" })?;
    value
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .ok_or(NotifyError::Setting { name, problem: "is not text" })
}

/// A name of the Internet in the ASCII form in which it is asked for (RFC 5891).
fn ascii_host(host: &str, name: &'static str) -> Result<String, NotifyError> {
    if host.is_ascii() {
        return Ok(host.to_owned());
    }
    match url::Host::parse(host) {
        Ok(url::Host::Domain(ascii)) => Ok(ascii),
        _ => Err(NotifyError::Setting { name, problem: "is not the name of a server" }),
    }
}
