//! Log sources: which agency a sender belongs to, how its records are read, and how long it may be silent.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::{Connection, QueryBuilder, query, query_as, query_scalar};
use crate::{
    Change, Error, Millis, Registry, Result, Scope,
    audit::{self, Deed},
    error::{check_id, check_text},
    new_id, owner,
};

/// How a source reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum SourceKind {
    /// Syslog over UDP, TCP or TLS.
    Syslog,
    /// RELP.
    Relp,
    /// NDJSON or `_bulk` over HTTPS with an API key.
    Http,
}

/// The names of the collector's listeners for [`SourceKind::Syslog`] and [`SourceKind::Relp`].
pub const LISTENERS: &[&str] = &["udp", "tcp", "tls", "relp"];

/// A log source. A peer matches it if every given one of `address`, `listener`, `certificate` and `api_key` matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Source {
    /// Id: the principal in the identity of its events.
    pub id: String,
    /// Its agency.
    pub organization: String,
    /// Its name: `observer.name`; unique within the agency.
    pub name: String,
    /// How it reaches us.
    pub kind: SourceKind,
    /// Address or network (CIDR) of the sender.
    pub address: Option<String>,
    /// Name of the listener that it uses.
    pub listener: Option<String>,
    /// SHA-256 fingerprint of its client certificate, hexadecimal.
    pub certificate: Option<String>,
    /// Id of its API key.
    pub api_key: Option<String>,
    /// Name of the parser; none = found by content.
    pub parser: Option<String>,
    /// Time zone of times without one, for example `Asia/Ho_Chi_Minh`.
    pub time_zone: String,
    /// What to add to its clock, in milliseconds.
    pub clock_offset_ms: i64,
    /// How many events it should send in an hour.
    pub expected_per_hour: Option<i64>,
    /// After how many seconds without a record it counts as silent; none = never.
    pub silence_after_seconds: Option<i64>,
    /// Who is told when it falls silent.
    pub owner: Option<String>,
    /// When it last sent something.
    pub last_seen: Option<Millis>,
    /// Since when it is known to be silent.
    pub silent_since: Option<Millis>,
    /// Since when it is known to send far less than `expected_per_hour`.
    pub quiet_since: Option<Millis>,
    /// Events taken so far.
    pub events: i64,
    /// Of these, how many no parser took.
    pub unparsed: i64,
    /// When it was entered.
    pub created_at: Millis,
    /// For the optimistic check.
    pub version: i64,
}

/// What a person may write of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceEdit {
    /// Its agency.
    pub organization: String,
    /// Its name: `observer.name`.
    pub name: String,
    /// How it reaches us.
    pub kind: SourceKind,
    /// Address or network (CIDR) of the sender.
    #[serde(default)]
    pub address: Option<String>,
    /// Name of the listener that it uses.
    #[serde(default)]
    pub listener: Option<String>,
    /// SHA-256 fingerprint of its client certificate, hexadecimal; colons between the bytes are taken out.
    #[serde(default)]
    pub certificate: Option<String>,
    /// Id of its API key.
    #[serde(default)]
    pub api_key: Option<String>,
    /// Name of the parser; none = found by content.
    #[serde(default)]
    pub parser: Option<String>,
    /// Time zone of times without one.
    pub time_zone: String,
    /// What to add to its clock, in milliseconds.
    #[serde(default)]
    pub clock_offset_ms: i64,
    /// How many events it should send in an hour.
    #[serde(default)]
    pub expected_per_hour: Option<i64>,
    /// After how many seconds without a record it counts as silent; none = never.
    #[serde(default)]
    pub silence_after_seconds: Option<i64>,
    /// Who is told when it falls silent.
    #[serde(default)]
    pub owner: Option<String>,
}

/// What a source sent since it was last counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCount {
    /// The source's id.
    pub source: String,
    /// When it last sent something.
    pub last_seen: Millis,
    /// New events.
    pub events: u64,
    /// Of these, how many no parser took.
    pub unparsed: u64,
}

/// A correction of a clock, or a time of silence, beyond this is a slip: 366 days.
const MOST_SECONDS: i64 = 366 * 86_400;
/// More events per hour than any source sends.
const MOST_PER_HOUR: i64 = 1_000_000_000;

impl SourceEdit {
    /// The edit as it is stored, or what is wrong with it.
    fn checked(&self) -> Result<Self> {
        check_id("name", &self.name)?;
        self.check_marks()?;
        if jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            return Err(Error::Invalid {
                field: "time_zone",
                reason: "is not a name of the time zone database",
            });
        }
        self.check_numbers()?;
        self.owner.as_deref().map_or(Ok(()), |owner| check_text("owner", owner, 200))?;
        let certificate = self.certificate.as_deref().map(fingerprint).transpose()?;
        Ok(Self { certificate, ..self.clone() })
    }

    /// What intake tells senders apart by: a key over HTTP, otherwise where records come from and the certificate shown.
    fn check_marks(&self) -> Result<()> {
        let marks =
            [("address", &self.address), ("listener", &self.listener), ("certificate", &self.certificate)];
        let given = marks.iter().find(|(_, mark)| mark.is_some());
        match (self.kind, given, &self.api_key) {
            (SourceKind::Http, _, None) => {
                let reason = "must be given: a source over HTTP is known by its key";
                return Err(Error::Invalid { field: "api_key", reason });
            }
            (SourceKind::Http, Some(&(field, _)), _) => {
                let reason = "tells nothing of a source over HTTP: leave it out";
                return Err(Error::Invalid { field, reason });
            }
            (SourceKind::Http, None, Some(_)) => return Ok(()),
            (_, _, Some(_)) => {
                let reason = "is for sources over HTTP only: leave it out";
                return Err(Error::Invalid { field: "api_key", reason });
            }
            (_, None, None) => {
                let reason = "give an address, listener or certificate";
                return Err(Error::Invalid { field: "address", reason });
            }
            (_, Some(_), None) => {}
        }
        if let Some(address) = &self.address {
            parse_network(address)
                .ok_or(Error::Invalid { field: "address", reason: "is no address or network" })?;
        }
        let shows_certificate = self.kind == SourceKind::Syslog
            && self.listener.as_deref().is_none_or(|listener| listener == "tls");
        if self.certificate.is_some() && !shows_certificate {
            let reason = "is only shown over syslog with TLS: leave it out";
            return Err(Error::Invalid { field: "certificate", reason });
        }
        let Some(listener) = self.listener.as_deref() else { return Ok(()) };
        if !LISTENERS.contains(&listener) {
            let reason = "is no listener: leave it out, so that every listener counts";
            return Err(Error::NoneOf { field: "listener", reason, known: LISTENERS });
        }
        if (listener == "relp") != (self.kind == SourceKind::Relp) {
            let reason = "takes another kind of source: leave it out, so that every listener counts";
            return Err(Error::Invalid { field: "listener", reason });
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        if !(-MOST_SECONDS * 1000..=MOST_SECONDS * 1000).contains(&self.clock_offset_ms) {
            let reason = "must be at most 366 days, forward or back";
            return Err(Error::Invalid { field: "clock_offset_ms", reason });
        }
        if self.silence_after_seconds.is_some_and(|seconds| !(1..=MOST_SECONDS).contains(&seconds)) {
            let reason = "must be 1 second to 366 days";
            return Err(Error::Invalid { field: "silence_after_seconds", reason });
        }
        if self.expected_per_hour.is_some_and(|events| !(1..=MOST_PER_HOUR).contains(&events)) {
            let reason = "must be 1 to 1,000,000,000";
            return Err(Error::Invalid { field: "expected_per_hour", reason });
        }
        Ok(())
    }
}

/// A SHA-256 fingerprint as intake makes it, 64 lower-case hexadecimal digits; `openssl` prints capitals and colons
/// between the bytes.
fn fingerprint(text: &str) -> Result<String> {
    let bytes: Vec<&str> = text.split(':').collect();
    let whole = text.len() == 64 && bytes.len() == 1;
    let in_bytes = bytes.len() == 32 && bytes.iter().all(|byte| byte.len() == 2);
    let digits = bytes.concat().to_ascii_lowercase();
    if (whole || in_bytes) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    let reason = "is no SHA-256 fingerprint: 64 hexadecimal digits, colons may stand between the bytes";
    Err(Error::Invalid { field: "certificate", reason })
}

/// An address or a network; IPv4 written as IPv6 (`::ffff:10.0.0.1`) is IPv4, as peers are.
fn parse_network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let bits = network.prefix_len().checked_sub(96);
    match (network.addr().to_canonical(), bits) {
        (address @ IpAddr::V4(_), Some(bits)) if network.addr().is_ipv6() => IpNet::new(address, bits).ok(),
        _ => Some(network),
    }
}

/// An address or a network as it is stored.
fn canonical(text: &str) -> String {
    match (text.parse::<IpAddr>(), parse_network(text)) {
        (Ok(address), _) => address.to_canonical().to_string(),
        (_, Some(network)) => network.to_string(),
        _ => text.to_owned(),
    }
}

impl Source {
    /// Whether a peer with these marks is this source, and how narrowly its address says so (bits of the network);
    /// of several sources that match, the caller takes the highest.
    pub fn matches(&self, peer: IpAddr, listener: &str, certificate: Option<&str>) -> Option<u8> {
        if self.listener.as_deref().is_some_and(|mine| mine != listener)
            || self.certificate.as_deref().is_some_and(|mine| certificate != Some(mine))
            || self.api_key.is_some()
        {
            return None;
        }
        let Some(address) = &self.address else { return Some(0) };
        let network = parse_network(address)?;
        network.contains(&peer.to_canonical()).then(|| network.prefix_len())
    }
}

async fn fetch(tx: &mut Connection, id: &str) -> Result<Source> {
    query_as("SELECT * FROM source WHERE id = $1")
        .bind(id)
        .fetch_optional(tx)
        .await?
        .ok_or(Error::NotFound("source"))
}

impl Registry {
    /// The sources of a scope by agency and name, at most 10000.
    pub async fn sources(&self, scope: &Scope) -> Result<Vec<Source>> {
        let mut query = QueryBuilder::new("SELECT * FROM source WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        query.push(" ORDER BY organization, name LIMIT 10000");
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// One source, if it is in scope.
    pub async fn source(&self, scope: &Scope, id: &str) -> Result<Source> {
        let found = fetch(&mut *self.readers.acquire().await?, id).await?;
        scope.admit(&found.organization, "source")?;
        Ok(found)
    }

    /// Enters a source. Where no owner is named, it is the person who enters it.
    pub async fn create_source(&self, change: &Change, edit: &SourceEdit) -> Result<Source> {
        let edit = &edit.checked()?;
        let id = new_id();
        let mut tx = self.write().await?;
        query(
            "INSERT INTO source (id, organization, name, kind, time_zone, clock_offset_ms, events, unparsed, created_at, version)
             VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6, 0)",
        )
        .bind(&id)
        .bind(&edit.organization)
        .bind(&edit.name)
        .bind(edit.kind)
        .bind(&edit.time_zone)
        .bind(change.at)
        .execute(&mut *tx)
        .await
        .map_err(Error::or_taken("source"))?;
        refuse_same_marks(&mut tx, &id, edit).await?;
        let owner = match &edit.owner {
            Some(owner) => Some(owner.clone()),
            None => owner::login_of(&mut tx, &change.who).await?,
        };
        let made = write_edit(&mut tx, &id, &SourceEdit { owner, ..edit.clone() }).await?;
        record(&mut tx, change, "create", None, Some(&made)).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Rewrites a source; `version` is the one that the caller saw. It cannot move to another agency.
    pub async fn update_source(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        version: i64,
        edit: &SourceEdit,
    ) -> Result<Source> {
        let edit = &edit.checked()?;
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, id).await?;
        scope.admit(&before.organization, "source")?;
        Error::check_version("source", version, before.version)?;
        if before.organization != edit.organization {
            return Err(Error::Invalid { field: "organization", reason: "a source stays with its agency" });
        }
        refuse_same_marks(&mut tx, id, edit).await?;
        let after = write_edit(&mut tx, id, edit).await?;
        record(&mut tx, change, "update", Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Removes a source; its events stay.
    pub async fn delete_source(&self, scope: &Scope, change: &Change, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, id).await?;
        scope.admit(&before.organization, "source")?;
        query("DELETE FROM source WHERE id = $1").bind(id).execute(&mut *tx).await?;
        record(&mut tx, change, "delete", Some(&before), None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Adds up what sources sent. Answers `(source, silent since)` for each that had been silent and has come back.
    pub async fn count_sources(&self, counts: &[SourceCount]) -> Result<Vec<(String, Millis)>> {
        let mut tx = self.write().await?;
        let mut back = Vec::new();
        for count in counts {
            let events = i64::try_from(count.events).map_err(|_| Error::Range("events"))?;
            let unparsed = i64::try_from(count.unparsed).map_err(|_| Error::Range("unparsed"))?;
            let silent: Option<Option<Millis>> =
                query_scalar("SELECT silent_since FROM source WHERE id = $1")
                    .bind(&count.source)
                    .fetch_optional(&mut *tx)
                    .await?;
            let Some(silent) = silent else { continue };
            if let Some(since) = silent {
                back.push((count.source.clone(), since));
            }
            query(
                "UPDATE source SET last_seen = CASE WHEN last_seen > $2 THEN last_seen ELSE $2 END, silent_since = NULL,
                 events = events + $3, unparsed = unparsed + $4 WHERE id = $1",
            )
            .bind(&count.source)
            .bind(count.last_seen)
            .bind(events)
            .bind(unparsed)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(back)
    }

    /// Marks the sources that have been silent for too long and answers those that were not marked before:
    /// each silence is answered once. A source that never spoke is counted from its entry, and none from before
    /// `listening`, when the collector began to listen: while it did not, nobody could be heard.
    pub async fn mark_silent_sources(&self, listening: Millis, now: Millis) -> Result<Vec<Source>> {
        let mut tx = self.write().await?;
        let found = query_as(
            "UPDATE source SET silent_since = COALESCE(last_seen, created_at)
             WHERE silent_since IS NULL
               AND COALESCE(last_seen, created_at) + silence_after_seconds * 1000 <= $1
               AND $2 + silence_after_seconds * 1000 <= $1
             RETURNING *",
        )
        .bind(now)
        .bind(listening)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Notes that a source sends far less than it should (`Some`: since when), or enough again (`None`). True when
    /// that is news.
    pub async fn mark_quiet(&self, id: &str, since: Option<Millis>) -> Result<bool> {
        let done = query(
            "UPDATE source SET quiet_since = $2 WHERE id = $1 AND (quiet_since IS NULL) <> ($2 IS NULL)",
        )
        .bind(id)
        .bind(since)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() > 0)
    }
}

/// Two sources that no peer can tell apart would give the records of one to the other.
async fn refuse_same_marks(tx: &mut Connection, id: &str, edit: &SourceEdit) -> Result<()> {
    let others: Vec<Source> = query_as(
        "SELECT * FROM source WHERE id <> $1 AND kind = $2 AND listener IS NOT DISTINCT FROM $3
         AND certificate IS NOT DISTINCT FROM $4 AND api_key IS NOT DISTINCT FROM $5",
    )
    .bind(id)
    .bind(edit.kind)
    .bind(&edit.listener)
    .bind(&edit.certificate)
    .bind(&edit.api_key)
    .fetch_all(tx)
    .await?;
    let network =
        |address: &Option<String>| address.as_deref().and_then(parse_network).map(|one| one.trunc());
    let mine = network(&edit.address);
    // A source that is just being made has no mark yet.
    let marked = |one: &Source| {
        [&one.address, &one.listener, &one.certificate, &one.api_key].iter().any(|mark| mark.is_some())
    };
    match others.into_iter().find(|one| marked(one) && network(&one.address) == mine) {
        Some(Source { name, organization, .. }) => Err(Error::SameMarks { name, organization }),
        None => Ok(()),
    }
}

/// Keys of other agencies are as those that do not exist.
async fn check_key(tx: &mut Connection, edit: &SourceEdit) -> Result<()> {
    let Some(key) = &edit.api_key else { return Ok(()) };
    let found: Option<String> = query_scalar("SELECT id FROM api_key WHERE id = $1 AND organization = $2")
        .bind(key)
        .bind(&edit.organization)
        .fetch_optional(tx)
        .await?;
    match found {
        Some(_) => Ok(()),
        None => Err(Error::Invalid { field: "api_key", reason: "is no API key of this agency" }),
    }
}

async fn write_edit(tx: &mut Connection, id: &str, edit: &SourceEdit) -> Result<Source> {
    check_key(tx, edit).await?;
    query(
        "UPDATE source SET name = $2, kind = $3, address = $4, listener = $5, certificate = $6, api_key = $7, parser = $8,
         time_zone = $9, clock_offset_ms = $10, expected_per_hour = $11, silence_after_seconds = $12, owner = $13,
         version = version + 1 WHERE id = $1",
    )
    .bind(id)
    .bind(&edit.name)
    .bind(edit.kind)
    .bind(edit.address.as_deref().map(canonical))
    .bind(&edit.listener)
    .bind(&edit.certificate)
    .bind(&edit.api_key)
    .bind(&edit.parser)
    .bind(&edit.time_zone)
    .bind(edit.clock_offset_ms)
    .bind(edit.expected_per_hour)
    .bind(edit.silence_after_seconds)
    .bind(&edit.owner)
    .execute(&mut *tx)
    .await
    .map_err(Error::or_taken("source"))?;
    fetch(tx, id).await
}

async fn record(
    tx: &mut Connection,
    change: &Change,
    action: &str,
    before: Option<&Source>,
    after: Option<&Source>,
) -> Result<()> {
    let Some(one) = after.or(before) else { return Ok(()) };
    let deed = Deed {
        action,
        kind: "source",
        object: &one.id,
        organization: Some(&one.organization),
        before: before.map(serde_json::to_value).transpose()?,
        after: after.map(serde_json::to_value).transpose()?,
    };
    audit::record(tx, change, deed).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrganizationEdit;
    use crate::support::{on_both, registry_for_test};

    fn edit() -> SourceEdit {
        SourceEdit {
            organization: "a".into(),
            name: "fw-01".into(),
            kind: SourceKind::Syslog,
            address: Some("10.1.0.0/16".into()),
            listener: None,
            certificate: None,
            api_key: None,
            parser: None,
            time_zone: "Asia/Ho_Chi_Minh".into(),
            clock_offset_ms: 0,
            expected_per_hour: None,
            silence_after_seconds: Some(60),
            owner: None,
        }
    }

    async fn registry() -> Registry {
        let registry = registry_for_test().await;
        let organization = OrganizationEdit { name: "A".into(), name_en: "A".into(), parent: None, level: 1 };
        registry.create_organization(&Change::service("test", 0), "a", &organization).await.unwrap();
        registry
    }

    async fn each_silence_and_each_return_is_told_once() {
        let registry = registry().await;
        let made = registry.create_source(&Change::service("test", 0), &edit()).await.unwrap();
        assert!(registry.mark_silent_sources(0, 59_999).await.unwrap().is_empty());
        assert_eq!(registry.mark_silent_sources(0, 60_000).await.unwrap().len(), 1);
        assert!(registry.mark_silent_sources(0, 70_000).await.unwrap().is_empty());
        let count = SourceCount { source: made.id.clone(), last_seen: 80_000, events: 5, unparsed: 1 };
        assert_eq!(
            registry.count_sources(std::slice::from_ref(&count)).await.unwrap(),
            [(made.id.clone(), 0)]
        );
        assert!(registry.count_sources(&[count]).await.unwrap().is_empty());
        // A collector that has just begun to listen waits as long again.
        assert!(registry.mark_silent_sources(200_000, 200_000).await.unwrap().is_empty());
        assert!(registry.mark_quiet(&made.id, Some(1)).await.unwrap());
        assert!(!registry.mark_quiet(&made.id, Some(2)).await.unwrap());
        assert!(registry.mark_quiet(&made.id, None).await.unwrap());
        let now = registry.source(&Scope::All, &made.id).await.unwrap();
        assert_eq!((now.events, now.unparsed, now.silent_since), (10, 2, None));
    }

    async fn bad_edits_are_refused_and_matching_is_by_the_narrowest_network() {
        let registry = registry().await;
        let change = Change::service("test", 0);
        for bad in [
            SourceEdit { address: Some("10.0.0.0/99".into()), ..edit() },
            SourceEdit { address: None, ..edit() },
            SourceEdit { time_zone: "Mars/Base".into(), ..edit() },
            SourceEdit { silence_after_seconds: Some(0), ..edit() },
        ] {
            assert!(matches!(registry.create_source(&change, &bad).await, Err(Error::Invalid { .. })));
        }
        let made = registry.create_source(&change, &edit()).await.unwrap();
        assert_eq!(made.version, 1);
        assert_eq!(made.matches("10.1.2.3".parse().unwrap(), "udp", None), Some(16));
        assert_eq!(made.matches("::ffff:10.1.2.3".parse().unwrap(), "udp", None), Some(16));
        assert_eq!(made.matches("10.2.2.3".parse().unwrap(), "udp", None), None);
        assert!(matches!(registry.create_source(&change, &edit()).await, Err(Error::Taken(_))));
        let stale = registry.update_source(&Scope::All, &change, &made.id, 7, &edit()).await;
        assert!(matches!(stale, Err(Error::Stale { .. })));
    }

    async fn every_value_without_sense_is_named() {
        let registry = registry().await;
        let change = Change::service("test", 0);
        let organization = OrganizationEdit { name: "B".into(), name_en: "B".into(), parent: None, level: 1 };
        registry.create_organization(&change, "b", &organization).await.unwrap();
        let foreign = registry.create_api_key(&change, "b", "web", false).await.unwrap().key.id;
        let key = registry.create_api_key(&change, "a", "web", false).await.unwrap().key.id;
        let http = |api_key: Option<&str>| SourceEdit {
            kind: SourceKind::Http,
            address: None,
            api_key: api_key.map(Into::into),
            ..edit()
        };
        let certificate = |text: &str| SourceEdit { certificate: Some(text.into()), ..edit() };
        let year = MOST_SECONDS * 1000;
        for (bad, named) in [
            (certificate("abcd"), "certificate"),
            (certificate(&"g".repeat(64)), "certificate"),
            (certificate(&"ab:".repeat(32)), "certificate"),
            (certificate(&["abc", "d"].repeat(16).join(":")), "certificate"),
            (SourceEdit { listener: Some("udp".into()), ..certificate(&"ab".repeat(32)) }, "certificate"),
            (SourceEdit { kind: SourceKind::Relp, ..certificate(&"ab".repeat(32)) }, "certificate"),
            (SourceEdit { clock_offset_ms: year + 1, ..edit() }, "clock_offset_ms"),
            (SourceEdit { clock_offset_ms: i64::MIN, ..edit() }, "clock_offset_ms"),
            (SourceEdit { silence_after_seconds: Some(MOST_SECONDS + 1), ..edit() }, "silence_after_seconds"),
            (SourceEdit { expected_per_hour: Some(0), ..edit() }, "expected_per_hour"),
            (SourceEdit { expected_per_hour: Some(MOST_PER_HOUR + 1), ..edit() }, "expected_per_hour"),
            (SourceEdit { listener: Some("relp".into()), ..edit() }, "listener"),
            (SourceEdit { kind: SourceKind::Relp, listener: Some("tls".into()), ..edit() }, "listener"),
            (SourceEdit { api_key: Some(key.clone()), ..edit() }, "api_key"),
            (http(None), "api_key"),
            (http(Some("nosuch")), "api_key"),
            (http(Some(&foreign)), "api_key"),
            (SourceEdit { address: Some("10.0.0.1".into()), ..http(Some(&key)) }, "address"),
            (SourceEdit { organization: "nosuch".into(), ..http(Some(&key)) }, "organization"),
        ] {
            match registry.create_source(&change, &bad).await.unwrap_err() {
                Error::Invalid { field, reason } => assert_eq!(field, named, "{reason}"),
                other => panic!("{named}: {other}"),
            }
        }
        for (name, offset) in [("fast", -year), ("slow", year)] {
            let edit = SourceEdit { name: name.into(), clock_offset_ms: offset, ..http(Some(&key)) };
            let made = registry.create_source(&change, &edit).await.unwrap();
            registry.delete_source(&Scope::All, &change, &made.id).await.unwrap();
        }
    }

    async fn fingerprints_are_stored_as_intake_makes_them() {
        let registry = registry().await;
        let change = Change::service("test", 0);
        let (plain, printed) = ("0123456789abcdef".repeat(4), ["01:23:45:67:89:AB:CD:EF"; 4].join(":"));
        let with = |text: &str| SourceEdit { certificate: Some(text.into()), ..edit() };
        let made = registry.create_source(&change, &with(&printed)).await.unwrap();
        assert_eq!(made.certificate.as_deref(), Some(plain.as_str()));
        assert_eq!(made.matches("10.1.2.3".parse().unwrap(), "tls", Some(&plain)), Some(16));
        let twin = SourceEdit { name: "twin".into(), ..with(&plain.to_uppercase()) };
        assert!(matches!(registry.create_source(&change, &twin).await, Err(Error::SameMarks { .. })));
        let again = registry
            .update_source(&Scope::All, &change, &made.id, made.version, &with(&plain))
            .await
            .unwrap();
        assert_eq!(again.certificate, made.certificate);
    }

    async fn listeners_exist_and_addresses_are_stored_as_peers_have_them() {
        let registry = registry().await;
        let change = Change::service("test", 0);
        let odd = SourceEdit { listener: Some("udb".into()), ..edit() };
        let refused = registry.create_source(&change, &odd).await.unwrap_err();
        assert!(matches!(refused, Error::NoneOf { field: "listener", .. }), "{refused}");
        assert!(refused.to_string().ends_with("there are: udp, tcp, tls, relp"), "{refused}");
        for (number, (given, stored)) in [
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("::ffff:10.2.0.0/112", "10.2.0.0/16"),
            ("2001:DB8::1", "2001:db8::1"),
            ("10.3.7.7/16", "10.3.7.7/16"),
            ("::/0", "::/0"),
        ]
        .into_iter()
        .enumerate()
        {
            let edit = SourceEdit { name: format!("s{number}"), address: Some(given.into()), ..edit() };
            let made = registry.create_source(&change, &edit).await.unwrap();
            assert_eq!(made.address.as_deref(), Some(stored));
        }
        let same = SourceEdit { name: "same".into(), address: Some("127.0.0.1".into()), ..edit() };
        assert!(matches!(registry.create_source(&change, &same).await, Err(Error::SameMarks { .. })));
    }

    async fn two_sources_can_be_told_apart() {
        let registry = registry().await;
        let change = Change::service("test", 0);
        let organization = OrganizationEdit { name: "B".into(), name_en: "B".into(), parent: None, level: 1 };
        registry.create_organization(&change, "b", &organization).await.unwrap();
        let at = |name: &str, address: &str| SourceEdit {
            name: name.into(),
            organization: "b".into(),
            address: Some(address.into()),
            ..edit()
        };
        let made = registry.create_source(&change, &edit()).await.unwrap();
        for same in ["10.1.0.0/16", "10.1.7.7/16"] {
            let refused = registry.create_source(&change, &at("x", same)).await.unwrap_err();
            assert!(
                matches!(&refused, Error::SameMarks { name, organization } if name == "fw-01" && organization == "a"),
                "{refused}"
            );
        }
        let narrow = registry.create_source(&change, &at("narrow", "10.1.0.9")).await.unwrap();
        let host = registry.create_source(&change, &at("host", "10.1.0.9/32")).await;
        assert!(matches!(host, Err(Error::SameMarks { .. })));
        let relp = SourceEdit { kind: SourceKind::Relp, ..at("relp", "10.1.0.9") };
        registry.create_source(&change, &relp).await.unwrap();
        let tls = SourceEdit { listener: Some("tls".into()), ..at("tls", "10.1.0.9") };
        registry.create_source(&change, &tls).await.unwrap();
        let moved = at("narrow", "10.1.0.0/16");
        let refused = registry.update_source(&Scope::All, &change, &narrow.id, narrow.version, &moved).await;
        assert!(matches!(refused, Err(Error::SameMarks { .. })));
        registry.update_source(&Scope::All, &change, &made.id, made.version, &edit()).await.unwrap();
    }

    on_both!(
        each_silence_and_each_return_is_told_once,
        bad_edits_are_refused_and_matching_is_by_the_narrowest_network,
        every_value_without_sense_is_named,
        fingerprints_are_stored_as_intake_makes_them,
        listeners_exist_and_addresses_are_stored_as_peers_have_them,
        two_sources_can_be_told_apart,
    );
}
