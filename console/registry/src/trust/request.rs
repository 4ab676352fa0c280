//! Requests to one sensor: signed envelopes, whose meaning is the caller's.

use dongson_event::trust::{Envelope, Purpose};
use serde::Serialize;

use super::{bump, key};
use crate::database::{Connection, query, query_scalar};
use crate::{Change, Error, Millis, Registry, Result, new_id};

/// Most requests that one sensor may have open.
const MOST_OPEN: i64 = 64;

/// A request that a sensor has not answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorRequest {
    /// Its id.
    pub id: String,
    /// The sensor.
    pub sensor: String,
    /// What it gets.
    pub envelope: Envelope,
}

/// Signs `body` as a request and puts it before the sensor until `expires_at`, inside the caller's transaction; its id.
/// The audit entry is the caller's, who knows what is asked.
pub(crate) async fn put<T: Serialize>(
    tx: &mut Connection,
    change: &Change,
    sensor: &str,
    body: &T,
    expires_at: Millis,
) -> Result<SensorRequest> {
    let open: i64 = query_scalar(
        "SELECT COUNT(*) FROM sensor_request WHERE sensor = $1 AND closed_at IS NULL AND expires_at > $2",
    )
    .bind(sensor)
    .bind(change.at)
    .fetch_one(&mut *tx)
    .await?;
    if open >= MOST_OPEN {
        return Err(Error::Refused { what: "request", reason: "the sensor has 64 open requests already" });
    }
    let envelope = key::sign(tx, Purpose::Request, body, change).await?;
    let id = new_id();
    query(
        "INSERT INTO sensor_request (id, sensor, envelope, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&id)
    .bind(sensor)
    .bind(envelope.to_json())
    .bind(change.at)
    .bind(expires_at)
    .execute(&mut *tx)
    .await?;
    bump(tx).await?;
    Ok(SensorRequest { id, sensor: sensor.to_owned(), envelope })
}

/// Takes a request off the sensor's list: it was answered, refused or withdrawn.
pub(crate) async fn close(tx: &mut Connection, id: &str, at: Millis) -> Result<()> {
    let closed = query("UPDATE sensor_request SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL")
        .bind(id)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    if closed.rows_affected() == 0 {
        return Err(Error::NotFound("request"));
    }
    bump(tx).await?;
    Ok(())
}

impl Registry {
    /// Signs `body` as a request to a sensor ([`Purpose::Request`]), open until `expires_at` or [`Self::close_request`].
    pub async fn put_request<T: Serialize + Sync>(
        &self,
        change: &Change,
        sensor: &str,
        body: &T,
        expires_at: Millis,
    ) -> Result<SensorRequest> {
        let mut tx = self.write().await?;
        let made = put(&mut tx, change, sensor, body, expires_at).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Takes a request off the sensor's list.
    pub async fn close_request(&self, id: &str, at: Millis) -> Result<()> {
        let mut tx = self.write().await?;
        close(&mut tx, id, at).await?;
        tx.commit().await?;
        Ok(())
    }
}
