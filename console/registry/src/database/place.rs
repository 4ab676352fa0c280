//! Where the registry is: a file, or a PostgreSQL server.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, PgConnection};

use super::Pool;

/// How many connections read at once.
const READERS: u32 = 4;

/// How long a writer waits for another, and anybody for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long PostgreSQL waits for the next word of a transaction that is open, in milliseconds: whoever stands still in it for
/// longer (a process that is stopped, a network that is cut) has lost it, and the others go on.
const IDLE_MS: &str = "30000";

/// Where the registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An `SQLite` file on a disk of this machine.
    File(PathBuf),
    /// A database of a PostgreSQL server, version 14 or newer.
    Postgres(Postgres),
}

/// A database of a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// `postgres://user@host:port/database`, without a password. Without `?sslmode=...` a server that is not this machine
    /// itself must show a certificate for its name.
    pub url: String,
    /// The file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// The certificates (PEM) that the server's must come from; none: those of the public web.
    pub ca: Option<PathBuf>,
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The URL is none, or not of PostgreSQL.
    #[error("{url:?} is not of the form postgres://user@host:port/database: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that belongs to it cannot be read.
    #[error("{what} {}: {error}", path.display())]
    File {
        /// Which.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The server does not answer, or does not let us in.
    #[error("PostgreSQL at {server}: {error}")]
    Server {
        /// Host, port and database.
        server: String,
        /// What the server or the network says.
        error: Box<sqlx::Error>,
    },
    /// The database cannot keep every text.
    #[error(
        "the database at {server} has encoding {encoding}, not UTF8: make one with `CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`"
    )]
    Encoding {
        /// Host, port and database.
        server: String,
        /// What it has.
        encoding: String,
    },
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<Postgres> for Place {
    fn from(server: Postgres) -> Self {
        Self::Postgres(server)
    }
}

impl From<&Place> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Postgres(server) => write!(out, "{}", server.url),
        }
    }
}

impl Postgres {
    /// Whether it can be used as it is written: the URL, and that the password file can be read. Nobody is asked.
    pub fn check(&self) -> Result<(), PlaceError> {
        self.options().map(drop)
    }

    fn options(&self) -> Result<PgConnectOptions, PlaceError> {
        let bad = |reason: String| PlaceError::Url { url: self.url.clone(), reason };
        let url = url::Url::parse(&self.url).map_err(|error| bad(error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(bad(format!("{:?} is another scheme", url.scheme())));
        }
        if url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password") {
            // The URL itself is not shown.
            let (url, reason) =
                ("postgres://...".to_owned(), "the password belongs into password_file".to_owned());
            return Err(PlaceError::Url { url, reason });
        }
        let mut options = PgConnectOptions::from_str(&self.url).map_err(|error| bad(error.to_string()))?;
        if options.get_database().is_none() {
            return Err(bad("it names no database".to_owned()));
        }
        if !url.query_pairs().any(|(name, _)| name == "sslmode") {
            let here = matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1" | "[::1]")
                || options.get_host().starts_with('/')
                || options.get_socket().is_some();
            options = options.ssl_mode(if here && self.ca.is_none() {
                PgSslMode::Prefer
            } else {
                PgSslMode::VerifyFull
            });
        }
        if let Some(ca) = &self.ca {
            std::fs::File::open(ca).map_err(|error| PlaceError::File {
                what: "ca",
                path: ca.clone(),
                error,
            })?;
            options = options.ssl_root_cert(ca);
        }
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path).map_err(|error| PlaceError::File {
                what: "password_file",
                path: path.clone(),
                error,
            })?;
            options = options.password(text.lines().next().unwrap_or_default());
        }
        let patience = PATIENCE.as_millis().to_string();
        Ok(options.application_name("dongson").options([
            ("lock_timeout", patience.as_str()),
            ("idle_in_transaction_session_timeout", IDLE_MS),
            ("client_connection_check_interval", "5000"),
        ]))
    }

    /// The writing and the reading connections.
    pub(crate) async fn connect(&self) -> Result<(Pool, Pool), PlaceError> {
        let options = self.options()?;
        let server = format!(
            "{}:{}/{}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_default()
        );
        let refused = |error| PlaceError::Server { server: server.clone(), error: Box::new(error) };
        // A connection of its own first: a pool tells only that none came in time.
        let mut first = tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options))
            .await
            .unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut))
            .map_err(refused)?;
        let encoding: String =
            sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut first).await.map_err(refused)?;
        first.close().await.map_err(refused)?;
        if encoding != "UTF8" {
            return Err(PlaceError::Encoding { server, encoding });
        }
        let pool = |most| PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
        let writer = pool(1).connect_lazy_with(options.clone());
        let readers = pool(READERS).connect_lazy_with(options);
        Ok((Pool::Postgres(writer), Pool::Postgres(readers)))
    }
}

/// The writing and the reading connections of a file, which is made where it is not there.
pub(crate) async fn open_file(path: &Path) -> sqlx::Result<(Pool, Pool)> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE);
    let pool = |most| SqlitePoolOptions::new().max_connections(most);
    let writer = pool(1).connect_with(options.clone()).await?;
    let readers = pool(READERS).connect_with(options).await?;
    Ok((Pool::Sqlite(writer), Pool::Sqlite(readers)))
}

/// One connection to a database in memory.
pub(crate) async fn in_memory() -> sqlx::Result<Pool> {
    let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await?;
    Ok(Pool::Sqlite(pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &str) {
        let server = Postgres { url: url.to_owned(), password_file: None, ca: None };
        let said = server.options().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{url}: {said}");
    }

    #[test]
    fn urls_are_looked_at_before_the_server_is() {
        check("postgres://dongson@db.example/dongson", "");
        check("postgres://dongson@db.example", "it names no database");
        check("mysql://dongson@db.example/dongson", "\"mysql\" is another scheme");
        check("postgres://dongson:secret@db.example/dongson", "the password belongs into password_file");
        check("registry.sqlite", "is not of the form");
        let hidden = Postgres { url: "postgres://a:secret@b/c".to_owned(), password_file: None, ca: None };
        assert!(!hidden.options().unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn a_server_elsewhere_shows_a_certificate_unless_it_is_said_otherwise() {
        let mode = |url: &str| {
            let server = Postgres { url: url.to_owned(), password_file: None, ca: None };
            server.options().unwrap().get_ssl_mode()
        };
        assert!(matches!(mode("postgres://a@db.example/b"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://a@127.0.0.1/b"), PgSslMode::Prefer));
        assert!(matches!(mode("postgres://a@localhost/b?host=/run/postgresql"), PgSslMode::Prefer));
        assert!(matches!(mode("postgres://a@db.example/b?sslmode=require"), PgSslMode::Require));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("postgres://a@localhost/b?host={}", folder.path().display());
        let server = Postgres { url, password_file: None, ca: None };
        let said = server.connect().await.unwrap_err().to_string();
        assert!(said.starts_with("PostgreSQL at ") && said.contains("/b: "), "{said}");
    }
}
