//! What one sensor is told when it asks.

use dongson_event::trust::{Envelope, Target};

use crate::database::query_scalar;
use crate::{Millis, Registry, Result};

/// Most packs and requests of one answer.
const MOST: i64 = 64;

/// Everything that is signed for one sensor, as envelopes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Root documents after the one that the sensor has, in their order.
    pub roots: Vec<Envelope>,
    /// Desired state, from wide to narrow.
    pub desired: Vec<Envelope>,
    /// Manifests of packs.
    pub packs: Vec<Envelope>,
    /// Requests that are open, oldest first.
    pub requests: Vec<Envelope>,
}

impl Registry {
    /// What the sensor `sensor` of `organization`, whose root document has version `root` (0: none), is told at `now`.
    pub async fn offer(&self, organization: &str, sensor: &str, root: u64, now: Millis) -> Result<Offer> {
        let mut reader = self.readers.acquire().await?;
        let [all, agency, own] = &targets(organization, sensor);
        let desired: Vec<String> = query_scalar(
            // `all`, `organization:...`, `sensor:...`: from wide to narrow.
            "SELECT envelope FROM desired WHERE target IN ($1, $2, $3) ORDER BY target",
        )
        .bind(all)
        .bind(agency)
        .bind(own)
        .fetch_all(&mut *reader)
        .await?;
        let packs: Vec<String> =
            query_scalar("SELECT envelope FROM pack WHERE target IN ($1, $2, $3) ORDER BY name LIMIT $4")
                .bind(all)
                .bind(agency)
                .bind(own)
                .bind(MOST)
                .fetch_all(&mut *reader)
                .await?;
        let requests: Vec<String> = query_scalar(
            "SELECT envelope FROM sensor_request
             WHERE sensor = $1 AND closed_at IS NULL AND expires_at > $2 ORDER BY created_at, id LIMIT $3",
        )
        .bind(sensor)
        .bind(now)
        .bind(MOST)
        .fetch_all(&mut *reader)
        .await?;
        drop(reader);
        Ok(Offer {
            roots: self.trust_roots(root).await?,
            desired: envelopes(&desired)?,
            packs: envelopes(&packs)?,
            requests: envelopes(&requests)?,
        })
    }

    /// Whether the pack with this SHA-256 is offered to the sensor.
    pub async fn offers_pack(&self, organization: &str, sensor: &str, sha256: &str) -> Result<bool> {
        let [all, agency, own] = targets(organization, sensor);
        let found: i64 =
            query_scalar("SELECT COUNT(*) FROM pack WHERE sha256 = $1 AND target IN ($2, $3, $4)")
                .bind(sha256)
                .bind(all)
                .bind(agency)
                .bind(own)
                .fetch_one(&self.readers)
                .await?;
        Ok(found > 0)
    }
}

/// The targets that mean a sensor, from wide to narrow.
pub(super) fn targets(organization: &str, sensor: &str) -> [String; 3] {
    let targets =
        [Target::All, Target::Organization(organization.to_owned()), Target::Sensor(sensor.to_owned())];
    targets.map(|target| target.to_string())
}

fn envelopes(texts: &[String]) -> Result<Vec<Envelope>> {
    texts.iter().map(|text| Ok(Envelope::parse(text.as_bytes())?)).collect()
}
