//! Tells people of new alerts: takes what is due from the registry's outbox and sends it by SMTP or webhook.
//!
//! An alert enters the outbox in the transaction that makes it, so none is forgotten; a delivery may be repeated
//! after a crash, never lost. What fails is tried again as the registry says, and its last answer is kept.

mod smtp;
mod text;
mod webhook;

use std::time::Duration;

use dongson_registry::{Channel, ChannelKind, DueDelivery, Outcome, Registry, now};
use futures::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tracing::warn;

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
    /// The other side refused it, or could not be reached.
    #[error("{0}")]
    Refused(String),
}

/// Sends what is due until `stop`; `console` is the page's address for links, without a closing slash.
pub async fn run(registry: Registry, console: String, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = send_due(&registry, &console).await {
            warn!(%error, "the outbox of notifications could not be read");
        }
    }
}

/// Sends everything that is due now; answers how many were delivered.
pub async fn send_due(registry: &Registry, console: &str) -> dongson_registry::Result<usize> {
    let due = registry.due_deliveries(now(), BATCH).await?;
    let outcomes: Vec<(String, Outcome)> = stream::iter(due)
        .map(|delivery| async move {
            let outcome = match deliver(&delivery, console).await {
                Ok(()) => Outcome::Delivered,
                Err(error) => {
                    warn!(channel = %delivery.channel.name, alert = %delivery.alert.id, %error, "a notification failed");
                    Outcome::Failed(error.to_string().chars().take(500).collect())
                }
            };
            (delivery.id, outcome)
        })
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    let mut delivered = 0;
    for (id, outcome) in outcomes {
        registry.finish_delivery(&id, &outcome, now()).await?;
        let name = if outcome == Outcome::Delivered { "delivered" } else { "failed" };
        metrics::counter!("analyzer_notifications_total", "outcome" => name).increment(1);
        delivered += usize::from(outcome == Outcome::Delivered);
    }
    Ok(delivered)
}

async fn deliver(delivery: &DueDelivery, console: &str) -> Result<(), NotifyError> {
    let (settings, alert) = (&delivery.channel.settings, &delivery.alert);
    match delivery.channel.kind {
        ChannelKind::Smtp => smtp::send(settings, text::subject(alert), text::body(alert, console)).await,
        ChannelKind::Webhook => webhook::send(settings, webhook::body(alert, console)).await,
    }
}

/// Sends a message that says it is a test, now and once; `channel` has its secrets. Gives up after ten seconds.
///
/// # Errors
/// What the other side answered, or what is wrong with the channel's settings.
pub async fn send_test(channel: &Channel, console: &str) -> Result<(), NotifyError> {
    let sending = async {
        match channel.kind {
            ChannelKind::Smtp => {
                smtp::send(
                    &channel.settings,
                    text::TEST_SUBJECT.to_owned(),
                    text::test_body(&channel.name, console),
                )
                .await
            }
            ChannelKind::Webhook => {
                let body = serde_json::json!({
                    "kind": "dongson.test", "channel": text::line(&channel.name), "url": console,
                });
                webhook::send(&channel.settings, body.to_string()).await
            }
        }
    };
    let late = |_| NotifyError::Refused("no answer within 10 seconds".to_owned());
    tokio::time::timeout(TEST_TIMEOUT, sending).await.map_err(late)?
}

/// A setting that must be text and not empty.
fn required<'s>(settings: &'s serde_json::Value, name: &'static str) -> Result<&'s str, NotifyError> {
    let value = settings.get(name).ok_or(NotifyError::Setting { name, problem: "is missing" })?;
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or(NotifyError::Setting { name, problem: "is not text" })
}
