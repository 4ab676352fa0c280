//! Records as the systems of a province write them: made up, from a fixed seed, each one different.
//!
//! The mixture is that of quiet days: most requests succeed, most logins are right, addresses are many.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::random::Random;

const HOSTS: &[&str] = &["web01", "web02", "app01", "mail01", "db01", "gw01"];
const PATHS: &[&str] =
    &["/", "/tra-cuu-ho-so", "/dvc/nop-ho-so", "/tin-tuc", "/api/thu-tuc", "/van-ban/chi-tiet"];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
];
const USERS: &[&str] = &["an", "binh", "chi", "dung", "hanh", "lan", "minh", "nga"];
const COMMANDS: &[&str] =
    &["/usr/bin/systemctl status nginx", "/usr/bin/apt list", "/usr/bin/journalctl -n 50", "/usr/bin/df -h"];
const NAMES: &[&str] = &[
    "dichvucong.example.vn",
    "mail.example.vn",
    "update.example.com",
    "cdn.example.net",
    "time.example.org",
];

/// What kind of records, and so which way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RFC 5424 lines of sshd, sudo and nginx, each with its length before it (RFC 6587).
    Syslog,
    /// The same lines as JSON objects, as an agent ships them.
    Ndjson,
    /// Events of a sensor: conn, DNS, HTTP, TLS.
    Sensor,
}

/// Some records in the form in which they are sent (before compression).
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The text.
    pub(crate) text: String,
    /// How many records it is.
    pub(crate) records: u64,
}

/// Makes records.
#[derive(Debug)]
pub(crate) struct Maker {
    kind: Kind,
    random: Random,
    made: u64,
    /// RFC 3339, of the current batch.
    now: String,
    /// Common log format, of the current batch.
    clf: String,
}

impl Maker {
    /// A maker of records; lanes differ by `lane`.
    pub(crate) fn new(kind: Kind, seed: u64, lane: u64) -> Self {
        Self { kind, random: Random::new(seed, lane), made: 0, now: String::new(), clf: String::new() }
    }

    /// Fills `batch` with `records` records of the time `now`.
    pub(crate) fn fill(&mut self, batch: &mut Batch, records: u64, now: Timestamp) {
        self.now = format!("{now:.3}");
        self.clf = now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
        batch.text.clear();
        batch.records = records;
        for _ in 0..records {
            self.made += 1;
            match self.kind {
                Kind::Syslog => self.syslog(&mut batch.text),
                Kind::Ndjson => self.ndjson(&mut batch.text),
                Kind::Sensor => self.sensor(&mut batch.text),
            }
        }
    }

    fn syslog(&mut self, out: &mut String) {
        let host = self.random.pick(HOSTS);
        let (priority, program, message) = self.message();
        let line = format!(
            "<{priority}>1 {} {host} {program} {} - - {message}",
            self.now,
            1_000 + self.made % 30_000
        );
        put(out, format_args!("{} {line}", line.len()));
    }

    fn ndjson(&mut self, out: &mut String) {
        let host = self.random.pick(HOSTS);
        let (priority, program, message) = self.message();
        let (dataset, line) = match program {
            "nginx" => ("nginx.access", message),
            _ => (
                "system.auth",
                format!("<{priority}>1 {} {host} {program} {} - - {message}", self.now, self.made % 30_000),
            ),
        };
        let line = serde_json::Value::from(line);
        put(
            out,
            format_args!(
                "{{\"@timestamp\":\"{}\",\"event.dataset\":\"{dataset}\",\"host.name\":\"{host}\",\"message\":{line}}}\n",
                self.now
            ),
        );
    }

    /// Priority, program and text of one log record.
    fn message(&mut self) -> (u8, &'static str, String) {
        match self.random.below(10) {
            0 | 1 => (38, "sshd", self.sshd()),
            2 => (85, "sudo", self.sudo()),
            _ => (190, "nginx", self.nginx()),
        }
    }

    fn sshd(&mut self) -> String {
        let (user, address, port) = (self.random.pick(USERS), self.inside(), 32_768 + self.made % 28_000);
        if self.random.chance(3) {
            return format!("Failed password for {user} from {address} port {port} ssh2");
        }
        format!(
            "Accepted publickey for {user} from {address} port {port} ssh2: ED25519 SHA256:{:016x}",
            self.made
        )
    }

    fn sudo(&mut self) -> String {
        let (user, command) = (self.random.pick(USERS), self.random.pick(COMMANDS));
        format!("{user} : TTY=pts/{} ; PWD=/home/{user} ; USER=root ; COMMAND={command}", self.made % 10)
    }

    fn nginx(&mut self) -> String {
        let (address, path, agent) = (self.inside(), self.random.pick(PATHS), self.random.pick(AGENTS));
        let status = if self.random.chance(2) { 404 } else { 200 };
        format!(
            "{address} - - [{}] \"GET {path}?ma=H56-{:09} HTTP/1.1\" {status} {} \"-\" \"{agent}\"",
            self.clf,
            self.made,
            200 + self.random.below(40_000)
        )
    }

    /// An address of the province's own network.
    fn inside(&mut self) -> String {
        format!("10.{}.{}.{}", 38 + self.random.below(4), self.random.below(256), 1 + self.random.below(254))
    }

    fn sensor(&mut self, out: &mut String) {
        let choice = self.random.below(10);
        let (dataset, transport, port) = match choice {
            0..=3 => ("sensor.conn", "tcp", 443),
            4..=6 => ("sensor.dns", "udp", 53),
            7 => ("sensor.http", "tcp", 80),
            _ => ("sensor.tls", "tcp", 443),
        };
        let (source, source_port) = (self.inside(), 32_768 + self.random.below(28_000));
        put(
            out,
            format_args!(
                "{{\"@timestamp\":\"{}\",\"event.dataset\":\"{dataset}\",\"source.ip\":\"{source}\",\"source.port\":{source_port},\"destination.ip\":\"10.38.10.{}\",\"destination.port\":{port},\"network.transport\":\"{transport}\",\"network.type\":\"ipv4\",\"network.community_id\":\"1:{:016x}AAAAAAAAAAA=\"",
                self.now,
                10 + self.random.below(20),
                self.made,
            ),
        );
        match choice {
            0..=3 => self.conn(out),
            4..=6 => self.dns(out),
            7 => self.http(out),
            _ => self.tls(out),
        }
        out.push_str("}\n");
    }

    fn conn(&mut self, out: &mut String) {
        let (sent, received) = (200 + self.random.below(4_000), 400 + self.random.below(60_000));
        put(
            out,
            format_args!(
                ",\"event.kind\":\"event\",\"event.category\":[\"network\"],\"event.type\":[\"connection\",\"end\"],\"dongson.conn.missed_bytes\":0,\"event.duration\":{},\"dongson.conn.state\":\"SF\",\"dongson.conn.history\":\"ShADadFf\",\"dongson.conn.source.payload_bytes\":{sent},\"dongson.conn.destination.payload_bytes\":{received},\"source.packets\":{},\"source.bytes\":{},\"destination.packets\":{},\"destination.bytes\":{}",
                1_000_000 + self.random.below(5_000_000_000),
                3 + sent / 1_400,
                sent + 160,
                3 + received / 1_400,
                received + 160,
            ),
        );
    }

    fn dns(&mut self, out: &mut String) {
        let name = self.random.pick(NAMES);
        put(
            out,
            format_args!(
                ",\"network.protocol\":\"dns\",\"dns.id\":\"{}\",\"dns.op_code\":\"QUERY\",\"dns.type\":\"answer\",\"dns.question.name\":\"{name}\",\"dns.question.type\":\"A\",\"dns.question.class\":\"IN\",\"dns.header_flags\":[\"RD\",\"RA\"],\"dns.response_code\":\"NOERROR\",\"dns.resolved_ip\":[\"10.38.10.{}\"],\"dongson.dns.question_length\":{},\"dongson.dns.subdomain_length\":4,\"dongson.dns.entropy\":2.5",
                self.random.below(65_536),
                10 + self.random.below(20),
                name.len(),
            ),
        );
    }

    fn http(&mut self, out: &mut String) {
        let (path, agent) = (self.random.pick(PATHS), self.random.pick(AGENTS));
        let query = format!("ma=H56-{:09}", self.made);
        put(
            out,
            format_args!(
                ",\"network.protocol\":\"http\",\"http.request.method\":\"GET\",\"http.version\":\"1.1\",\"url.domain\":\"dichvucong.example.vn\",\"url.original\":\"{path}?{query}\",\"url.path\":\"{path}\",\"url.query\":\"{query}\",\"user_agent.original\":\"{agent}\",\"http.request.body.bytes\":0,\"http.response.status_code\":200,\"http.response.body.bytes\":{},\"dongson.http.trans_depth\":1,\"dongson.http.host\":\"dichvucong.example.vn\"",
                200 + self.random.below(40_000),
            ),
        );
    }

    fn tls(&mut self, out: &mut String) {
        let name = self.random.pick(NAMES);
        put(
            out,
            format_args!(
                ",\"network.protocol\":\"tls\",\"tls.version\":\"1.3\",\"tls.version_protocol\":\"tls\",\"tls.cipher\":\"TLS_AES_128_GCM_SHA256\",\"tls.established\":true,\"tls.resumed\":false,\"tls.client.ja3\":\"{:016x}{:016x}\",\"tls.client.ja4\":\"t13d1516h2_8daaf6152771_e5627efa2ab1\",\"tls.server.ja3s\":\"15af977ce25de452b96affa2addb1036\",\"tls.client.server_name\":\"{name}\"",
                self.random.below(9),
                self.random.below(9),
            ),
        );
    }
}

/// One record of a portal's access log with a piece of SQL in its address, from the outside address `source`.
pub(crate) fn attack(source: &str, now: Timestamp) -> String {
    let line = format!(
        "{source} - - [{}] \"GET /tra-cuu-ho-so?ma=1'+UNION+SELECT+1,username,password+FROM+users-- HTTP/1.1\" 200 5120 \"-\" \"Mozilla/5.0\"",
        now.strftime("%d/%b/%Y:%H:%M:%S +0000")
    );
    let line = serde_json::Value::from(line);
    format!(
        "{{\"@timestamp\":\"{now:.3}\",\"event.dataset\":\"nginx.access\",\"host.name\":\"web01\",\"message\":{line}}}\n"
    )
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _written = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(kind: Kind, seed: u64) -> Batch {
        let mut batch = Batch::default();
        Maker::new(kind, seed, 0).fill(&mut batch, 200, Timestamp::UNIX_EPOCH);
        batch
    }

    #[test]
    fn the_same_seed_gives_the_same_records() {
        for kind in [Kind::Syslog, Kind::Ndjson, Kind::Sensor] {
            assert_eq!(batch(kind, 1).text, batch(kind, 1).text);
            assert_ne!(batch(kind, 1).text, batch(kind, 2).text);
        }
    }

    #[test]
    fn lines_are_json_objects() {
        for kind in [Kind::Ndjson, Kind::Sensor] {
            let batch = batch(kind, 1);
            assert_eq!(batch.text.lines().count(), 200);
            for line in batch.text.lines() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(value["event.dataset"].is_string(), "{line}");
            }
        }
        let line = attack("198.18.0.1", Timestamp::UNIX_EPOCH);
        assert!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["message"].is_string());
    }

    #[test]
    fn syslog_lengths_are_right() {
        let batch = batch(Kind::Syslog, 1);
        let mut rest = batch.text.as_str();
        let mut records = 0;
        while !rest.is_empty() {
            let (length, tail) = rest.split_once(' ').unwrap();
            let (line, tail) = tail.split_at(length.parse().unwrap());
            assert!(line.starts_with('<') && line.contains(">1 1970-01-01T00:00:00.000Z "), "{line}");
            rest = tail;
            records += 1;
        }
        assert_eq!(records, batch.records);
    }
}
