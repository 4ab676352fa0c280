//! What is known of an order for packets.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::database::{Connection, JsonText, QueryBuilder, query_as, query_scalar};
use crate::{Error, Millis, Registry, Result, Scope};

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum PacketState {
    /// Waits for somebody else to approve it.
    Asked,
    /// Nobody will ask the sensor: declined by another, or withdrawn by who asked.
    Declined,
    /// Signed; the sensor gets it when it asks next.
    Approved,
    /// The sensor has taken it up.
    Sent,
    /// The packets are here, whole.
    Answered,
    /// The sensor gave none; `words` says why.
    Refused,
    /// The sensor did not answer in time.
    Expired,
}

/// Packets that were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct PacketOrder {
    /// Id, the same in the sensor's journal.
    pub id: String,
    /// The sensor's agency.
    pub organization: String,
    /// The sensor.
    pub sensor: String,
    /// The incident that they are for; none where it is of the whole province and the reader sees only some agencies.
    pub incident: Option<String>,
    /// Why.
    pub reason: String,
    /// Packets from this time on.
    pub since: Millis,
    /// Packets up to this time.
    pub until: Millis,
    /// Of the flow with this Community ID.
    pub community_id: Option<String>,
    /// Those that this filter takes.
    pub filter: Option<String>,
    /// Most bytes of the answer.
    pub max_bytes: i64,
    /// How far it has come.
    pub state: PacketState,
    /// Account id of who asked.
    pub asked_by: String,
    /// When.
    pub asked_at: Millis,
    /// Account id of who approved or declined.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Millis>,
    /// Why it was declined, or what the sensor said.
    pub words: Option<String>,
    /// Until when the sensor may answer.
    pub expires_at: Option<Millis>,
    /// Bytes of the answer that are here.
    pub received_bytes: i64,
    /// What the sensor says of its answer: `sha256`, `bytes`, `frames`, and what is missing: `cut_frames` and `cut_bytes` (left out by its
    /// flow cut-off), `lost_frames`, `truncated`, `oldest` (since when it has packets).
    #[sqlx(try_from = "JsonText")]
    #[schema(value_type = Option<Object>)]
    pub account: Option<Value>,
    /// When it was answered or refused.
    pub ended_at: Option<Millis>,
    /// When an administrator discarded the packets.
    pub discarded_at: Option<Millis>,
    /// The request that the sensor is shown.
    #[serde(skip)]
    pub(super) offer: Option<String>,
}

/// What the list is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PacketFilter {
    /// Only for this incident.
    pub incident: Option<String>,
    /// Only of this sensor.
    pub sensor: Option<String>,
    /// Any of these states; empty = all.
    pub states: Vec<PacketState>,
    /// Id of the last one of the page before.
    pub after: Option<String>,
}

impl PacketOrder {
    /// As it is at `now`.
    fn at(mut self, now: Millis) -> Self {
        let open = matches!(self.state, PacketState::Approved | PacketState::Sent);
        if open && self.expires_at.is_some_and(|end| now >= end) {
            self.state = PacketState::Expired;
        }
        self
    }
}

/// The order as it is at `now`, whoever asks.
pub(super) async fn fetch(tx: &mut Connection, id: &str, now: Millis) -> Result<PacketOrder> {
    let found: Option<PacketOrder> =
        query_as("SELECT * FROM packet_order WHERE id = $1").bind(id).fetch_optional(tx).await?;
    found.map(|order| order.at(now)).ok_or(Error::NotFound("packet order"))
}

/// The order as somebody of `scope` may see it at `now`.
pub(super) async fn seen(tx: &mut Connection, scope: &Scope, id: &str, now: Millis) -> Result<PacketOrder> {
    let order = fetch(tx, id, now).await?;
    scope.admit(&order.organization, "packet order")?;
    hide(tx, scope, order).await
}

/// Takes out the incident of the province for who sees only some agencies.
async fn hide(tx: &mut Connection, scope: &Scope, order: PacketOrder) -> Result<PacketOrder> {
    if *scope == Scope::All {
        return Ok(order);
    }
    let home: Option<Option<String>> = query_scalar("SELECT organization FROM incident WHERE id = $1")
        .bind(&order.incident)
        .fetch_optional(tx)
        .await?;
    let known = scope.allows_optional(home.flatten().as_deref());
    Ok(PacketOrder { incident: order.incident.filter(|_| known), ..order })
}

impl Registry {
    /// Orders of a scope newest first as they are at `now`, at most `limit` (1 to 500). Ids are made in order of time, so the page
    /// goes by id.
    pub async fn packet_orders(
        &self,
        scope: &Scope,
        filter: &PacketFilter,
        limit: u32,
        now: Millis,
    ) -> Result<Vec<PacketOrder>> {
        let mut query = QueryBuilder::new("SELECT * FROM packet_order WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        if let Some(incident) = &filter.incident {
            query.push(" AND incident = ").push_bind(incident.clone());
            if *scope != Scope::All {
                query.push(" AND incident IN (SELECT id FROM incident WHERE 1 = 1");
                scope.restrict(&mut query, "organization");
                query.push(")");
            }
        }
        if let Some(sensor) = &filter.sensor {
            query.push(" AND sensor = ").push_bind(sensor.clone());
        }
        if let Some(after) = &filter.after {
            query.push(" AND id < ").push_bind(after.clone());
        }
        if !filter.states.is_empty() {
            // Expired is not stored.
            let is_open = "state IN ('approved', 'sent') AND expires_at <= ";
            query
                .push(" AND CASE WHEN ")
                .push(is_open)
                .push_bind(now)
                .push(" THEN 'expired' ELSE state END IN (");
            let mut list = query.separated(", ");
            for state in &filter.states {
                list.push_bind(*state);
            }
            query.push(")");
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit.clamp(1, 500)));
        let mut reader = self.readers.acquire().await?;
        let found: Vec<PacketOrder> = query.build_query_as().fetch_all(&mut *reader).await?;
        let mut shown = Vec::with_capacity(found.len());
        for order in found {
            shown.push(hide(&mut reader, scope, order.at(now)).await?);
        }
        Ok(shown)
    }

    /// One order as it is at `now`, if it is in scope.
    pub async fn packet_order(&self, scope: &Scope, id: &str, now: Millis) -> Result<PacketOrder> {
        seen(&mut *self.readers.acquire().await?, scope, id, now).await
    }

    /// The part of an answer that begins at `start`; none after the last one, or where the packets were discarded.
    pub async fn packet_part_at(&self, scope: &Scope, id: &str, start: i64) -> Result<Option<Vec<u8>>> {
        let mut reader = self.readers.acquire().await?;
        let order = seen(&mut reader, scope, id, 0).await?;
        let part = query_scalar("SELECT bytes FROM packet_part WHERE packet_order = $1 AND start = $2")
            .bind(&order.id)
            .bind(start)
            .fetch_optional(&mut *reader)
            .await?;
        Ok(part)
    }
}
