//! The rules of one place, compiled: what to load, what to look for, what to ask then.

use std::collections::HashMap;

use super::arena::Slot;
use super::costs::Costs;
use super::direct::Direct;
use super::index::{Builder, Index};
use super::literal::required;
use super::names::{NameId, Names};
use super::sieve::Sieve;
use super::tree::{ANYWHERE, Asked, Shared, Tree};
use super::witness::{Seen, chance, support, witness};
use crate::predicate::{FieldId, PredicateId, Test};
use crate::ruleset::RuleSet;
use crate::text::Shape;

/// Members up to which a union is asked member by member instead of being told by them.
const SMALL_UNION: usize = 12;

/// Which tests have a place in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those by which rules are found.
    Rules,
    /// All that can have one: to measure how often each of them holds.
    Everything,
}

/// What is to be told when something is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    /// The rule of this number in the plan may hold.
    Rule(u32),
    /// The union may hold.
    Union(u32),
}

/// A field that an event's name gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    pub(super) slot: Slot,
    /// Smaller is better.
    pub(super) rank: u32,
    name: NameId,
}

/// One field of the route.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) index: Index,
    /// Followed when it has a text.
    pub(super) on_text: Vec<Link>,
    /// Followed when it is there.
    pub(super) on_present: Vec<Link>,
}

/// One rule of the plan.
#[derive(Debug)]
pub(super) struct Planned {
    /// Its number in the rule set.
    pub(super) rule: usize,
    pub(super) tree: Tree,
}

/// A union of tests.
#[derive(Debug)]
pub(super) struct Union {
    pub(super) members: Vec<u32>,
    /// Its members tell it; what they do not tell does not hold.
    pub(super) told: bool,
}

/// The rules of one place.
#[derive(Debug)]
pub(super) struct Plan {
    /// No other plan of the engine has it.
    pub(super) number: u64,
    /// By slot; the last one is the whole event where `anywhere` says so.
    pub(super) fields: Vec<Field>,
    /// The slot of the whole event.
    pub(super) anywhere: Option<Slot>,
    /// Where it says that no keyword is there, the whole event need not be loaded.
    pub(super) sieve: Option<Sieve>,
    pub(super) tests: Vec<Asked>,
    pub(super) unions: Vec<Union>,
    /// By test: how it is asked where no index decides it.
    direct: Vec<Option<Direct>>,
    pub(super) rules: Vec<Planned>,
    /// Rules without a witness.
    pub(super) always: Vec<u32>,
    /// By name: the first of its readers, plus one; zero for names that nobody reads.
    reader_starts: Vec<u32>,
    readers: Vec<Reader>,
    /// By slot: the names to look under, best first.
    names: Vec<Vec<NameId>>,
    numbers: HashMap<PredicateId, u32>,
    slots: HashMap<FieldId, Slot>,
    /// By test, then by union: where its links begin.
    link_starts: Vec<u32>,
    links: Vec<Link>,
}

impl Plan {
    /// Compiles `rules`; `names` gives for each field the names to look under, best first.
    pub(super) fn new(
        set: &RuleSet,
        rules: &[usize],
        known: &Names,
        names: impl Fn(&str) -> Vec<String>,
        costs: &Costs,
        scope: Scope,
    ) -> Self {
        let tables = set.tables();
        let mut shared = Shared::new(tables);
        let mut planned = Vec::new();
        for &rule in rules {
            if let Some(detection) = set.detection(rule) {
                planned.push(Planned { rule, tree: shared.tree(detection) });
            }
        }
        let anywhere = shared.anywhere.then(|| small(shared.fields.len()));
        for asked in &mut shared.tests {
            if asked.slot == ANYWHERE {
                asked.slot = anywhere.unwrap_or(ANYWHERE);
                asked.other = asked.slot;
            }
        }
        let (seen, always) = witnesses(&planned, &shared, costs);
        let mut looked_for: Vec<Seen> = seen.iter().map(|(seen, _)| *seen).collect();
        looked_for.extend(planned.iter().flat_map(|rule| support(&rule.tree, &shared, costs)));
        let mut unions = unions(&shared, &looked_for);
        if scope == Scope::Rules {
            leave_out(&mut shared, &looked_for, &unions);
        }
        let (mut fields, sieve) = indexes(&shared, anywhere, costs);
        let (link_starts, links) = links(&shared, &unions, seen, &mut fields);
        let told: Vec<bool> = unions.iter().map(|union| union.told).collect();
        let chance = |test: u32| chance(test, &shared, costs);
        for union in unions.iter_mut().filter(|union| !union.told) {
            // One that holds is enough.
            union.members.sort_by(|one, other| chance(*other).total_cmp(&chance(*one)));
        }
        for rule in &mut planned {
            rule.tree =
                shared.ordered(std::mem::replace(&mut rule.tree, Tree::Any(Vec::new())), &told, &chance);
        }
        let ids = |field: &FieldId| {
            let name = tables.names.get(*field).map_or("", String::as_str);
            names(name).iter().map(|name| known.find(name)).collect()
        };
        let names: Vec<Vec<NameId>> = shared.fields.iter().map(ids).collect();
        let (reader_starts, readers) = readers(&names, known.len());
        Self {
            number: 0,
            fields,
            anywhere,
            sieve,
            direct: direct(&shared),
            tests: shared.tests,
            unions,
            rules: planned,
            always,
            reader_starts,
            readers,
            names,
            numbers: shared.test_numbers,
            slots: shared.slots,
            link_starts,
            links,
        }
    }

    /// How test number `test` is asked of a text, folded and written.
    pub(super) fn direct(&self, test: u32) -> Option<&Direct> {
        self.direct.get(test as usize)?.as_ref()
    }

    /// Rules that are asked whatever the texts say.
    pub(super) fn unwitnessed(&self) -> impl Iterator<Item = usize> {
        let fields = self.fields.iter().flat_map(|field| field.on_text.iter().chain(&field.on_present));
        let linked = fields.filter_map(|link| if let Link::Rule(rule) = link { Some(*rule) } else { None });
        let rules = linked.chain(self.always.iter().copied());
        rules.filter_map(|rule| self.rules.get(rule as usize)).map(|rule| rule.rule)
    }

    /// The fields that the name gives.
    pub(super) fn readers(&self, name: NameId) -> &[Reader] {
        let first = self.reader_starts.get(name as usize).copied().unwrap_or(0);
        let Some(first) = first.checked_sub(1) else { return &[] };
        let rest = self.readers.get(first as usize..).unwrap_or_default();
        let count = rest.iter().take_while(|reader| reader.name == name).count();
        rest.get(..count).unwrap_or_default()
    }

    /// The names under which an event may carry the field, best first.
    pub(super) fn names(&self, field: FieldId) -> &[NameId] {
        let slot = self.slots.get(&field);
        slot.and_then(|slot| self.names.get(*slot as usize)).map_or(&[], Vec::as_slice)
    }

    /// The number of the predicate in this plan.
    pub(super) fn number(&self, predicate: PredicateId) -> Option<u32> {
        self.numbers.get(&predicate).copied()
    }

    /// What the test or union (numbered after the tests) tells.
    pub(super) fn links(&self, number: usize) -> &[Link] {
        match (self.link_starts.get(number), self.link_starts.get(number + 1)) {
            (Some(&from), Some(&to)) => self.links.get(from as usize..to as usize).unwrap_or_default(),
            _ => &[],
        }
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn indexes(shared: &Shared<'_>, anywhere: Option<Slot>, costs: &Costs) -> (Vec<Field>, Option<Sieve>) {
    let count = shared.fields.len() + usize::from(shared.anywhere);
    let mut builders: Vec<Builder> = std::iter::repeat_with(Builder::default).take(count).collect();
    let mut unsure = false;
    for (number, asked) in (0..).zip(&shared.tests) {
        let Some(test) = shared.test(number) else { continue };
        let required = required(test).filter(|_| asked.indexed);
        unsure |= required.is_none() && !asked.field;
        if let (Some(builder), Some(required)) = (builders.get_mut(asked.slot as usize), required) {
            builder.add(number, test, required);
        }
    }
    let keywords = anywhere.filter(|_| !unsure).and_then(|slot| builders.get(slot as usize));
    let keywords = keywords.and_then(Builder::only_inside);
    let sieve = keywords.map(|keywords| Sieve::new(keywords, &costs.frequencies));
    let field = |builder: Builder| Field { index: builder.build(&costs.frequencies), ..Field::default() };
    (builders.into_iter().map(field).collect(), sieve)
}

fn direct(shared: &Shared<'_>) -> Vec<Option<Direct>> {
    let tests = (0..).zip(&shared.tests);
    tests
        .map(|(number, asked)| {
            // What an index finds of the others may still not hold.
            let test = shared.test(number)?;
            let sure = matches!(test, Test::Text(pattern) if pattern.shape() != Shape::Glob);
            if asked.indexed && sure { None } else { Direct::new(test) }
        })
        .collect()
}

/// For each rule what must be seen; and the rules for which nothing must.
fn witnesses(planned: &[Planned], shared: &Shared<'_>, costs: &Costs) -> (Vec<(Seen, Link)>, Vec<u32>) {
    let (mut all, mut always) = (Vec::new(), Vec::new());
    for (number, rule) in (0..).zip(planned) {
        match witness(&rule.tree, shared, costs) {
            Some(witness) => all.extend(witness.seen.into_iter().map(|seen| (seen, Link::Rule(number)))),
            None => always.push(number),
        }
    }
    (all, always)
}

/// Tests that are neither looked for nor members of a union that is told need no place in an index.
fn leave_out(shared: &mut Shared<'_>, looked_for: &[Seen], unions: &[Union]) {
    let mut needed = vec![false; shared.tests.len()];
    let told = unions.iter().filter(|union| union.told).flat_map(|union| union.members.iter().copied());
    let single =
        looked_for.iter().filter_map(|seen| if let Seen::Test(test) = seen { Some(*test) } else { None });
    for test in told.chain(single) {
        if let Some(needed) = needed.get_mut(test as usize) {
            *needed = true;
        }
    }
    for (asked, needed) in shared.tests.iter_mut().zip(needed) {
        // Where all keywords are indexed, a sieve can tell that none is there.
        asked.indexed &= needed || !asked.field;
    }
}

/// Unions that are looked for are told by their members, and so are long ones.
fn unions(shared: &Shared<'_>, looked_for: &[Seen]) -> Vec<Union> {
    let mut witness = vec![false; shared.unions.len()];
    for seen in looked_for {
        if let Seen::Union(union) = seen
            && let Some(own) = witness.get_mut(*union as usize)
        {
            *own = true;
        }
    }
    let all = shared.unions.iter().zip(witness);
    all.map(|(members, witness)| Union {
        members: members.clone(),
        told: witness || members.len() > SMALL_UNION,
    })
    .collect()
}

/// Puts the links beside what tells them: fields, tests, unions.
fn links(
    shared: &Shared<'_>,
    unions: &[Union],
    seen: Vec<(Seen, Link)>,
    fields: &mut [Field],
) -> (Vec<u32>, Vec<Link>) {
    let mut pairs: Vec<(u32, Link)> = Vec::new();
    let tests = small(shared.tests.len());
    for (seen, link) in seen {
        match seen {
            Seen::Test(test) => pairs.push((test, link)),
            Seen::Union(union) => pairs.push((tests + union, link)),
            Seen::Text(slot) => {
                fields.get_mut(slot as usize).into_iter().for_each(|field| field.on_text.push(link));
            }
            Seen::Present(slot) => {
                fields.get_mut(slot as usize).into_iter().for_each(|field| field.on_present.push(link));
            }
        }
    }
    for (number, union) in (0..).zip(unions).filter(|(_, union)| union.told) {
        pairs.extend(union.members.iter().map(|member| (*member, Link::Union(number))));
    }
    pairs.sort_unstable();
    let count = shared.tests.len() + unions.len();
    let mut starts = vec![0; count + 1];
    for (number, _) in &pairs {
        if let Some(start) = starts.get_mut(*number as usize + 1) {
            *start += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    (starts, pairs.into_iter().map(|(_, link)| link).collect())
}

fn readers(names: &[Vec<NameId>], known: usize) -> (Vec<u32>, Vec<Reader>) {
    let mut readers = Vec::new();
    for (slot, names) in (0..).zip(names) {
        readers.extend((0..).zip(names).map(|(rank, name)| Reader { slot, rank, name: *name }));
    }
    readers.sort_unstable_by_key(|reader| (reader.name, reader.slot));
    let mut starts = vec![0; known];
    for (at, reader) in (1..).zip(&readers) {
        if let Some(start) = starts.get_mut(reader.name as usize)
            && *start == 0
        {
            *start = at;
        }
    }
    (starts, readers)
}
