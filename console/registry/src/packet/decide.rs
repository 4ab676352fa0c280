//! What people do with orders for packets.

use dongson_event::Timestamp;
use dongson_event::trust::{MAX_ANSWER_BYTES, MAX_REQUEST_LIFE, PacketRequest, Person};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::order::{fetch, seen};
use super::{MOST_STORED_BYTES, PacketOrder, PacketState};
use crate::database::{Connection, query, query_scalar};
use crate::{
    Change, EntryKind, Error, Incident, IncidentStatus, Millis, Registry, Result, Scope,
    audit::{self, Deed},
    error::check_text,
    incident, new_id, sensor, timeline,
    trust::{close_request, put_request},
    user,
};

/// How long an approved order may be answered, unless it says otherwise: three days.
const LIFE_HOURS: u32 = 72;
const HOUR: Millis = 3_600_000;

/// What asking for packets needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPacketOrder {
    /// The incident that they are for: an open one, of the sensor's agency or of the whole province.
    pub incident: String,
    /// The sensor that saw them.
    pub sensor: String,
    /// Why, at most 1000 characters; it stands in the sensor's journal, which its agency reads.
    pub reason: String,
    /// Packets from this time on.
    pub since: Millis,
    /// Packets up to this time, at most seven days later.
    pub until: Millis,
    /// Of the flow with this Community ID (`network.community_id` of an event). This or `filter` must be given.
    #[serde(default)]
    pub community_id: Option<String>,
    /// Those that this filter takes, as in `host 10.0.0.1 and tcp port 443`.
    #[serde(default)]
    pub filter: Option<String>,
    /// Most bytes of the answer, 1024 to 268435456; none = 64 MiB.
    #[serde(default)]
    pub max_bytes: Option<i64>,
    /// For how many hours after its approval the sensor may answer: 1 to 168; none = 72.
    #[serde(default)]
    pub life_hours: Option<u32>,
}

impl NewPacketOrder {
    fn check(&self, now: Millis) -> Result<()> {
        check_text("reason", &self.reason, 1_000)?;
        let invalid = |field, reason| Err(Error::Invalid { field, reason });
        if self.until < self.since || self.until - self.since > 7 * 24 * HOUR {
            return invalid("until", "must be after since, by at most seven days");
        }
        if self.since < 946_684_800_000 || self.until > now + 60_000 {
            return invalid("until", "must lie between the year 2000 and now");
        }
        if self.community_id.is_none() && self.filter.is_none() {
            return invalid("community_id", "must be given, or a filter: not everything is asked for");
        }
        let id_like = |text: &String| text.len() == 30 && text.starts_with("1:") && text.is_ascii();
        if self.community_id.as_ref().is_some_and(|text| !id_like(text)) {
            return invalid("community_id", "is no Community ID, as in 1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        }
        if let Some(filter) = &self.filter {
            check_text("filter", filter, 1_000)?;
        }
        let most = i64::try_from(MAX_ANSWER_BYTES).unwrap_or(i64::MAX);
        if self.max_bytes.is_some_and(|bytes| !(1_024..=most).contains(&bytes)) {
            return invalid("max_bytes", "must be 1024 to 268435456");
        }
        if self.life_hours.is_some_and(|hours| !(1..=168).contains(&hours)) {
            return invalid("life_hours", "must be 1 to 168");
        }
        Ok(())
    }
}

impl Registry {
    /// Asks for packets. Nothing reaches the sensor before somebody else approves it.
    pub async fn ask_packets(
        &self,
        scope: &Scope,
        change: &Change,
        new: &NewPacketOrder,
    ) -> Result<PacketOrder> {
        new.check(change.at)?;
        let mut tx = self.write().await?;
        user::check_worker(&mut tx, scope, &change.who).await?;
        let wanted = sensor::fetch(&mut tx, &new.sensor).await?;
        scope.admit(&wanted.organization, "sensor")?;
        if wanted.revoked_at.is_some() {
            return Err(Error::Refused { what: "sensor", reason: "is revoked" });
        }
        let incident = incident::fetch(&mut tx, scope, &new.incident).await?;
        check_incident(&incident, &wanted.organization)?;
        let id = new_id();
        let max_bytes = new.max_bytes.unwrap_or(64 << 20);
        // The life in hours stands in `expires_at` until the approval makes a time of it.
        let life = i64::from(new.life_hours.unwrap_or(LIFE_HOURS));
        query(
            "INSERT INTO packet_order (id, organization, sensor, incident, reason, since, until, community_id, filter,
             max_bytes, state, asked_by, asked_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'asked', $11, $12, $13)",
        )
        .bind(&id)
        .bind(&wanted.organization)
        .bind(&wanted.id)
        .bind(&new.incident)
        .bind(new.reason.trim())
        .bind(new.since)
        .bind(new.until)
        .bind(&new.community_id)
        .bind(&new.filter)
        .bind(max_bytes)
        .bind(&change.who)
        .bind(change.at)
        .bind(change.at + life * HOUR)
        .execute(&mut *tx)
        .await?;
        let made = fetch(&mut tx, &id, change.at).await?;
        note(&mut tx, change, "create", None, &made).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Approves an order: it is signed, and the sensor gets it. Not by who asked.
    pub async fn approve_packets(&self, scope: &Scope, change: &Change, id: &str) -> Result<PacketOrder> {
        let mut tx = self.write().await?;
        user::check_worker(&mut tx, scope, &change.who).await?;
        let order = seen(&mut tx, scope, id, change.at).await?;
        if order.state != PacketState::Asked {
            return Err(Error::Refused { what: "packet order", reason: "is decided already" });
        }
        if order.asked_by == change.who {
            return Err(Error::Refused {
                what: "packet order",
                reason: "must be approved by somebody else than who asked",
            });
        }
        // Who does not see the incident cannot say that it is worth it.
        let incident = order.incident.as_deref().unwrap_or_default();
        let incident = incident::fetch(&mut tx, scope, incident).await?;
        check_incident(&incident, &order.organization)?;
        let stored: i64 = query_scalar(
            "SELECT COALESCE(CAST(SUM(CASE WHEN state IN ('approved', 'sent') THEN max_bytes ELSE received_bytes END) AS BIGINT), 0)
             FROM packet_order WHERE discarded_at IS NULL AND (state NOT IN ('approved', 'sent') OR expires_at > $1)",
        )
        .bind(change.at)
        .fetch_one(&mut *tx)
        .await?;
        if stored.saturating_add(order.max_bytes) > MOST_STORED_BYTES {
            return Err(Error::Refused {
                what: "packet order",
                reason: "has no room: discard packets that are not needed any more",
            });
        }
        let request = request(&mut tx, change, &order, &incident).await?;
        let end = request.expires_at.millis();
        let offer = put_request(&mut tx, change, &order.sensor, &request, end).await?;
        query(
            "UPDATE packet_order SET state = 'approved', decided_by = $2, decided_at = $3, offer = $4, expires_at = $5 WHERE id = $1",
        )
        .bind(id)
        .bind(&change.who)
        .bind(change.at)
        .bind(offer.id)
        .bind(end)
        .execute(&mut *tx)
        .await?;
        let after = fetch(&mut tx, id, change.at).await?;
        note(&mut tx, change, "approve", Some(&order), &after).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Declines an order, or withdraws it as who asked; one that was approved too, as long as it has no answer.
    pub async fn decline_packets(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        words: &str,
    ) -> Result<PacketOrder> {
        check_text("reason", words, 1_000)?;
        let mut tx = self.write().await?;
        user::check_worker(&mut tx, scope, &change.who).await?;
        let order = seen(&mut tx, scope, id, change.at).await?;
        if !matches!(order.state, PacketState::Asked | PacketState::Approved | PacketState::Sent) {
            return Err(Error::Refused { what: "packet order", reason: "is over already" });
        }
        if let Some(offer) = &order.offer {
            close_request(&mut tx, offer, change.at).await?;
        }
        drop_parts(&mut tx, id).await?;
        query(
            "UPDATE packet_order SET state = 'declined', words = $2, ended_at = $3, received_bytes = 0,
             decided_by = COALESCE(decided_by, $4), decided_at = COALESCE(decided_at, $3) WHERE id = $1",
        )
        .bind(id)
        .bind(words.trim())
        .bind(change.at)
        .bind(&change.who)
        .execute(&mut *tx)
        .await?;
        let after = seen(&mut tx, scope, id, change.at).await?;
        note(&mut tx, change, "decline", Some(&order), &after).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Removes the packets of an order for good; what became of it stays, its SHA-256 too.
    pub async fn discard_packets(&self, scope: &Scope, change: &Change, id: &str) -> Result<PacketOrder> {
        let mut tx = self.write().await?;
        let order = seen(&mut tx, scope, id, change.at).await?;
        if order.state != PacketState::Answered || order.discarded_at.is_some() {
            return Err(Error::Refused { what: "packet order", reason: "has no packets" });
        }
        drop_parts(&mut tx, id).await?;
        query("UPDATE packet_order SET discarded_at = $2 WHERE id = $1")
            .bind(id)
            .bind(change.at)
            .execute(&mut *tx)
            .await?;
        let after = seen(&mut tx, scope, id, change.at).await?;
        note(&mut tx, change, "discard", Some(&order), &after).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Notes that somebody takes the packets; the order, when there are any.
    pub async fn take_packets(&self, scope: &Scope, change: &Change, id: &str) -> Result<PacketOrder> {
        let mut tx = self.write().await?;
        user::check_worker(&mut tx, scope, &change.who).await?;
        let order = seen(&mut tx, scope, id, change.at).await?;
        if order.state != PacketState::Answered || order.discarded_at.is_some() {
            return Err(Error::Refused { what: "packet order", reason: "has no packets" });
        }
        note(&mut tx, change, "download", None, &order).await?;
        tx.commit().await?;
        Ok(order)
    }
}

fn check_incident(incident: &Incident, organization: &str) -> Result<()> {
    if incident.organization.as_ref().is_some_and(|home| home != organization) {
        return Err(Error::Refused { what: "sensor", reason: "belongs to another agency than the incident" });
    }
    if incident.status == IncidentStatus::Closed {
        return Err(Error::Refused { what: "incident", reason: "is closed; open it again first" });
    }
    Ok(())
}

/// What the sensor is shown.
async fn request(
    tx: &mut Connection,
    change: &Change,
    order: &PacketOrder,
    incident: &Incident,
) -> Result<PacketRequest> {
    let life = order.expires_at.unwrap_or(order.asked_at) - order.asked_at;
    let issued_at = Timestamp::from_millis(change.at);
    let longest = issued_at.plus(MAX_REQUEST_LIFE).millis();
    let request = PacketRequest {
        id: order.id.clone(),
        sensor: order.sensor.clone(),
        organization: order.organization.clone(),
        // The agency reads the journal: numbers of the province would tell it how many incidents others have.
        incident: incident.agency_number.clone().unwrap_or_else(|| incident.id.clone()),
        reason: order.reason.clone(),
        asked_by: person(tx, &order.asked_by).await?,
        approved_by: person(tx, &change.who).await?,
        from: Timestamp::from_millis(order.since),
        // The last millisecond whole.
        to: Timestamp::from_nanos(Timestamp::from_millis(order.until).nanos().saturating_add(999_999)),
        community_id: order.community_id.clone(),
        filter: order.filter.clone(),
        max_bytes: u64::try_from(order.max_bytes).map_err(|_| Error::Range("max_bytes"))?,
        issued_at,
        expires_at: Timestamp::from_millis((change.at + life).min(longest)),
    };
    match request.check() {
        Ok(()) => Ok(request),
        Err((field, reason)) => Err(Error::Invalid { field, reason }),
    }
}

async fn person(tx: &mut Connection, id: &str) -> Result<Person> {
    let name: Option<String> =
        query_scalar("SELECT full_name FROM account WHERE id = $1").bind(id).fetch_optional(tx).await?;
    Ok(Person { id: id.to_owned(), name: name.unwrap_or_default() })
}

pub(super) async fn drop_parts(tx: &mut Connection, id: &str) -> Result<()> {
    query("DELETE FROM packet_part WHERE packet_order = $1").bind(id).execute(tx).await?;
    Ok(())
}

/// Writes into the audit chain and the incident's time line.
pub(super) async fn note(
    tx: &mut Connection,
    change: &Change,
    action: &str,
    before: Option<&PacketOrder>,
    after: &PacketOrder,
) -> Result<()> {
    let deed = Deed {
        action,
        kind: "packet_order",
        object: &after.id,
        organization: Some(&after.organization),
        before: before.map(serde_json::to_value).transpose()?,
        after: Some(serde_json::to_value(after)?),
    };
    audit::record(tx, change, deed).await?;
    // Read anew: what the caller may see is not all that is true.
    let incident: String = query_scalar("SELECT incident FROM packet_order WHERE id = $1")
        .bind(&after.id)
        .fetch_one(&mut *tx)
        .await?;
    let data = json!({ "packet_order": after.id, "action": action, "state": after.state });
    timeline::append(
        tx,
        &incident,
        change,
        EntryKind::Packets,
        after.words.as_deref().unwrap_or_default(),
        Some(data),
    )
    .await
}
