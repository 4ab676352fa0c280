//! Placeholders (`%name%`, modifier `expand`): values that are known only where the rules run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// What a placeholder stands for: name without `%` -> values.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// Most bytes that a values file may have.
const MAX_VALUES_BYTES: u64 = 16 << 20;

/// The values of placeholders, for everybody and for single agencies.
///
/// As a file (YAML):
///
/// ```yaml
/// placeholders:
///   Servers: [srv*, dc1]
/// agencies:
///   so-yte:                  # organization.id
///     Servers: [yte-*]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// What holds where an agency has no values of its own.
    #[serde(default)]
    pub placeholders: Placeholders,
    /// By agency (`organization.id`): these take the place of the common ones, name by name.
    #[serde(default)]
    pub agencies: BTreeMap<String, Placeholders>,
}

/// Why a values file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// It cannot be read.
    #[error("values file {path:?} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is too big.
    #[error("values file {path:?} has {bytes} bytes; at most {MAX_VALUES_BYTES} are read")]
    TooBig {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// It is not such a file.
    #[error(
        "values file {path:?}: {reason}; write `placeholders:` and `agencies:`, each name with a list of texts"
    )]
    NotValues {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl Values {
    /// Reads a values file.
    pub fn read(path: &Path) -> Result<Self, ValuesError> {
        let name = || path.display().to_string();
        let unreadable = |source| ValuesError::Unreadable { path: name(), source };
        let bytes = fs::metadata(path).map_err(unreadable)?.len();
        if bytes > MAX_VALUES_BYTES {
            return Err(ValuesError::TooBig { path: name(), bytes });
        }
        Self::parse(&name(), &fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Reads the text of a values file; `name` is for the error.
    pub fn parse(name: &str, text: &str) -> Result<Self, ValuesError> {
        serde_yaml_ng::from_str(text)
            .map_err(|error| ValuesError::NotValues { path: name.to_owned(), reason: error.to_string() })
    }

    /// The agencies that give one of the placeholders of `text` values of their own, each with all placeholders as
    /// they are there.
    pub(super) fn own(&self, text: &str) -> Vec<(&str, Placeholders)> {
        let named = |own: &Placeholders| own.keys().any(|name| text.contains(&format!("%{name}%")));
        let agencies = self.agencies.iter().filter(|(_, own)| named(own));
        agencies
            .map(|(agency, own)| {
                let mut all = self.placeholders.clone();
                all.extend(own.iter().map(|(name, values)| (name.clone(), values.clone())));
                (agency.as_str(), all)
            })
            .collect()
    }
}

/// Replaces each `%name%` of `text` by each of its values; a percent sign behind a backslash is plain.
///
/// At most `limit` texts come out. A name without values is an error: the rule must be refused.
pub(super) fn expand(text: &str, placeholders: &Placeholders, limit: usize) -> Result<Vec<String>, String> {
    let mut texts = vec![String::new()];
    let mut rest = text;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, tail) = rest.split_at(at);
        append(&mut texts, before);
        let escaped = tail.strip_prefix("\\\\%").or_else(|| tail.strip_prefix("\\%"));
        if let Some(after) = escaped {
            append(&mut texts, "%");
            rest = after;
        } else if let Some((name, after)) = tail.strip_prefix('%').and_then(|inner| inner.split_once('%')) {
            let values = placeholders.get(name).filter(|values| !values.is_empty()).ok_or_else(|| {
                format!(
                    "placeholder %{name}% has no values; give it some in the values file (`placeholders: {{{name}: [...]}}`) or leave the rule out"
                )
            })?;
            if texts.len().saturating_mul(values.len()) > limit {
                return Err(format!("more than {limit} values; list fewer"));
            }
            let every =
                |text: &String| values.iter().map(|value| format!("{text}{value}")).collect::<Vec<_>>();
            texts = texts.iter().flat_map(every).collect();
            rest = after;
        } else {
            // A backslash before something else, or a percent sign without a second one.
            let (sign, after) = tail.split_at(1);
            append(&mut texts, sign);
            rest = after;
        }
    }
    append(&mut texts, rest);
    Ok(texts)
}

fn append(texts: &mut [String], part: &str) {
    for text in texts {
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_take_the_place_of_names() {
        let known = Placeholders::from([("Servers".to_owned(), vec!["srv*".to_owned(), "dc1".to_owned()])]);
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(expand(text, &known, 4).unwrap(), expected, "{text}");
        };
        check("a-%Servers%", &["a-srv*", "a-dc1"]);
        check("%Servers%%Servers%", &["srv*srv*", "srv*dc1", "dc1srv*", "dc1dc1"]);
        check(r"\%Servers%", &["%Servers%"]);
        check(r"\\%plain%Servers%", &["%plainsrv*", "%plaindc1"]);
        check(r"100% \*", &[r"100% \*"]);
        assert!(expand("%Users%", &known, 4).unwrap_err().contains("%Users%"));
        assert!(expand("%Servers%%Servers%%Servers%", &known, 4).unwrap_err().contains("more than 4"));
    }

    #[test]
    fn agencies_have_values_of_their_own() {
        let text = "placeholders: {S: [a], T: [b]}\nagencies: {so-yte: {S: [c]}, xa-x: {Z: [d]}}\n";
        let values = Values::parse("v.yml", text).unwrap();
        let own = values.own("x%S%");
        assert_eq!(own.len(), 1);
        assert_eq!(
            (own[0].0, own[0].1["S"].as_slice(), own[0].1["T"].as_slice()),
            ("so-yte", &["c".to_owned()][..], &["b".to_owned()][..])
        );
        assert!(values.own("%T%").is_empty());
        let reason = Values::parse("v.yml", "agency: {}").unwrap_err().to_string();
        assert!(reason.contains("agencies"), "{reason}");
        assert!(Values::read(Path::new("/no/such/file")).is_err());
    }

    proptest! {
        #[test]
        fn text_without_names_stays(text in "[a-z*? \\\\]{0,20}") {
            prop_assert_eq!(expand(&text, &Placeholders::new(), 1), Ok(vec![text]));
        }

        #[test]
        fn any_text_is_taken(text in "[a%\\\\đ]{0,20}") {
            let known = Placeholders::from([("a".to_owned(), vec!["b".to_owned()])]);
            drop(expand(&text, &known, 10));
        }
    }
}
