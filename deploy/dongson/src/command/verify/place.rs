//! The registry and the store of a data folder: those that run, or our own child.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use dongson_registry::Registry;
use dongson_store::{ChildCommand, StoreClient, StoreOptions, Supervisor, engine_path};

use crate::config::{Config, Paths};

/// What a data folder holds, open.
pub(super) struct Opened {
    pub(super) registry: Registry,
    pub(super) store: Option<StoreClient>,
    child: Option<Supervisor>,
}

impl Opened {
    /// Opens the registry, and the store where it is wanted.
    pub(super) async fn open(data: &Path, config: Option<&Path>, store: bool) -> Result<Self> {
        let paths = Paths::new(data);
        let place = Config::load(config)?.registry.place(&paths);
        if let dongson_registry::Place::File(path) = &place
            && !path.exists()
        {
            bail!("{} holds no registry: is it the data folder of `dongson up`?", data.display());
        }
        let registry = Registry::open(&place).await.with_context(|| format!("opening {place}"))?;
        if !store {
            return Ok(Self { registry, store: None, child: None });
        }
        if let Ok(client) = StoreClient::running(&paths.store())
            && client.ping().await.is_ok()
        {
            return Ok(Self { registry, store: Some(client), child: None });
        }
        let options = StoreOptions::new(paths.store(), engine_path());
        let command = ChildCommand::current()?;
        let child = tokio::task::spawn_blocking(move || Supervisor::start(command, &options))
            .await?
            .context("starting the store")?;
        let client = child.client();
        client.migrate().await.context("bringing the store's tables up")?;
        Ok(Self { registry, store: Some(client), child: Some(child) })
    }

    /// Ends the child, if there is one.
    pub(super) async fn close(self) -> Result<()> {
        self.registry.close().await;
        Ok(tokio::task::spawn_blocking(move || drop(self.child)).await?)
    }
}
