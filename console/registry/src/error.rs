//! Why the registry refused, in terms that a caller can act on.

use crate::database::PlaceError;
use crate::export::ExportError;
use crate::password::WeakPassword;

/// The result of every call.
pub type Result<T> = std::result::Result<T, Error>;

/// What `SQLite` answers when the disk does not take what it writes: `SQLITE_READONLY`, `SQLITE_IOERR`, `SQLITE_FULL`,
/// `SQLITE_CANTOPEN`.
const DISK_CODES: [u32; 4] = [8, 10, 13, 14];

/// What PostgreSQL answers then: `disk_full`, `io_error`, `read_only_sql_transaction` (a server that only follows another).
const DISK_STATES: [&str; 3] = ["53100", "58030", "25006"];

/// Why a call did not happen. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such thing, or it lies outside the caller's scope: the two are the same on purpose.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Somebody else changed the thing first: read it again.
    #[error("the {what} has changed: you saw version {seen}, it is now {now}")]
    Stale {
        /// What kind of thing.
        what: &'static str,
        /// The version that the caller named.
        seen: i64,
        /// The version that is stored.
        now: i64,
    },
    /// A unique name is already in use.
    #[error("this {0} exists already")]
    Taken(&'static str),
    /// A value cannot be accepted; `field` names it.
    #[error("{field}: {reason}")]
    Invalid {
        /// The name of the field in the API.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A value is none of those that exist; `field` names it.
    #[error("{field}: {reason}; there are: {}", .known.join(", "))]
    NoneOf {
        /// The name of the field in the API.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
        /// Those that exist.
        known: &'static [&'static str],
    },
    /// A setting of a notification channel cannot be accepted.
    #[error("settings.{name}: {reason}")]
    Setting {
        /// Its name, as it was given: it may be none of ours.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another source of its kind has the same address, listener, certificate and key: nobody could tell them apart.
    #[error("source {name} of {organization} has the same address, listener, certificate and key")]
    SameMarks {
        /// Its name.
        name: String,
        /// Its agency.
        organization: String,
    },
    /// The state of the thing does not allow this step.
    #[error("{what}: {reason}")]
    Refused {
        /// What kind of thing.
        what: &'static str,
        /// What stands in the way.
        reason: &'static str,
    },
    /// The new password is too easy to guess.
    #[error("the password is not acceptable: {0}")]
    WeakPassword(#[from] WeakPassword),
    /// A consumer's offsets do not continue where it stopped: part of the batch was applied before.
    #[error("offsets {first}..{next} overlap the stored offset {stored}: cut the batch there")]
    Overlap {
        /// First offset of the batch.
        first: u64,
        /// Offset after the batch.
        next: u64,
        /// Where the consumer stands.
        stored: u64,
    },
    /// The consumer's state is not of where it stands now: somebody else has gone on.
    #[error("the state is that of offset {expected}, the stored offset is {stored}: load it again")]
    Moved {
        /// Where the consumer stood when its state was loaded.
        expected: u64,
        /// Where it stands.
        stored: u64,
    },
    /// A number does not fit into the database.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A stored JSON text cannot be read or made.
    #[error("stored JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Something signed is not taken, or could not be signed.
    #[error(transparent)]
    Trust(#[from] dongson_event::trust::TrustError),
    /// Hashing a password failed.
    #[error("hashing a password: {0}")]
    Hash(String),
    /// The database cannot be reached or used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The registry cannot be written to files, or made from them.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The schema cannot be brought up to date.
    #[error("schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// The database refused or is out of reach.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// Turns a broken unique key into [`Error::Taken`]; everything else stays what it is.
    pub(crate) fn or_taken(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| match &error {
            sqlx::Error::Database(inner) if inner.is_unique_violation() => Self::Taken(what),
            sqlx::Error::Database(inner) if inner.is_foreign_key_violation() => Self::no_agency(),
            _ => Self::Database(error),
        }
    }

    /// The agency that a new thing names does not exist, or lies outside the caller's scope: the two are the same on
    /// purpose.
    pub(crate) fn no_agency() -> Self {
        Self::Invalid { field: "organization", reason: "is no agency of yours" }
    }

    /// [`Error::no_agency`] in the place of an agency that was not found.
    pub(crate) fn or_no_agency(self) -> Self {
        match self {
            Self::NotFound("organization") => Self::no_agency(),
            other => other,
        }
    }

    /// Whether the database could not be written because its disk is full or fails ([`DISK_CODES`], [`DISK_STATES`]). Nothing was changed; the same call works again when the disk does.
    pub fn is_disk(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Io(_)) => true,
            Self::Database(sqlx::Error::Database(inner)) => {
                let Some(code) = inner.code() else { return false };
                if inner.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                    return DISK_STATES.contains(&&*code);
                }
                // Extended codes carry the kind of failure in their low byte.
                code.parse::<u32>().is_ok_and(|code| DISK_CODES.contains(&(code & 0xff)))
            }
            _ => false,
        }
    }

    /// Whether a PostgreSQL server cannot be reached, is going down or coming up, or cannot write ([`DISK_STATES`], classes 08,
    /// 53 and 57, a lock that was not got in time). The same call works again when the server does.
    pub fn is_server(&self) -> bool {
        match self {
            Self::Place(PlaceError::Server { .. })
            | Self::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_)) => true,
            Self::Database(sqlx::Error::Database(inner)) => {
                let server = inner.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
                server.is_some_and(|error| {
                    let away = ["08", "53", "57"].iter().any(|class| error.code().starts_with(class));
                    away || DISK_STATES.contains(&error.code()) || error.code() == "55P03"
                })
            }
            _ => false,
        }
    }

    /// `Stale` when versions differ.
    pub(crate) fn check_version(what: &'static str, seen: i64, now: i64) -> Result<()> {
        if seen == now { Ok(()) } else { Err(Self::Stale { what, seen, now }) }
    }
}

/// Refuses a text that is empty, too long (in characters) or holds control characters other than line breaks.
pub(crate) fn check_text(field: &'static str, text: &str, most: usize) -> Result<()> {
    let reason = if text.trim().is_empty() {
        "must not be empty"
    } else if text.chars().nth(most).is_some() {
        "is too long"
    } else if text.chars().any(|sign| sign.is_control() && sign != '\n' && sign != '\t') {
        "must not hold control characters"
    } else {
        return Ok(());
    };
    Err(Error::Invalid { field, reason })
}

/// Refuses an id that is not short lower-case letters, digits, `-`, `_` or `.`: it stands in URLs, keys and file names.
pub(crate) fn check_id(field: &'static str, id: &str) -> Result<()> {
    let fine =
        |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || matches!(sign, '-' | '_' | '.');
    if id.is_empty() || id.len() > 64 || !id.chars().all(fine) {
        return Err(Error::Invalid { field, reason: "must be 1 to 64 of a-z, 0-9, -, _ and ." });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_ids_are_checked() {
        assert!(check_text("t", "Sở Y tế\nhai dòng", 40).is_ok());
        assert!(check_text("t", "  ", 40).is_err());
        assert!(check_text("t", "a\u{1b}[31m", 40).is_err());
        assert!(check_text("t", "năm ký", 5).is_err());
        assert!(check_id("id", "so-yte").is_ok());
        assert!(check_id("id", "../etc").is_err());
        assert!(check_id("id", "").is_err());
    }
}
