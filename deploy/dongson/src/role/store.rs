//! The store: a ClickHouse server, the engine in a child of `dongson up`, or an engine that runs by itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use dongson_store::{ChildCommand, StoreClient, StoreOptions, Supervisor, engine_path};
use tracing::info;

use super::{Ground, Role};

/// The lease of who brings the tables up.
const LEASE: &str = "store-schema";

/// The way to the store, and the child if it is ours.
pub(super) struct Store {
    client: StoreClient,
    child: Option<Supervisor>,
}

impl Store {
    pub(super) fn client(&self) -> StoreClient {
        self.client.clone()
    }

    /// Ends the child.
    pub(super) async fn close(self) -> Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self.child)).await?)
    }
}

/// Starts or finds the store, and brings its tables up.
pub(super) async fn open(ground: &Ground) -> Result<Store> {
    let store = if let Some(server) = ground.config.store.server(ground.config.console.search_seconds)? {
        let client = StoreClient::server(&server).context("store.url")?;
        client.ping().await.with_context(|| format!("asking the server at store.url, {}", server.url))?;
        Store { client, child: None }
    } else if ground.role == Role::All {
        let child = start(ground).await?;
        Store { client: child.client(), child: Some(child) }
    } else {
        let folder = ground.paths.store();
        let client = StoreClient::running(&folder).with_context(|| {
            format!(
                "finding a store: start `dongson store --data {}`, or `dongson up` for everything in one process; a ClickHouse server is named by `[store] url`",
                folder.display()
            )
        })?;
        Store { client, child: None }
    };
    let schema = migrate(ground, &store.client).await?;
    info!(schema, "store ready");
    Ok(store)
}

/// Brings the tables up; of several processes that start at once, one after the other.
async fn migrate(ground: &Ground, store: &StoreClient) -> Result<u32> {
    let mut lease = ground.registry.lease(LEASE);
    while !lease.hold(Instant::now()).await.context("asking the registry whose turn it is")? {
        tokio::select! {
            () = ground.stop.cancelled() => bail!("stopped before the store's tables were looked at"),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
    let schema = store.migrate().await.context("making the store's tables");
    lease.release().await?;
    schema
}

async fn start(ground: &Ground) -> Result<Supervisor> {
    let config = &ground.config;
    let engine = config.store.engine.clone().unwrap_or_else(engine_path);
    let options = StoreOptions {
        memory_bytes: config.store.memory_mib << 20,
        search_seconds: config.console.search_seconds,
        ..StoreOptions::new(ground.paths.store(), engine)
    };
    let command = ChildCommand::current()?;
    Ok(tokio::task::spawn_blocking(move || Supervisor::start(command, &options)).await??)
}
