//! The tree in tiles (after C2SP tlog-tiles): a tile of level 0 holds the hashes of 256 entries, one of level n the roots of
//! 256 full tiles below it. A proof reads a few rows; an append writes one, seldom two.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use crate::database::{Connection, query, query_scalar};
use dongson_event::transparency::{Frontier, Hash, Span};

use super::{DAMAGED, stored};
use crate::Result;

/// Levels of the tree in one tile.
const HEIGHT: u32 = 8;
/// Hashes of a full tile.
const WIDTH: u64 = 1 << HEIGHT;

/// Tiles that are being filled: number and hashes by level.
#[derive(Default)]
pub(super) struct Tiles {
    open: BTreeMap<u32, (u64, Vec<Hash>)>,
}

impl Tiles {
    /// Appends the hash of entry `leaf`, which is the next.
    pub(super) async fn push(&mut self, tx: &mut Connection, leaf: u64, hash: Hash) -> Result<()> {
        let (mut level, mut index, mut hash) = (0, leaf, hash);
        loop {
            let number = index / WIDTH;
            let held = self.open.get(&level).is_some_and(|(open, _)| *open == number);
            if !held {
                let filled = usize::try_from(index % WIDTH).unwrap_or_default();
                let hashes = if filled == 0 { Vec::new() } else { read(tx, level, number).await? };
                if hashes.len() != filled {
                    return Err(DAMAGED);
                }
                self.open.insert(level, (number, hashes));
            }
            let Some((_, hashes)) = self.open.get_mut(&level) else { return Err(DAMAGED) };
            hashes.push(hash);
            if (hashes.len() as u64) < WIDTH {
                return Ok(());
            }
            hash = hashes.iter().copied().collect::<Frontier>().root();
            write(tx, level, number, hashes).await?;
            self.open.remove(&level);
            (level, index) = (level + 1, number);
        }
    }

    /// Writes what is not full.
    pub(super) async fn write(self, tx: &mut Connection) -> Result<()> {
        for (level, (number, hashes)) in self.open {
            write(tx, level, number, &hashes).await?;
        }
        Ok(())
    }
}

async fn write(tx: &mut Connection, level: u32, number: u64, hashes: &[Hash]) -> Result<()> {
    query(
        "INSERT INTO transparency_tile (level, number, hashes) VALUES ($1, $2, $3)
         ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
    )
    .bind(i64::from(level))
    .bind(stored(number)?)
    .bind(hashes.concat())
    .execute(tx)
    .await?;
    Ok(())
}

/// The hashes of a tile; none where it is not there.
pub(super) async fn read(tx: &mut Connection, level: u32, number: u64) -> Result<Vec<Hash>> {
    let bytes: Option<Vec<u8>> =
        query_scalar("SELECT hashes FROM transparency_tile WHERE level = $1 AND number = $2")
            .bind(i64::from(level))
            .bind(stored(number)?)
            .fetch_optional(tx)
            .await?;
    Ok(bytes.unwrap_or_default().as_chunks::<32>().0.to_vec())
}

/// The hashes of spans of the tree.
pub(super) async fn hashes(tx: &mut Connection, spans: &[Span]) -> Result<Vec<Hash>> {
    let mut tiles: HashMap<(u32, u64), Vec<Hash>> = HashMap::new();
    let mut found = Vec::with_capacity(spans.len());
    for span in spans {
        let mut parts = Vec::new();
        for (level, index) in span.parts() {
            // A subtree inside a tile: so many of the tile's hashes, from this one on.
            let (level, inside) = (level / HEIGHT, level % HEIGHT);
            let (first, count) = (index << inside, 1_usize << inside);
            let (number, place) = (first / WIDTH, usize::try_from(first % WIDTH).unwrap_or_default());
            let tile = match tiles.entry((level, number)) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(free) => free.insert(read(tx, level, number).await?),
            };
            let tile = tile.get(place..place + count);
            parts.push(tile.ok_or(DAMAGED)?.iter().copied().collect::<Frontier>().root());
        }
        found.push(Span::fold(parts.into_iter()).ok_or(DAMAGED)?);
    }
    Ok(found)
}
