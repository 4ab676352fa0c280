//! The console's part: the page and its API.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use dongson_analyzer::notify::Notifier;
use dongson_bus::Bus;
use dongson_console::RuleInfo;
use dongson_registry::now;
use dongson_store::StoreClient;

use super::Ground;
use crate::config::Config;

/// What the console works with besides the ground.
pub(super) struct With {
    /// The log, where this process has it: its health is told.
    pub(super) bus: Option<Arc<dyn Bus>>,
    pub(super) store: StoreClient,
    pub(super) rules: Vec<RuleInfo>,
    /// The port that the collector took, where it is in this process.
    pub(super) port: Option<u16>,
}

/// The address of the page for links; known when the console has taken its own, before anybody can ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Page(Arc<OnceLock<String>>);

impl Page {
    /// As configured, else by the address that was taken, else by the one that the console is told to take; without a
    /// slash at its end.
    pub(super) fn settle(&self, config: &Config, taken: Option<SocketAddr>) -> String {
        let address = taken.unwrap_or(config.console.listen);
        self.0.get_or_init(|| page_url(config.console_url.as_deref(), address)).clone()
    }

    fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// Takes the console's address.
pub(super) async fn bind(ground: &Ground, with: With, page: &Page) -> Result<dongson_console::Server> {
    let config = &ground.config;
    let notifier = Notifier::new(&config.analyzer.notify_ca_files).context("analyzer.notify_ca_files")?;
    let render = ground.metrics.clone();
    let port = with.port.unwrap_or_else(|| config.collector.https.port());
    let parts = dongson_console::Parts {
        config: config.console.clone(),
        registry: ground.registry.clone(),
        facts: Arc::new(dongson_console::StoreFacts::new(with.store)),
        rules: with.rules,
        collector_urls: config.collector.urls(port),
        parsers: dongson_collector::parse::PARSERS.iter().map(|one| one.name.to_owned()).collect(),
        metrics: Arc::new(move || render.render()),
        send_test: tester(notifier, page.clone()),
        health: health(with.bus),
        clock: now,
    };
    dongson_console::Server::bind(parts, &ground.paths.console(), ground.stop.clone())
        .await
        .context("starting the console")
}

/// What is wrong with the log, if anything is.
fn health(bus: Option<Arc<dyn Bus>>) -> dongson_console::HealthCheck {
    Arc::new(move || {
        let bus = bus.clone();
        Box::pin(async move {
            let error = bus?.check().await.err()?;
            Some(format!("bus: {error}"))
        })
    })
}

/// Sends tests through channels.
fn tester(notifier: Notifier, page: Page) -> dongson_console::SendTest {
    Arc::new(move |channel| {
        let (notifier, page) = (notifier.clone(), page.clone());
        Box::pin(
            async move { notifier.send_test(&channel, page.get()).await.map_err(|error| error.to_string()) },
        )
    })
}

fn page_url(configured: Option<&str>, taken: SocketAddr) -> String {
    let url = configured.map_or_else(|| format!("https://{}", reachable(taken)), str::to_owned);
    url.trim_end_matches('/').to_owned()
}

/// `0.0.0.0` and `[::]` are no addresses to go to.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_port_that_was_taken() {
        let taken = |address: &str| page_url(None, address.parse().unwrap());
        assert_eq!(taken("0.0.0.0:41234"), "https://localhost:41234");
        assert_eq!(taken("[::]:41234"), "https://localhost:41234");
        assert_eq!(taken("192.0.2.7:8443"), "https://192.0.2.7:8443");
        let configured = page_url(Some("https://soc.example/"), "127.0.0.1:1".parse().unwrap());
        assert_eq!(configured, "https://soc.example");
    }
}
