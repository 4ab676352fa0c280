//! What the centre may not do to this sensor: a file of the machine's owner, which no message can change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;
use dongson_event::trust::Configuration;
use serde::Deserialize;

use crate::protocol::{Kind, Kinds};

/// Names of the settings that there are.
const SETTINGS: [&str; 9] =
    ["filter", "only", "without", "max_flows", "checksums", "observer", "spool_mib", "daily_mib", "relay"];

/// Why the limits cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// The file cannot be read.
    #[error("the limits {path:?}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file says something that makes no sense.
    #[error("the limits {path:?}: {reason}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What.
        reason: String,
    },
}

/// The limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The settings that the centre may set; none: all.
    pub settings: Option<Vec<String>>,
    /// Most frames that a filter of the centre may hide, in percent of those before: 0 to 100.
    pub filter_hides_percent: u8,
    /// Kinds of events that the centre may not leave out.
    pub kinds_kept: Vec<Kind>,
    /// Least MiB that the centre may give the spool.
    pub spool_mib_least: u64,
    /// Least MiB a day that the centre may let the sensor send.
    pub daily_mib_least: u64,
    /// Most MiB a day that the centre may let the sensor send; 0: any number, and no budget at all.
    pub daily_mib_most: u64,
    /// How many points of percent blinder the sensor may become by new settings: 0 to 100.
    pub blind_points: u8,
    /// How long new settings are on trial.
    pub trial: Duration,
}

impl Default for Limits {
    /// All settings, 90 % hidden at most, any kinds, 10 points, 5 minutes.
    fn default() -> Self {
        Self {
            settings: None,
            filter_hides_percent: 90,
            kinds_kept: Vec::new(),
            spool_mib_least: 16,
            daily_mib_least: 1,
            daily_mib_most: 0,
            blind_points: 10,
            trial: Duration::from_mins(5),
        }
    }
}

/// The file. A misspelt key is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    settings: Option<Vec<String>>,
    filter_hides_percent: Option<u8>,
    kinds_kept: Option<Vec<String>>,
    spool_mib_least: Option<u64>,
    daily_mib_least: Option<u64>,
    daily_mib_most: Option<u64>,
    blind_points: Option<u8>,
    trial_seconds: Option<u64>,
}

impl Limits {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, LimitsError> {
        let text =
            fs::read_to_string(path).map_err(|error| LimitsError::Read { path: path.to_owned(), error })?;
        Self::parse(&text).map_err(|reason| LimitsError::Wrong { path: path.to_owned(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let usual = Self::default();
        if let Some(wrong) = file.settings.iter().flatten().find(|name| !SETTINGS.contains(&name.as_str())) {
            return Err(format!("{wrong:?} is no setting; there are: {}", SETTINGS.join(", ")));
        }
        let percent = |name: &str, value: Option<u8>, usual| match value.unwrap_or(usual) {
            percent @ 0..=100 => Ok(percent),
            other => Err(format!("{name} is {other}: it must be 0 to 100")),
        };
        let trial = file.trial_seconds.map_or(usual.trial, Duration::from_secs);
        if !(Duration::from_secs(1)..=Duration::from_hours(1)).contains(&trial) {
            return Err(format!("trial_seconds is {}: it must be 1 to 3600", trial.as_secs()));
        }
        let kinds = file.kinds_kept.unwrap_or_default();
        let daily_mib_least = file.daily_mib_least.unwrap_or(usual.daily_mib_least);
        let daily_mib_most = file.daily_mib_most.unwrap_or(usual.daily_mib_most);
        if (1..daily_mib_least).contains(&daily_mib_most) {
            return Err(format!(
                "daily_mib_most is {daily_mib_most}, below daily_mib_least, which is {daily_mib_least}"
            ));
        }
        Ok(Self {
            settings: file.settings,
            filter_hides_percent: percent(
                "filter_hides_percent",
                file.filter_hides_percent,
                usual.filter_hides_percent,
            )?,
            kinds_kept: kinds.iter().map(|name| kind(name)).collect::<Result<_, _>>()?,
            spool_mib_least: file.spool_mib_least.unwrap_or(usual.spool_mib_least),
            daily_mib_least,
            daily_mib_most,
            blind_points: percent("blind_points", file.blind_points, usual.blind_points)?,
            trial,
        })
    }

    /// Refuses settings that the owner forbids.
    pub(super) fn allow(&self, configuration: &Configuration) -> Result<(), String> {
        let Configuration {
            filter,
            only,
            without,
            max_flows,
            checksums,
            observer,
            spool_mib,
            daily_mib,
            relay,
        } = configuration;
        let given = [
            filter.is_some(),
            only.is_some(),
            without.is_some(),
            max_flows.is_some(),
            checksums.is_some(),
            observer.is_some(),
            spool_mib.is_some(),
            daily_mib.is_some(),
            relay.is_some(),
        ];
        let allowed = |name: &str| self.settings.iter().all(|list| list.iter().any(|one| one == name));
        let forbidden = SETTINGS.into_iter().zip(given).find(|(name, given)| *given && !allowed(name));
        if let Some((name, _)) = forbidden {
            return Err(format!("the owner of this sensor lets the centre not set {name}"));
        }
        if spool_mib.is_some_and(|mib| mib < self.spool_mib_least) {
            return Err(format!(
                "the owner of this sensor wants {} MiB of spool at least",
                self.spool_mib_least
            ));
        }
        daily_mib.map_or(Ok(()), |mib| self.allow_daily(mib))
    }

    fn allow_daily(&self, mib: u64) -> Result<(), String> {
        match (mib, self.daily_mib_least, self.daily_mib_most) {
            (0, _, 0) => Ok(()),
            (1.., least, _) if mib < least => {
                Err(format!("the owner of this sensor wants {least} MiB a day at least"))
            }
            (_, _, most) if most > 0 && (mib == 0 || mib > most) => {
                Err(format!("the owner of this sensor allows {most} MiB a day at most"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses to leave out kinds that the owner wants.
    pub(super) fn allow_kinds(&self, kinds: Kinds) -> Result<(), String> {
        let missing = self.kinds_kept.iter().find(|kind| !kinds.has(**kind));
        missing.map_or(Ok(()), |kind| {
            let name = kind.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
            Err(format!("the owner of this sensor does not let the centre leave out {name}"))
        })
    }
}

/// The kind of a name.
pub(super) fn kind(name: &str) -> Result<Kind, String> {
    Kind::from_str(name, false).map_err(|_| {
        let short: String = name.chars().take(40).collect();
        let known = Kind::value_variants().iter().filter_map(Kind::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        format!("{short:?} is no kind of events; there are: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_knows_our_kinds() {
        let ours = Kind::value_variants().iter().filter_map(Kind::to_possible_value);
        let ours: Vec<String> = ours.map(|value| value.get_name().to_owned()).collect();
        assert_eq!(ours, dongson_event::trust::KINDS);
    }

    #[test]
    fn files_are_read_strictly() {
        assert_eq!(Limits::parse("").unwrap(), Limits::default());
        let text = "settings = [\"filter\"]\nfilter_hides_percent = 50\nkinds_kept = [\"conn\", \"dns\"]\ntrial_seconds = 60";
        let read = Limits::parse(text).unwrap();
        assert_eq!((read.filter_hides_percent, read.trial.as_secs(), read.kinds_kept.len()), (50, 60, 2));
        for (wrong, said) in [
            ("settings = [\"filtre\"]", "\"filtre\" is no setting; there are: filter"),
            ("filter_hides_percent = 101", "must be 0 to 100"),
            ("kinds_kept = [\"dsn\"]", "\"dsn\" is no kind of events; there are: conn, dns"),
            ("trial_seconds = 0", "must be 1 to 3600"),
            ("hidden = 1", "unknown field"),
            ("daily_mib_least = 9\ndaily_mib_most = 8", "daily_mib_most is 8, below"),
        ] {
            let error = Limits::parse(wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
        let missing = Limits::read(Path::new("/nowhere/limits.toml")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/limits.toml"), "{missing}");
    }

    #[test]
    fn the_shipped_file_says_what_holds_without_it() {
        let text = include_str!("../../../../deploy/sensor/limits.toml");
        assert_eq!(Limits::parse(text).unwrap(), Limits::default());
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix('#')).collect();
        let lines = lines.into_iter().filter(|line| !line.starts_with(' ') && !line.is_empty());
        let said = Limits::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        let every = SETTINGS.iter().map(ToString::to_string).collect();
        assert_eq!(said, Limits { settings: Some(every), ..Limits::default() });
    }

    #[test]
    fn what_the_owner_forbids_is_named() {
        let limits = Limits::parse("settings = [\"only\", \"spool_mib\"]\nspool_mib_least = 100").unwrap();
        let with = |text: &str| limits.allow(&serde_json::from_str(text).unwrap());
        assert_eq!(with(r#"{"only":["conn"],"spool_mib":100}"#), Ok(()));
        assert!(with(r#"{"filter":"tcp"}"#).unwrap_err().contains("not set filter"));
        assert!(with(r#"{"spool_mib":99}"#).unwrap_err().contains("100 MiB"));
        let metered = Limits::parse("daily_mib_least = 50\ndaily_mib_most = 500").unwrap();
        let with =
            |mib: u64| metered.allow(&Configuration { daily_mib: Some(mib), ..Configuration::default() });
        assert_eq!((with(50), with(500)), (Ok(()), Ok(())));
        assert!(with(49).unwrap_err().contains("50 MiB a day at least"));
        for mib in [501, 0] {
            assert!(with(mib).unwrap_err().contains("500 MiB a day at most"), "{mib}");
        }
        let free = Configuration { daily_mib: Some(0), ..Configuration::default() };
        assert_eq!(Limits::default().allow(&free), Ok(()));
        let kept = Limits::parse("kinds_kept = [\"dns\"]").unwrap();
        assert!(kept.allow_kinds(Kinds::of(&[Kind::Conn])).unwrap_err().contains("leave out dns"));
        assert_eq!(kept.allow_kinds(Kinds::default()), Ok(()));
    }
}
