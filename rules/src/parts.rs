//! A state of many keys that is saved in parts, of which a step writes only those that it changed.
//!
//! A book (the keys of one rule in one agency) is a head and up to 256 parts; a key's part goes by its hash. Names of
//! parts are JSON: `["rule","agency",17]`, with `null` for the head.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Parts by name: the new text, or `None` for one that is to go.
pub type Parts = BTreeMap<String, Option<String>>;

/// Which parts of a book are stored, and which changed since.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Saving {
    head: bool,
    changed: BTreeSet<u8>,
    stored: BTreeSet<Option<u8>>,
}

impl Saving {
    /// The head changed.
    pub fn touch_head(&mut self) {
        self.head = true;
    }

    /// What stands under `key` changed, began or went.
    pub fn touch(&mut self, key: &str) {
        self.changed.insert(part_of(key));
    }

    /// This part stands in what was saved.
    pub fn is_stored(&mut self, part: Option<u8>) {
        self.stored.insert(part);
    }

    /// Adds the parts that changed; `head` makes the head, `view` says how an entry is written.
    ///
    /// # Errors
    /// When an entry cannot be written as JSON.
    pub fn save<'e, E, H: Serialize, V: Serialize>(
        &mut self,
        (owner, scope): (&str, &str),
        head: impl FnOnce() -> H,
        entries: &'e BTreeMap<String, E>,
        view: impl Fn(&'e E) -> V,
        parts: &mut Parts,
    ) -> Result<(), serde_json::Error> {
        if std::mem::take(&mut self.head) {
            self.stored.insert(None);
            parts.insert(name(owner, scope, None), Some(serde_json::to_string(&head())?));
        }
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut changed: BTreeMap<u8, BTreeMap<&str, V>> =
            std::mem::take(&mut self.changed).into_iter().map(|part| (part, BTreeMap::new())).collect();
        for (key, entry) in entries {
            if let Some(part) = changed.get_mut(&part_of(key)) {
                part.insert(key, view(entry));
            }
        }
        for (part, entries) in changed {
            if !entries.is_empty() {
                self.stored.insert(Some(part));
                parts.insert(name(owner, scope, Some(part)), Some(serde_json::to_string(&entries)?));
            } else if self.stored.remove(&Some(part)) {
                parts.insert(name(owner, scope, Some(part)), None);
            }
        }
        Ok(())
    }

    /// The book goes: all its parts are to go.
    pub fn remove(self, owner: &str, scope: &str, parts: &mut Parts) {
        parts.extend(self.stored.into_iter().map(|part| (name(owner, scope, part), None)));
    }
}

/// The part of a key (FNV-1a, folded); saved states depend on it.
fn part_of(key: &str) -> u8 {
    let hash =
        key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_le_bytes();
    a ^ b ^ c ^ d
}

/// The name of a part; `None` is the head.
pub fn name(owner: &str, scope: &str, part: Option<u8>) -> String {
    serde_json::to_string(&(owner, scope, part)).unwrap_or_default()
}

/// Owner, scope and part of a name.
pub fn read_name(name: &str) -> Option<(String, String, Option<u8>)> {
    serde_json::from_str(name).ok()
}

/// Gives each saved part to `take`, heads first: keys belong to a book. Answers the parts that are to go, because `take`
/// had no place for them (false) or could not read them, and the first error; an error keeps no other part away.
pub fn take_back<'p, E>(
    parts: impl Iterator<Item = (&'p str, &'p str)> + Clone,
    mut take: impl FnMut(&str, &str) -> Result<bool, E>,
) -> (Parts, Result<(), E>) {
    let is_head = |name: &str| matches!(read_name(name), Some((.., None)));
    let heads = parts.clone().filter(|(name, _)| is_head(name));
    let (mut gone, mut outcome) = (Parts::new(), Ok(()));
    for (name, text) in heads.chain(parts.filter(|(name, _)| !is_head(name))) {
        let taken = take(name, text);
        if !matches!(taken, Ok(true)) {
            gone.insert(name.to_owned(), None);
        }
        outcome = outcome.and(taken.map(drop));
    }
    (gone, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(saving: &mut Saving, book: &BTreeMap<String, u32>) -> Parts {
        let mut parts = Parts::new();
        saving.save(("r", "xa-a"), || "head", book, |entry| *entry, &mut parts).unwrap();
        parts
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut book: BTreeMap<String, u32> =
            (0..5_000).map(|number| (format!("k{number}"), number)).collect();
        let mut saving = Saving::default();
        saving.touch_head();
        for key in book.keys() {
            saving.touch(key);
        }
        let all = saved(&mut saving, &book);
        assert_eq!((all.len(), all[r#"["r","xa-a",null]"#].as_deref()), (257, Some("\"head\"")));
        assert!(all.values().flatten().all(|part| part.len() < 1_000), "keys spread");
        assert_eq!(saved(&mut saving, &book), Parts::new());
        book.insert("k7".into(), 0);
        saving.touch("k7");
        let one = saved(&mut saving, &book);
        assert!(one.len() == 1 && one.values().flatten().all(|part| part.contains("\"k7\":0")));
        let (owner, scope, part) = read_name(one.keys().next().unwrap()).unwrap();
        assert_eq!((owner.as_str(), scope.as_str(), part), ("r", "xa-a", Some(part_of("k7"))));
        // The last key of a part goes, then the rest.
        let own: Vec<String> = book.keys().filter(|key| part_of(key) == part_of("k7")).cloned().collect();
        for key in own {
            saving.touch(&key);
            book.remove(&key);
        }
        assert_eq!(saved(&mut saving, &book).values().collect::<Vec<_>>(), [&None]);
        let mut gone = Parts::new();
        saving.remove("r", "xa-a", &mut gone);
        assert_eq!((gone.len(), gone.values().flatten().count()), (256, 0));
    }
}
