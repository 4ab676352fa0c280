//! The audit chain: who changed what, when, from where, before and after. Append-only, each entry hashed over the one before.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::database::{Connection, query, query_as};
use crate::{
    Change, Millis, Registry, Result,
    chain::{ORIGIN, link},
    transparency,
};

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct AuditEntry {
    /// Place in the chain, from 1.
    pub sequence: i64,
    /// When, in milliseconds since 1970 UTC.
    pub at: Millis,
    /// Account id, or `service:<name>`.
    pub who: String,
    /// Network address of the request.
    pub address: Option<String>,
    /// What was done: `create`, `update`, `revoke`, `sign_in`, ...
    pub action: String,
    /// The kind of the object: `incident`, `exception`, `account`, ...
    pub kind: String,
    /// The id of the object.
    pub object: String,
    /// The agency concerned, if one is.
    pub organization: Option<String>,
    /// The object before, as JSON text, without secrets.
    pub before: Option<String>,
    /// The object after, as JSON text, without secrets.
    pub after: Option<String>,
    /// Hash of the entry before.
    pub previous: String,
    /// Hash of this entry.
    pub hash: String,
}

/// What a walk over the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditProof {
    /// How many entries there are.
    pub entries: i64,
    /// Hash of the newest entry.
    pub head: String,
    /// The first entry that does not fit the chain, if any.
    pub broken_at: Option<i64>,
}

/// What was done to which object, for [`record`].
pub(crate) struct Deed<'a> {
    pub(crate) action: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) object: &'a str,
    pub(crate) organization: Option<&'a str>,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// Appends an entry inside the caller's transaction.
pub(crate) async fn record(tx: &mut Connection, change: &Change, deed: Deed<'_>) -> Result<()> {
    let last: Option<(i64, String)> =
        query_as("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(&mut *tx)
            .await?;
    let (sequence, previous) = last.map_or((1, ORIGIN.to_owned()), |(sequence, hash)| (sequence + 1, hash));
    let mut entry = AuditEntry {
        sequence,
        at: change.at,
        who: change.who.clone(),
        address: change.address.clone(),
        action: deed.action.to_owned(),
        kind: deed.kind.to_owned(),
        object: deed.object.to_owned(),
        organization: deed.organization.map(str::to_owned),
        before: deed.before.map(|value| value.to_string()),
        after: deed.after.map(|value| value.to_string()),
        previous,
        hash: String::new(),
    };
    entry.hash = hash_of(&entry);
    // Before the entry itself is there: a log that begins with it says where the audit stood before.
    transparency::append(tx, &[entry.logged()]).await?;
    query("INSERT INTO audit VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
        .bind(entry.sequence)
        .bind(entry.at)
        .bind(entry.who)
        .bind(entry.address)
        .bind(entry.action)
        .bind(entry.kind)
        .bind(entry.object)
        .bind(entry.organization)
        .bind(entry.before)
        .bind(entry.after)
        .bind(entry.previous)
        .bind(entry.hash)
        .execute(tx)
        .await?;
    Ok(())
}

/// The hash that an entry must carry.
pub(crate) fn hash_of(entry: &AuditEntry) -> String {
    let parts = entry.parts();
    let parts: Vec<Option<&str>> = parts.iter().map(Option::as_deref).collect();
    link(&entry.previous, &parts)
}

impl AuditEntry {
    /// What its hash covers beside the hash before it.
    fn parts(&self) -> [Option<String>; 10] {
        let Self { sequence, at, who, address, action, kind, object, organization, before, after, .. } = self;
        let text = |text: &String| Some(text.clone());
        [
            Some(sequence.to_string()),
            Some(at.to_string()),
            text(who),
            address.clone(),
            text(action),
            text(kind),
            text(object),
            organization.clone(),
            before.clone(),
            after.clone(),
        ]
    }

    /// The entry as evidence shows it: a JSON list of the hash before and all that its own hash covers.
    pub fn content(&self) -> String {
        let mut all = vec![Some(self.previous.clone())];
        all.extend(self.parts());
        // Texts always print.
        serde_json::to_string(&all).unwrap_or_default()
    }

    /// What the transparency log says of it.
    fn logged(&self) -> dongson_event::transparency::Entry {
        use dongson_event::transparency::{Entry, Link};
        let link = Link {
            at: self.at,
            name: self.sequence.to_string(),
            action: self.action.clone(),
            object_kind: self.kind.clone(),
            object: self.object.clone(),
            hash: self.hash.clone(),
        };
        match self.action.as_str() {
            "approve" | "decline" => Entry::Approval(link),
            _ => Entry::Audit(link),
        }
    }
}

impl Registry {
    /// Entries newest first, older than `before` where given, at most `limit` (1 to 500). For administrators only:
    /// the chain covers all agencies.
    pub async fn audit_entries(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>> {
        let rows = query_as("SELECT * FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2")
            .bind(before.unwrap_or(i64::MAX))
            .bind(i64::from(limit.clamp(1, 500)))
            .fetch_all(&self.readers)
            .await?;
        Ok(rows)
    }

    /// One entry by its place in the chain. For administrators only.
    pub async fn audit_entry(&self, sequence: i64) -> Result<Option<AuditEntry>> {
        Ok(query_as("SELECT * FROM audit WHERE sequence = $1")
            .bind(sequence)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Appends an entry for something that changes no table of ours (a sign-in refused, an export).
    pub async fn audit_record(
        &self,
        change: &Change,
        action: &str,
        kind: &str,
        object: &str,
        detail: Option<Value>,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        record(
            &mut tx,
            change,
            Deed { action, kind, object, organization: None, before: None, after: detail },
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Walks the whole chain and says where it first breaks. Memory: one page of 500 entries.
    pub async fn audit_verify(&self) -> Result<AuditProof> {
        let mut proof = AuditProof { entries: 0, head: ORIGIN.to_owned(), broken_at: None };
        loop {
            let page: Vec<AuditEntry> =
                query_as("SELECT * FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT 500")
                    .bind(proof.entries)
                    .fetch_all(&self.readers)
                    .await?;
            if page.is_empty() {
                return Ok(proof);
            }
            for entry in page {
                let fits = entry.sequence == proof.entries + 1
                    && entry.previous == proof.head
                    && entry.hash == hash_of(&entry);
                if !fits {
                    proof.broken_at = Some(entry.sequence);
                    return Ok(proof);
                }
                proof.entries = entry.sequence;
                proof.head = entry.hash;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{on_both, registry_for_test};

    async fn a_changed_entry_breaks_the_chain() {
        let registry = registry_for_test().await;
        for name in ["a", "b", "c"] {
            registry.audit_record(&Change::service("test", 1), "x", "y", name, None).await.unwrap();
        }
        let proof = registry.audit_verify().await.unwrap();
        assert_eq!((proof.entries, proof.broken_at), (3, None));
        query("UPDATE audit SET who = 'other' WHERE sequence = 2").execute(&registry.writer).await.unwrap();
        assert_eq!(registry.audit_verify().await.unwrap().broken_at, Some(2));
        query("DELETE FROM audit WHERE sequence = 2").execute(&registry.writer).await.unwrap();
        assert_eq!(registry.audit_verify().await.unwrap().broken_at, Some(3));
    }

    on_both!(a_changed_entry_breaks_the_chain,);
}
