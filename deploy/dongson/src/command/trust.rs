//! `dongson admin trust`: the root document, which says whose signatures sensors take.
//!
//! `init` makes three root keys and a content key and the first document. A change goes through a draft: `draft` writes the
//! next document, `sign` adds a signature with a key file, on a machine without network if wished, and `publish` hands it to
//! the sensors. Rotation of root keys: the draft names the new ones, two of the old and two of the new sign it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, PublicKey, Purpose, Root, Trust};
use dongson_registry::{Change, now};
use serde_json::json;

use super::admin::Place;
use super::key_file;
use crate::output::{self, Format};

/// How many root keys there are, and how many of them sign.
const ROOT_KEYS: u8 = 3;
const ROOT_THRESHOLD: u8 = 2;
const DAY: Duration = Duration::from_hours(24);

/// What to do with the root document.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Makes three root keys, a content key and the first root document, and publishes it.
    #[command(
        after_help = "example: dongson admin trust init --data /var/lib/dongson --keys /media/usb\nThen take root-1.key, root-2.key and root-3.key to three different places and delete them here: any two of them decide what every sensor obeys."
    )]
    Init {
        /// Folder for the key files; made when missing.
        #[arg(long, value_name = "DIR")]
        keys: PathBuf,
        /// Days until the document ends and the next one must be there.
        #[arg(long, default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        #[command(flatten)]
        place: Place,
    },
    /// Says who may sign what, and until when.
    #[command(after_help = "example: dongson admin trust show --data /var/lib/dongson")]
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Makes one key file.
    #[command(after_help = "example: dongson admin trust key new-1.key")]
    Key {
        /// The file.
        file: PathBuf,
    },
    /// Writes the root document that would follow the present one, not signed yet.
    #[command(
        after_help = "example: dongson admin trust draft --data /var/lib/dongson next.json\nNew root keys: --root-key with each of the three public keys (dongson admin trust key prints them)."
    )]
    Draft {
        /// The file to write.
        file: PathBuf,
        /// Days from now until it ends.
        #[arg(long, default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        /// Public key in the place of the present root keys; three times.
        #[arg(long, value_name = "PUBLIC")]
        root_key: Vec<String>,
        /// Public key in the place of the present content key.
        #[arg(long, value_name = "PUBLIC")]
        content_key: Option<String>,
        /// Has the centre make itself a new key for configuration and requests.
        #[arg(long)]
        new_centre_key: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Shows what a root document says and signs it with a key file; needs neither network nor data folder.
    #[command(after_help = "example: dongson admin trust sign next.json --key root-1.key")]
    Sign {
        /// The document.
        file: PathBuf,
        /// The key file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Publishes a signed root document: sensors take it with their next question.
    #[command(after_help = "example: dongson admin trust publish --data /var/lib/dongson next.json")]
    Publish {
        /// The document.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
}

impl TrustCommand {
    pub(super) async fn execute(self) -> Result<()> {
        match self {
            Self::Init { keys, days, place } => init(&place, &keys, days).await,
            Self::Show { place } => show(&place).await,
            Self::Key { file } => {
                let key = key_file::make(&file)?;
                Ok(output::line(&format!("public {}", key.public()))?)
            }
            Self::Draft { file, days, root_key, content_key, new_centre_key, place } => {
                let wish = Wish { days, root_key, content_key, new_centre_key };
                draft(&place, &file, &wish).await
            }
            Self::Sign { file, key } => sign(&file, &key),
            Self::Publish { file, place } => publish(&place, &file).await,
        }
    }
}

fn change() -> Change {
    Change::service("admin", now())
}

fn end(days: u32) -> Timestamp {
    Timestamp::from_millis(now()).plus(DAY * days)
}

async fn init(place: &Place, folder: &Path, days: u32) -> Result<()> {
    let registry = place.open().await?;
    if let Some(root) = registry.trust_root().await? {
        bail!("there is root document {} already: change it with `dongson admin trust draft`", root.version);
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut roots = Vec::new();
    for number in 1..=ROOT_KEYS {
        roots.push(key_file::make(&folder.join(format!("root-{number}.key")))?);
    }
    let content = key_file::make(&folder.join("content.key"))?;
    let centre = registry.signing_key(&change()).await?;
    let public: Vec<PublicKey> = roots.iter().map(dongson_event::trust::SigningKey::public).collect();
    let root = Root::new(1, end(days))
        .with(Purpose::Root, ROOT_THRESHOLD, &public)
        .with(Purpose::Configuration, 1, std::slice::from_ref(&centre))
        .with(Purpose::Request, 1, std::slice::from_ref(&centre))
        .with(Purpose::Content, 1, &[content.public()]);
    let mut envelope = Envelope::new(Purpose::Root, serde_json::to_vec(&root)?);
    for key in &roots {
        envelope.sign(key);
    }
    registry.publish_root(&change(), &envelope).await?;
    output::tell(&format!(
        "take root-1.key, root-2.key and root-3.key from {} to three different places and delete them here: any two of them decide what every sensor obeys",
        folder.display()
    ));
    place.print(&[("root", "1"), ("ends", &root.expires_at.to_string()), ("centre", &centre.to_string())])
}

async fn show(place: &Place) -> Result<()> {
    let registry = place.open().await?;
    let Some(root) = registry.trust_root().await? else {
        bail!("there is no root document yet: make it with `dongson admin trust init`");
    };
    if place.format() == Format::Json {
        return output::json(&root);
    }
    describe(&root)
}

/// Prints what a document says.
fn describe(root: &Root) -> Result<()> {
    output::line(&format!("root document {}, ends {}", root.version, root.expires_at))?;
    let mut rows = Vec::new();
    for (name, role) in &root.roles {
        for id in &role.keys {
            let key = root.keys.get(id).map(ToString::to_string).unwrap_or_default();
            rows.push(vec![name.clone(), format!("{} of {}", role.threshold, role.keys.len()), key]);
        }
    }
    Ok(output::table(&["may sign", "needed", "key"], &rows)?)
}

/// What a draft changes.
struct Wish {
    days: u32,
    root_key: Vec<String>,
    content_key: Option<String>,
    new_centre_key: bool,
}

async fn draft(place: &Place, file: &Path, wish: &Wish) -> Result<()> {
    let registry = place.open().await?;
    let Some(mut root) = registry.trust_root().await? else {
        bail!("there is no root document yet: make it with `dongson admin trust init`");
    };
    root.version += 1;
    root.expires_at = end(wish.days);
    if !wish.root_key.is_empty() {
        let keys = wish.root_key.iter().map(|text| PublicKey::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if keys.len() != usize::from(ROOT_KEYS) {
            bail!(
                "{} root keys are named: there must be {ROOT_KEYS}, of which {ROOT_THRESHOLD} sign",
                keys.len()
            );
        }
        root = root.with(Purpose::Root, ROOT_THRESHOLD, &keys);
    }
    if let Some(text) = &wish.content_key {
        root = root.with(Purpose::Content, 1, &[PublicKey::parse(text)?]);
    }
    if wish.new_centre_key {
        let centre = registry.renew_signing_key(&change()).await?;
        root = root.with(Purpose::Configuration, 1, std::slice::from_ref(&centre));
        root = root.with(Purpose::Request, 1, std::slice::from_ref(&centre));
    }
    root.check()?;
    let envelope = Envelope::new(Purpose::Root, serde_json::to_vec(&root)?);
    if file.exists() {
        bail!("{} is there already: name another file", file.display());
    }
    write(file, &envelope)?;
    describe(&root)
}

fn sign(file: &Path, key: &Path) -> Result<()> {
    let mut envelope = read(file)?;
    let root = Root::read(&envelope)?;
    let key = key_file::read(key)?;
    describe(&root)?;
    envelope.sign(&key);
    write(file, &envelope)?;
    let signers: Vec<String> = envelope.signatures.iter().map(|one| one.keyid.to_string()).collect();
    Ok(output::line(&format!("signed by {}: {}", signers.len(), signers.join(", ")))?)
}

async fn publish(place: &Place, file: &Path) -> Result<()> {
    let registry = place.open().await?;
    let envelope = read(file)?;
    // Its own threshold is told before the registry looks at the former one's.
    Trust::begin(&envelope).with_context(|| format!("{}", file.display()))?;
    let root = registry
        .publish_root(&change(), &envelope)
        .await
        .with_context(|| format!("{}: as the present root document demands", file.display()))?;
    place.print(&[("root", &root.version.to_string()), ("ends", &root.expires_at.to_string())])
}

fn read(file: &Path) -> Result<Envelope> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    Envelope::parse(&bytes).with_context(|| format!("{}", file.display()))
}

fn write(file: &Path, envelope: &Envelope) -> Result<()> {
    let text = serde_json::to_string_pretty(&json!(envelope))? + "\n";
    let fresh = file.with_extension("tmp");
    fs::write(&fresh, text)
        .and_then(|()| fs::rename(&fresh, file))
        .with_context(|| format!("writing {}", file.display()))
}
