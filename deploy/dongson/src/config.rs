//! What `dongson up` is told: a data folder, and a file for what differs from the defaults.

mod kafka;
mod store;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use dongson_analyzer::Lateness;
use dongson_registry::{Place, Postgres};
use serde::Deserialize;

pub(crate) use kafka::KafkaConfig;
pub(crate) use store::StoreConfig;

use crate::role::Role;

/// The configuration file. Every key may be left out; a misspelt one stops the start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The page and its API.
    pub(crate) console: dongson_console::Config,
    /// The address under which people reach the page, for links in notifications; default: made from `console.listen`.
    pub(crate) console_url: Option<String>,
    /// Listeners for sensors and logs.
    pub(crate) collector: CollectorConfig,
    /// Detection.
    pub(crate) analyzer: AnalyzerConfig,
    /// How long the log between the services keeps what is written to the store already.
    pub(crate) bus: BusConfig,
    /// The database of people, agencies, sources, triage and incidents.
    pub(crate) registry: RegistryConfig,
    /// The store's engine, or a server.
    pub(crate) store: StoreConfig,
    /// Where `/metrics` and `/healthz` answer in plain HTTP, for this machine's own monitoring; `"off"` = nowhere.
    pub(crate) metrics: Listen,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            console: dongson_console::Config::default(),
            console_url: None,
            collector: CollectorConfig::default(),
            analyzer: AnalyzerConfig::default(),
            bus: BusConfig::default(),
            registry: RegistryConfig::default(),
            store: StoreConfig::default(),
            metrics: Listen(Some(SocketAddr::from(([127, 0, 0, 1], 9_464)))),
        }
    }
}

/// Where the registry is. Without a URL it is a file in the data folder.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RegistryConfig {
    /// `postgres://user@host:port/database` of a PostgreSQL server, 14 or newer.
    pub(crate) url: Option<String>,
    /// The file whose first line is the password.
    pub(crate) password_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's must come from; default: those of the public web.
    pub(crate) ca: Option<PathBuf>,
}

impl RegistryConfig {
    /// As the registry takes it.
    pub(crate) fn place(&self, paths: &Paths) -> Place {
        match &self.url {
            None => Place::File(paths.registry()),
            Some(url) => Place::Postgres(Postgres {
                url: url.clone(),
                password_file: self.password_file.clone(),
                ca: self.ca.clone(),
            }),
        }
    }

    fn check(&self) -> Result<(), String> {
        let given = [("password_file", &self.password_file), ("ca", &self.ca)];
        match &self.url {
            None => match given.into_iter().find(|(_, path)| path.is_some()) {
                Some((key, _)) => Err(format!("registry.{key}: is of use with registry.url only")),
                None => Ok(()),
            },
            Some(url) => {
                let server = Postgres {
                    url: url.clone(),
                    password_file: self.password_file.clone(),
                    ca: self.ca.clone(),
                };
                server.check().map_err(|error| format!("registry: {error}"))
            }
        }
    }
}

/// Listeners for sensors and logs. A listener that is `"off"` does not listen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CollectorConfig {
    /// HTTPS: sensors, NDJSON, `_bulk`.
    pub(crate) https: SocketAddr,
    /// Names and addresses under which senders reach it: they stand in its certificate.
    pub(crate) server_names: Vec<String>,
    /// Addresses that the engineer of a sensor is given, `https://host:port`, best first; their hosts join the
    /// certificate. Default: the names that are not this machine's own view of itself, else its address.
    pub(crate) public_urls: Vec<String>,
    /// Syslog over UDP.
    pub(crate) syslog_udp: Listen,
    /// Syslog over TCP.
    pub(crate) syslog_tcp: Listen,
    /// Syslog over TLS, RFC 5425.
    pub(crate) syslog_tls: Listen,
    /// RELP.
    pub(crate) relp: Listen,
    /// Zone of local times of sources that the registry does not know.
    pub(crate) time_zone: String,
    /// Sources and sensors that fall silent.
    pub(crate) silence: dongson_collector::Silence,
    /// What bounds memory, connections and time.
    pub(crate) limits: dongson_collector::Limits,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Self {
            https: any(9_443),
            server_names: vec!["127.0.0.1".to_owned()],
            public_urls: Vec::new(),
            syslog_udp: Listen(Some(any(5_514))),
            syslog_tcp: Listen(Some(any(5_514))),
            syslog_tls: Listen(Some(any(6_514))),
            relp: Listen(Some(any(2_514))),
            time_zone: "Asia/Ho_Chi_Minh".to_owned(),
            silence: dongson_collector::Silence::default(),
            limits: dongson_collector::Limits::default(),
        }
    }
}

impl CollectorConfig {
    /// As the collector takes it, with its data under `data`.
    pub(crate) fn at(&self, data: PathBuf) -> dongson_collector::Config {
        dongson_collector::Config {
            data,
            https: self.https,
            server_names: self.certificate_names(),
            syslog_udp: self.syslog_udp.0,
            syslog_tcp: self.syslog_tcp.0,
            syslog_tls: self.syslog_tls.0,
            relp: self.relp.0,
            time_zone: self.time_zone.clone(),
            silence: self.silence.clone(),
            limits: self.limits.clone(),
        }
    }
}

/// An address to listen on, or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen(pub(crate) Option<SocketAddr>);

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| format!("{text:?} is neither ADDRESS:PORT nor \"off\""))
    }
}
/// Detection.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AnalyzerConfig {
    /// Folders of Sigma rules and scripts besides those that are shipped.
    pub(crate) rules: Vec<PathBuf>,
    /// Leave the shipped rules out.
    pub(crate) without_shipped_rules: bool,
    /// Files and folders of indicators: CSV, MISP JSON, STIX 2.1. They are read again when they change.
    pub(crate) indicators: Vec<PathBuf>,
    /// Files of what is never an indicator, one value a line: own networks, domains that everybody uses.
    pub(crate) indicators_allowed: Vec<PathBuf>,
    /// How much older than the newest event of its source an event may come, in seconds, to be counted in its place by
    /// correlations and scripts. Their alerts come that much later; alerts about single events do not wait.
    pub(crate) lateness_seconds: u64,
    /// How far a source may be behind the newest of its agency, in seconds, before the others do not wait for it.
    pub(crate) behind_seconds: u64,
    /// How long the others wait for a source that falls silent, in seconds.
    pub(crate) idle_seconds: u64,
    /// PEM files of authorities that notifications trust besides those of this machine: of an own mail server or webhook.
    pub(crate) notify_ca_files: Vec<PathBuf>,
}

impl Default for AnalyzerConfig {
    fn default() -> Self {
        let Lateness { within_source, between_sources, idle } = Lateness::default();
        Self {
            rules: Vec::new(),
            without_shipped_rules: false,
            indicators: Vec::new(),
            indicators_allowed: Vec::new(),
            notify_ca_files: Vec::new(),
            lateness_seconds: within_source.as_secs(),
            behind_seconds: between_sources.as_secs(),
            idle_seconds: idle.as_secs(),
        }
    }
}

impl AnalyzerConfig {
    /// How long correlations and scripts wait.
    pub(crate) fn lateness(&self) -> Lateness {
        Lateness {
            within_source: Duration::from_secs(self.lateness_seconds),
            between_sources: Duration::from_secs(self.behind_seconds),
            idle: Duration::from_secs(self.idle_seconds),
        }
    }
}

/// The log between the services: in the data folder, or in a Kafka.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BusConfig {
    /// Hours that records are kept after the store has them.
    pub(crate) retention_hours: u64,
    /// Most bytes on disk; past them producers wait and clients are told to come again.
    pub(crate) max_bytes: u64,
    /// A Kafka instead of the data folder; the two above say nothing then.
    pub(crate) kafka: Option<KafkaConfig>,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self { retention_hours: 24, max_bytes: 20 << 30, kafka: None }
    }
}

/// The least sensible size of the log: the largest batches, the journal and what a stopped store leaves in it.
const LEAST_LOG_BYTES: u64 = 1 << 30;

/// Refuses a number outside `least..=most`.
pub(crate) fn within(key: &str, value: u64, least: u64, most: u64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{key}: {value} makes no sense: {least} to {most} do"))
}

impl Config {
    /// Reads `path`, or takes the defaults without one.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let config: Self = toml::from_str(&text)
            .with_context(|| format!("{} is not a valid configuration", path.display()))?;
        config.check().map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))?;
        Ok(config)
    }

    /// What is wrong with the values, by the name of the key.
    fn check(&self) -> Result<(), String> {
        if let Some(problem) = self.collector.public_urls.iter().find_map(|url| crate::reach::problem(url)) {
            return Err(problem);
        }
        self.console.validate()?;
        if let Some(files) = &self.console.certificate {
            for (key, path) in [("chain", &files.chain), ("key", &files.key)] {
                std::fs::File::open(path)
                    .map_err(|error| format!("console.certificate.{key}: {}: {error}", path.display()))?;
            }
        }
        self.collector.at(PathBuf::new()).check().map_err(|problem| format!("collector.{problem}"))?;
        if let Some(url) = &self.console_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(format!("console_url: {url:?} does not begin with https://"));
        }
        if self.analyzer.without_shipped_rules && self.analyzer.rules.is_empty() {
            let reason = "leaves no rule: name a folder in analyzer.rules, or leave the key out";
            return Err(format!("analyzer.without_shipped_rules: {reason}"));
        }
        dongson_analyzer::notify::Notifier::new(&self.analyzer.notify_ca_files)
            .map_err(|problem| format!("analyzer.notify_ca_files: {problem}"))?;
        within("analyzer.lateness_seconds", self.analyzer.lateness_seconds, 0, 3_600)?;
        within("analyzer.behind_seconds", self.analyzer.behind_seconds, 1, 3_600)?;
        within("analyzer.idle_seconds", self.analyzer.idle_seconds, 1, 3_600)?;
        within("bus.retention_hours", self.bus.retention_hours, 1, 24 * 366)?;
        within("bus.max_bytes", self.bus.max_bytes, LEAST_LOG_BYTES, 1 << 50)?;
        self.registry.check()?;
        self.bus.kafka.as_ref().map_or(Ok(()), KafkaConfig::check)?;
        self.store.check()?;
        within("store.memory_mib", self.store.memory_mib, 512, 1 << 20)
    }
}

/// What stands where in the data folder.
#[derive(Debug, Clone)]
pub(crate) struct Paths(PathBuf);

impl Paths {
    pub(crate) fn new(data: &Path) -> Self {
        Self(data.to_owned())
    }

    /// Makes the folder, readable by its owner only.
    pub(crate) fn make(&self) -> Result<()> {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("making the data folder {}", self.0.display()))?;
        let owner_only = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&self.0, owner_only)
            .with_context(|| format!("closing the data folder {} to other users", self.0.display()))
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.0.join("registry.sqlite")
    }

    /// What the engine has learnt about the events here.
    pub(crate) fn learnt(&self) -> PathBuf {
        self.0.join("learnt.json")
    }

    pub(crate) fn bus(&self) -> PathBuf {
        self.0.join("bus")
    }

    /// The names of this installation for a Kafka, one for each process that runs at once.
    pub(crate) fn kafka_node(&self, number: u32) -> PathBuf {
        self.0.join(format!("kafka-node-{number}"))
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(crate) fn collector(&self) -> PathBuf {
        self.0.join("collector")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.0.join("console")
    }

    /// What the drill of this session made.
    pub(crate) fn drill(&self, session: &str) -> PathBuf {
        self.0.join("drill").join(session)
    }

    /// Where a running process writes its addresses.
    pub(crate) fn running(&self, role: Role) -> PathBuf {
        match role {
            Role::All => self.0.join("running.json"),
            one => self.0.join(format!("running-{}.json", one.name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dongson.toml");
        std::fs::write(&path, "[console]\nlissten = \"127.0.0.1:1\"\n").unwrap();
        let error = format!("{:#}", Config::load(Some(&path)).unwrap_err());
        assert!(error.contains("lissten") && error.contains("dongson.toml"), "{error}");
    }

    #[test]
    fn values_without_sense_are_refused_by_name() {
        for (text, said) in [
            ("[bus]\nmax_bytes = 1", "bus.max_bytes: 1 makes no sense: 1073741824 to"),
            ("[bus]\nretention_hours = 0", "bus.retention_hours"),
            ("[bus.kafka]\nbootstrap = \"\"", "bus.kafka.bootstrap"),
            ("[bus.kafka]\nbootstrap = \"a:1\"\nsecurity = \"sasl\"", "bus.kafka.username"),
            ("[bus.kafka]\nbootstrap = \"a:1\"\nusername = \"u\"", "bus.kafka.username"),
            ("[bus.kafka]\nbootstrap = \"a:1\"\nca_file = \"/nowhere\"", "bus.kafka.ca_file"),
            ("[bus.kafka]\nbootstrap = \"a:1\"\npartitions = 0", "bus.kafka.partitions"),
            ("[bus.kafka]\nbootstrap = \"a:1\"\nsecurity = \"ssl\"", "security"),
            ("[store]\nmemory_mib = 0", "store.memory_mib"),
            ("[store]\nurl = \"clickhouse:8443\"", "store.url: "),
            ("[store]\nuser = \"w\"", "store.user: "),
            ("[store]\nurl = \"https://c:8443\"\nengine = \"/e\"", "store.engine: "),
            ("[store]\nurl = \"https://c:8443\"\ncluster = \"a b\"", "store.cluster: "),
            ("[store]\nurl = \"https://c:8443\"\npassword_file = \"/nowhere/p\"", "store.password_file: "),
            (
                "[store]\nurl = \"https://c:8443\"\nreader_password_file = \"/p\"",
                "store.reader_password_file: ",
            ),
            ("[collector.limits]\ndatagram_queue = 0", "collector.limits.datagram_queue"),
            ("[collector.silence]\nquiet_percent = 100", "collector.silence.quiet_percent"),
            ("[collector]\ntime_zone = \"Mars/Base\"", "collector.time_zone"),
            ("[console]\nnames = []", "console.names"),
            ("[analyzer]\nwithout_shipped_rules = true", "analyzer.without_shipped_rules"),
            ("[analyzer]\nlateness_seconds = 86400", "analyzer.lateness_seconds"),
            ("[analyzer]\nidle_seconds = 0", "analyzer.idle_seconds"),
            ("[analyzer]\nnotify_ca_files = [\"/nowhere/ca.pem\"]", "analyzer.notify_ca_files: "),
            ("console_url = \"soc.example\"", "console_url"),
            ("metrics = \"9464\"", "ADDRESS:PORT"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("dongson.toml");
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", Config::load(Some(&path)).unwrap_err());
            assert!(error.contains(said) && error.contains("dongson.toml"), "{error}");
        }
    }

    #[test]
    fn a_changed_example_is_read_or_refused() {
        let example = include_str!("../../dongson.example.toml");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dongson.toml");
        for (at, _) in example.char_indices().step_by(7) {
            let (head, tail) = example.split_at(at);
            let skipped = tail.chars().skip(3).collect::<String>();
            for text in [head.to_owned(), [head, &skipped].concat(), [head, "-9\"[=\n", tail].concat()] {
                std::fs::write(&path, text).unwrap();
                drop(Config::load(Some(&path)));
            }
        }
    }

    /// The keys that the reader of the configuration would take in the table at `path` of `example`.
    fn known(example: &toml::Table, path: &[&str]) -> Vec<String> {
        let mut odd = example.clone();
        let table = path.iter().fold(&mut odd, |table, name| table[*name].as_table_mut().unwrap());
        table.insert("nosuch".into(), true.into());
        let told = odd.try_into::<Config>().unwrap_err().message().to_owned();
        let (_, names) = told.split_once("unknown field `nosuch`, expected ").unwrap();
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// Keys of the table at `path`, and of those in it, that the example does not have.
    fn missing(example: &toml::Table, path: &[&str]) -> Vec<String> {
        let table = path.iter().fold(example, |table, name| table[*name].as_table().unwrap());
        let absent = |name: &String| !table.contains_key(name);
        let mut found: Vec<String> = known(example, path)
            .into_iter()
            .filter(absent)
            .map(|name| format!("{}.{name}", path.join(".")))
            .collect();
        for (name, value) in table {
            if value.is_table() {
                found.extend(missing(example, &[path, &[name.as_str()]].concat()));
            }
        }
        found
    }

    #[test]
    fn the_example_has_every_key() {
        let is_key = |line: &str| {
            line.split_once(" = ")
                .is_some_and(|(key, _)| key.bytes().all(|sign| sign.is_ascii_lowercase() || sign == b'_'))
        };
        let counts = |rest: &&str| is_key(rest) || *rest == "[bus.kafka]";
        let bare = |line: &'static str| line.strip_prefix("# ").filter(counts).unwrap_or(line);
        let example = include_str!("../../dongson.example.toml");
        let example =
            example.lines().map(bare).collect::<Vec<_>>().join("\n").parse::<toml::Table>().unwrap();
        assert_eq!(missing(&example, &[]), Vec::<String>::new());
        assert!(known(&example, &["store"]).contains(&"engine".to_owned()));
    }

    #[test]
    fn the_example_is_valid() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dongson.example.toml");
        Config::load(Some(&example)).unwrap();
    }
}
