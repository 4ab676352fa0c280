//! Evidence of one thing: what is stored, its entry in the transparency log, the way up to a signed head.

use dongson_event::transparency::{Entry, Evidence, SegmentId, Subject};
use dongson_registry::{Millis, Registry, Scope};
use dongson_store::StoreClient;

use crate::store::scope_of;

/// What came of looking for a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Here it is. Whether it holds is for whoever takes it to check: what is stored may have been changed.
    Found(Box<Evidence>),
    /// There is no such thing in scope.
    Unknown,
    /// It is not in the log: from before the log began, or not sealed yet.
    NotLogged,
}

/// Why nothing could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceFailure {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] dongson_registry::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] dongson_store::StoreError),
    /// There is none here.
    #[error("there is no event store here")]
    NoStore,
    /// An alert does not print as JSON.
    #[error("an alert as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The evidence of an event or alert by its id, or of an audit entry by its place. Audit entries are for administrators
/// only; that is the caller's to check.
///
/// # Errors
/// When registry or store do not answer.
pub async fn evidence(
    registry: &Registry,
    store: Option<&StoreClient>,
    scope: &Scope,
    (subject, id): (Subject, &str),
    now: Millis,
) -> Result<Proof, EvidenceFailure> {
    match subject {
        Subject::Event => event(registry, store, scope, id, now).await,
        Subject::Alert => alert(registry, store, scope, id, now).await,
        Subject::Audit => audit(registry, id, now).await,
    }
}

async fn event(
    registry: &Registry,
    store: Option<&StoreClient>,
    scope: &Scope,
    id: &str,
    now: Millis,
) -> Result<Proof, EvidenceFailure> {
    let store = store.ok_or(EvidenceFailure::NoStore)?;
    let Some(scope) = scope_of(scope) else { return Ok(Proof::Unknown) };
    let rows = store.logged_event(&scope, id).await?;
    if rows.is_empty() {
        return Ok(Proof::Unknown);
    }
    for row in rows {
        let Some(segment) = row.segment else { continue };
        let Some(logged) = registry.logged("segment", &segment.name(), now).await? else { continue };
        let Some(records) = records(logged.entry.entry().as_ref(), segment) else { continue };
        if u64::from(row.place) >= records {
            continue;
        }
        if let Some(proof) = store.prove_event(&scope, &row, records).await? {
            let evidence = logged.evidence(Subject::Event, id, proof.content, Some(proof.place));
            return Ok(Proof::Found(Box::new(evidence)));
        }
    }
    Ok(Proof::NotLogged)
}

/// How many records of the bus a segment has.
fn records(entry: Option<&Entry>, segment: SegmentId) -> Option<u64> {
    let Some(Entry::Segment { name, .. }) = entry else { return None };
    let last: u64 = name.rsplit_once('-')?.1.parse().ok()?;
    last.checked_sub(segment.first())?.checked_add(1)
}

async fn alert(
    registry: &Registry,
    store: Option<&StoreClient>,
    scope: &Scope,
    id: &str,
    now: Millis,
) -> Result<Proof, EvidenceFailure> {
    let store = store.ok_or(EvidenceFailure::NoStore)?;
    let Some(scope) = scope_of(scope) else { return Ok(Proof::Unknown) };
    let Some(alert) = store.alert(&scope, id).await? else { return Ok(Proof::Unknown) };
    let Some(logged) = registry.logged("alert", id, now).await? else { return Ok(Proof::NotLogged) };
    let content = serde_json::to_string(&alert)?;
    Ok(Proof::Found(Box::new(logged.evidence(Subject::Alert, id, content, None))))
}

async fn audit(registry: &Registry, id: &str, now: Millis) -> Result<Proof, EvidenceFailure> {
    let Ok(sequence) = id.parse() else { return Ok(Proof::Unknown) };
    let Some(entry) = registry.audit_entry(sequence).await? else { return Ok(Proof::Unknown) };
    for kind in ["audit", "approval"] {
        if let Some(logged) = registry.logged(kind, &sequence.to_string(), now).await? {
            let id = sequence.to_string();
            let evidence = logged.evidence(Subject::Audit, &id, entry.content(), None);
            return Ok(Proof::Found(Box::new(evidence)));
        }
    }
    Ok(Proof::NotLogged)
}
