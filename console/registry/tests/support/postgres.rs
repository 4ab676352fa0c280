//! A PostgreSQL server for tests: Debian's, one for each test program, on a socket in a temporary folder, with a database for
//! each test. It ends with the program, whatever ends that, and its folder goes with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dongson_registry::Postgres;

/// How a machine without it gets it.
const HOW: &str = "PostgreSQL is needed for this test: `apt-get install postgresql` (its service is not used)";

/// Makes a cluster and runs it until standard input ends. As root it runs as `postgres`, because the server refuses root.
/// Arguments: folder of the programs, temporary folder. Durability is off where speed matters and no test kills the server.
const SCRIPT: &str = r#"
set -eu
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
server=$!
cat >/dev/null
kill -QUIT "$server" 2>/dev/null || true
wait "$server" 2>/dev/null || true
rm -rf "$folder"
"#;

/// The folder of the socket of this program's server.
fn server() -> &'static Path {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap_or_else(|_| panic!("{HOW}"));
    let found = versions.map(|version| version.unwrap().path().join("bin"));
    found.filter(|bin| bin.join("initdb").exists()).max().unwrap_or_else(|| panic!("{HOW}"))
}

fn start() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("dongson-pg-").tempdir().unwrap().keep();
    let mut script = Command::new("sh")
        .args(["-c", SCRIPT, "postgres-for-tests"])
        .arg(programs())
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Open as long as the program lives; the script reads its end.
    std::mem::forget(script.stdin.take());
    let began = Instant::now();
    while !ready(&folder) {
        let log = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        if script.try_wait().unwrap().is_some() || began.elapsed() > Duration::from_secs(120) {
            panic!("PostgreSQL did not start\n{}\n{}", log("init.log"), log("server.log"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    folder
}

/// Whether the server answers: `psql` with a statement, as a test would.
fn ready(folder: &Path) -> bool {
    folder.join(".s.PGSQL.5432").exists() && ask(folder, "SELECT 1")
}

/// Runs a statement as the server's owner of all.
fn ask(folder: &Path, statement: &str) -> bool {
    let done = Command::new(programs().join("psql"))
        .args(["--no-psqlrc", "--quiet", "--username", "test", "--dbname", "postgres", "--command", statement])
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
