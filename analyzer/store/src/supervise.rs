//! Keeping `dongson store` running as a child: started, waited for, started again when it dies, ended with us.
//!
//! The child listens on one port and with one pair of secrets for as long as the supervisor lives, so that clients
//! stay valid across its restarts.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::StoreClient;
use crate::server::{Ready, StoreOptions, random_key};
use crate::{Result, StoreError};

/// How long the first start may take.
const START_TIME: Duration = Duration::from_mins(1);
/// Shortest and longest pause before a dead child is started again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A child that lived as long is healthy: the pause begins anew.
const HEALTHY: Duration = Duration::from_secs(30);
/// How long the child may take to end by itself.
const STOP_TIME: Duration = Duration::from_secs(12);

/// The environment variables through which the child learns its secrets.
pub const WRITER_KEY_VARIABLE: &str = "DONGSON_STORE_WRITER_KEY";
/// See [`WRITER_KEY_VARIABLE`].
pub const READER_KEY_VARIABLE: &str = "DONGSON_STORE_READER_KEY";

/// What to start: the program and the arguments before `--data` and the others.
#[derive(Debug, Clone)]
pub struct ChildCommand {
    /// The program; usually `std::env::current_exe()`.
    pub program: PathBuf,
    /// Its first arguments; usually `store`.
    pub arguments: Vec<String>,
    /// Variables to set for it.
    pub environment: Vec<(String, String)>,
}

impl ChildCommand {
    /// `THIS_PROGRAM store`.
    pub fn current() -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self { program, arguments: vec!["store".to_owned()], environment: Vec::new() })
    }
}

/// A running child. Dropping it ends the child.
#[derive(Debug)]
pub struct Supervisor {
    client: StoreClient,
    state: Arc<State>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    stopping: AtomicBool,
    starts: AtomicU64,
    process: AtomicU64,
    /// True while a child serves; the last error while it never did.
    ready: Mutex<(bool, Option<String>)>,
    changed: Condvar,
}

impl Supervisor {
    /// Starts the store and waits until it serves. Blocks; call it outside async code or through `spawn_blocking`.
    ///
    /// The child is started as `COMMAND --data DIR --engine PATH --listen ADDRESS --memory BYTES
    /// --search-seconds SECONDS --child`, with `--engine-config FILE` when there is one.
    ///
    /// # Errors
    /// `EngineMissing` before anything is started; `NotReady` with the child's last words.
    pub fn start(command: ChildCommand, options: &StoreOptions) -> Result<Self> {
        if !options.engine.is_file() {
            return Err(StoreError::EngineMissing(options.engine.clone()));
        }
        let listen = options.listen.map_or_else(free_address, Ok)?;
        let keys = options.keys.clone().unwrap_or_else(|| (random_key(), random_key()));
        let client = StoreClient::new(&format!("http://{listen}"), &keys.0, &keys.1);
        let state = Arc::new(State::default());
        let options = StoreOptions { listen: Some(listen), keys: Some(keys), child: true, ..options.clone() };
        let watched = Arc::clone(&state);
        let program = command.program.clone();
        let thread = std::thread::Builder::new()
            .name("store-supervisor".to_owned())
            .spawn(move || watched.keep_running(&command, &options))
            .map_err(StoreError::io(program))?;
        let supervisor = Self { client, state, thread: Some(thread) };
        supervisor.state.wait_ready(START_TIME)?;
        Ok(supervisor)
    }

    /// The way to the store; stays valid when the child is started again.
    pub fn client(&self) -> StoreClient {
        self.client.clone()
    }

    /// How often a child was started.
    pub fn starts(&self) -> u64 {
        self.state.starts.load(Ordering::Relaxed)
    }

    /// Process number of the child.
    pub fn process(&self) -> Option<u32> {
        u32::try_from(self.state.process.load(Ordering::Relaxed)).ok().filter(|&number| number > 0)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn free_address() -> Result<SocketAddr> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(any).and_then(|listener| listener.local_addr()).map_err(StoreError::io("127.0.0.1:0"))
}

impl State {
    /// The thread that starts the child lives as long as the child: the kernel kills the child when it ends.
    fn keep_running(&self, command: &ChildCommand, options: &StoreOptions) {
        let mut pause = PAUSE.0;
        while !self.stopping() {
            let begun = Instant::now();
            match self.run_once(command, options) {
                Ok(()) => return,
                // It ended (by the same signal as we, perhaps) while we were about to end it.
                Err(_) if self.stopping() => return,
                Err(error) => {
                    tracing::error!(%error, "the store ended and is started again");
                    metrics::counter!("store_child_ends_total").increment(1);
                    self.set_ready(false, Some(error.to_string()));
                }
            }
            pause = if begun.elapsed() > HEALTHY { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
            let until = Instant::now() + pause;
            while Instant::now() < until && !self.stopping() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Runs one child to its end; `Ok` when we asked for it.
    fn run_once(&self, command: &ChildCommand, options: &StoreOptions) -> Result<()> {
        let mut child = spawn(command, options)?;
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.process.store(u64::from(child.id()), Ordering::Relaxed);
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            let mut output = BufReader::new(output);
            drop(output.read_line(&mut line));
            // Whatever else it prints must not fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        }
        let ready = serde_json::from_str::<Ready>(&line).is_ok();
        if ready {
            self.set_ready(true, None);
        }
        loop {
            match child.try_wait().map_err(StoreError::io(&command.program))? {
                Some(status) if ready => return Err(StoreError::NotReady(format!("it ended with {status}"))),
                Some(status) => {
                    return Err(StoreError::NotReady(format!(
                        "it ended with {status} at its start; see its log"
                    )));
                }
                None if self.stopping() => return end(&mut child, command),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn set_ready(&self, ready: bool, error: Option<String>) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = (ready, error);
        self.changed.notify_all();
    }

    fn wait_ready(&self, time: Duration) -> Result<()> {
        let held = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |(ready, error): &mut (bool, Option<String>)| {
            // One failed start may be a folder that is still locked; three are a fault.
            !*ready && (error.is_none() || self.starts.load(Ordering::Relaxed) < 3)
        };
        let (held, _) =
            self.changed.wait_timeout_while(held, time, waiting).unwrap_or_else(PoisonError::into_inner);
        match &*held {
            (true, _) => Ok(()),
            (false, error) => {
                Err(StoreError::NotReady(error.clone().unwrap_or_else(|| "it took too long".to_owned())))
            }
        }
    }
}

fn spawn(command: &ChildCommand, options: &StoreOptions) -> Result<Child> {
    let mut child = Command::new(&command.program);
    child.args(&command.arguments).envs(command.environment.iter().map(|(name, value)| (name, value)));
    child.arg("--data").arg(&options.data).arg("--engine").arg(&options.engine);
    if let Some(listen) = options.listen {
        child.arg("--listen").arg(listen.to_string());
    }
    if let Some(config) = &options.engine_config {
        child.arg("--engine-config").arg(config);
    }
    child.arg("--memory").arg(options.memory_bytes.to_string());
    child.arg("--search-seconds").arg(options.search_seconds.to_string()).arg("--child");
    if let Some((writer, reader)) = &options.keys {
        child.env(WRITER_KEY_VARIABLE, writer).env(READER_KEY_VARIABLE, reader);
    }
    child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(StoreError::io(&command.program))
}

/// Closes the child's standard input, which ends it, and kills it when it does not.
fn end(child: &mut Child, command: &ChildCommand) -> Result<()> {
    drop(child.stdin.take());
    let deadline = Instant::now() + STOP_TIME;
    while Instant::now() < deadline {
        if child.try_wait().map_err(StoreError::io(&command.program))?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().and_then(|()| child.wait()).map(drop).map_err(StoreError::io(&command.program))
}
