//! What the analyzer does to alerts: a step of matches, exception hits, state and the consumed offset in one transaction.

use dongson_event::transparency::{Entry, Hash};

use crate::database::{Connection, query};
use crate::{
    Consumed, Error, Level, Millis, Registry, Result, StateParts,
    alert::{CHANGES, next_number},
    consumed,
    fold::fold,
    notification, owner, transparency,
};

/// Matches of one alert in a step of the analyzer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertUpsert {
    /// Hash of what caused it.
    pub id: String,
    /// Its agency.
    pub organization: String,
    /// The node of the first match.
    pub node: Option<String>,
    /// The rule.
    pub rule_id: String,
    /// Its version.
    pub rule_version: String,
    /// Vietnamese title.
    pub title_vi: String,
    /// English title.
    pub title_en: String,
    /// How bad.
    pub level: Level,
    /// What kind of thing it is about.
    pub entity_type: String,
    /// The thing itself.
    pub entity_value: String,
    /// Event time of the first match in this step.
    pub first_seen: Millis,
    /// Event time of the last match in this step.
    pub last_seen: Millis,
    /// The event of the first match.
    pub event_id: String,
    /// Matches in this step: added to the stored count.
    pub added: u64,
    /// Risk points, 0 to 100; the highest is kept.
    pub risk: i64,
    /// ATT&CK tags.
    pub tags: Vec<String>,
    /// The leaf hash of its facts, as the transparency log has them when the alert is new ([`leaf_hash`]).
    ///
    /// [`leaf_hash`]: dongson_event::transparency::leaf_hash
    pub facts: Hash,
    /// Whether it belongs to a drill. Fixed by the first match: a drill has alert ids of its own.
    pub drill: bool,
}

/// Events that an exception kept out of the queue in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionHit {
    /// The exception's id.
    pub exception: String,
    /// How many.
    pub added: u64,
    /// Event time of the last.
    pub last: Millis,
}

/// Everything that a run of records did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// New and grown alerts.
    pub alerts: Vec<AlertUpsert>,
    /// What exceptions hid.
    pub hits: Vec<ExceptionHit>,
    /// The consumer's state after the run, to be found again with its offset; none = leave the stored one.
    pub state: Option<Vec<u8>>,
    /// The parts of the state that the run changed.
    pub parts: StateParts,
    /// Where the consumer stood when its state was loaded or last written: if it stands elsewhere now, the run is refused.
    /// None where nobody else can be the consumer.
    pub expected: Option<u64>,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// False if the run had been applied before: then nothing was changed.
    pub fresh: bool,
    /// Ids of the alerts that did not exist before.
    pub created: Vec<String>,
}

impl Registry {
    /// Applies a step and moves the consumer on, in one transaction. The same run again changes nothing; a run that
    /// overlaps what was applied is refused ([`Error::Overlap`]) and must be cut at the stored offset; one whose state is
    /// not of where the consumer stands is refused, too ([`Error::Moved`]).
    ///
    /// A new alert about a silent source or sensor belongs to whoever answers for it, from the start.
    /// A new alert also enters the outbox of every notification channel that wants it.
    pub async fn apply_alerts(&self, run: &Consumed, step: &Step, now: Millis) -> Result<Applied> {
        let mut tx = self.write().await?;
        if !consumed::advance(&mut tx, run, step).await? {
            return Ok(Applied { fresh: false, created: Vec::new() });
        }
        consumed::keep(&mut tx, run, &step.parts).await?;
        let (mut created, mut entries) = (Vec::new(), Vec::new());
        for alert in &step.alerts {
            if upsert(&mut tx, alert, now).await? {
                notification::enqueue(&mut tx, alert, now).await?;
                created.push(alert.id.clone());
                entries.push(Entry::Alert {
                    at: now,
                    name: alert.id.clone(),
                    organization: alert.organization.clone(),
                    hash: hex::encode(alert.facts),
                });
            }
        }
        transparency::append(&mut tx, &entries).await?;
        for hit in &step.hits {
            let added = i64::try_from(hit.added).map_err(|_| Error::Range("hits"))?;
            query(
                "UPDATE exception SET hits = hits + $2, last_hit_at = CASE WHEN last_hit_at > $3 THEN last_hit_at ELSE $3 END WHERE id = $1",
            )
            .bind(&hit.exception)
            .bind(added)
            .bind(hit.last)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(Applied { fresh: true, created })
    }
}

/// Adds to the stored alert, or enters it; true if it is new.
async fn upsert(tx: &mut Connection, alert: &AlertUpsert, now: Millis) -> Result<bool> {
    let added = i64::try_from(alert.added).map_err(|_| Error::Range("count"))?;
    let change = next_number(tx, CHANGES).await?;
    let grown = query(
        "UPDATE alert SET count = count + $2, first_seen = CASE WHEN first_seen < $3 THEN first_seen ELSE $3 END,
         last_seen = CASE WHEN last_seen > $4 THEN last_seen ELSE $4 END,
         risk = CASE WHEN risk > $5 THEN risk ELSE $5 END, change = $6 WHERE id = $1",
    )
    .bind(&alert.id)
    .bind(added)
    .bind(alert.first_seen)
    .bind(alert.last_seen)
    .bind(alert.risk.clamp(0, 100))
    .bind(change)
    .execute(&mut *tx)
    .await?;
    if grown.rows_affected() > 0 {
        return Ok(false);
    }
    insert(tx, alert, added, change, now).await?;
    Ok(true)
}

async fn insert(
    tx: &mut Connection,
    alert: &AlertUpsert,
    added: i64,
    change: i64,
    now: Millis,
) -> Result<()> {
    let search = fold(&format!(
        "{} {} {} {} {}",
        alert.title_vi, alert.title_en, alert.entity_value, alert.organization, alert.rule_id
    ));
    let owner = owner::of_entity(tx, &alert.organization, &alert.entity_type, &alert.entity_value).await?;
    query(
        "INSERT INTO alert (id, organization, node, rule_id, rule_version, title_vi, title_en, level, level_rank, entity_type,
         entity_value, first_seen, last_seen, event_id, count, risk, tags, drill, state, created_at, search, version, change, owner)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 'new', $19, $20, 1, $21, $22)",
    )
    .bind(&alert.id)
    .bind(&alert.organization)
    .bind(&alert.node)
    .bind(&alert.rule_id)
    .bind(&alert.rule_version)
    .bind(&alert.title_vi)
    .bind(&alert.title_en)
    .bind(alert.level)
    .bind(alert.level.rank())
    .bind(&alert.entity_type)
    .bind(&alert.entity_value)
    .bind(alert.first_seen)
    .bind(alert.last_seen)
    .bind(&alert.event_id)
    .bind(added)
    .bind(alert.risk.clamp(0, 100))
    .bind(serde_json::to_string(&alert.tags)?)
    .bind(i64::from(alert.drill))
    .bind(now)
    .bind(search)
    .bind(change)
    .bind(owner)
    .execute(tx)
    .await?;
    Ok(())
}
