//! What a sensor does with an order. The sensor is known by its certificate; another one's orders do not exist for it.

use dongson_event::trust::PacketAnswer;
use sha2::{Digest as _, Sha256};

use super::decide::{drop_parts, note};
use super::order::fetch;
use super::{PacketOrder, PacketState};
use crate::database::{Connection, query, query_scalar};
use crate::{Change, Error, Millis, Registry, Result, trust::close_request};

/// Longest words of a sensor, in characters.
const MOST_WORDS: usize = 1_000;

impl Registry {
    /// The sensor takes the order up: how many bytes of its answer are here.
    pub async fn packets_received(&self, sensor: &str, id: &str, now: Millis) -> Result<i64> {
        let mut tx = self.write().await?;
        let order = open(&mut tx, sensor, id, now).await?;
        if order.state == PacketState::Approved {
            query("UPDATE packet_order SET state = 'sent' WHERE id = $1").bind(id).execute(&mut *tx).await?;
            let after = PacketOrder { state: PacketState::Sent, ..order.clone() };
            note(&mut tx, &of_sensor(sensor, now), "send", Some(&order), &after).await?;
            tx.commit().await?;
        }
        Ok(order.received_bytes)
    }

    /// Takes a part of the answer that begins at `start`: how many bytes are here now. One that does not go on where the last
    /// one ended is left out; one at 0 begins anew.
    pub async fn receive_packets(
        &self,
        sensor: &str,
        id: &str,
        start: i64,
        bytes: &[u8],
        now: Millis,
    ) -> Result<i64> {
        let mut tx = self.write().await?;
        let order = open(&mut tx, sensor, id, now).await?;
        let length = i64::try_from(bytes.len()).map_err(|_| Error::Range("part"))?;
        let begins_anew = start == 0 && order.received_bytes > 0;
        if start != order.received_bytes && !begins_anew || length == 0 {
            return Ok(order.received_bytes);
        }
        if start.saturating_add(length) > order.max_bytes {
            return Err(Error::Refused {
                what: "packet order",
                reason: "has more bytes than were asked for",
            });
        }
        if begins_anew {
            drop_parts(&mut tx, id).await?;
        }
        query("INSERT INTO packet_part VALUES ($1, $2, $3)")
            .bind(id)
            .bind(start)
            .bind(bytes)
            .execute(&mut *tx)
            .await?;
        query("UPDATE packet_order SET received_bytes = $2, state = 'sent' WHERE id = $1")
            .bind(id)
            .bind(start + length)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(start + length)
    }

    /// The sensor ends the order. The same end again changes nothing. Packets that do not fit the SHA-256 that the sensor names
    /// are thrown away; it begins anew.
    pub async fn end_packets(
        &self,
        sensor: &str,
        id: &str,
        answer: &PacketAnswer,
        now: Millis,
    ) -> Result<()> {
        let (state, words, account) = match answer {
            PacketAnswer::Packets(account) => {
                (PacketState::Answered, None, Some(serde_json::to_value(account)?))
            }
            PacketAnswer::Refused { reason } => (PacketState::Refused, Some(plain(reason)), None),
        };
        let known = self.own_order(sensor, id, now).await?;
        if known.state == state && known.account == account {
            return Ok(());
        }
        let (sum, length) = match answer {
            PacketAnswer::Packets(_) => self.sum(id).await?,
            PacketAnswer::Refused { .. } => (String::new(), 0),
        };
        let mut tx = self.write().await?;
        let order = open(&mut tx, sensor, id, now).await?;
        if let PacketAnswer::Packets(account) = answer
            && (account.sha256 != sum || account.bytes != length)
        {
            drop_parts(&mut tx, id).await?;
            query("UPDATE packet_order SET received_bytes = 0 WHERE id = $1")
                .bind(id)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            return Err(Error::Refused { what: "packet order", reason: "does not fit its SHA-256" });
        }
        if state == PacketState::Refused {
            drop_parts(&mut tx, id).await?;
        }
        query(
            "UPDATE packet_order SET state = $2, words = $3, account = $4, ended_at = $5,
             received_bytes = CASE WHEN $2 = 'refused' THEN 0 ELSE received_bytes END WHERE id = $1",
        )
        .bind(id)
        .bind(state)
        .bind(words)
        .bind(account.map(|account| account.to_string()))
        .bind(now)
        .execute(&mut *tx)
        .await?;
        if let Some(offer) = &order.offer {
            close_request(&mut tx, offer, now).await?;
        }
        let after = fetch(&mut tx, id, now).await?;
        let action = if state == PacketState::Answered { "answer" } else { "refuse" };
        note(&mut tx, &of_sensor(sensor, now), action, Some(&order), &after).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The order, if it is one of the sensor's.
    async fn own_order(&self, sensor: &str, id: &str, now: Millis) -> Result<PacketOrder> {
        let order = fetch(&mut *self.readers.acquire().await?, id, now).await?;
        if order.sensor == sensor { Ok(order) } else { Err(Error::NotFound("packet order")) }
    }

    /// SHA-256 and length of the parts, one of them in memory at a time.
    async fn sum(&self, id: &str) -> Result<(String, u64)> {
        let (mut sum, mut start) = (Sha256::new(), 0_i64);
        loop {
            let part: Option<Vec<u8>> =
                query_scalar("SELECT bytes FROM packet_part WHERE packet_order = $1 AND start = $2")
                    .bind(id)
                    .bind(start)
                    .fetch_optional(&self.readers)
                    .await?;
            let Some(part) = part.filter(|part| !part.is_empty()) else {
                let length = u64::try_from(start).map_err(|_| Error::Range("packets"))?;
                return Ok((hex::encode(sum.finalize()), length));
            };
            sum.update(&part);
            start += i64::try_from(part.len()).map_err(|_| Error::Range("packets"))?;
        }
    }
}

/// The order, if it is the sensor's and waits for its answer.
async fn open(tx: &mut Connection, sensor: &str, id: &str, now: Millis) -> Result<PacketOrder> {
    let order = fetch(tx, id, now).await?;
    if order.sensor != sensor {
        return Err(Error::NotFound("packet order"));
    }
    if !matches!(order.state, PacketState::Approved | PacketState::Sent) {
        return Err(Error::Refused { what: "packet order", reason: "is over already" });
    }
    Ok(order)
}

fn of_sensor(sensor: &str, now: Millis) -> Change {
    Change { who: format!("sensor:{sensor}"), address: None, at: now }
}

/// A sensor's words without control characters, shortened.
fn plain(words: &str) -> String {
    words.chars().filter(|sign| !sign.is_control()).take(MOST_WORDS).collect()
}
