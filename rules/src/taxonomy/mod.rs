//! Where an event belongs and what it calls the fields that rules name; all of it data in `content/taxonomy/`.
//!
//! A taxonomy says how its events are recognised, which of their fields give which log sources, and under which
//! names they carry Sigma's fields. In [`Mode::Sigma`] none of it is used: names are as the rules write them and
//! `product`, `category`, `service` stand in the event.

mod file;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use dongson_event::{Event, Value};

pub use file::TaxonomyError;
use file::{File, Wanted};

use crate::rule::LogSource;
use crate::text::fold;

/// How events are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// By the taxonomies.
    #[default]
    Auto,
    /// Field names as the rules write them, the log source in `product`, `category`, `service`.
    Sigma,
}

/// The taxonomies that are shipped: (name, YAML).
const EMBEDDED: &[(&str, &str)] = &[
    ("windows.yml", include_str!("../../content/taxonomy/windows.yml")),
    ("winlogbeat.yml", include_str!("../../content/taxonomy/winlogbeat.yml")),
    ("dongson.yml", include_str!("../../content/taxonomy/dongson.yml")),
    ("endpoint.yml", include_str!("../../content/taxonomy/endpoint.yml")),
    ("eve.yml", include_str!("../../content/taxonomy/eve.yml")),
    ("zeek.yml", include_str!("../../content/taxonomy/zeek.yml")),
    ("cloud.yml", include_str!("../../content/taxonomy/cloud.yml")),
];

/// All taxonomies, in the order in which they are tried (`order:` in their files).
#[derive(Debug, Clone)]
pub struct Taxonomies {
    list: Vec<Taxonomy>,
}

/// What decides about rules and names; equal for events that are treated alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Place {
    taxonomy: Option<usize>,
    /// Numbers of the taxonomy's sources that the event fits.
    sources: Vec<usize>,
    /// What the event itself says in `product`, `category`, `service`.
    stated: Option<LogSource>,
}

impl Place {
    /// The place that [`Taxonomies::place`] would give.
    pub(crate) const fn new(taxonomy: Option<usize>, sources: Vec<usize>, stated: Option<LogSource>) -> Self {
        Self { taxonomy, sources, stated }
    }
}

/// Lists of conditions: one list must hold, in a list all.
type Conditions = [Vec<Condition>];

#[derive(Debug, Clone)]
struct Taxonomy {
    file: File,
    /// One of these must hold; each is a list of which all must hold.
    recognise: Vec<Vec<Condition>>,
    /// Beside `file.sources`: all must hold.
    gates: Vec<Vec<Condition>>,
    index: Vec<Index>,
    /// Sources whose conditions only ask for presence.
    open: Vec<usize>,
}

/// One field of a `when` or `recognise`, prepared.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// The names of the field, best first.
    pub(crate) names: Vec<String>,
    /// Folded values of which one must be there; `None` where presence is enough.
    pub(crate) values: Option<HashSet<String>>,
}

/// Sources by the value of the first exact condition that they have.
#[derive(Debug, Clone)]
struct Index {
    /// The names of the condition's field, best first.
    names: Vec<String>,
    /// Folded value -> numbers of sources.
    sources: HashMap<String, Vec<usize>>,
}

impl Taxonomies {
    /// Those that are shipped with the program.
    ///
    /// # Panics
    /// Never: a unit test reads all of them.
    pub fn embedded() -> Self {
        Self::from_documents(EMBEDDED)
            .unwrap_or_else(|error| unreachable!("shipped taxonomies are tested: {error}"))
    }

    /// Those of a folder instead.
    pub fn load(folder: &Path) -> Result<Self, TaxonomyError> {
        let files = file::read_folder(folder)?;
        let documents: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Self::from_documents(&documents)
    }

    fn from_documents(documents: &[(&str, &str)]) -> Result<Self, TaxonomyError> {
        let files = file::read_all(documents)?;
        Ok(Self { list: files.into_iter().map(Taxonomy::new).collect() })
    }

    /// Name and version of each, for reports.
    pub fn versions(&self) -> Vec<(&str, u32)> {
        self.list.iter().map(|taxonomy| (taxonomy.file.taxonomy.as_str(), taxonomy.file.version)).collect()
    }

    /// The log sources that `event` belongs to.
    pub fn logsources(&self, event: &Event, mode: Mode) -> Vec<LogSource> {
        self.sources(&self.place(event, mode))
    }

    pub(crate) fn place(&self, event: &Event, mode: Mode) -> Place {
        if mode == Mode::Sigma {
            return Place { stated: Some(stated(event)), ..Place::default() };
        }
        let recognised = self.list.iter().position(|taxonomy| taxonomy.recognises(event));
        let sources =
            recognised.and_then(|at| self.list.get(at)).map_or_else(Vec::new, |own| own.sources_of(event));
        // `service` alone says nothing: many formats have a field of that name.
        let says = stated(event);
        let stated =
            (says.product.is_some() || says.category.is_some()) && event.get("event.dataset").is_none();
        Place { taxonomy: recognised, sources, stated: stated.then_some(says) }
    }

    /// For each taxonomy, in the order in which they are tried: how its events are recognised, and the conditions of
    /// its sources by their numbers.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = (&Conditions, &Conditions)> {
        self.list.iter().map(|taxonomy| (taxonomy.recognise.as_slice(), taxonomy.gates.as_slice()))
    }

    /// The log sources that each source of taxonomy `at` gives, by its number.
    pub(crate) fn given(&self, at: usize) -> impl Iterator<Item = &[LogSource]> {
        self.list.get(at).into_iter().flat_map(|own| &own.file.sources).map(|source| source.is.as_slice())
    }

    /// The names under which events of taxonomy `at` may carry the field `name`, best first, each with the number of
    /// the source whose events may: [`Taxonomies::names`] for all places at once.
    pub(crate) fn gated_names(&self, at: usize, name: &str) -> Vec<(Option<usize>, String)> {
        let Some(Taxonomy { file, .. }) = self.list.get(at) else { return vec![(None, name.to_owned())] };
        let mut names = Vec::new();
        for (number, source) in file.sources.iter().enumerate() {
            let mapped = source.tables.iter().filter_map(|table| file.tables.get(table)?.get(name));
            names.extend(mapped.flat_map(file::Names::all).map(|name| (Some(number), name.clone())));
        }
        names.extend(
            file.names.get(name).into_iter().flat_map(file::Names::all).map(|name| (None, name.clone())),
        );
        names.push((None, name.to_owned()));
        names.extend(file.prefixes.iter().map(|prefix| (None, format!("{prefix}{name}"))));
        // A name that counts for all events says again what it said for some of them; it must stand first for those.
        let mut seen = HashSet::new();
        names.retain(|(source, name)| {
            !seen.contains(&(None, name.clone())) && seen.insert((*source, name.clone()))
        });
        names
    }

    /// Every name under which any event may carry the field `name`.
    pub(crate) fn all_names(&self, name: &str) -> Vec<String> {
        let mut all = vec![name.to_owned()];
        for Taxonomy { file, .. } in &self.list {
            let mapped = file.tables.values().filter_map(|table| table.get(name));
            all.extend(mapped.chain(file.names.get(name)).flat_map(file::Names::all).cloned());
            all.extend(file.prefixes.iter().map(|prefix| format!("{prefix}{name}")));
        }
        all
    }

    pub(crate) fn sources(&self, place: &Place) -> Vec<LogSource> {
        let taxonomy = place.taxonomy.and_then(|at| self.list.get(at));
        let given =
            taxonomy.into_iter().flat_map(|taxonomy| taxonomy.chosen(place)).flat_map(|source| &source.is);
        let mut all: Vec<LogSource> = given.chain(&place.stated).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The names under which events of `place` may carry the field `name`, best first.
    pub(crate) fn names(&self, place: &Place, name: &str) -> Vec<String> {
        let Some(taxonomy) = place.taxonomy.and_then(|at| self.list.get(at)) else {
            return vec![name.to_owned()];
        };
        let tables = taxonomy.chosen(place).flat_map(|source| &source.tables);
        let mapped = tables.filter_map(|table| taxonomy.file.tables.get(table)?.get(name));
        let mut names: Vec<String> =
            mapped.chain(taxonomy.file.names.get(name)).flat_map(file::Names::all).cloned().collect();
        names.push(name.to_owned());
        names.extend(taxonomy.file.prefixes.iter().map(|prefix| format!("{prefix}{name}")));
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }
}

/// `product`, `category`, `service` as the event says them.
fn stated(event: &Event) -> LogSource {
    let word = |name| event.text(name).filter(|word| !word.is_empty()).map(|word| fold(word).into_owned());
    LogSource { product: word("product"), category: word("category"), service: word("service") }
}

impl Taxonomy {
    fn new(file: File) -> Self {
        let prepare = |when: &BTreeMap<String, Wanted>| {
            when.iter().map(|(field, wanted)| Condition::new(&file, field, wanted)).collect()
        };
        let recognise = file.recognise.iter().map(prepare).collect();
        let gates = file.sources.iter().map(|source| prepare(&source.when)).collect();
        let mut taxonomy = Self { file, recognise, gates, index: Vec::new(), open: Vec::new() };
        for (number, gate) in taxonomy.gates.iter().enumerate() {
            let exact =
                gate.iter().find_map(|condition| Some((&condition.names, condition.values.as_ref()?)));
            let Some((names, values)) = exact else {
                taxonomy.open.push(number);
                continue;
            };
            let at = taxonomy.index.iter().position(|held| held.names == *names).unwrap_or_else(|| {
                taxonomy.index.push(Index { names: names.clone(), sources: HashMap::new() });
                taxonomy.index.len() - 1
            });
            if let Some(index) = taxonomy.index.get_mut(at) {
                for value in values {
                    index.sources.entry(value.clone()).or_default().push(number);
                }
            }
        }
        taxonomy
    }

    fn recognises(&self, event: &Event) -> bool {
        self.recognise.iter().any(|all| all.iter().all(|condition| condition.fits(event)))
    }

    /// Numbers of the sources that the event fits, in order.
    fn sources_of(&self, event: &Event) -> Vec<usize> {
        let mut candidates = self.open.clone();
        for Index { names, sources } in &self.index {
            for scalar in find(names, event).map_or(&[][..], Value::scalars) {
                candidates.extend(sources.get(fold(&scalar.to_text()).as_ref()).into_iter().flatten());
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|&number| {
            self.gates.get(number).is_some_and(|all| all.iter().all(|condition| condition.fits(event)))
        });
        candidates
    }

    fn chosen<'t>(&'t self, place: &'t Place) -> impl Iterator<Item = &'t file::Source> {
        place.sources.iter().filter_map(|&number| self.file.sources.get(number))
    }
}

impl Condition {
    /// `field` may be a name that the file maps for all its events.
    fn new(file: &File, field: &str, wanted: &Wanted) -> Self {
        let mut names: Vec<String> =
            file.names.get(field).into_iter().flat_map(file::Names::all).cloned().collect();
        names.push(field.to_owned());
        let values = || wanted.texts().map(|text| fold(&text).into_owned()).collect();
        Self { names, values: (!wanted.anything()).then(values) }
    }

    fn fits(&self, event: &Event) -> bool {
        let Some(value) = find(&self.names, event) else { return false };
        self.values.as_ref().is_none_or(|wanted| {
            value.scalars().iter().any(|scalar| wanted.contains(fold(&scalar.to_text()).as_ref()))
        })
    }
}

fn find<'e>(names: &[String], event: &'e Event) -> Option<&'e Value> {
    names.iter().find_map(|name| event.get(name))
}

#[cfg(test)]
mod tests;
