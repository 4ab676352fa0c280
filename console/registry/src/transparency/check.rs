//! A walk over the whole log: entries against the tree, the tree against every head that was ever signed, the audit and the
//! batches of sensors against the entries. What does not fit is named.
//!
//! Segments and alerts are compared with the store by whoever has a store.

use dongson_event::transparency::{Entry, Frontier, Hash, Head, Link, LogKey, leaf_hash};
use serde::Serialize;
use utoipa::ToSchema;

use super::append::State;
use super::head::{SignedHead, log_key, newest};
use super::proof::LoggedEntry;
use super::{seal, stored, tile};
use crate::audit::{AuditEntry, hash_of};
use crate::chain::ORIGIN;
use crate::database::{Connection, query_as, query_scalar};
use crate::{Millis, Registry, Result};

/// Most findings that are listed; all are counted.
pub(super) const LISTED: usize = 1_000;
/// How far the times of entries may go back: clocks of several machines.
const CLOCKS: Millis = 600_000;
/// How many batches a spool keeps at least; those before are forgotten by rule.
const KEPT_BATCHES: i64 = 49_000;
const PAGE: i64 = 1_000;

/// What is wrong with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// It is not what was logged.
    Changed,
    /// It was logged and is not there.
    Removed,
    /// It is there and was not logged.
    Inserted,
    /// It says that it is older than what was logged before it.
    BackDated,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What kind of thing: `entry`, `tree`, `head`, `audit`, `batches`, `segment`, `row`, `alert`.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// What is wrong.
    pub problem: Problem,
    /// In words.
    pub detail: String,
}

/// What the walk saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogCheck {
    /// Entries.
    pub entries: u64,
    /// Signed heads.
    pub heads: u64,
    /// Audit entries.
    pub audit: u64,
    /// Batches of sensors that were compared.
    pub batches: u64,
    /// Batches of sensors that are not kept any more.
    pub batches_forgotten: u64,
    /// How many things do not fit.
    pub wrong: u64,
    /// The first thousand of them.
    pub findings: Vec<Finding>,
}

impl LogCheck {
    /// Notes something that does not fit.
    #[expect(clippy::needless_pass_by_value, reason = "names are texts and numbers, mostly made for this")]
    pub fn note(&mut self, kind: &str, name: impl ToString, problem: Problem, detail: impl Into<String>) {
        self.wrong += 1;
        if self.findings.len() < LISTED {
            let (kind, name) = (kind.to_owned(), name.to_string());
            self.findings.push(Finding { kind, name, problem, detail: detail.into() });
        }
    }
}

/// The audit, read along with the log.
struct Audit {
    page: std::vec::IntoIter<AuditEntry>,
    /// The last entry that was read.
    sequence: i64,
}

impl Audit {
    async fn next(&mut self, tx: &mut Connection) -> Result<Option<AuditEntry>> {
        if self.page.len() == 0 {
            let page: Vec<AuditEntry> =
                query_as("SELECT * FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2")
                    .bind(self.sequence)
                    .bind(PAGE)
                    .fetch_all(tx)
                    .await?;
            self.page = page.into_iter();
        }
        let next = self.page.next();
        self.sequence = next.as_ref().map_or(self.sequence, |entry| entry.sequence);
        Ok(next)
    }
}

struct Walk {
    found: LogCheck,
    key: Option<LogKey>,
    tree: Frontier,
    /// The size up to which heads agree with the tree.
    good: u64,
    newest: Millis,
    audit: Audit,
    /// An audit entry that was read and not reached in the log yet.
    waiting: Option<AuditEntry>,
}

impl Registry {
    /// Checks everything that lies in this database. `others` are signed heads from elsewhere: what witnesses kept.
    /// `progress` is told how many of how many entries were looked at.
    pub async fn check_transparency(
        &self,
        others: &[String],
        mut progress: impl FnMut(u64, u64),
    ) -> Result<LogCheck> {
        // One transaction: what is compared is of one moment.
        let mut tx = self.readers.begin().await?;
        let mut walk = Walk {
            found: LogCheck::default(),
            key: log_key(&mut tx).await?,
            tree: Frontier::new(),
            good: 0,
            newest: Millis::MIN,
            audit: Audit { page: Vec::new().into_iter(), sequence: 0 },
            waiting: None,
        };
        let last: Option<i64> =
            query_scalar("SELECT leaf FROM transparency_entry ORDER BY leaf DESC LIMIT 1")
                .fetch_optional(&mut *tx)
                .await?;
        let state = State::read(&mut tx).await;
        let signed = newest(&mut tx).await?.map_or(0, |head| head.size);
        let held = state.as_ref().map_or(0, |state| state.tree.size());
        let size = last.map_or(0, |leaf| leaf + 1).cast_unsigned().max(held).max(signed.cast_unsigned());
        let mut heads = walk.heads(&mut tx, others).await?.into_iter().peekable();
        let mut tile: Vec<Hash> = Vec::new();
        let mut page: std::vec::IntoIter<LoggedEntry> = Vec::new().into_iter();
        for leaf in 0..size {
            if leaf % 256 == 0 {
                tile = tile::read(&mut tx, 0, leaf / 256).await?;
                progress(leaf, size);
            }
            if page.len() == 0 {
                page = entries(&mut tx, leaf).await?.into_iter();
            }
            let entry = page.as_slice().first().filter(|entry| entry.leaf == leaf).cloned();
            if entry.is_some() {
                page.next();
            }
            let logged = tile.get(usize::try_from(leaf % 256).unwrap_or_default()).copied();
            walk.entry(&mut tx, leaf, entry, logged).await?;
            while let Some((size, root, note)) = heads.next_if(|(size, ..)| *size == leaf + 1) {
                walk.judge(size, root, &note);
            }
        }
        for (size, ..) in heads {
            let words = "a signed head tells of more entries than there are: the newest were removed";
            walk.found.note("head", size, Problem::Removed, words);
        }
        match state {
            Ok(state) if state.tree == walk.tree => {}
            _ => walk.found.note(
                "tree",
                size,
                Problem::Changed,
                "the log's own state is not that of its tiles",
            ),
        }
        walk.rest(&mut tx).await?;
        progress(size, size);
        Ok(walk.found)
    }
}

async fn entries(tx: &mut Connection, from: u64) -> Result<Vec<LoggedEntry>> {
    Ok(query_as("SELECT leaf, body FROM transparency_entry WHERE leaf >= $1 ORDER BY leaf LIMIT $2")
        .bind(stored(from)?)
        .bind(PAGE)
        .fetch_all(tx)
        .await?)
}

impl Walk {
    /// All signed heads (size, root, where from) by size; those that are not signed as they should be are noted.
    async fn heads(&mut self, tx: &mut Connection, others: &[String]) -> Result<Vec<(u64, Hash, String)>> {
        let own: Vec<SignedHead> =
            query_as("SELECT size, at, note FROM transparency_head ORDER BY size").fetch_all(tx).await?;
        let own = own.into_iter().map(|head| (Some(head.size.cast_unsigned()), head.note));
        let mut heads = Vec::new();
        for (size, note) in own.chain(others.iter().map(|note| (None, note.clone()))) {
            let name = size.map_or_else(|| "given".to_owned(), |size| size.to_string());
            let Some(key) = &self.key else {
                self.found.note("head", name, Problem::Changed, "the log's key is not there");
                continue;
            };
            self.found.heads += 1;
            match Head::verify(&note, key) {
                Ok(head) if size.is_none_or(|size| size == head.size) => {
                    heads.push((head.size, head.root, name));
                }
                Ok(head) => {
                    let words = format!("it is the head of {} entries", head.size);
                    self.found.note("head", name, Problem::Changed, words);
                }
                Err(error) => self.found.note("head", name, Problem::Changed, error.to_string()),
            }
        }
        heads.sort_unstable();
        Ok(heads)
    }

    fn judge(&mut self, size: u64, root: Hash, name: &str) {
        if self.tree.root() == root {
            self.good = size;
            return;
        }
        let words = format!(
            "the signed head {name} does not fit the tree: one of the entries {} to {} was changed together with the tree, or the head with them",
            self.good,
            size - 1
        );
        self.found.note("head", size, Problem::Changed, words);
    }

    /// One place of the log: its text, and the hash that the tree has of it.
    async fn entry(
        &mut self,
        tx: &mut Connection,
        leaf: u64,
        entry: Option<LoggedEntry>,
        logged: Option<Hash>,
    ) -> Result<()> {
        let hash = entry.as_ref().map(|entry| leaf_hash(entry.body.as_bytes()));
        match (&entry, logged) {
            (None, _) => {
                self.found.note("entry", leaf, Problem::Removed, "the tree has it, the table has not");
            }
            (Some(entry), None) => {
                self.found.note("tree", leaf, Problem::Removed, format!("no hash of {:?}", entry.body));
            }
            (Some(entry), Some(logged)) if hash != Some(logged) => {
                let words = format!("it says {:?}, of which the hash is another", entry.body);
                self.found.note("entry", leaf, Problem::Changed, words);
            }
            _ => {}
        }
        // The tree goes on with what was logged, so that one changed entry is one finding.
        self.tree.push(logged.or(hash).unwrap_or_default());
        let Some(entry) = entry else { return Ok(()) };
        self.found.entries += 1;
        let Some(said) = entry.entry() else {
            if hash == logged {
                self.found.note("entry", leaf, Problem::Changed, "it says nothing that is known");
            }
            return Ok(());
        };
        if said.at() < self.newest.saturating_sub(CLOCKS) {
            let words =
                format!("its time {} is before that of entries before it, {}", said.at(), self.newest);
            self.found.note("entry", leaf, Problem::BackDated, words);
        }
        self.newest = self.newest.max(said.at());
        match &said {
            Entry::Origin { audit, hash, .. } => self.before(tx, *audit, hash).await,
            Entry::Audit(link) | Entry::Approval(link) => self.audited(tx, link).await,
            Entry::Batches { name, batches, root, .. } => {
                self.batches(tx, (leaf, name), *batches, root).await
            }
            Entry::Segment { .. } | Entry::Alert { .. } | Entry::Retention { .. } => Ok(()),
        }
    }

    /// The audit up to where the log began.
    async fn before(&mut self, tx: &mut Connection, last: i64, hash: &str) -> Result<()> {
        let mut previous = ORIGIN.to_owned();
        while self.audit.sequence < last {
            let expected = self.audit.sequence + 1;
            let Some(entry) = self.audit.next(tx).await? else { break };
            if entry.sequence > last {
                self.waiting = Some(entry);
                break;
            }
            self.found.audit += 1;
            if entry.sequence != expected {
                let words = format!("entries {expected} to {} are not there", entry.sequence - 1);
                self.found.note("audit", expected, Problem::Removed, words);
            } else if entry.previous != previous || hash_of(&entry) != entry.hash {
                self.found.note("audit", entry.sequence, Problem::Changed, "its hash is another");
            }
            previous = entry.hash;
        }
        if previous != *hash {
            let words = "the audit before the log does not end with the hash that the log began with";
            self.found.note("audit", last, Problem::Changed, words);
        }
        Ok(())
    }

    /// An audit entry that was logged.
    async fn audited(&mut self, tx: &mut Connection, link: &Link) -> Result<()> {
        let Link { name, action, object_kind, object, hash, at } = link;
        let sequence: i64 = name.parse().unwrap_or_default();
        let words = format!("{action} of {object_kind} {object:?} at {at}");
        loop {
            let entry = match self.waiting.take() {
                Some(entry) => Some(entry),
                None if self.audit.sequence < sequence => self.audit.next(tx).await?,
                None => None,
            };
            let Some(entry) = entry else {
                self.found.note("audit", name, Problem::Removed, words);
                return Ok(());
            };
            if entry.sequence > sequence {
                self.waiting = Some(entry);
                self.found.note("audit", name, Problem::Removed, words);
                return Ok(());
            }
            self.found.audit += 1;
            if entry.sequence < sequence {
                self.inserted(&entry);
                continue;
            }
            if hash_of(&entry) != *hash || entry.hash != *hash {
                let problem = if entry.at < *at { Problem::BackDated } else { Problem::Changed };
                self.found.note("audit", name, problem, format!("logged was {words}"));
            }
            return Ok(());
        }
    }

    fn inserted(&mut self, entry: &AuditEntry) {
        let words = format!("{} of {} {:?} was never logged", entry.action, entry.kind, entry.object);
        self.found.note("audit", entry.sequence, Problem::Inserted, words);
    }

    /// Batches of sensors that were logged together.
    async fn batches(
        &mut self,
        tx: &mut Connection,
        (leaf, name): (u64, &str),
        batches: u64,
        root: &str,
    ) -> Result<()> {
        let tree = seal::batches_of(tx, Some(stored(leaf)?)).await?;
        let held = tree.size();
        self.found.batches += held;
        if held == batches {
            if hex::encode(tree.root()) != root {
                self.found.note("batches", name, Problem::Changed, "a batch that it covers was changed");
            }
            return Ok(());
        }
        // By rule the oldest of long spools and the spools of former epochs are forgotten.
        let long: i64 = query_scalar("SELECT COUNT(*) FROM sensor_epoch WHERE batches > $1")
            .bind(KEPT_BATCHES)
            .fetch_one(&mut *tx)
            .await?;
        if held < batches && long > 0 {
            self.found.batches_forgotten += batches - held;
            return Ok(());
        }
        let problem = if held < batches { Problem::Removed } else { Problem::Inserted };
        self.found.note("batches", name, problem, format!("{batches} batches were logged, {held} are there"));
        Ok(())
    }

    /// What the audit has after the last that was logged.
    async fn rest(&mut self, tx: &mut Connection) -> Result<()> {
        loop {
            let entry = match self.waiting.take() {
                Some(entry) => entry,
                None => match self.audit.next(tx).await? {
                    Some(entry) => entry,
                    None => return Ok(()),
                },
            };
            self.found.audit += 1;
            // Before the first entry of all there is no log to miss it.
            if self.found.entries > 0 {
                self.inserted(&entry);
            }
        }
    }
}
