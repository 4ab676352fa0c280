//! Where an event stands in its segment, with the hashes that prove it.

use dongson_event::transparency::{Hash, Place, Row, SegmentId, Span, inclusion, node_hash};

use crate::{LoggedRow, Result, Scope, StoreClient};

/// An event as it is stored, and where it stands in the transparency log.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProof {
    /// The event as JSON: what was hashed.
    pub content: String,
    /// Its segment; `None` of events from before the log.
    pub segment: Option<SegmentId>,
    /// Its place among the rows that are kept equally long and came on the same day.
    pub place: Place,
}

impl StoreClient {
    /// The stored event of this id, with the path to the root of its class; reads the whole segment. `records`: how many
    /// records of the bus the segment has, as the log says: rows after them are none of it. The caller looks at the log
    /// first: a segment that is not sealed has no root yet.
    pub async fn prove_event(
        &self,
        scope: &Scope,
        row: &LoggedRow,
        records: u64,
    ) -> Result<Option<StoredProof>> {
        let content = row.event.to_json();
        let own = Row::of(&row.event, row.days);
        let (days, day) = own.class();
        let mut place = Place { days, day, index: 0, path: Vec::new() };
        let Some(segment) = row.segment.filter(|_| scope.allows(row.event.organization())) else {
            return Ok(None);
        };
        let (mut leaves, mut from): (Vec<Hash>, u32) = (Vec::new(), 0);
        loop {
            let rows = self.segment_rows(segment, from, &[day]).await?;
            let Some(last) = rows.last() else { break };
            from = last.place.saturating_add(1);
            for other in rows.iter().filter(|other| u64::from(other.place) < records) {
                let other_row = Row::of(&other.event, other.days);
                if other_row.class() != (days, day) {
                    continue;
                }
                if other.place == row.place {
                    place.index = leaves.len() as u64;
                }
                leaves.push(other_row.leaf);
            }
        }
        let spans = inclusion(place.index, leaves.len() as u64).unwrap_or_default();
        place.path = spans.iter().filter_map(|span| hash(&leaves, *span)).map(hex::encode).collect();
        Ok(Some(StoredProof { content, segment: Some(segment), place }))
    }
}

/// The hash of a span of leaves.
fn hash(leaves: &[Hash], span: Span) -> Option<Hash> {
    let parts = span.parts().map(|(level, index)| {
        let (first, count) = (usize::try_from(index << level).ok()?, 1_usize << level);
        let mut hashes = leaves.get(first..first.checked_add(count)?)?.to_vec();
        while hashes.len() > 1 {
            let (pairs, _) = hashes.as_chunks::<2>();
            hashes = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        hashes.first().copied()
    });
    Span::fold(parts.collect::<Option<Vec<_>>>()?.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::transparency::{Frontier, leaf_hash, verify_inclusion};

    #[test]
    fn paths_lead_to_the_root() {
        for size in 1_u64..40 {
            let leaves: Vec<Hash> = (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect();
            let root = leaves.iter().copied().collect::<Frontier>().root();
            for (index, leaf) in (0..size).zip(&leaves) {
                let spans = inclusion(index, size).unwrap();
                let path: Vec<Hash> = spans.iter().map(|span| hash(&leaves, *span).unwrap()).collect();
                assert_eq!(verify_inclusion(*leaf, index, size, &path), Some(root), "{index} of {size}");
            }
        }
    }
}
