//! Connections of the writer, kept open; connections of readers, opened for one request with their limits built in.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::{Connection, Engine, EngineError};

/// Connections to one engine on one folder.
pub(crate) struct Pool {
    engine: &'static Engine,
    /// `--path=...` and what every connection gets.
    arguments: Vec<String>,
    idle: Mutex<Vec<Connection>>,
    writers: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    /// Names of table functions: readers may not use them.
    pub(super) table_functions: Vec<String>,
}

/// Statements of the writer at one time.
const WRITERS: usize = 8;
/// Statements of readers at one time.
const READERS: usize = 8;

/// A connection taken out of the pool.
pub(super) struct Taken {
    pub(super) connection: Connection,
    permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool whose first connection booted the engine.
    pub(crate) fn new(
        engine: &'static Engine,
        arguments: Vec<String>,
        mut first: Connection,
    ) -> Result<Self, EngineError> {
        let names = first.query("SELECT lower(name) FROM system.table_functions", "TabSeparated", &[])?;
        let table_functions = String::from_utf8_lossy(&names).lines().map(str::to_owned).collect();
        Ok(Self {
            engine,
            arguments,
            idle: Mutex::new(vec![first]),
            writers: Arc::new(Semaphore::new(WRITERS)),
            readers: Arc::new(Semaphore::new(READERS)),
            table_functions,
        })
    }

    /// A connection of the writer; give it back with [`Pool::put`] when its settings are as they were.
    pub(super) async fn take(&self) -> Result<Taken, EngineError> {
        let permit = acquire(&self.writers).await?;
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| Connection::open(self.engine, &self.arguments), Ok)?;
        Ok(Taken { connection, permit })
    }

    /// A fresh connection whose settings its statements cannot change.
    pub(super) async fn take_limited(&self, limits: &[String]) -> Result<Taken, EngineError> {
        let permit = acquire(&self.readers).await?;
        let arguments: Vec<String> = self.arguments.iter().chain(limits).cloned().collect();
        Ok(Taken { connection: Connection::open(self.engine, &arguments)?, permit })
    }

    /// Takes a connection of the writer back.
    pub(super) fn put(&self, taken: Taken) {
        self.idle().push(taken.connection);
        drop(taken.permit);
    }

    /// Waits for all statements, then closes every connection. Nothing runs afterwards.
    pub(crate) async fn close(&self) {
        for (gate, count) in [(&self.writers, WRITERS), (&self.readers, READERS)] {
            let all = u32::try_from(count).unwrap_or(u32::MAX);
            if let Ok(permits) = gate.acquire_many(all).await {
                permits.forget();
            }
            gate.close();
        }
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquire(gate: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, EngineError> {
    Arc::clone(gate)
        .acquire_owned()
        .await
        .map_err(|_| EngineError::new("Code: 210. DB::Exception: the store is stopping".to_owned()))
}
