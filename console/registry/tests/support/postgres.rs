//! Tests on both databases ([`on_both`]), and a PostgreSQL server for them: Debian's, one for each test program, on a socket
//! in a temporary folder, with a database for each test. It ends with the program, whatever ends that, and its folder goes
//! with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dongson_registry::{Place, Postgres, Registry};

/// How a machine without it gets it.
const HOW: &str =
    "PostgreSQL is needed for this test: `apt-get install postgresql` (its service is not used)";

/// Makes a cluster and runs it until standard input ends. As root it runs as `postgres`, because the server refuses root.
/// Arguments: folder of the programs, temporary folder. Durability is off where speed matters and no test kills the server.
const SCRIPT: &str = r#"
set -eu
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
bin=$1 folder=$2
run() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown -R postgres "$folder"
    run() { setpriv --reuid postgres --regid postgres --clear-groups env HOME="$folder" LC_ALL=C.UTF-8 "$@"; }
fi
cd "$folder"
run "$bin/initdb" --pgdata "$folder/data" --username test --auth trust --encoding UTF8 --locale C.UTF-8 --no-sync >init.log 2>&1
run "$bin/postgres" -D "$folder/data" -c listen_addresses= -c unix_socket_directories="$folder" -c fsync=off \
    -c max_connections=300 -c shared_buffers=32MB >server.log 2>&1 &
cat >/dev/null
kill -QUIT "$(head -n 1 "$folder/data/postmaster.pid")" || true
wait
rm -rf "$folder"
"#;

/// This program's server. Its script's standard input is open as long as the program lives.
struct Server {
    /// Where its socket is.
    folder: PathBuf,
    _script: Child,
}

fn server() -> &'static Path {
    static SERVER: OnceLock<Server> = OnceLock::new();
    &SERVER.get_or_init(start).folder
}

fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap_or_else(|_| panic!("{HOW}"));
    let found = versions.map(|version| version.unwrap().path().join("bin"));
    found.filter(|bin| bin.join("initdb").exists()).max().unwrap_or_else(|| panic!("{HOW}"))
}

fn start() -> Server {
    let folder = tempfile::Builder::new().prefix("dongson-pg-").tempdir().unwrap().keep();
    let mut script = Command::new("sh")
        .args(["-c", SCRIPT, "postgres-for-tests"])
        .arg(programs())
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !ready(&folder) {
        let log = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let going_on = script.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_mins(2);
        assert!(going_on, "PostgreSQL did not start\n{}\n{}", log("init.log"), log("server.log"));
        std::thread::sleep(Duration::from_millis(20));
    }
    Server { folder, _script: script }
}

/// Whether the server answers: `psql` with a statement, as a test would.
fn ready(folder: &Path) -> bool {
    folder.join(".s.PGSQL.5432").exists() && ask(folder, "SELECT 1")
}

/// Runs a statement as the server's owner of all.
fn ask(folder: &Path, statement: &str) -> bool {
    let done = Command::new(programs().join("psql"))
        .args([
            "--no-psqlrc",
            "--quiet",
            "--username",
            "test",
            "--dbname",
            "postgres",
            "--command",
            statement,
        ])
        .arg("--host")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    done.unwrap().success()
}

/// A new database.
pub(crate) fn database() -> Postgres {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let folder = server();
    assert!(ask(folder, &format!("CREATE DATABASE {name}")), "cannot make database {name}");
    let url = format!("postgres://test@localhost/{name}?host={}", folder.display());
    Postgres { url, password_file: None, ca: None }
}

tokio::task_local! {
    /// The database of the test that runs; none: an `SQLite` file.
    static SERVER: Postgres;
}

/// Makes two tests of each function, `sqlite::NAME` and `postgresql::NAME`. One that is not named here is never called, which
/// is an error.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test().await;
            })+
        }

        mod postgresql {
            $(#[tokio::test]
            async fn $test() {
                crate::support::on_postgres(super::$test()).await;
            })+
        }
    };
}
pub(crate) use on_both;

/// Runs a test whose registry ([`place`], [`registry_for_test`]) is a new database of the server.
pub(crate) async fn on_postgres(test: impl Future<Output = ()>) {
    SERVER.scope(database(), test).await;
}

/// Where the test's registry is: `file`, or its database on the server, whatever the file's name.
pub(crate) fn place(file: &Path) -> Place {
    SERVER.try_with(|server| server.clone().into()).unwrap_or_else(|_| file.into())
}

/// The test's registry: in memory, or on the server.
pub(crate) async fn registry_for_test() -> Registry {
    match SERVER.try_with(Postgres::clone) {
        Ok(server) => Registry::open(server).await.unwrap(),
        Err(_) => Registry::in_memory().await.unwrap(),
    }
}
