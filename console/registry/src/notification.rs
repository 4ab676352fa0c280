//! Notification: channels (mail, webhook) and the outbox of what is to be sent through them.
//!
//! A new alert enters the outbox in the transaction that makes it; a sender takes what is due, sends, and reports. A
//! delivery is tried up to eight times with growing pauses, so it is sent at least once and lost never silently.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::database::{Connection, Flag, JsonText, QueryBuilder, query, query_as, query_scalar};
use crate::{
    AlertUpsert, Change, Error, Level, Millis, Registry, Result, Scope,
    audit::{self, Deed},
    channel_check::{self, HIDDEN, SECRETS, Settings},
    error::check_text,
    new_id,
};

/// How often a delivery is tried.
const MAX_ATTEMPTS: i64 = 8;

/// How a channel sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum ChannelKind {
    /// Mail: settings `host`, `port` (465 with `tls`, else 587), `tls` (`tls` from the start, `starttls`, `none`; not
    /// given: `tls` on port 465, else `starttls`), `from`, `to` (list), `username`, `password`.
    Smtp,
    /// HTTP POST of a JSON body: settings `url`, `secret`.
    Webhook,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Channel {
    /// Id.
    pub id: String,
    /// Only alerts of this agency; none = all.
    pub organization: Option<String>,
    /// Its name.
    pub name: String,
    /// How it sends.
    pub kind: ChannelKind,
    /// How to reach the other side; secrets are shown as `***`.
    #[sqlx(try_from = "JsonText")]
    #[schema(value_type = Object)]
    pub settings: Value,
    /// The lowest level that it wants.
    pub min_level: Level,
    /// Whether it sends.
    #[sqlx(try_from = "Flag")]
    pub enabled: bool,
    /// When it was made.
    pub created_at: Millis,
    /// For the optimistic check.
    pub version: i64,
}

/// What a person may write of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelEdit {
    /// Only alerts of this agency; none = all.
    #[serde(default)]
    pub organization: Option<String>,
    /// Its name, at most 100 characters.
    pub name: String,
    /// How it sends.
    pub kind: ChannelKind,
    /// How to reach the other side; a secret given as `***` keeps its stored value, as long as the server stays the same.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// The lowest level that it wants.
    pub min_level: Level,
    /// Whether it sends.
    pub enabled: bool,
}

/// One delivery, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Delivery {
    /// Id.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// The alert.
    pub alert: String,
    /// When it entered the outbox.
    pub created_at: Millis,
    /// When it is tried next.
    pub due_at: Millis,
    /// Tries so far.
    pub attempts: i64,
    /// When it was taken by the other side.
    pub delivered_at: Option<Millis>,
    /// When it was given up.
    pub failed_at: Option<Millis>,
    /// What the other side or the network said last.
    pub detail: Option<String>,
}

/// A delivery that is due, with all that sending needs (settings with their secrets).
#[derive(Debug, Clone, PartialEq)]
pub struct DueDelivery {
    /// Id for [`Registry::finish_delivery`].
    pub id: String,
    /// The channel, with secrets.
    pub channel: Channel,
    /// The alert.
    pub alert: crate::Alert,
    /// Name of the alert's agency.
    pub organization: String,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The other side took it.
    Delivered,
    /// It was taken for some addresses; the text says which were refused, and why. They are not tried again.
    DeliveredInPart(String),
    /// It did not; try again later unless this was the last time.
    Failed(String),
}

impl Channel {
    /// The channel as it may be shown.
    fn without_secrets(mut self) -> Self {
        if let Some(settings) = self.settings.as_object_mut() {
            for name in SECRETS {
                if let Some(value) = settings.get_mut(*name) {
                    *value = HIDDEN.into();
                }
            }
        }
        self
    }
}

impl ChannelEdit {
    /// Checks all, and gives the settings as they are kept; secrets may still be `***`.
    fn check(&self) -> Result<Settings> {
        check_text("name", &self.name, 100)?;
        let settings = self
            .settings
            .as_object()
            .ok_or(Error::Invalid { field: "settings", reason: "must be an object" })?;
        if self.settings.to_string().len() > 16 * 1024 {
            return Err(Error::Invalid { field: "settings", reason: "are longer than 16 KiB" });
        }
        channel_check::check(self.kind, settings)
    }
}

async fn fetch(tx: &mut Connection, scope: &Scope, id: &str) -> Result<Channel> {
    let found: Option<Channel> =
        query_as("SELECT * FROM notification_channel WHERE id = $1").bind(id).fetch_optional(tx).await?;
    found
        .filter(|one| scope.allows_optional(one.organization.as_deref()))
        .ok_or(Error::NotFound("notification channel"))
}

impl Registry {
    /// The channels of a scope by name, without secrets, at most 500.
    pub async fn channels(&self, scope: &Scope) -> Result<Vec<Channel>> {
        let mut query = QueryBuilder::new("SELECT * FROM notification_channel WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        query.push(" ORDER BY name, id LIMIT 500");
        let found: Vec<Channel> = query.build_query_as().fetch_all(&self.readers).await?;
        Ok(found.into_iter().map(Channel::without_secrets).collect())
    }

    /// A channel with its secrets, for sending a test.
    pub async fn channel_to_test(&self, scope: &Scope, id: &str) -> Result<Channel> {
        fetch(&mut *self.readers.acquire().await?, scope, id).await
    }

    /// Notes in the audit chain that a test was sent through a channel, and what came of it.
    pub async fn record_channel_test(
        &self,
        change: &Change,
        channel: &Channel,
        outcome: &Outcome,
    ) -> Result<()> {
        let after = match outcome {
            Outcome::Delivered => serde_json::json!({ "name": channel.name, "sent": true }),
            Outcome::DeliveredInPart(detail) | Outcome::Failed(detail) => {
                let detail: String = detail.chars().take(500).collect();
                let sent = matches!(outcome, Outcome::DeliveredInPart(_));
                serde_json::json!({ "name": channel.name, "sent": sent, "detail": detail })
            }
        };
        let mut tx = self.write().await?;
        let deed = Deed {
            action: "test",
            kind: "notification_channel",
            object: &channel.id,
            organization: channel.organization.as_deref(),
            before: None,
            after: Some(after),
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Makes a channel.
    pub async fn create_channel(
        &self,
        scope: &Scope,
        change: &Change,
        edit: &ChannelEdit,
    ) -> Result<Channel> {
        self.write_channel(scope, change, None, edit).await
    }

    /// Rewrites a channel; `version` is the one that the caller saw.
    pub async fn update_channel(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        version: i64,
        edit: &ChannelEdit,
    ) -> Result<Channel> {
        self.write_channel(scope, change, Some((id, version)), edit).await
    }

    async fn write_channel(
        &self,
        scope: &Scope,
        change: &Change,
        existing: Option<(&str, i64)>,
        edit: &ChannelEdit,
    ) -> Result<Channel> {
        let mut settings = edit.check()?;
        if !scope.allows_optional(edit.organization.as_deref()) {
            return Err(Error::no_agency());
        }
        let mut tx = self.write().await?;
        let before = match existing {
            Some((id, version)) => {
                let before = fetch(&mut tx, scope, id).await?;
                Error::check_version("notification channel", version, before.version)?;
                Some(before)
            }
            None => None,
        };
        let stored = before.as_ref().filter(|stored| stored.kind == edit.kind);
        channel_check::keep_secrets(&mut settings, stored.and_then(|stored| stored.settings.as_object()))?;
        let id = before.as_ref().map_or_else(new_id, |channel| channel.id.clone());
        query(
            "INSERT INTO notification_channel VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1)
             ON CONFLICT (id) DO UPDATE SET organization = excluded.organization, name = excluded.name, kind = excluded.kind,
             settings = excluded.settings, min_level = excluded.min_level, min_rank = excluded.min_rank,
             enabled = excluded.enabled, version = notification_channel.version + 1",
        )
        .bind(&id)
        .bind(&edit.organization)
        .bind(&edit.name)
        .bind(edit.kind)
        .bind(Value::from(settings).to_string())
        .bind(edit.min_level)
        .bind(edit.min_level.rank())
        .bind(i64::from(edit.enabled))
        .bind(change.at)
        .execute(&mut *tx)
        .await
        .map_err(Error::or_taken("notification channel"))?;
        let after = fetch(&mut tx, scope, &id).await?.without_secrets();
        let action = if before.is_some() { "update" } else { "create" };
        record(&mut tx, change, action, before, Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Removes a channel and its deliveries.
    pub async fn delete_channel(&self, scope: &Scope, change: &Change, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, scope, id).await?;
        query("DELETE FROM notification_channel WHERE id = $1").bind(id).execute(&mut *tx).await?;
        record(&mut tx, change, "delete", Some(before), None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest 200 deliveries of a channel.
    pub async fn deliveries(&self, scope: &Scope, channel: &str) -> Result<Vec<Delivery>> {
        let mut tx = self.readers.begin().await?;
        fetch(&mut tx, scope, channel).await?;
        let found =
            query_as("SELECT * FROM notification_delivery WHERE channel = $1 ORDER BY id DESC LIMIT 200")
                .bind(channel)
                .fetch_all(&mut *tx)
                .await?;
        Ok(found)
    }

    /// Deliveries that are due at `now`, oldest first, at most `limit` of each channel: for the one sender.
    pub async fn due_deliveries(&self, now: Millis, limit: u32) -> Result<Vec<DueDelivery>> {
        let mut tx = self.readers.begin().await?;
        let due: Vec<Delivery> = query_as(
            "SELECT * FROM (
               SELECT notification_delivery.*, ROW_NUMBER() OVER
                 (PARTITION BY channel ORDER BY due_at, notification_delivery.id) AS turn
               FROM notification_delivery
               JOIN notification_channel ON notification_channel.id = notification_delivery.channel
               WHERE delivered_at IS NULL AND failed_at IS NULL AND due_at <= $1 AND enabled = 1) AS due
             WHERE turn <= $2 ORDER BY due_at, id",
        )
        .bind(now)
        .bind(i64::from(limit.clamp(1, 1000)))
        .fetch_all(&mut *tx)
        .await?;
        let mut found = Vec::with_capacity(due.len());
        for one in due {
            let channel = fetch(&mut tx, &Scope::All, &one.channel).await?;
            let alert: crate::Alert =
                query_as("SELECT * FROM alert WHERE id = $1").bind(&one.alert).fetch_one(&mut *tx).await?;
            let organization = query_scalar("SELECT name FROM organization WHERE id = $1")
                .bind(&alert.organization)
                .fetch_optional(&mut *tx)
                .await?;
            let organization = organization.unwrap_or_else(|| alert.organization.clone());
            found.push(DueDelivery { id: one.id, channel, alert, organization });
        }
        Ok(found)
    }

    /// Notes how a try ended. After a failure the next try is 1, 2, 4, ... minutes later; the eighth is the last.
    pub async fn finish_delivery(&self, id: &str, outcome: &Outcome, now: Millis) -> Result<()> {
        let short = |detail: &str| Some(detail.chars().take(500).collect::<String>());
        let (delivered, detail) = match outcome {
            Outcome::Delivered => (Some(now), None),
            Outcome::DeliveredInPart(detail) => (Some(now), short(detail)),
            Outcome::Failed(detail) => (None, short(detail)),
        };
        let mut tx = self.write().await?;
        let attempts: i64 = query_scalar(
            "UPDATE notification_delivery SET attempts = attempts + 1, delivered_at = $2, detail = $3 WHERE id = $1 RETURNING attempts",
        )
        .bind(id)
        .bind(delivered)
        .bind(detail)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(Error::NotFound("delivery"))?;
        if delivered.is_none() {
            let pause = 60_000_i64 << (attempts - 1).clamp(0, MAX_ATTEMPTS);
            query("UPDATE notification_delivery SET due_at = $2, failed_at = $3 WHERE id = $1")
                .bind(id)
                .bind(now.saturating_add(pause))
                .bind((attempts >= MAX_ATTEMPTS).then_some(now))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Puts a new alert into the outbox of each channel that wants it. Drills are not sent.
pub(crate) async fn enqueue(tx: &mut Connection, alert: &AlertUpsert, now: Millis) -> Result<()> {
    if alert.drill {
        return Ok(());
    }
    let channels: Vec<String> = query_scalar(
        "SELECT id FROM notification_channel
         WHERE enabled = 1 AND min_rank <= $1 AND (organization IS NULL OR organization = $2) ORDER BY id",
    )
    .bind(alert.level.rank())
    .bind(&alert.organization)
    .fetch_all(&mut *tx)
    .await?;
    for channel in channels {
        query(
            "INSERT INTO notification_delivery (id, channel, alert, created_at, due_at, attempts) VALUES ($1, $2, $3, $4, $4, 0)
             ON CONFLICT (channel, alert) DO NOTHING",
        )
        .bind(new_id())
        .bind(channel)
        .bind(&alert.id)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

async fn record(
    tx: &mut Connection,
    change: &Change,
    action: &str,
    before: Option<Channel>,
    after: Option<&Channel>,
) -> Result<()> {
    let before = before.map(Channel::without_secrets);
    let Some(one) = after.or(before.as_ref()) else { return Ok(()) };
    let deed = Deed {
        action,
        kind: "notification_channel",
        object: &one.id,
        organization: one.organization.as_deref(),
        before: before.as_ref().map(serde_json::to_value).transpose()?,
        after: after.map(serde_json::to_value).transpose()?,
    };
    audit::record(tx, change, deed).await
}
