//! `dongson admin`: what an administrator does at the machine itself, over the registry of the data folder. The
//! console offers the same to people who have signed in; both leave the same audit entries.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use dongson_registry::{Change, OrganizationEdit, Registry, Scope, Sensor, SpoolSummary, now};
use serde_json::json;

use super::backup::{Backup, Restore};
use super::pack::PackCommand;
use super::trust::TrustCommand;
use crate::output::{self, Format};

/// How many agencies a refusal names.
const NAMED_AGENCIES: usize = 20;

/// Where the registry is.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The data folder of `dongson up`.
    #[arg(long, env = "DONGSON_DATA")]
    data: PathBuf,
    /// The configuration of `dongson up`, if it names a registry elsewhere (`registry.url`).
    #[arg(long, env = "DONGSON_CONFIG")]
    config: Option<PathBuf>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Administration.
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Makes the first administrator and prints the password, once; does nothing when there are accounts.
    FirstPassword {
        #[command(flatten)]
        place: Place,
    },
    /// Gives an account a new password and prints it, once; it must be changed at the next sign-in.
    ResetPassword {
        /// Login name.
        login: String,
        #[command(flatten)]
        place: Place,
    },
    /// Enters an agency.
    #[command(
        after_help = "example: dongson admin agency --data /var/lib/dongson xa-dong-son \"UBND xã Đông Sơn\" --name-en \"Đông Sơn commune\" --level 2"
    )]
    Agency {
        /// Short id: `organization.id` of its events.
        id: String,
        /// Vietnamese name.
        name: String,
        /// English name.
        #[arg(long)]
        name_en: String,
        /// Highest level (1 to 5) among its systems.
        #[arg(long, default_value_t = 1)]
        level: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Lists the agencies.
    Agencies {
        #[command(flatten)]
        place: Place,
    },
    /// Makes a one-time token with which a sensor enrols.
    #[command(after_help = "example: dongson admin token --data /var/lib/dongson xa-dong-son gw-dong-son")]
    Token {
        /// The agency.
        agency: String,
        /// The node that the sensor watches.
        node: String,
        /// Hours until it expires, 1 to 168.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(1..=168))]
        hours: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Says what came of what a sensor sent: which batches came, wait there, will never come, and of which nobody knows.
    #[command(
        after_help = "example: dongson admin sensor-account --data /var/lib/dongson gw-dong-son\nThe account is as of the sensor's last statement (it states with its health, every 10 s). Exit code 1: something is unaccounted for, or the sensor has stated nothing."
    )]
    SensorAccount {
        /// The sensor: its id, or its node if only one sensor that is not revoked watches that.
        sensor: String,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// Says who answers for a sensor: an alert that it fell silent belongs to that person.
    #[command(
        after_help = "example: dongson admin sensor-owner --data /var/lib/dongson gw-dong-son an.nguyen\nWithout a name the owner is who collector.silence.owner names, else the oldest active administrator."
    )]
    SensorOwner {
        /// The sensor: its id, or its node if only one sensor that is not revoked watches that.
        sensor: String,
        /// Login of an account, or the name of somebody outside; none = nobody of its own.
        owner: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Makes an API key for a log source (NDJSON, `_bulk`).
    #[command(
        after_help = "example: dongson admin key --data /var/lib/dongson xa-dong-son web01\nPOST /v1/events (NDJSON): a request with an Idempotency-Key that is sent again is stored once.\nPOST /_bulk: a document with an _id is stored once; documents without one are stored once only if the whole request is sent again byte for byte."
    )]
    Key {
        /// The agency.
        agency: String,
        /// The name of the source: `observer.name`.
        source: String,
        #[command(flatten)]
        place: Place,
    },
    /// Whose signatures sensors take: the root document and its keys.
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Content for sensors.
    #[command(subcommand)]
    Pack(PackCommand),
    /// Writes a backup into a folder.
    Backup(Backup),
    /// Restores a backup into an empty place.
    Restore(Restore),
    /// Reads the inventory of systems from a CSV or TOML file.
    #[command(
        after_help = "columns: organization,name,address,host,level,owner; example: dongson admin inventory --data /var/lib/dongson systems.csv"
    )]
    Inventory {
        /// The file; what it is, its extension says.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

impl Admin {
    pub(super) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> Result<()> {
        match self {
            Self::FirstPassword { place } => first_password(&place).await,
            Self::ResetPassword { login, place } => {
                let registry = place.open().await?;
                let accounts = registry.accounts().await?;
                let Some(account) = accounts.iter().find(|account| account.login == login) else {
                    bail!("there is no account {login:?}");
                };
                let made = registry.reset_password(&change(), &account.id).await?;
                place.print(&[("login", &login), ("password", &made.password)])
            }
            Self::Agency { id, name, name_en, level, place } => {
                let edit = OrganizationEdit { name, name_en, parent: None, level };
                let made = place.open().await?.create_organization(&change(), &id, &edit).await?;
                place.print(&[("agency", &made.id), ("name", &made.name)])
            }
            Self::Agencies { place } => agencies(&place).await,
            Self::Token { agency, node, hours, place } => token(&place, &agency, &node, hours).await,
            Self::Key { agency, source, place } => {
                let registry = place.open().await?;
                check_agency(&registry, &agency).await?;
                let made = registry.create_api_key(&change(), &agency, &source, false).await?;
                place.print(&[("id", &made.key.id), ("secret", &made.secret)])
            }
            Self::SensorAccount { sensor, place } => sensor_account(&place, &sensor).await,
            Self::SensorOwner { sensor, owner, place } => {
                sensor_owner(&place, &sensor, owner.as_deref()).await
            }
            Self::Trust(command) => command.execute().await,
            Self::Pack(command) => command.execute().await,
            Self::Backup(backup) => backup.execute().await,
            Self::Restore(restore) => restore.execute().await,
            Self::Inventory { file, place } => inventory(&place, &file).await,
        }
    }
}

impl Place {
    pub(super) async fn open(&self) -> Result<Registry> {
        let place = self.registry()?;
        if let dongson_registry::Place::File(path) = &place
            && !path.exists()
        {
            bail!(
                "{} holds no registry: start `dongson up --data {}` first",
                self.data.display(),
                self.data.display()
            );
        }
        Registry::open(&place).await.with_context(|| format!("opening {place}"))
    }

    /// Where the registry is.
    pub(super) fn registry(&self) -> Result<dongson_registry::Place> {
        let config = crate::config::Config::load(self.config.as_deref())?;
        Ok(config.registry.place(&crate::config::Paths::new(&self.data)))
    }

    /// Makes the data folder where it is missing.
    pub(super) fn make_folder(&self) -> Result<()> {
        crate::config::Paths::new(&self.data).make()
    }

    /// How the answer is printed.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The collector's folder.
    pub(super) fn collector(&self) -> PathBuf {
        crate::config::Paths::new(&self.data).collector()
    }

    pub(super) fn print(&self, pairs: &[(&str, &str)]) -> Result<()> {
        if self.format == Format::Json {
            let object: serde_json::Map<_, _> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            return output::json(&object);
        }
        let rows: Vec<Vec<String>> =
            pairs.iter().map(|(name, value)| vec![(*name).to_owned(), (*value).to_owned()]).collect();
        Ok(output::table(&[], &[])?).and_then(|()| {
            for row in rows {
                output::line(&format!(
                    "{:<12} {}",
                    row.first().map_or("", String::as_str),
                    output::harmless(row.get(1).map_or("", String::as_str))
                ))?;
            }
            Ok(())
        })
    }
}

fn change() -> Change {
    Change::service("admin", now())
}

async fn first_password(place: &Place) -> Result<()> {
    let paths = crate::config::Paths::new(&place.data);
    paths.make()?;
    let registry = Registry::open(&place.registry()?).await?;
    match registry.create_first_administrator(now()).await? {
        Some(made) => place.print(&[("login", &made.login), ("password", &made.password)]),
        None => place.print(&[(
            "login",
            "there are accounts already; the password was printed when the first was made",
        )]),
    }
}

async fn agencies(place: &Place) -> Result<()> {
    let agencies = place.open().await?.organizations(&Scope::All).await?;
    if place.format == Format::Json {
        return output::json(&agencies);
    }
    let rows: Vec<Vec<String>> = agencies
        .into_iter()
        .map(|agency| {
            let parent = agency.parent.unwrap_or_default();
            vec![agency.id, agency.level.to_string(), parent, agency.name, agency.name_en]
        })
        .collect();
    Ok(output::table(&["id", "level", "parent", "name", "name_en"], &rows)?)
}

/// Refuses an agency that does not exist and names those that do.
async fn check_agency(registry: &Registry, wanted: &str) -> Result<()> {
    let mut known: Vec<String> =
        registry.organizations(&Scope::All).await?.into_iter().map(|agency| agency.id).collect();
    if known.iter().any(|id| id == wanted) {
        return Ok(());
    }
    if known.is_empty() {
        bail!(
            "there is no agency with the id {wanted:?}, nor any other: enter it with `dongson admin agency`"
        );
    }
    let more = known.len().saturating_sub(NAMED_AGENCIES);
    known.truncate(NAMED_AGENCIES);
    let rest = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more; `dongson admin agencies` lists them")
    };
    bail!("there is no agency with the id {wanted:?}; there are: {}{rest}", known.join(", "));
}

async fn token(place: &Place, agency: &str, node: &str, hours: i64) -> Result<()> {
    let registry = place.open().await?;
    check_agency(&registry, agency).await?;
    let at = now();
    let authority = dongson_collector::authority::Authority::open(
        &crate::config::Paths::new(&place.data).collector(),
        at,
    )?;
    let made = registry
        .create_enrolment_token(&Change::service("admin", at), agency, node, hours * 3_600_000)
        .await?;
    let text = authority.token(&made.secret);
    place.print(&[("agency", agency), ("node", node), ("token", &text)])
}

/// The sensor of this id, or the only one at this node that is not revoked.
async fn find_sensor(registry: &Registry, wanted: &str) -> Result<Sensor> {
    let mut found = registry.sensors(&Scope::All).await?;
    found.retain(|sensor| sensor.id == wanted || (sensor.node == wanted && sensor.revoked_at.is_none()));
    match <[Sensor; 1]>::try_from(found) {
        Ok([sensor]) => Ok(sensor),
        Err(found) => {
            let ids: Vec<&str> = found.iter().map(|sensor| sensor.id.as_str()).collect();
            bail!("{} sensors are called {wanted:?}; name one by its id: {}", found.len(), ids.join(", "));
        }
    }
}

async fn sensor_account(place: &Place, wanted: &str) -> Result<()> {
    let registry = place.open().await?;
    let sensor = find_sensor(&registry, wanted).await?;
    let accounts = registry.sensor_accounts(&Scope::All, &sensor.id).await?;
    if place.format == Format::Json {
        output::json(&accounts)?;
    } else {
        let rows: Vec<Vec<String>> = accounts
            .iter()
            .map(|account| {
                let SpoolSummary { assigned, received, held, gone, unaccounted, .. } = account.summary;
                let numbers = [assigned, received, held, gone, unaccounted].map(|number| number.to_string());
                std::iter::once(account.epoch.clone()).chain(numbers).collect()
            })
            .collect();
        output::table(&["spool", "assigned", "received", "held", "gone", "unaccounted"], &rows)?;
    }
    for account in &accounts {
        if account.stated_at.is_none() {
            bail!("the sensor has not stated how it is with its spool {}", account.epoch);
        }
        if !account.accounted {
            let runs: Vec<String> =
                account.unaccounted.iter().map(|(first, last)| format!("{first}-{last}")).collect();
            bail!("of spool {} nobody knows of {}", account.epoch, runs.join(", "));
        }
    }
    anyhow::ensure!(!accounts.is_empty(), "nothing has come from this sensor");
    Ok(())
}

async fn sensor_owner(place: &Place, wanted: &str, owner: Option<&str>) -> Result<()> {
    let registry = place.open().await?;
    let sensor = find_sensor(&registry, wanted).await?;
    let made = registry.set_sensor_owner(&Scope::All, &change(), &sensor.id, sensor.version, owner).await?;
    let now = registry.owner_of(&made.organization, &format!("sensor:{}", made.id)).await?;
    place.print(&[("sensor", &made.id), ("node", &made.node), ("owner", &now.name)])
}

async fn inventory(place: &Place, file: &std::path::Path) -> Result<()> {
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("reading {name}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = 1 + good.filter(|byte| **byte == b'\n').count();
        anyhow::anyhow!("{name}: line {line}: is not UTF-8; save the file as UTF-8")
    })?;
    let located = match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => dongson_registry::locate_csv(&text),
        Some("toml") => dongson_registry::locate_toml(&text),
        _ => bail!("{name}: an inventory is a .csv or a .toml file"),
    }
    .with_context(|| format!("{name}"))?;
    let registry = place.open().await?;
    let agencies: HashSet<String> =
        registry.organizations(&Scope::All).await?.into_iter().map(|agency| agency.id).collect();
    if let Some((line, asset)) = located.iter().find(|(_, asset)| !agencies.contains(&asset.organization)) {
        bail!(
            "{name}: line {line}: asset {:?}: there is no agency {:?}; enter it first with `dongson admin agency`",
            asset.name,
            asset.organization
        );
    }
    let assets: Vec<_> = located.into_iter().map(|(_, asset)| asset).collect();
    let done = registry.import_assets(&change(), &assets).await.with_context(|| format!("{name}"))?;
    place.print(&[("read", &assets.len().to_string()), ("new", &done.created.to_string())])
}
