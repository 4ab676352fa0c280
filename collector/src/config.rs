//! The collector's settings: where it listens, where its data folder is, and what bounds it.

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of one collector. A misspelt key is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the certificate authority; made when missing.
    pub data: PathBuf,
    /// HTTPS: sensors, NDJSON, `_bulk`.
    pub https: SocketAddr,
    /// Names and addresses that stand in the server's certificate; `localhost` is always there.
    #[serde(default)]
    pub server_names: Vec<String>,
    /// Syslog over UDP (listener name `udp`); none = off.
    #[serde(default)]
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP (listener name `tcp`); none = off.
    #[serde(default)]
    pub syslog_tcp: Option<SocketAddr>,
    /// Syslog over TLS, RFC 5425 (listener name `tls`); none = off.
    #[serde(default)]
    pub syslog_tls: Option<SocketAddr>,
    /// RELP (listener name `relp`); none = off.
    #[serde(default)]
    pub relp: Option<SocketAddr>,
    /// Zone of local times of sources that the registry does not know, as a name of the time zone database.
    #[serde(default = "default_zone")]
    pub time_zone: String,
    /// Sources and sensors that fall silent.
    #[serde(default)]
    pub silence: Silence,
    /// What bounds memory, connections and time.
    #[serde(default)]
    pub limits: Limits,
}

/// What becomes of sources and sensors that fall silent or send far too little.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Silence {
    /// Login of who gets the alerts about sources and sensors whose own owner is absent, disabled or gone; none = the
    /// oldest active administrator.
    pub owner: Option<String>,
    /// A source with an expected rate is quiet below this percentage of it, 1 to 50.
    pub quiet_percent: u64,
}

impl Default for Silence {
    fn default() -> Self {
        Self { owner: None, quiet_percent: 10 }
    }
}

/// What bounds memory, connections and time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most connections of one listener; more wait.
    pub connections: usize,
    /// Longest request body as sent, in bytes.
    pub body_bytes: usize,
    /// Longest request body after decompression, in bytes.
    pub inflated_bytes: usize,
    /// Bytes of request bodies in memory at once; beyond, the answer is 429.
    pub inflight_bytes: usize,
    /// Longest RELP frame in bytes.
    pub relp_frame_bytes: usize,
    /// A connection that says nothing for so long is closed, in seconds.
    pub idle_seconds: u64,
    /// Longest time for a TLS handshake, request head or body, in seconds.
    pub request_seconds: u64,
    /// Datagrams that may wait; beyond, they are dropped and counted.
    pub datagram_queue: usize,
    /// Bytes that the kernel keeps of datagrams until they are read; beyond, it drops them, which is counted.
    pub datagram_buffer_bytes: usize,
    /// How often sources are read again and silence is looked for, in milliseconds.
    pub watch_milliseconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            body_bytes: 16 << 20,
            inflated_bytes: 32 << 20,
            inflight_bytes: 256 << 20,
            relp_frame_bytes: 16 << 20,
            idle_seconds: 600,
            request_seconds: 60,
            datagram_queue: 65_536,
            datagram_buffer_bytes: 32 << 20,
            watch_milliseconds: 2_000,
        }
    }
}

/// A value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Problem {
    /// The key within the collector's settings.
    pub key: &'static str,
    /// What is wrong, and what makes sense.
    pub reason: String,
}

/// Refuses a number outside `least..=most`.
fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Problem { key, reason: format!("{value} makes no sense: {least} to {most} do") })
}

impl Silence {
    /// What is wrong with the values, if anything is.
    pub fn check(&self) -> Result<(), Problem> {
        if self.owner.as_ref().is_some_and(|owner| owner.trim().is_empty()) {
            let reason = "is empty: name a login, or leave the key out".to_owned();
            return Err(Problem { key: "silence.owner", reason });
        }
        within("silence.quiet_percent", self.quiet_percent, 1, 50)
    }
}

impl Limits {
    /// What is wrong with the values, if anything is.
    pub fn check(&self) -> Result<(), Problem> {
        const GIB: u64 = 1 << 30;
        let size = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        within("limits.connections", size(self.connections), 1, 1_000_000)?;
        // A sensor's batch has up to 16 MiB packed and 32 MiB unpacked.
        within("limits.body_bytes", size(self.body_bytes), 16 << 20, GIB)?;
        within(
            "limits.inflated_bytes",
            size(self.inflated_bytes),
            size(self.body_bytes).max(32 << 20),
            4 * GIB,
        )?;
        within("limits.inflight_bytes", size(self.inflight_bytes), size(self.body_bytes) + 1_024, 1 << 40)?;
        within("limits.relp_frame_bytes", size(self.relp_frame_bytes), 128 << 10, GIB)?;
        within("limits.idle_seconds", self.idle_seconds, 1, 7 * 86_400)?;
        within("limits.request_seconds", self.request_seconds, 1, 3_600)?;
        within("limits.datagram_queue", size(self.datagram_queue), 1, 10_000_000)?;
        within("limits.datagram_buffer_bytes", size(self.datagram_buffer_bytes), 64 << 10, GIB)?;
        within("limits.watch_milliseconds", self.watch_milliseconds, 10, 60_000)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub(crate) fn request(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    pub(crate) fn watch(&self) -> Duration {
        Duration::from_millis(self.watch_milliseconds)
    }
}

fn default_zone() -> String {
    "Asia/Ho_Chi_Minh".to_owned()
}

impl Config {
    /// What is wrong with the values, if anything is.
    pub fn check(&self) -> Result<(), Problem> {
        if let Err(error) = jiff::tz::TimeZone::get(&self.time_zone) {
            return Err(Problem { key: "time_zone", reason: error.to_string() });
        }
        self.silence.check()?;
        self.limits.check()
    }

    /// Every listener on a free port of the loopback address: for tests and benches.
    pub fn loopback(data: PathBuf) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data,
            https: any,
            server_names: vec!["127.0.0.1".to_owned()],
            syslog_udp: Some(any),
            syslog_tcp: Some(any),
            syslog_tls: Some(any),
            relp: Some(any),
            time_zone: default_zone(),
            silence: Silence::default(),
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_sense_are_refused_by_name() {
        assert_eq!(Config::loopback(PathBuf::new()).check(), Ok(()));
        let check = |change: fn(&mut Config), key| {
            let mut config = Config::loopback(PathBuf::new());
            change(&mut config);
            assert_eq!(config.check().unwrap_err().key, key);
        };
        check(|config| config.time_zone = "Mars/Base".into(), "time_zone");
        check(|config| config.silence.quiet_percent = 0, "silence.quiet_percent");
        check(|config| config.silence.owner = Some(" ".into()), "silence.owner");
        check(|config| config.limits.connections = 0, "limits.connections");
        check(|config| config.limits.body_bytes = 0, "limits.body_bytes");
        check(|config| config.limits.inflated_bytes = 1, "limits.inflated_bytes");
        check(|config| config.limits.inflight_bytes = 16 << 20, "limits.inflight_bytes");
        check(|config| config.limits.relp_frame_bytes = 0, "limits.relp_frame_bytes");
        check(|config| config.limits.idle_seconds = 0, "limits.idle_seconds");
        check(|config| config.limits.request_seconds = 0, "limits.request_seconds");
        check(|config| config.limits.datagram_queue = 0, "limits.datagram_queue");
        check(|config| config.limits.datagram_buffer_bytes = 0, "limits.datagram_buffer_bytes");
        check(|config| config.limits.watch_milliseconds = 0, "limits.watch_milliseconds");
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let text = "data = \"d\"\nhttps = \"127.0.0.1:1\"\n";
        let config: Config = toml::from_str(text).expect("the least that is needed");
        assert_eq!(config.time_zone, "Asia/Ho_Chi_Minh");
        let error = toml::from_str::<Config>(&format!("{text}syslog_upd = \"127.0.0.1:2\"\n")).unwrap_err();
        assert!(error.to_string().contains("syslog_upd"), "{error}");
    }
}
