//! Names of event fields as numbers.
//!
//! All names that rules or taxonomies can ask for are known before the first event, so that a name of an event is
//! looked up once and from then on is a small number. Whoever sends other names finds a table that does not grow.

use dongson_event::NameIndex;
use dongson_event::fields::{self, Setter, setter};

use crate::taxonomy::Mode;

/// Number of a name in [`Names`]; [`UNKNOWN`] for a name that nobody asks for.
pub(super) type NameId = u32;
/// A name that no rule and no taxonomy asks for.
pub(super) const UNKNOWN: NameId = NameId::MAX;

/// Names, each once.
#[derive(Debug, Default)]
pub(super) struct Names {
    index: NameIndex,
    /// Beside the names: the value counts for keywords.
    content: Vec<bool>,
    mode: Mode,
}

impl Names {
    /// The names of `wanted` and those of the table of fields.
    pub(super) fn new(wanted: impl IntoIterator<Item = String>, mode: Mode) -> Self {
        let known = fields::FIELDS.iter().map(|field| Box::from(field.name));
        let index = NameIndex::new(wanted.into_iter().map(String::into_boxed_str).chain(known));
        let content = index.names().iter().map(|name| is_content(name, mode)).collect();
        Self { index, content, mode }
    }

    /// How events are read.
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.index.names().len()
    }

    /// The number of `name`, or [`UNKNOWN`].
    pub(super) fn find(&self, name: &str) -> NameId {
        self.index.find(name).unwrap_or(UNKNOWN)
    }

    /// True when keywords look into the field: `id` where the name is known, else by `name`.
    pub(super) fn is_content(&self, id: NameId, name: &str) -> bool {
        self.content.get(id as usize).copied().unwrap_or_else(|| is_content(name, self.mode))
    }
}

/// Keywords are looked for in what the record says, not in what we added to it.
pub(crate) fn is_content(name: &str, mode: Mode) -> bool {
    match mode {
        Mode::Sigma => !matches!(name, "product" | "category" | "service"),
        Mode::Auto => setter(name) <= Setter::Sensor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rules_and_of_the_table_are_known() {
        let names = Names::new(["Image".to_owned(), "b".to_owned()], Mode::Auto);
        let found = ["Image", "b", "@timestamp"].map(|name| names.find(name));
        assert!(found.iter().all(|id| *id != UNKNOWN), "{found:?}");
        assert_eq!(names.find("image"), UNKNOWN);
        assert!(names.is_content(names.find("Image"), "Image"));
        assert!(!names.is_content(names.find("@timestamp"), "@timestamp"));
    }
}
