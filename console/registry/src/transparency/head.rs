//! The log's key and its signed heads.

use crate::database::{Connection, query, query_as, query_scalar};
use dongson_event::transparency::{Frontier, Head, LogKey};
use dongson_event::trust::SigningKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::append::State;
use super::stored;
use crate::{Millis, Registry, Result};

/// How old a head may be for those who only watch: it is signed anew at most so often for their sake.
const FRESH: Millis = 10_000;

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct SignedHead {
    /// How many entries it covers.
    pub size: i64,
    /// When it was signed, in milliseconds since 1970 UTC.
    pub at: Millis,
    /// The signed note (C2SP tlog-checkpoint).
    pub note: String,
}

/// The log's key; made at the first call.
async fn signer(tx: &mut Connection, at: Millis) -> Result<SigningKey> {
    if let Some(key) = read_key(tx).await? {
        return Ok(key);
    }
    let key = SigningKey::from_seed(rand::random())?;
    query("INSERT INTO transparency_key (id, seed, created_at) VALUES ($1, $2, $3)")
        .bind(key.public().id().as_str())
        .bind(key.secret())
        .bind(at)
        .execute(tx)
        .await?;
    Ok(key)
}

async fn read_key(tx: &mut Connection) -> Result<Option<SigningKey>> {
    let seed: Option<String> =
        query_scalar("SELECT seed FROM transparency_key ORDER BY created_at, id LIMIT 1")
            .fetch_optional(tx)
            .await?;
    Ok(seed.map(|seed| SigningKey::parse(&seed)).transpose()?)
}

/// The public half of the log's key; `None` while nothing was signed.
pub(super) async fn log_key(tx: &mut Connection) -> Result<Option<LogKey>> {
    Ok(read_key(tx).await?.as_ref().map(LogKey::of))
}

/// Signs and keeps the head of `tree`; the caller holds the state.
pub(super) async fn sign(tx: &mut Connection, tree: &Frontier, at: Millis) -> Result<SignedHead> {
    let key = signer(tx, at).await?;
    let note = Head { size: tree.size(), root: tree.root() }.sign(&key);
    let head = SignedHead { size: stored(tree.size())?, at, note };
    query("INSERT INTO transparency_head (size, at, note) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(head.size)
        .bind(head.at)
        .bind(&head.note)
        .execute(&mut *tx)
        .await?;
    query("UPDATE transparency_state SET head_at = $1 WHERE id = 1").bind(at).execute(tx).await?;
    Ok(head)
}

pub(super) async fn newest(tx: &mut Connection) -> Result<Option<SignedHead>> {
    Ok(query_as("SELECT size, at, note FROM transparency_head ORDER BY size DESC LIMIT 1")
        .fetch_optional(tx)
        .await?)
}

impl Registry {
    /// The newest signed head, at most ten seconds older than what it does not cover; `None` of an empty log.
    pub async fn transparency_head(&self, now: Millis) -> Result<Option<SignedHead>> {
        let mut reader = self.readers.acquire().await?;
        let size = stored(State::read(&mut reader).await?.tree.size())?;
        let head = newest(&mut reader).await?;
        drop(reader);
        match head {
            _ if size == 0 => Ok(None),
            Some(head) if head.size == size || (now - head.at).abs() < FRESH => Ok(Some(head)),
            _ => Ok(Some(self.sign_transparency_head(now).await?)),
        }
    }

    /// Signs what the log holds now.
    pub(super) async fn sign_transparency_head(&self, now: Millis) -> Result<SignedHead> {
        let mut tx = self.write().await?;
        let state = State::hold(&mut tx).await?;
        let head = match newest(&mut tx).await? {
            Some(head) if head.size == stored(state.tree.size())? => head,
            _ => sign(&mut tx, &state.tree, now).await?,
        };
        tx.commit().await?;
        Ok(head)
    }

    /// The log's public key (C2SP signed-note: `NAME+ID+KEY`); `None` while nothing was signed.
    pub async fn transparency_key(&self) -> Result<Option<LogKey>> {
        let mut reader = self.readers.acquire().await?;
        log_key(&mut reader).await
    }
}
