//! How a Kafka is reached, and what the topics made in it are like.

use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;

/// A Kafka and how this process behaves towards it.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Some of its brokers, `host:port,host:port`.
    pub bootstrap: String,
    /// TLS; without it nothing is encrypted.
    pub tls: Option<KafkaTls>,
    /// SASL; without it there is no login but a certificate.
    pub login: Option<KafkaLogin>,
    /// Stands before every name of a topic or group, so that several systems can share one Kafka.
    pub prefix: String,
    /// Copies of each record. With three or more, two must be on their way to the disk before a record counts.
    pub replication: u16,
    /// How long topics made here keep a record, whoever has read it.
    pub retention: Duration,
    /// How records are packed.
    pub compression: KafkaCompression,
    /// Names this installation, for as long as its data folder lives: a new start of it does not wait for what the one
    /// before left half done.
    pub node: String,
    /// How long one operation waits for Kafka before it gives up: 30 s.
    pub patience: Duration,
    /// How long the tokens of [`crate::Bus::produce_once`] are known: 7 days, or
    pub token_age: Duration,
    /// this many of the newest, whichever is less: 500,000, some 60 bytes of memory each.
    pub tokens: usize,
}

/// Encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaTls {
    /// PEM file of the authority that signed the brokers' certificates; without it, those of this machine.
    pub ca: Option<PathBuf>,
    /// PEM files of our own certificate and its key, where the brokers ask for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// A login by SCRAM (RFC 5802, RFC 7677).
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaLogin {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The hash.
    pub mechanism: KafkaMechanism,
}

impl std::fmt::Debug for KafkaLogin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "KafkaLogin {{ user: {:?}, password: ***, mechanism: {:?} }}", self.user, self.mechanism)
    }
}

/// Which SCRAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KafkaMechanism {
    /// SCRAM-SHA-256.
    #[default]
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

/// How records are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KafkaCompression {
    /// Smaller.
    #[default]
    Zstd,
    /// Less work for the processor.
    Lz4,
}

impl KafkaOptions {
    /// Without encryption and without a login; one copy of each record, kept for 72 hours.
    pub fn new(bootstrap: impl Into<String>, node: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            tls: None,
            login: None,
            prefix: String::new(),
            replication: 1,
            retention: Duration::from_hours(72),
            compression: KafkaCompression::default(),
            node: node.into(),
            patience: Duration::from_secs(30),
            token_age: Duration::from_hours(168),
            tokens: 500_000,
        }
    }

    /// What every client of ours begins with.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", "dongson")
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("retry.backoff.max.ms", "500")
            .set("topic.metadata.refresh.interval.ms", "60000")
            .set("log.connection.close", "false");
        let protocol = match (&self.tls, &self.login) {
            (None, None) => "plaintext",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), None) => "ssl",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            if let Some(ca) = &tls.ca {
                config.set("ssl.ca.location", ca.to_string_lossy());
            }
            if let Some((certificate, key)) = &tls.certificate {
                config.set("ssl.certificate.location", certificate.to_string_lossy());
                config.set("ssl.key.location", key.to_string_lossy());
            }
        }
        if let Some(login) = &self.login {
            let mechanism = match login.mechanism {
                KafkaMechanism::ScramSha256 => "SCRAM-SHA-256",
                KafkaMechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            config
                .set("sasl.mechanism", mechanism)
                .set("sasl.username", &login.user)
                .set("sasl.password", &login.password);
        }
        config
    }

    /// For the one producer: every record once and in order, acknowledged when all copies in step have it.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        let codec = match self.compression {
            KafkaCompression::Zstd => "zstd",
            KafkaCompression::Lz4 => "lz4",
        };
        let patience = self.patience.as_millis().to_string();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.codec", codec)
            .set("compression.level", "1")
            .set("linger.ms", "2")
            .set("message.max.bytes", super::MAX_MESSAGE_BYTES.to_string())
            .set("message.timeout.ms", &patience)
            .set("request.timeout.ms", (self.patience.as_millis() / 3).max(1_000).to_string())
            .set("queue.buffering.max.messages", "2000000")
            .set("queue.buffering.max.kbytes", "131072");
        config
    }

    /// For a member of `group`, or, without one, for a reader of given offsets.
    pub(super) fn consumer(&self, group: Option<&str>) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "50")
            .set("fetch.message.max.bytes", "2097152")
            .set("queued.max.messages.kbytes", "16384")
            .set("check.crcs", "true");
        match group {
            Some(group) => config
                .set("group.id", group)
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", "10000")
                .set("heartbeat.interval.ms", "1000")
                .set("coordinator.query.interval.ms", "10000"),
            // It never joins and never commits; the client wants a name all the same.
            None => config.set("group.id", "dongson-reader").set("enable.partition.eof", "true"),
        };
        config
    }
}
