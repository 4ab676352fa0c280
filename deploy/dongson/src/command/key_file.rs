//! Files that hold one signing key: made once, kept offline, read when something is signed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use dongson_event::trust::SigningKey;

const HEAD: &str = "# A signing key of Dongson. Whoever has this file signs in its name: keep it offline.";

/// Makes a new key in a new file that only its owner can read.
pub(super) fn make(path: &Path) -> Result<SigningKey> {
    let key = SigningKey::from_seed(rand::random())?;
    let text = format!("{HEAD}\npublic {}\ned25519 {}\n", key.public(), key.secret());
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("making the key file {}", path.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(key)
}

/// Reads a key.
pub(super) fn read(path: &Path) -> Result<SigningKey> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("reading the key file {name}"))?;
    let Some(seed) = text.lines().find_map(|line| line.strip_prefix("ed25519 ")) else {
        bail!("{name} is no key file: it has no line `ed25519 ...`");
    };
    SigningKey::parse(seed).with_context(|| format!("{name}: the line `ed25519 ...`"))
}
