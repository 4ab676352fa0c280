//! The transactional database: people, agencies, sources, sensors, triage, incidents, exceptions, audit.
//!
//! One [`Registry`] is opened per process, on an `SQLite` file (WAL, every commit synced) or on a PostgreSQL server that
//! several machines share ([`Place`]). All writing goes one transaction after the other (`database`), so a writer never
//! finds that what it read has changed; reading goes through a pool. What always holds:
//!
//! - every list of things that belong to an agency takes a [`Scope`], and what lies outside it does not exist;
//! - every change by a person names a [`Change`] (who, from where, when) and leaves an entry in the audit chain
//!   and in the transparency log in the same transaction;
//! - secrets (tokens, keys, passwords, nonces) are stored as hashes and returned once, when they are made;
//! - rows that people edit carry a `version`; an edit names the version that it saw, and loses if another was first;
//! - time is an argument ([`Millis`]), never read from a clock here, so that tests and replays say what time it is.

mod agency;
mod alert;
mod alert_apply;
mod alert_count;
mod alert_query;
mod alert_triage;
mod api_key;
mod audit;
mod audit_names;
mod chain;
mod change;
mod channel_check;
mod consumed;
mod database;
mod deadline;
mod drill;
mod enrolment;
mod error;
mod exception;
mod export;
mod fold;
mod held;
mod incident;
mod incident_write;
mod inventory;
mod lease;
mod ledger;
mod ledger_runs;
mod notification;
mod owner;
mod packet;
mod password;
mod scope;
mod secret;
mod sensor;
mod session;
mod setting;
mod source;
mod timeline;
mod transparency;
mod trust;
mod user;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use database::{Pool, Transaction, migrate};

pub use agency::{Organization, OrganizationEdit};
pub use alert::{Alert, Level, State, Verdict};
pub use alert_apply::{AlertUpsert, Applied, ExceptionHit, Step};
pub use alert_count::{AlertBucket, AlertFigures, AlertShare};
pub use alert_query::{AlertFacets, AlertFilter, AlertPage, AlertSort, FacetCount};
pub use alert_triage::{Action, AlertRef, Triaged};
pub use api_key::{ApiKey, NewApiKey};
pub use audit::{AuditEntry, AuditProof};
pub use audit_names::NamedEntry;
pub use change::{Change, Millis, clock_ahead, new_id, now, set_clock_ahead};
pub use consumed::{Consumed, Saved, StateParts};
pub use database::{Place, PlaceError, Postgres};
pub use deadline::Deadline;
pub use drill::{DrillSession, NewDrill};
pub use enrolment::{EnrolmentToken, NewToken, Redeemed, SensorCertificate};
pub use error::{Error, Result};
pub use exception::{Exception, ExceptionEdit};
pub use export::{ExportError, Exported, ExportedTable};
pub use fold::fold;
pub use incident::{Class, Incident, IncidentFilter, IncidentStatus, LegalCategory, Severity};
pub use incident_write::{Closing, IncidentPatch, NewIncident};
pub use inventory::{
    Asset, AssetEdit, Imported, InventoryError, Located, locate_csv, locate_toml, parse_csv, parse_toml,
};
pub use lease::{Lease, PATIENCE as LEASE_PATIENCE};
pub use ledger::{Gone, Held, Received, Signed, SpoolAccount, SpoolSummary, Stated};
pub use notification::{Channel, ChannelEdit, ChannelKind, Delivery, DueDelivery, Outcome};
pub use owner::{Owner, SILENCE_OWNER_SETTING};
pub use packet::{MOST_STORED_BYTES, NewPacketOrder, PacketFilter, PacketOrder, PacketState};
pub use password::{PASSWORD_MIN_CHARS, WeakPassword};
pub use scope::Scope;
pub use secret::hash_secret;
pub use sensor::{Sensor, SensorEdit};
pub use session::{NewSession, SessionLimits, SignedIn};
pub use setting::Setting;
pub use source::{LISTENERS, Source, SourceCount, SourceEdit, SourceKind};
pub use timeline::{Entry, EntryKind};
pub use transparency::{Finding, LogCheck, Logged, LoggedEntry, Problem, Sealed, SignedHead};
pub use trust::{Desired, Offer, Pack, SensorRequest, WantedVersions};
pub use user::{Account, AccountEdit, FirstPassword, NewAccount, Role, SignIn};

#[cfg(test)]
extern crate self as dongson_registry;
#[cfg(test)]
#[path = "../tests/support/postgres.rs"]
mod support;

/// The open database. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct Registry {
    writer: Pool,
    readers: Pool,
    folder: Option<PathBuf>,
    /// What could not be written of sessions.
    held: Arc<Mutex<held::Held>>,
}

impl Registry {
    /// Opens the database at `place` (a file is made where there is none) and brings its schema up to date.
    ///
    /// Several processes may have it open at once, of one machine with a file; a writer waits up to ten seconds for another.
    pub async fn open(place: impl Into<Place>) -> Result<Self> {
        let place = place.into();
        let opened = Self::connect(&place).await?;
        let lock = match &place {
            Place::File(path) => Some(database::lock_schema(path).await?),
            Place::Postgres(_) => None,
        };
        migrate(&opened.writer).await?;
        drop(lock);
        Ok(opened)
    }

    /// The connections, whatever the schema is.
    async fn connect(place: &Place) -> Result<Self> {
        let ((writer, readers), folder) = match place {
            Place::File(path) => (database::open_file(path).await?, path.parent().map(Path::to_owned)),
            Place::Postgres(server) => (server.connect().await?, None),
        };
        Ok(Self { writer, readers, folder, held: Arc::default() })
    }

    /// The folder of the database file: what has to have room on its disk. None for one on a server or in memory.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// A database that lives in memory as long as this value and its clones: for tests and dry runs.
    pub async fn in_memory() -> Result<Self> {
        let pool = database::in_memory().await?;
        migrate(&pool).await?;
        Ok(Self { writer: pool.clone(), readers: pool, folder: None, held: Arc::default() })
    }

    /// Ends all connections after what they are doing; later calls answer an error.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Answers whether the database can be read and a write can begin: for health checks.
    pub async fn ping(&self) -> Result<()> {
        database::query("SELECT 1").execute(&self.readers).await?;
        self.write().await?.rollback().await?;
        Ok(())
    }

    /// For tests of other crates: every write is refused as on a disk that takes no more, until `held` is false.
    #[doc(hidden)]
    pub async fn hold_writes(&self, held: bool) -> Result<()> {
        self.writer.refuse_writes(held);
        self.writer.drop_one().await?;
        Ok(())
    }

    /// A transaction that nobody else's write can come between.
    async fn write(&self) -> Result<Transaction> {
        let error = match self.writer.begin_write().await {
            Ok(begun) => return Ok(begun),
            Err(error) => error,
        };
        // On a full disk SQLite rolls back by itself, and the connection never finds out of its transaction again; a server
        // that was started anew knows none of our connections: a new one takes its place.
        tracing::warn!(%error, "the registry's writing connection is opened anew");
        self.writer.drop_one().await?;
        Ok(self.writer.begin_write().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_itself_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&folder.path().join("registry.db")).await.unwrap();
        let mut transaction = registry.write().await.unwrap();
        // What SQLite does by itself on a full disk (SQLITE_FULL): the pool is not told.
        database::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
        drop(transaction);
        registry.ping().await.unwrap();
        registry.write().await.unwrap().commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_refuses_or_ends_a_connection_is_told_apart_and_met_again() {
        support::on_postgres(async {
            let registry = support::registry_for_test().await;
            let (change, value) = (Change::service("test", 1), serde_json::Value::from(1));
            registry.hold_writes(true).await.unwrap();
            let refused = registry.set_setting(&change, "a", &value, 0).await.unwrap_err();
            assert!(refused.is_disk() && refused.is_server(), "{refused}");
            assert!(registry.settings().await.unwrap().is_empty(), "reading goes on");
            registry.hold_writes(false).await.unwrap();
            // As when the server is started anew: all our connections are gone.
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
                       AND datname = current_database()";
            database::query(end).execute(&registry.readers).await.unwrap();
            registry.set_setting(&change, "a", &value, 0).await.unwrap();
            assert!(!Error::NotFound("alert").is_server());
        })
        .await;
    }

    #[tokio::test]
    async fn who_stands_still_in_a_transaction_blocks_nobody_for_ever() {
        support::on_postgres(async {
            let registry = support::registry_for_test().await;
            let other = Registry::open(support::place(Path::new("none"))).await.unwrap();
            let held = registry.write().await.unwrap();
            // Nobody else writes meanwhile, and who waits is told in time.
            database::query("SET lock_timeout = '100ms'")
                .execute(&mut *other.writer.acquire().await.unwrap())
                .await
                .unwrap();
            let waited = other.writer.begin_write().await.unwrap_err();
            assert!(Error::from(waited).is_server());
            held.rollback().await.unwrap();
            other.ping().await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn a_full_disk_is_told_apart_and_reading_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&folder.path().join("registry.db")).await.unwrap();
        assert_eq!(registry.folder(), Some(folder.path()));
        let (made, begun) = (registry.create_first_administrator(1).await.unwrap().unwrap(), 1_000);
        let SignIn::Welcome(account) = registry.sign_in(&made.login, &made.password, begun).await.unwrap()
        else {
            panic!("the first password is refused")
        };
        let limits = SessionLimits::default();
        let session = registry.begin_session(&account.id, None, limits, begun).await.unwrap();
        let (change, big) = (Change::service("test", begun), serde_json::Value::from("x".repeat(1 << 20)));
        // A database that may not grow answers what one on a full disk does: SQLITE_FULL.
        database::query("PRAGMA max_page_count = 1").execute(&registry.writer).await.unwrap();
        let refused = registry.set_setting(&change, "big", &big, 0).await.unwrap_err();
        assert!(refused.is_disk() && refused.to_string().contains("full"), "{refused}");
        database::query("PRAGMA max_page_count = 4294967294").execute(&registry.writer).await.unwrap();
        // A session is kept awake by a write; without room for it reading goes on.
        registry.hold_writes(true).await.unwrap();
        assert!(registry.set_setting(&change, "big", &big, 0).await.unwrap_err().is_disk());
        let later = begun + 120_000;
        assert!(registry.session(&session.secret, limits, true, later).await.unwrap().is_some());
        assert!(registry.settings().await.unwrap().iter().all(|setting| setting.key != "big"));
        registry.hold_writes(false).await.unwrap();
        registry.set_setting(&change, "big", &big, 0).await.unwrap();
        assert!(!Error::NotFound("alert").is_disk());
    }
}
