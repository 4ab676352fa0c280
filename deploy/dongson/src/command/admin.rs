//! `dongson admin`: what an administrator does at the machine itself, over the registry of the data folder. The
//! console offers the same to people who have signed in; both leave the same audit entries.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use dongson_registry::{Change, OrganizationEdit, Registry, now};
use serde_json::json;

use crate::output::{self, Format};

/// Where the registry is.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The data folder of `dongson up`.
    #[arg(long, env = "DONGSON_DATA")]
    data: PathBuf,
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
    /// Makes a one-time token with which a sensor enrols.
    #[command(after_help = "example: dongson admin token --data /var/lib/dongson xa-dong-son gw-dong-son")]
    Token {
        /// The agency.
        agency: String,
        /// The node that the sensor watches.
        node: String,
        /// Hours until it expires.
        #[arg(long, default_value_t = 24)]
        hours: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Makes an API key for a log source (NDJSON, `_bulk`).
    Key {
        /// The agency.
        agency: String,
        /// The name of the source: `observer.name`.
        source: String,
        #[command(flatten)]
        place: Place,
    },
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
            Self::Token { agency, node, hours, place } => token(&place, &agency, &node, hours).await,
            Self::Key { agency, source, place } => {
                let made = place.open().await?.create_api_key(&change(), &agency, &source, false).await?;
                place.print(&[("id", &made.key.id), ("secret", &made.secret)])
            }
            Self::Inventory { file, place } => inventory(&place, &file).await,
        }
    }
}

impl Place {
    async fn open(&self) -> Result<Registry> {
        let path = crate::config::Paths::new(&self.data).registry();
        if !path.exists() {
            bail!(
                "{} holds no registry: start `dongson up --data {}` first",
                self.data.display(),
                self.data.display()
            );
        }
        Registry::open(&path).await.with_context(|| format!("opening {}", path.display()))
    }

    fn print(&self, pairs: &[(&str, &str)]) -> Result<()> {
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
    let registry = Registry::open(&paths.registry()).await?;
    match registry.create_first_administrator(now()).await? {
        Some(made) => place.print(&[("login", &made.login), ("password", &made.password)]),
        None => place.print(&[(
            "login",
            "there are accounts already; the password was printed when the first was made",
        )]),
    }
}

async fn token(place: &Place, agency: &str, node: &str, hours: i64) -> Result<()> {
    let registry = place.open().await?;
    let at = now();
    let authority = dongson_collector::authority::Authority::open(
        &crate::config::Paths::new(&place.data).collector(),
        at,
    )?;
    let made = registry
        .create_enrolment_token(&Change::service("admin", at), agency, node, hours.saturating_mul(3_600_000))
        .await?;
    let text = authority.token(&made.secret);
    place.print(&[("agency", agency), ("node", node), ("token", &text)])
}

async fn inventory(place: &Place, file: &std::path::Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let assets = match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => dongson_registry::parse_csv(&text),
        Some("toml") => dongson_registry::parse_toml(&text),
        _ => bail!("{}: an inventory is a .csv or a .toml file", file.display()),
    }
    .with_context(|| format!("{}", file.display()))?;
    let done = place.open().await?.import_assets(&change(), &assets).await?;
    place.print(&[("read", &assets.len().to_string()), ("new", &done.created.to_string())])
}
