//! Segments and alerts against the store: each row that was changed, is gone or was put in is named.

use std::collections::BTreeMap;

use anyhow::Result;
use dongson_event::transparency::{Class, Entry, Row, SegmentId, SegmentRoots, leaf_hash};
use dongson_registry::{LogCheck, Problem, Registry};
use dongson_store::{LoggedRow, Scope, StoreClient};

use super::Compared;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Most rows that are named of one segment; the others are counted.
const NAMED: u64 = 100;
/// How many days the store keeps alerts.
const ALERT_DAYS: i64 = 1_825;

/// When the store may have begun to delete rows of a class, in milliseconds since 1970.
fn expires(class: &Class) -> i64 {
    class.since.div_euclid(1_000_000) + i64::from(class.days) * DAY
}

/// Compares a segment with its rows.
pub(super) async fn compare(
    store: &StoreClient,
    entry: &Entry,
    now: i64,
    check: &mut LogCheck,
    compared: &mut Compared,
) -> Result<()> {
    let Entry::Segment { name, classes, .. } = entry else { return Ok(()) };
    let (Some(id), Some(records)) = (SegmentId::parse(name), records(name)) else {
        check.note("segment", name, Problem::Changed, "its name is none of a segment");
        return Ok(());
    };
    let days: Vec<i64> = classes.iter().map(|class| class.day).collect();
    let expired = classes.iter().any(|class| expires(class) <= now);
    let mut seen = Seen { id, records, named: 0, next: 0, roots: SegmentRoots::default(), gaps: !expired };
    let mut from = 0;
    loop {
        let rows = store.segment_rows(id, from, &days).await?;
        let Some(last) = rows.last() else { break };
        from = last.place.saturating_add(1);
        for row in &rows {
            compared.rows += 1;
            seen.row(row, classes, check);
        }
    }
    seen.missing(records, check);
    let found: BTreeMap<(u16, i64), Class> =
        seen.roots.classes().into_iter().map(|class| ((class.days, class.day), class)).collect();
    for class in classes {
        let held = found.get(&(class.days, class.day));
        let rows = held.map_or(0, |held| held.rows);
        if expires(class) <= now && rows < class.rows {
            compared.rows_expired += class.rows - rows;
            continue;
        }
        let about = format!("of the rows that came on day {} and are kept {} days", class.day, class.days);
        if rows < class.rows {
            let words = format!("{about} {} were logged and {rows} are there", class.rows);
            check.note("segment", name, Problem::Removed, words);
        } else if rows > class.rows {
            let words = format!("{about} {} were logged and {rows} are there", class.rows);
            check.note("segment", name, Problem::Inserted, words);
        } else if held.is_some_and(|held| held.root != class.root) && seen.named == 0 {
            let words = format!("{about} one was changed together with the mark beside it");
            check.note("segment", name, Problem::Changed, words);
        }
    }
    Ok(())
}

/// How many records a segment of this name covers.
fn records(name: &str) -> Option<u64> {
    let (_, run) = name.rsplit_once('/')?;
    let (first, last) = run.split_once('-')?;
    last.parse::<u64>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
}

struct Seen {
    id: SegmentId,
    records: u64,
    /// Rows that were named.
    named: u64,
    /// The place after the last row.
    next: u64,
    roots: SegmentRoots,
    /// Whether a place without a row is one that was removed.
    gaps: bool,
}

impl Seen {
    /// The name of the record at a place.
    fn at(&self, place: u64) -> String {
        format!("{}/{}/{}", self.id.topic(), self.id.partition(), self.id.first() + place)
    }

    fn name(&mut self, check: &mut LogCheck, name: String, problem: Problem, words: String) {
        self.named += 1;
        if self.named <= NAMED {
            check.note("row", name, problem, words);
        }
    }

    fn row(&mut self, row: &LoggedRow, classes: &[Class], check: &mut LogCheck) {
        let (place, found) = (u64::from(row.place), Row::of(&row.event, row.days));
        let name = format!("{} ({})", self.at(place), row.event.id());
        if place >= self.records {
            self.name(check, name, Problem::Inserted, "the segment was sealed without it".to_owned());
            return;
        }
        if place < self.next {
            self.name(check, name.clone(), Problem::Inserted, "two rows stand at this place".to_owned());
        }
        self.missing(place, check);
        self.next = self.next.max(place + 1);
        let known = |class: &Class| (class.days, class.day) == found.class();
        if found.check() != row.check {
            let words = "the row is not what was logged".to_owned();
            self.name(check, name, Problem::Changed, words);
        } else if !classes.iter().any(known) {
            let words =
                format!("it says that it came on day {} and is kept {} days", found.class().1, row.days);
            self.name(check, name, Problem::Changed, words);
        }
        self.roots.push(&found);
    }

    /// Names the places up to `place` that have no row.
    fn missing(&mut self, place: u64, check: &mut LogCheck) {
        if self.gaps {
            for gone in self.next..place {
                let name = self.at(gone);
                self.name(check, name, Problem::Removed, "the row is gone".to_owned());
            }
        }
        self.next = self.next.max(place);
    }
}

/// Rows that are of no segment that was logged.
pub(super) async fn outside(
    registry: &Registry,
    store: &StoreClient,
    check: &mut LogCheck,
    compared: &mut Compared,
) -> Result<()> {
    let first = registry.transparency_entries(Some("segment"), 0).await?;
    let Some(Entry::Segment { classes, .. }) = first.first().and_then(dongson_registry::LoggedEntry::entry)
    else {
        return Ok(());
    };
    let began = classes.iter().map(|class| class.since).min().unwrap_or_default();
    for (number, rows) in store.segment_counts(began).await? {
        let Some(id) = SegmentId::from_number(number) else {
            let words = format!("{rows} rows that came after the log began are of no segment");
            check.note("segment", "none", Problem::Inserted, words);
            continue;
        };
        if registry.logged_entry("segment", &id.name()).await?.is_some() {
            continue;
        }
        let sealed = registry.sealed_up_to(id.topic(), id.partition()).await?;
        if sealed.is_none_or(|sealed| id.first() >= sealed) {
            compared.rows_not_sealed += rows;
        } else {
            let words = format!("{rows} rows are of a segment that was never logged");
            check.note("segment", id.name(), Problem::Inserted, words);
        }
    }
    Ok(())
}

/// Compares an alert with its facts.
pub(super) async fn compare_alert(
    store: &StoreClient,
    entry: &Entry,
    now: i64,
    check: &mut LogCheck,
) -> Result<()> {
    let Entry::Alert { at, name, hash, organization } = entry else { return Ok(()) };
    match store.alert(&Scope::All, name).await? {
        Some(alert) => {
            let found = leaf_hash(&serde_json::to_vec(&alert)?);
            if hex::encode(found) != *hash {
                let words =
                    format!("the facts of this alert of {organization:?} are not those that were logged");
                check.note("alert", name, Problem::Changed, words);
            }
        }
        None if at + ALERT_DAYS * DAY <= now => {}
        None => {
            let words = format!("the facts of this alert of {organization:?} are gone");
            check.note("alert", name, Problem::Removed, words);
        }
    }
    Ok(())
}
