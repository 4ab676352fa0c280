//! The inputs: `[relay.NAME]` tables of a file that the machine's owner writes. The centre may switch them on and off, and
//! add none.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use dongson_event::relay::PARSERS;
use serde::Deserialize;

/// Most inputs.
const MOST: usize = 16;

/// Why the inputs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the relay's inputs {path:?}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file says something that makes no sense.
    #[error("the relay's inputs {path:?}: {reason}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What.
        reason: String,
    },
}

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Syslog, a record in each datagram (RFC 5426).
    Udp(SocketAddr),
    /// Syslog over streams (RFC 6587).
    Tcp(SocketAddr),
    /// The lines of a file.
    File(PathBuf),
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Where its records come from.
    pub source: Source,
    /// Who may send; none: everybody.
    pub from: Vec<IpAddr>,
    /// The collector's parser; none: the collector looks.
    pub parser: Option<String>,
    /// Zone of its local times; none: UTC.
    pub time_zone: Option<String>,
    /// Whether it is on where the centre says nothing.
    pub enabled: bool,
}

/// All inputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// In the order of their names.
    pub inputs: Vec<Input>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    relay: BTreeMap<String, Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    udp: Option<SocketAddr>,
    tcp: Option<SocketAddr>,
    file: Option<PathBuf>,
    #[serde(default)]
    from: Vec<IpAddr>,
    parser: Option<String>,
    time_zone: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

impl Config {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        Self::parse(&text).map_err(|reason| ConfigError::Wrong { path: path.to_owned(), reason })
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.relay.len() > MOST {
            return Err(format!("there are {} inputs: at most {MOST} may be", file.relay.len()));
        }
        let inputs = file.relay.into_iter().map(|(name, table)| {
            table.input(name.clone()).map_err(|reason| format!("[relay.{name}]: {reason}"))
        });
        Ok(Self { inputs: inputs.collect::<Result<_, _>>()? })
    }

    /// The names of the inputs.
    pub fn names(&self) -> Vec<String> {
        self.inputs.iter().map(|input| input.name.clone()).collect()
    }
}

impl Table {
    fn input(self, name: String) -> Result<Input, String> {
        let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if !(1..=40).contains(&name.len()) || !name.bytes().all(sign) {
            return Err("a name is 1 to 40 of a-z, 0-9, - and _".to_owned());
        }
        let source = match (self.udp, self.tcp, self.file) {
            (Some(address), None, None) => Source::Udp(address),
            (None, Some(address), None) => Source::Tcp(address),
            (None, None, Some(path)) if path.is_absolute() && path.file_name().is_some() => {
                Source::File(path)
            }
            (None, None, Some(path)) => {
                let path = path.display();
                return Err(format!("file {path} must be the whole path of a file, beginning with /"));
            }
            _ => return Err("exactly one of udp, tcp and file must be there".to_owned()),
        };
        if matches!(source, Source::File(_)) && !self.from.is_empty() {
            return Err("from belongs to udp and tcp".to_owned());
        }
        if let Some(parser) = self.parser.as_deref().filter(|parser| !PARSERS.contains(parser)) {
            return Err(format!("parser {parser:?} is unknown; there are: {}", PARSERS.join(", ")));
        }
        if let Some(zone) = self.time_zone.as_deref().filter(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
            return Err(format!("time_zone {zone:?} is unknown; one is Asia/Ho_Chi_Minh"));
        }
        let Self { from, parser, time_zone, enabled, .. } = self;
        Ok(Input { name, source, from, parser, time_zone, enabled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read() {
        let text = r#"
            [relay.firewall]
            udp = "0.0.0.0:5514"
            from = ["192.0.2.1", "2001:db8::1"]
            parser = "syslog"
            time_zone = "Asia/Ho_Chi_Minh"
            [relay.suricata]
            file = "/var/log/suricata/eve.json"
            enabled = false
        "#;
        let config = Config::parse(text).unwrap();
        assert_eq!(config.names(), ["firewall", "suricata"]);
        let [firewall, suricata] = config.inputs.as_slice() else { panic!("two inputs") };
        assert_eq!(firewall.source, Source::Udp("0.0.0.0:5514".parse().unwrap()));
        assert_eq!((firewall.from.len(), firewall.enabled, suricata.enabled), (2, true, false));
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("[relay.a]\nudp = \"1.2.3.4:5\"\ntcp = \"1.2.3.4:5\"", "[relay.a]: exactly one of"),
            ("[relay.a]", "exactly one of"),
            ("[relay.a]\nfile = \"eve.json\"", "beginning with /"),
            ("[relay.a]\nfile = \"/x\"\nfrom = [\"1.2.3.4\"]", "from belongs to"),
            ("[relay.\"A b\"]\nfile = \"/x\"", "a name is 1 to 40"),
            ("[relay.a]\nfile = \"/x\"\nparser = \"eve\"", "parser \"eve\" is unknown; there are: auto"),
            ("[relay.a]\nfile = \"/x\"\ntime_zone = \"Hanoi\"", "time_zone \"Hanoi\" is unknown"),
            ("[relay.a]\nflie = \"/x\"", "unknown field"),
            ("[relais.a]\nfile = \"/x\"", "unknown field"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let many: Vec<String> = (0..17).map(|number| format!("[relay.i{number}]\nfile = \"/x\"\n")).collect();
        assert!(Config::parse(&many.concat()).unwrap_err().contains("at most 16"));
    }

    #[test]
    fn the_shipped_file_has_no_input_and_its_examples_are_right() {
        let text = include_str!("../../../deploy/sensor/relay.toml");
        assert_eq!(Config::parse(text).unwrap(), Config::default());
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix('#')).collect();
        let lines = lines.into_iter().filter(|line| !line.starts_with(' ') && !line.is_empty());
        let said = Config::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(said.names(), ["firewall", "suricata", "switches"]);
    }
}
