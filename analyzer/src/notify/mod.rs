//! Tells people of new alerts: takes what is due from the registry's outbox and sends it by SMTP or webhook.
//!
//! An alert enters the outbox in the transaction that makes it, so none is forgotten; a delivery may be repeated
//! after a crash, never lost. What fails is tried again as the registry says, and its last answer is kept. Of several
//! analyzers one sends: the one that holds the lease.

mod roots;
mod smtp;
mod text;
mod webhook;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dongson_registry::{Channel, ChannelKind, DueDelivery, Outcome, Registry, now};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use roots::Roots;

/// How often the outbox is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// Deliveries of one channel taken at once.
const BATCH: u32 = 50;
/// The lease of who sends.
const LEASE: &str = "notifications";
/// Longest that one message may take: to one address, or to a receiver of webhooks.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
/// How long deliveries under way may go on at the end.
const LAST: Duration = Duration::from_secs(5);

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

    /// Sends what is due until `stop`; `console` is the page's address for links, without a closing slash. A channel
    /// waits for nothing but itself.
    pub async fn run(self, registry: Registry, console: String, stop: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut lease = registry.lease(LEASE);
        // By channel, for as long as something is under way.
        let mut under_way: HashMap<String, JoinHandle<()>> = HashMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            under_way.retain(|_, task| !task.is_finished());
            match lease.hold(Instant::now()).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    warn!(%error, "who sends notifications could not be asked of the registry");
                    continue;
                }
            }
            let due = match due_by_channel(&registry).await {
                Ok(due) => due,
                Err(error) => {
                    warn!(%error, "the outbox of notifications could not be read");
                    continue;
                }
            };
            for (channel, due) in due {
                let Entry::Vacant(free) = under_way.entry(channel) else { continue };
                let (own, registry, console) = (self.clone(), registry.clone(), console.clone());
                free.insert(tokio::spawn(async move {
                    own.send_in_turn(due, &registry, &console).await;
                }));
            }
        }
        let aborts: Vec<_> = under_way.values().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(LAST, futures::future::join_all(under_way.into_values())).await.is_err() {
            // What was not noted as delivered is sent again after the next start.
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        if let Err(error) = lease.release().await {
            warn!(%error, "another analyzer sends notifications only after a while");
        }
    }

    /// Sends one after the other and notes at once how each ended.
    async fn send_in_turn(&self, due: Vec<DueDelivery>, registry: &Registry, console: &str) {
        for delivery in due {
            let outcome = outcome(self.deliver(&delivery, console).await);
            if let Outcome::DeliveredInPart(reason) | Outcome::Failed(reason) = &outcome {
                warn!(channel = %delivery.channel.name, alert = %delivery.alert.id, reason, "a notification failed");
            }
            let failed = matches!(outcome, Outcome::Failed(_));
            let name = if failed { "failed" } else { "delivered" };
            metrics::counter!("analyzer_notifications_total", "outcome" => name).increment(1);
            if let Err(error) = registry.finish_delivery(&delivery.id, &outcome, now()).await {
                warn!(channel = %delivery.channel.name, %error, "how a notification ended could not be noted");
                // Without the note it would be sent again and again.
                break;
            }
        }
    }

    async fn deliver(&self, delivery: &DueDelivery, console: &str) -> Sent {
        let DueDelivery { channel, alert, organization, .. } = delivery;
        let settings = &channel.settings;
        match channel.kind {
            ChannelKind::Smtp => {
                let (subject, body) =
                    (text::subject(alert, organization), text::body(alert, organization, console));
                smtp::send(settings, &self.roots, (subject, body), TIMEOUT).await
            }
            ChannelKind::Webhook => {
                let sending =
                    webhook::send(settings, &self.roots, webhook::body(alert, organization, console));
                in_time(TIMEOUT, sending).await.map(|()| None)
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
                    smtp::send(&channel.settings, &self.roots, (subject, body), TEST_TIMEOUT).await
                }
                ChannelKind::Webhook => {
                    let body = webhook::test_body(&channel.name, page);
                    webhook::send(&channel.settings, &self.roots, body).await.map(|()| None)
                }
            }
        };
        in_time(TEST_TIMEOUT, sending).await
    }
}

async fn due_by_channel(registry: &Registry) -> dongson_registry::Result<HashMap<String, Vec<DueDelivery>>> {
    let mut channels: HashMap<String, Vec<DueDelivery>> = HashMap::new();
    for delivery in registry.due_deliveries(now(), BATCH).await? {
        channels.entry(delivery.channel.id.clone()).or_default().push(delivery);
    }
    Ok(channels)
}

/// What `sending` gives, or that nobody answered in time.
async fn in_time<T, E: Into<NotifyError>>(
    limit: Duration,
    sending: impl Future<Output = Result<T, E>>,
) -> Result<T, NotifyError> {
    let late = |_| NotifyError::Refused(format!("no answer within {} seconds", limit.as_secs()));
    tokio::time::timeout(limit, sending).await.map_err(late)?.map_err(Into::into)
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use dongson_registry::{
        AlertUpsert, Change, ChannelEdit, Consumed, Level, OrganizationEdit, Scope, Step,
    };

    use super::*;

    fn alert() -> AlertUpsert {
        AlertUpsert {
            id: "alert-1".into(),
            organization: "xa".into(),
            node: None,
            rule_id: "rule-1".into(),
            rule_version: String::new(),
            title_vi: "Dò mật khẩu SSH".into(),
            title_en: "SSH brute force".into(),
            level: Level::High,
            entity_type: "file.name".into(),
            entity_value: "\u{202e}gpj.exe".into(),
            first_seen: 1,
            last_seen: 1,
            event_id: "event-1".into(),
            added: 1,
            risk: 50,
            tags: Vec::new(),
            facts: [0; 32],
            drill: false,
        }
    }

    /// A registry with an alert that two channels want.
    async fn outbox(mail_port: u16, hook: &str) -> (tempfile::TempDir, Registry, [String; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
        let change = Change::service("test", 1);
        let agency = OrganizationEdit {
            name: "UBND xã Đông Sơn".into(),
            name_en: "Đông Sơn commune".into(),
            parent: None,
            level: 2,
        };
        registry.create_organization(&change, "xa", &agency).await.unwrap();
        let mail = serde_json::json!({
            "host": "127.0.0.1", "port": mail_port, "tls": "starttls", "from": "soc@example.vn", "to": ["an@example.vn"],
        });
        let mut ids = Vec::new();
        for (kind, settings) in
            [(ChannelKind::Smtp, mail), (ChannelKind::Webhook, serde_json::json!({ "url": hook }))]
        {
            let edit = ChannelEdit {
                organization: None,
                name: "c".into(),
                kind,
                settings,
                min_level: Level::Low,
                enabled: true,
            };
            ids.push(registry.create_channel(&Scope::All, &change, &edit).await.unwrap().id);
        }
        let run = Consumed { group: "g".into(), topic: "t".into(), partition: 0, first: 0, next: 1 };
        registry.apply_alerts(&run, &Step { alerts: vec![alert()], ..Step::default() }, 1).await.unwrap();
        (folder, registry, ids.try_into().unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_says_nothing_holds_up_no_other_channel() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
        let hook = format!("http://{}/", receiver.local_addr().unwrap());
        let taken = std::thread::spawn(move || {
            let (mut stream, _) = receiver.accept().unwrap();
            let (mut text, mut piece) = (Vec::new(), [0; 4_096]);
            while !text.ends_with(b"}") {
                let length = stream.read(&mut piece).unwrap();
                text.extend_from_slice(&piece[..length]);
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            String::from_utf8(text).unwrap()
        });
        let (_folder, registry, [mail, hook]) = outbox(silent.local_addr().unwrap().port(), &hook).await;
        let stop = CancellationToken::new();
        let notifier = Notifier::default().run(registry.clone(), "https://soc.vn".into(), stop.clone());
        let running = tokio::spawn(notifier);
        let delivered = async || registry.deliveries(&Scope::All, &hook).await.unwrap()[0].delivered_at;
        while delivered().await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let waiting = registry.deliveries(&Scope::All, &mail).await.unwrap();
        assert_eq!((waiting[0].attempts, waiting[0].delivered_at), (0, None), "it is still under way");
        stop.cancel();
        running.await.unwrap();
        let text = taken.join().unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["entity_value"], "\u{202e}gpj.exe", "as it is");
        assert_eq!(body["organization_name"], "UBND xã Đông Sơn");
    }
}
