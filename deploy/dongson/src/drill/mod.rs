//! The bundled drill: a made-up attack, sent through the real sensor and the real collector, marked by an
//! authenticated session, and its alerts checked against a list.

mod expected;
mod messages;
mod scenario;
mod send;
mod wire;

pub(crate) use expected::EXPECTED;
pub(crate) use scenario::{Artifacts, LENGTH, make};
pub(crate) use send::{Outcome, run};

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The files that [`write()`] made.
#[derive(Debug)]
pub(crate) struct Files {
    /// Capture before the portal.
    pub(crate) portal: PathBuf,
    /// Capture at the commune's gateway.
    pub(crate) commune: PathBuf,
    /// The portal's web log.
    pub(crate) nginx: PathBuf,
    /// The portal's syslog and audit log.
    pub(crate) linux: PathBuf,
    /// The commune's Windows events.
    pub(crate) windows: PathBuf,
}

/// Writes everything that the drill sends into `folder`.
pub(crate) fn write(artifacts: Artifacts, folder: &Path) -> Result<Files> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let files = Files {
        portal: folder.join("portal.pcap"),
        commune: folder.join("commune.pcap"),
        nginx: folder.join("nginx.log"),
        linux: folder.join("linux.log"),
        windows: folder.join("windows.ndjson"),
    };
    for (path, capture) in [(&files.portal, artifacts.portal), (&files.commune, artifacts.commune)] {
        let mut out =
            BufWriter::new(File::create(path).with_context(|| format!("making {}", path.display()))?);
        capture.write(&mut out)?;
        out.flush()?;
    }
    for (path, lines) in [
        (&files.nginx, artifacts.nginx),
        (&files.linux, artifacts.linux),
        (&files.windows, artifacts.windows),
    ] {
        std::fs::write(path, lines.join("\n") + "\n")
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(files)
}
