//! The process `dongson store`: the engine on one folder, behind HTTP on the loopback.
//!
//! It prints one JSON line with its port once it serves. It ends when it is told to (SIGTERM, SIGINT, its standard
//! input closes when a parent watches it), after closing every connection; the engine cannot be left otherwise.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::engine::{self, Connection, Engine};
use crate::shim::{self, Keys, Pool, Shim};
use crate::{Result, StoreError};

/// How long the folder of a dying store is waited for.
const OPEN_SECONDS: u64 = 10;
/// How long running statements are waited for at the end.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// The file in the data folder that says how to reach the store.
const CONNECTION_FILE: &str = "connection.json";

/// The folder below the data folder into which `BACKUP ... TO File('NAME')` writes.
pub const BACKUPS: &str = "backups";

/// How long a reader's question may run when nobody says otherwise, in seconds.
const SEARCH_SECONDS: u32 = 60;

/// How the store runs.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where the data is.
    pub data: PathBuf,
    /// Path of `libchdb.so`.
    pub engine: PathBuf,
    /// XML file of the engine's own server settings (clusters, macros, caches), if any.
    pub engine_config: Option<PathBuf>,
    /// Address to listen on; when `None`, 127.0.0.1 and the port of the last start if it is free, else any.
    pub listen: Option<SocketAddr>,
    /// Most memory that statements and merges may take, in bytes.
    pub memory_bytes: u64,
    /// How long a reader's question may run, in seconds.
    pub search_seconds: u32,
    /// End when standard input closes and when the parent ends: for a child of [`crate::Supervisor`].
    pub child: bool,
    /// Secrets of the users `writer` and `reader`; when `None`, those of the last start in this folder, or random ones.
    pub keys: Option<(String, String)>,
}

impl StoreOptions {
    /// With defaults: a free port, 2 GiB, questions of a minute, a process of its own, random secrets.
    pub fn new(data: impl Into<PathBuf>, engine: impl Into<PathBuf>) -> Self {
        let (data, engine) = (data.into(), engine.into());
        Self {
            data,
            engine,
            engine_config: None,
            listen: None,
            memory_bytes: 2 << 30,
            search_seconds: SEARCH_SECONDS,
            child: false,
            keys: None,
        }
    }
}

/// How to reach a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// Secret of the user `writer`.
    pub(crate) writer_key: String,
    /// Secret of the user `reader`.
    pub(crate) reader_key: String,
}

impl Reach {
    /// What the store of the folder `data` wrote when it last started.
    pub(crate) fn read(data: &Path) -> Result<Self> {
        let path = data.join(CONNECTION_FILE);
        let text = std::fs::read(&path).map_err(StoreError::io(&path))?;
        serde_json::from_slice(&text)
            .map_err(|error| StoreError::Unreadable(format!("{}: {error}", path.display())))
    }

    fn keys(&self) -> (String, String) {
        (self.writer_key.clone(), self.reader_key.clone())
    }

    fn address(&self) -> Option<SocketAddr> {
        self.url.strip_prefix("http://")?.parse().ok()
    }
}

/// The line on standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The port on the loopback.
    pub(crate) port: u16,
}

/// Runs the store until it is told to end; then the process is gone. Call it from `main`, outside a runtime.
///
/// # Errors
/// Only before it serves: engine missing or unusable, folder busy, port taken.
pub fn run_store(options: &StoreOptions) -> Result<()> {
    if options.child {
        engine::die_with_parent();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .enable_all()
        .build()
        .map_err(StoreError::io(&options.data))?;
    let ended = runtime.block_on(serve(options));
    // The engine's threads crash in the exit handlers of the process.
    if ended.is_ok() {
        engine::leave(0);
    }
    ended
}

async fn serve(options: &StoreOptions) -> Result<()> {
    std::fs::create_dir_all(&options.data).map_err(StoreError::io(&options.data))?;
    let engine = Engine::load(&options.engine)?;
    let arguments = arguments(options)?;
    let first = open(engine, &arguments, &options.data)?;
    let stopped = |error| StoreError::NotReady(format!("{error}"));
    let pool = Arc::new(Pool::new(engine, arguments, first).map_err(stopped)?);
    let former = Reach::read(&options.data).ok();
    let keys = options.keys.clone().or_else(|| former.as_ref().map(Reach::keys));
    let keys = keys.unwrap_or_else(|| (random_key(), random_key()));
    let (listen, listener) = listen(options, former.as_ref()).await?;
    let address = listener.local_addr().map_err(StoreError::io(listen.to_string()))?;
    let reach =
        Reach { url: format!("http://{address}"), writer_key: keys.0.clone(), reader_key: keys.1.clone() };
    announce(&options.data, &reach, address.port())?;
    tracing::info!(%address, engine = %engine.path.display(), "the store serves");
    let shim = Arc::new(Shim {
        pool: Arc::clone(&pool),
        keys: Keys { writer: keys.0, reader: keys.1 },
        search_seconds: options.search_seconds,
    });
    let app = shim::router(shim);
    let mut ending = watch_for_end(options.child);
    let mut closing = ending.clone();
    let told = async move { drop(ending.wait_for(|end| *end).await) };
    let served = axum::serve(listener, app).with_graceful_shutdown(told);
    let closing = async move {
        drop(closing.wait_for(|end| *end).await);
        tokio::time::sleep(CLOSE_TIME).await;
    };
    tokio::select! {
        result = served => result.map_err(StoreError::io(address.to_string()))?,
        () = closing => tracing::warn!("statements still ran at the end"),
    }
    if tokio::time::timeout(CLOSE_TIME, pool.close()).await.is_err() {
        engine::leave(0);
    }
    Ok(())
}

/// Takes the address: the one asked for, else that of the last start, so that who knows it goes on, else any.
async fn listen(
    options: &StoreOptions,
    former: Option<&Reach>,
) -> Result<(SocketAddr, tokio::net::TcpListener)> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    if options.listen.is_none()
        && let Some(known) = former.and_then(Reach::address).filter(|known| known.ip().is_loopback())
        && let Ok(listener) = tokio::net::TcpListener::bind(known).await
    {
        return Ok((known, listener));
    }
    let address = options.listen.unwrap_or(free);
    let listener =
        tokio::net::TcpListener::bind(address).await.map_err(StoreError::io(address.to_string()))?;
    Ok((address, listener))
}

fn arguments(options: &StoreOptions) -> Result<Vec<String>> {
    let data = options.data.canonicalize().map_err(StoreError::io(&options.data))?;
    let cache = (options.memory_bytes / 16).max(64 << 20);
    let backups = data.join(BACKUPS);
    std::fs::create_dir_all(&backups).map_err(StoreError::io(&backups))?;
    let config = options.engine_config.as_ref().map(|path| format!("--config-file={}", path.display()));
    Ok(config
        .into_iter()
        .chain([
            format!("--path={}", data.join("engine").display()),
            format!("--backups.allowed_path={}", backups.display()),
            format!("--max_server_memory_usage={}", options.memory_bytes),
            format!("--mark_cache_size={cache}"),
            format!("--index_mark_cache_size={cache}"),
            "--background_pool_size=2".to_owned(),
            "--async_insert=0".to_owned(),
        ])
        .collect())
}

/// Opens the folder; the process that held it may still be dying.
fn open(engine: &'static Engine, arguments: &[String], folder: &Path) -> Result<Connection> {
    let deadline = Instant::now() + Duration::from_secs(OPEN_SECONDS);
    loop {
        match Connection::open(engine, arguments) {
            Ok(connection) => return Ok(connection),
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(200)),
            Err(_) => {
                return Err(StoreError::FolderBusy { folder: folder.to_owned(), seconds: OPEN_SECONDS });
            }
        }
    }
}

/// Says where the store is: a file for the administrator's tools, a line for the parent.
fn announce(data: &Path, reach: &Reach, port: u16) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = data.join(CONNECTION_FILE);
    let partial = data.join("connection.json.new");
    let text = serde_json::to_vec(reach).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(StoreError::io(&partial))?;
    file.write_all(&text).map_err(StoreError::io(&partial))?;
    std::fs::rename(&partial, &path).map_err(StoreError::io(&path))?;
    let line =
        serde_json::to_string(&Ready { port }).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    // A closed standard output is no reason not to serve.
    let _written = writeln!(out, "{line}").and_then(|()| out.flush());
    Ok(())
}

/// Becomes true with SIGTERM or SIGINT; in a child with the end of standard input or another parent instead: a
/// terminal and a service manager signal the whole group, and the parent has its last writes to make first.
fn watch_for_end(child: bool) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    if child {
        let sender = sender.clone();
        std::thread::spawn(move || {
            // Ends when the parent closes its side or is gone.
            drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
            sender.send_replace(true);
        });
    }
    tokio::spawn(async move {
        let asked = async {
            tokio::select! {
                () = asked(SignalKind::terminate()) => {}
                () = asked(SignalKind::interrupt()) => {}
            }
            if child {
                // Once a signal has a handler of ours, it ends nobody any more.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = asked => {}
            () = orphaned(), if child => {}
        }
        sender.send_replace(true);
    });
    receiver
}

async fn asked(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

async fn orphaned() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// 32 random hexadecimal digits from the system's generator.
pub(crate) fn random_key() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}
