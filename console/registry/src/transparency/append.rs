//! Appending, inside the transaction of what is logged.

use crate::database::{Connection, query, query_as, query_scalar};
use dongson_event::transparency::{Entry, Frontier, leaf_hash};

use super::tile::Tiles;
use super::{DAMAGED, head, stored};
use crate::chain::ORIGIN;
use crate::{Millis, Result};

/// How long a head may be older than what it does not cover.
pub(super) const SIGN_AFTER: Millis = 60_000;

/// The right edge of the log.
pub(super) struct State {
    pub(super) tree: Frontier,
    pub(super) head_at: Millis,
}

type Row = (i64, Vec<u8>, i64);

impl State {
    /// The state, held until the transaction ends.
    pub(super) async fn hold(tx: &mut Connection) -> Result<Self> {
        let row: Option<Row> = query_as(
            "UPDATE transparency_state SET size = size WHERE id = 1 RETURNING size, frontier, head_at",
        )
        .fetch_optional(&mut *tx)
        .await?;
        if row.is_none() {
            query("INSERT INTO transparency_state (id, size, frontier, head_at, batches_at) VALUES (1, 0, $1, 0, 0)")
                .bind(Vec::<u8>::new())
                .execute(tx)
                .await?;
        }
        Self::of(row)
    }

    /// The state as it is.
    pub(super) async fn read(tx: &mut Connection) -> Result<Self> {
        let row = query_as("SELECT size, frontier, head_at FROM transparency_state WHERE id = 1")
            .fetch_optional(tx)
            .await?;
        Self::of(row)
    }

    fn of(row: Option<Row>) -> Result<Self> {
        let (size, frontier, head_at) = row.unwrap_or_default();
        let size = u64::try_from(size).map_err(|_| DAMAGED)?;
        let tree = Frontier::from_bytes(size, &frontier).ok_or(DAMAGED)?;
        Ok(Self { tree, head_at })
    }
}

/// Appends entries; the place of the first.
pub(crate) async fn append(tx: &mut Connection, entries: &[Entry]) -> Result<u64> {
    let Some(newest) = entries.last() else { return Ok(0) };
    let mut state = State::hold(tx).await?;
    let mut tiles = Tiles::default();
    if state.tree.size() == 0 {
        let last: Option<(i64, String)> =
            query_as("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
                .fetch_optional(&mut *tx)
                .await?;
        let (audit, hash) = last.unwrap_or((0, ORIGIN.to_owned()));
        let origin = Entry::Origin { at: newest.at(), audit, hash };
        put(tx, &mut state.tree, &mut tiles, &origin).await?;
    }
    let first = state.tree.size();
    for entry in entries {
        put(tx, &mut state.tree, &mut tiles, entry).await?;
    }
    tiles.write(tx).await?;
    let at = newest.at();
    query("UPDATE transparency_state SET size = $1, frontier = $2 WHERE id = 1")
        .bind(stored(state.tree.size())?)
        .bind(state.tree.to_bytes())
        .execute(&mut *tx)
        .await?;
    // Also when the clock was put back.
    if (at - state.head_at).abs() >= SIGN_AFTER {
        head::sign(tx, &state.tree, at).await?;
    }
    Ok(first)
}

async fn put(tx: &mut Connection, tree: &mut Frontier, tiles: &mut Tiles, entry: &Entry) -> Result<()> {
    let (leaf, body) = (tree.size(), entry.to_text());
    let hash = leaf_hash(body.as_bytes());
    let known: Option<i64> =
        query_scalar("SELECT leaf FROM transparency_entry WHERE kind = $1 AND name = $2")
            .bind(entry.kind())
            .bind(entry.name())
            .fetch_optional(&mut *tx)
            .await?;
    // Twice the same name: rows of the audit or of alerts were taken away. Work goes on; the check tells of it.
    let name = known.map_or_else(|| entry.name().to_owned(), |_| format!("{}~{leaf}", entry.name()));
    query("INSERT INTO transparency_entry (leaf, kind, name, body) VALUES ($1, $2, $3, $4)")
        .bind(stored(leaf)?)
        .bind(entry.kind())
        .bind(name)
        .bind(body)
        .execute(&mut *tx)
        .await?;
    tree.push(hash);
    tiles.push(tx, leaf, hash).await
}
