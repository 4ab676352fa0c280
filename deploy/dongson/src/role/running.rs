//! Where a running process answers: a file in its data folder, and lines on standard output.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Addresses, Ground};
use crate::config::Paths;
use crate::output;
use crate::role::Role;

/// The file `running.json` of `dongson up`; of a role `running-ROLE.json`, with what that role has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Process number.
    pub(crate) process: u32,
    /// The page.
    pub(crate) console: String,
    /// Sensors, NDJSON, `_bulk`; none in a process without a collector.
    pub(crate) collector: Option<SocketAddr>,
    /// Syslog over UDP.
    pub(crate) syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP.
    pub(crate) syslog_tcp: Option<SocketAddr>,
    /// Syslog over TLS.
    pub(crate) syslog_tls: Option<SocketAddr>,
    /// RELP.
    pub(crate) relp: Option<SocketAddr>,
    /// `/metrics` and `/healthz`.
    pub(crate) metrics: Option<SocketAddr>,
}

/// Writes the file and the lines.
pub(super) fn tell(ground: &Ground, page: &str, addresses: &Addresses) -> Result<()> {
    let collector = addresses.collector;
    let running = Running {
        process: std::process::id(),
        console: page.to_owned(),
        collector: collector.map(|one| one.https),
        syslog_udp: collector.and_then(|one| one.syslog_udp),
        syslog_tcp: collector.and_then(|one| one.syslog_tcp),
        syslog_tls: collector.and_then(|one| one.syslog_tls),
        relp: collector.and_then(|one| one.relp),
        metrics: addresses.metrics,
    };
    let path = ground.paths.running(ground.role);
    std::fs::write(&path, serde_json::to_string_pretty(&running)?)
        .with_context(|| format!("writing {}", path.display()))?;
    if addresses.console.is_some() {
        output::line(&format!("console: {page}"))?;
    }
    if let Some(collector) = collector {
        output::line(&format!("sensors and logs: https://{}", collector.https))?;
    }
    if let (Role::Analyzer, Some(metrics)) = (ground.role, addresses.metrics) {
        output::line(&format!("metrics: http://{metrics}/metrics"))?;
    }
    Ok(())
}

impl Paths {
    /// Removes what a process of `role` wrote, unless another one of this folder has written there since.
    pub(super) fn forget_running(&self, role: Role) {
        let path = self.running(role);
        let others = |running: Running| role != Role::All && running.process != std::process::id();
        let text = std::fs::read(&path).unwrap_or_default();
        if !serde_json::from_slice(&text).is_ok_and(others) {
            drop(std::fs::remove_file(path));
        }
    }
}
