//! What may be deleted, and deleting it.
//!
//! Whole frames go, oldest first, when every registered group has committed past them and they are too old or the
//! topic is too large. The last frame of a partition always stays: it says which offset comes next.

use std::sync::atomic::Ordering;

use fjall::{AbstractTree, PersistMode};

use super::state::{Partition, Shared, Topic};
use super::{frame, keys};
use crate::Result;

/// Deletes what the limits of the topics say; answers the bytes.
pub(super) fn sweep(shared: &Shared, now_ms: u64) -> Result<u64> {
    sweep_for_room(shared, now_ms, 0)
}

/// Like [`sweep`], and what no group needs any more until `wanted` bytes fit into the quota.
pub(super) fn sweep_for_room(shared: &Shared, now_ms: u64, wanted: u64) -> Result<u64> {
    let mut freed = 0;
    for topic in shared.all_topics() {
        for (number, partition) in (0_u32..).zip(&topic.partitions) {
            let room =
                || shared.retained_bytes().saturating_add(wanted).saturating_sub(shared.options.quota_bytes);
            let missing = if wanted == 0 { 0 } else { room() };
            freed += sweep_partition(shared, &topic, number, partition, now_ms, missing)?;
        }
    }
    forget_tokens(shared, now_ms)?;
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    metrics::gauge!("bus_retained_bytes").set(shared.retained_bytes() as f64);
    Ok(freed)
}

fn sweep_partition(
    shared: &Shared,
    topic: &Topic,
    number: u32,
    partition: &Partition,
    now_ms: u64,
    missing: u64,
) -> Result<u64> {
    let limits = shared.options.retention_of(&topic.name);
    let start = partition.start();
    let floor = shared.lowest_committed(&topic.name, number, start).unwrap_or_else(|| partition.next());
    let share = limits.bytes / u64::from(topic.count().max(1));
    let end = partition.bytes_end.load(Ordering::Acquire);
    let max_age_ms = u64::try_from(limits.age.as_millis()).unwrap_or(u64::MAX);
    let bytes_start = partition.bytes_start.load(Ordering::Acquire);
    let (mut new_start, mut new_bytes) = (start, bytes_start);
    for item in partition.log.range(start.to_be_bytes()..) {
        let (key, value) = item.into_inner()?;
        let (first, header) = (keys::read_offset(&key)?, frame::header(&value)?);
        (new_start, new_bytes) = (first, header.bytes_before);
        let next = first + u64::from(header.count);
        let too_old = now_ms.saturating_sub(header.appended_ms) > max_age_ms;
        let too_large = end.saturating_sub(header.bytes_before) > share;
        let in_the_way = header.bytes_before.saturating_sub(bytes_start) < missing;
        if next >= partition.next() || next > floor || !(too_old || too_large || in_the_way) {
            break;
        }
    }
    if new_start == start {
        return Ok(0);
    }
    let mut batch = shared.db.batch().durability(Some(PersistMode::SyncData));
    batch.insert(&shared.meta, keys::start(&topic.name, number), new_start.to_le_bytes());
    batch.commit()?;
    partition.start.store(new_start, Ordering::Release);
    partition.bytes_start.store(new_bytes, Ordering::Release);
    // Tables that lie wholly below go at once; what is left of the others goes with the next sweeps.
    partition.log.tree.drop_range(..new_start.to_be_bytes()).map_err(fjall::Error::from)?;
    Ok(new_bytes - bytes_start)
}

fn forget_tokens(shared: &Shared, now_ms: u64) -> Result<()> {
    let age_ms = u64::try_from(shared.options.token_age.as_millis()).unwrap_or(u64::MAX);
    let end = keys::token_age_end(now_ms.saturating_sub(age_ms));
    let mut batch = shared.db.batch();
    for item in shared.tokens.range(keys::TOKEN_AGES.to_vec()..end).take(100_000) {
        let key = item.key()?;
        if let Some(token) = keys::aged_token(&key) {
            batch.remove(&shared.tokens, token);
        }
        batch.remove(&shared.tokens, key);
    }
    batch.commit()?;
    Ok(())
}
