//! The file format of a taxonomy.
//!
//! ```yaml
//! taxonomy: example          # its name
//! version: 1                 # raised with every change of meaning
//! order: 10                  # smaller ones are tried first
//! recognise:                 # one of these maps must fit; in a map every field must
//!   - {uid: '*', proto: [tcp, udp]}
//! include: [other]           # take the sources, tables and names of another file, too
//! prefixes: [a.b.]           # a field may also stand under these
//! names: {Image: [process.executable]}            # for all events of this taxonomy
//! tables: {dns: {query: [dns.question.name]}}     # for the sources that name the table
//! sources:
//!   - {when: {event.dataset: x.dns}, is: [{category: dns}], tables: [dns]}
//! ```
//!
//! `'*'` means: present. Values are compared without case.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::rule::LogSource;

/// Why taxonomies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaxonomyError {
    /// A file or folder that cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Unreadable {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is not a taxonomy.
    #[error("{file}: not a taxonomy: {reason}")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

/// One file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) taxonomy: String,
    pub(super) version: u32,
    #[serde(default)]
    order: u32,
    #[serde(default)]
    pub(super) recognise: Vec<BTreeMap<String, Wanted>>,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    pub(super) prefixes: Vec<String>,
    #[serde(default)]
    pub(super) names: BTreeMap<String, Names>,
    #[serde(default)]
    pub(super) tables: BTreeMap<String, BTreeMap<String, Names>>,
    #[serde(default)]
    pub(super) sources: Vec<Source>,
}

/// What an event must carry in order to belong to log sources.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) when: BTreeMap<String, Wanted>,
    #[serde(deserialize_with = "logsources")]
    pub(super) is: Vec<LogSource>,
    #[serde(default)]
    pub(super) tables: Vec<String>,
}

/// One value or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Wanted {
    One(Scalar),
    Many(Vec<Scalar>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Number(i64),
    Truth(bool),
    Text(String),
}

impl Scalar {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Truth(truth) => Cow::Owned(truth.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl Wanted {
    /// True when presence is enough.
    pub(super) fn anything(&self) -> bool {
        self.texts().any(|text| text == "*")
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let all = match self {
            Self::One(single) => std::slice::from_ref(single),
            Self::Many(list) => list.as_slice(),
        };
        all.iter().map(Scalar::text)
    }
}

/// One name or several, best first.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(single) => std::slice::from_ref(single),
            Self::Many(list) => list,
        }
    }
}

fn logsources<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<LogSource>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Words {
        product: Option<String>,
        category: Option<String>,
        service: Option<String>,
    }
    let all = Vec::<Words>::deserialize(deserializer)?;
    Ok(all
        .into_iter()
        .map(|w| LogSource { product: w.product, category: w.category, service: w.service })
        .collect())
}

/// The texts of all `*.yml` of a folder.
pub(super) fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, TaxonomyError> {
    let fail = |path: &Path, source| TaxonomyError::Unreadable { path: path.display().to_string(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| fail(folder, error))? {
        let path = entry.map_err(|error| fail(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            let text = std::fs::read_to_string(&path).map_err(|error| fail(&path, error))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads, checks, joins what is included and sorts by `order`.
pub(super) fn read_all(documents: &[(&str, &str)]) -> Result<Vec<File>, TaxonomyError> {
    let mut files = Vec::new();
    for (name, text) in documents {
        let fail = |reason: String| TaxonomyError::Invalid { file: (*name).to_owned(), reason };
        for document in serde_yaml_ng::Deserializer::from_str(text) {
            let file = File::deserialize(document).map_err(|error| fail(error.to_string()))?;
            files.push(((*name).to_owned(), file));
        }
    }
    let all: BTreeMap<String, File> =
        files.iter().map(|(_, file)| (file.taxonomy.clone(), file.clone())).collect();
    for (name, file) in &mut files {
        let fail = |reason: String| TaxonomyError::Invalid { file: name.clone(), reason };
        for other in std::mem::take(&mut file.include) {
            let other =
                all.get(&other).ok_or_else(|| fail(format!("includes {other:?}, which does not exist")))?;
            file.sources.extend(other.sources.iter().cloned());
            for (table, names) in &other.tables {
                file.tables.entry(table.clone()).or_insert_with(|| names.clone());
            }
            for (field, names) in &other.names {
                file.names.entry(field.clone()).or_insert_with(|| names.clone());
            }
        }
        let tables = file.sources.iter().flat_map(|source| &source.tables);
        if let Some(missing) = tables.into_iter().find(|table| !file.tables.contains_key(*table)) {
            return Err(fail(format!("names the table {missing:?}, which does not exist")));
        }
    }
    let mut files: Vec<File> = files.into_iter().map(|(_, file)| file).collect();
    files.sort_by_key(|file| file.order);
    Ok(files)
}
