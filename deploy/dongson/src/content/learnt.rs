//! What the engine has learnt from events, kept from start to start beside the version of the rules.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dongson_rules::{Calibration, Engine, Mode, RuleSet, Taxonomies, Tuner};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

#[derive(Serialize, Deserialize)]
struct Kept {
    /// SHA-256 of the rules, in hexadecimal digits.
    content: String,
    calibration: Calibration,
}

/// An engine with what `file` says for just these rules, or one that learns and writes it there.
pub(super) fn tuner(rules: &Arc<RuleSet>, documents: &[(String, String)], file: &Path) -> Tuner {
    let version = version(documents);
    let (rules, taxonomies) = (Arc::clone(rules), Arc::new(Taxonomies::embedded()));
    match read(file) {
        Ok(Some(kept)) if kept.content == version => {
            info!(events = kept.calibration.events, "the engine knows what it learnt before");
            return Tuner::tuned(rules, taxonomies, Mode::Auto, kept.calibration);
        }
        Ok(_) => {}
        Err(error) => {
            warn!(file = %file.display(), %error, "what the engine learnt cannot be read; it learns again");
        }
    }
    let file = PathBuf::from(file);
    Tuner::new(Arc::new(Engine::new(rules, taxonomies, Mode::Auto, None))).keeping(move |calibration| {
        let kept = Kept { content: version.clone(), calibration: calibration.clone() };
        match write(&file, &kept) {
            Ok(()) => info!(events = calibration.events, "the engine has learnt from a sample of events"),
            Err(error) => {
                warn!(file = %file.display(), %error, "what the engine learnt cannot be kept for the next start");
            }
        }
    })
}

/// SHA-256 over the names and texts of all rules, in their order.
fn version(documents: &[(String, String)]) -> String {
    let mut sum = Sha256::new();
    for part in documents.iter().flat_map(|(name, text)| [name, text]) {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    hex::encode(sum.finalize())
}

/// Nothing when there is no such file.
fn read(file: &Path) -> io::Result<Option<Kept>> {
    match fs::read(file) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// In one step: a reader finds the old file or the new one.
fn write(file: &Path, kept: &Kept) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(&serde_json::to_vec(kept)?)?;
    new.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_rules::LoadOptions;

    fn document(word: &str) -> Vec<(String, String)> {
        let text = format!(
            "title: T\nid: 5b6e0f1c-0d2f-4a39-9c57-0e1f2a3b4c5d\nlogsource: {{product: dongson}}\n\
             detection: {{s: {{message|contains: {word}}}, condition: s}}\n"
        );
        vec![("t.yml".to_owned(), text)]
    }

    #[test]
    fn what_was_learnt_serves_the_same_rules_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("learnt.json");
        let make = |documents: &[(String, String)]| {
            let texts = documents.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            tuner(&Arc::new(RuleSet::from_documents(texts, &LoadOptions::default()).rules), documents, &file)
        };
        let event =
            dongson_event::Event::parse(br#"{"event.dataset":"x","message":"a whoami b"}"#).unwrap().0;
        let first = make(&document("whoami"));
        assert!((0..200_000).any(|_| first.offer(|| Some(event.clone()))));
        assert_eq!(make(&document("whoami")).calibration(), first.calibration());
        assert!(first.calibration().is_some());
        assert_eq!(make(&document("other")).calibration(), None, "other rules");
        fs::write(&file, "{").unwrap();
        assert_eq!(make(&document("whoami")).calibration(), None, "a damaged file");
    }
}
