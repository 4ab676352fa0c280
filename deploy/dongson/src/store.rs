//! The store for a command that is no service: the configured server, the engine that runs on the data folder, or one that is
//! started for the time of the command.

use anyhow::{Context as _, Result};
use dongson_store::{ChildCommand, StoreClient, StoreOptions, Supervisor, engine_path};

use crate::config::{Config, Paths};

/// The way to the store; a child that was started for it ends when this is dropped.
pub(crate) struct Reached {
    client: StoreClient,
    child: Option<Supervisor>,
}

impl Reached {
    /// Finds or starts the store of `config` and `paths`.
    pub(crate) async fn find(config: &Config, paths: &Paths) -> Result<Self> {
        if let Some(server) = config.store.server(config.console.search_seconds)? {
            let client = StoreClient::server(&server).context("store.url")?;
            client.ping().await.with_context(|| format!("asking the server at store.url, {}", server.url))?;
            return Ok(Self { client, child: None });
        }
        if let Ok(client) = StoreClient::running(&paths.store())
            && client.ping().await.is_ok()
        {
            return Ok(Self { client, child: None });
        }
        let engine = config.store.engine.clone().unwrap_or_else(engine_path);
        let options = StoreOptions {
            memory_bytes: config.store.memory_mib << 20,
            search_seconds: config.console.search_seconds,
            ..StoreOptions::new(paths.store(), engine)
        };
        let command = ChildCommand::current()?;
        let child = tokio::task::spawn_blocking(move || Supervisor::start(command, &options)).await??;
        Ok(Self { client: child.client(), child: Some(child) })
    }

    pub(crate) fn client(&self) -> &StoreClient {
        &self.client
    }

    /// Ends the child, if one was started.
    pub(crate) async fn close(self) -> Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self.child)).await?)
    }
}
