//! A rule's detection over the tests of its route: selections put in place, equal lists of alternatives shared, the
//! cheapest questions first.

use std::collections::HashMap;

use super::arena::Slot;
use super::literal::required;
use crate::predicate::{FieldId, PredicateId, Tables, Target, Test};
use crate::sigma::detection::{Detection, Node};

/// A truth over tests and unions.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    /// All hold; true when empty.
    All(Vec<Tree>),
    /// One holds; false when empty.
    Any(Vec<Tree>),
    /// Does not hold.
    Not(Box<Tree>),
    /// The test of this number holds.
    Test(u32),
    /// One of the tests of the union of this number holds.
    Union(u32),
}

/// A test of the route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Its number among all predicates.
    pub(super) predicate: PredicateId,
    /// Where it looks.
    pub(super) slot: Slot,
    /// The other field of a comparison of two fields.
    pub(super) other: Slot,
    /// An index decides it; while a route is made, an index could.
    pub(super) indexed: bool,
    /// It looks into one field, not into the whole event.
    pub(super) field: bool,
}

/// The tests, unions and slots that the rules of one route share.
#[derive(Debug)]
pub(super) struct Shared<'t> {
    tables: &'t Tables,
    pub(super) tests: Vec<Asked>,
    /// Numbers of tests that an index can decide, ascending.
    pub(super) unions: Vec<Vec<u32>>,
    /// Fields by slot.
    pub(super) fields: Vec<FieldId>,
    pub(super) test_numbers: HashMap<PredicateId, u32>,
    union_numbers: HashMap<Vec<u32>, u32>,
    pub(super) slots: HashMap<FieldId, Slot>,
    /// A rule looks into the whole event.
    pub(super) anywhere: bool,
}

/// The slot of the whole event while slots are still being numbered.
pub(super) const ANYWHERE: Slot = Slot::MAX;

impl<'t> Shared<'t> {
    pub(super) fn new(tables: &'t Tables) -> Self {
        Self {
            tables,
            tests: Vec::new(),
            unions: Vec::new(),
            fields: Vec::new(),
            test_numbers: HashMap::new(),
            union_numbers: HashMap::new(),
            slots: HashMap::new(),
            anywhere: false,
        }
    }

    /// The predicate behind test number `test`.
    pub(super) fn test(&self, test: u32) -> Option<&'t Test> {
        let asked = self.tests.get(test as usize)?;
        self.tables.predicates.get(asked.predicate).map(|predicate| &predicate.test)
    }

    /// The tree of one rule.
    pub(super) fn tree(&mut self, detection: &Detection) -> Tree {
        self.node(detection, &detection.condition)
    }

    fn node(&mut self, detection: &Detection, node: &Node) -> Tree {
        match node {
            Node::All(parts) => {
                let mut all = Vec::with_capacity(parts.len());
                for part in parts {
                    match self.node(detection, part) {
                        Tree::All(inner) => all.extend(inner),
                        other => all.push(other),
                    }
                }
                single(all, Tree::All)
            }
            Node::Any(parts) => {
                let mut any = Vec::with_capacity(parts.len());
                for part in parts {
                    match self.node(detection, part) {
                        Tree::Any(inner) => any.extend(inner),
                        Tree::Union(union) => any.extend(self.members(union)),
                        other => any.push(other),
                    }
                }
                self.any(any)
            }
            Node::Not(inner) => match self.node(detection, inner) {
                Tree::Not(inner) => *inner,
                other => Tree::Not(Box::new(other)),
            },
            Node::Selection(number) => match detection.selections.get(*number) {
                Some((_, node)) => self.node(detection, node),
                None => Tree::Any(Vec::new()),
            },
            Node::Test(predicate) => match self.number(*predicate) {
                Some(test) => Tree::Test(test),
                None => Tree::Any(Vec::new()),
            },
        }
    }

    fn members(&self, union: u32) -> Vec<Tree> {
        self.unions.get(union as usize).into_iter().flatten().map(|test| Tree::Test(*test)).collect()
    }

    /// Alternatives: the indexed tests among them become one union.
    fn any(&mut self, parts: Vec<Tree>) -> Tree {
        let is_indexed = |part: &Tree| match part {
            Tree::Test(test) => self.tests.get(*test as usize).is_some_and(|asked| asked.indexed),
            _ => false,
        };
        let (known, mut rest): (Vec<Tree>, Vec<Tree>) = parts.into_iter().partition(is_indexed);
        let mut members: Vec<u32> = known
            .iter()
            .filter_map(|part| if let Tree::Test(test) = part { Some(*test) } else { None })
            .collect();
        members.sort_unstable();
        members.dedup();
        match members.as_slice() {
            [] => {}
            [only] => rest.push(Tree::Test(*only)),
            _ => rest.push(Tree::Union(self.union(members))),
        }
        single(rest, Tree::Any)
    }

    fn union(&mut self, members: Vec<u32>) -> u32 {
        let next = u32::try_from(self.unions.len()).unwrap_or(u32::MAX);
        let unions = &mut self.unions;
        *self.union_numbers.entry(members).or_insert_with_key(|members| {
            unions.push(members.clone());
            next
        })
    }

    fn number(&mut self, predicate: PredicateId) -> Option<u32> {
        if let Some(&known) = self.test_numbers.get(&predicate) {
            return Some(known);
        }
        let held = self.tables.predicates.get(predicate)?;
        let slot = match held.target {
            Target::Field(field) => self.slot(field),
            Target::Anywhere => {
                self.anywhere = true;
                ANYWHERE
            }
        };
        let other = match &held.test {
            Test::FieldRef { other, .. } => self.slot(*other),
            _ => slot,
        };
        let number = u32::try_from(self.tests.len()).ok()?;
        let indexed = required(&held.test).is_some();
        self.tests.push(Asked { predicate, slot, other, indexed, field: slot != ANYWHERE });
        self.test_numbers.insert(predicate, number);
        Some(number)
    }

    fn slot(&mut self, field: FieldId) -> Slot {
        let fields = &mut self.fields;
        *self.slots.entry(field).or_insert_with(|| {
            fields.push(field);
            Slot::try_from(fields.len() - 1).unwrap_or(ANYWHERE)
        })
    }

    /// The same truth, first the questions that decide most for what they cost. `told` are the unions whose members tell
    /// them, `chance` says how often a test holds.
    pub(super) fn ordered(&self, tree: Tree, told: &[bool], chance: &impl Fn(u32) -> f32) -> Tree {
        let sorted = |parts: Vec<Tree>, stops: fn(f32) -> f32| {
            let parts = parts.into_iter().map(|part| self.ordered(part, told, chance));
            let mut parts: Vec<(f32, Tree)> = parts
                .map(|part| {
                    let (cost, holds) = self.price(&part, told, chance);
                    (cost / stops(holds).max(0.001), part)
                })
                .collect();
            parts.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            parts.into_iter().map(|(_, part)| part).collect()
        };
        match tree {
            Tree::All(parts) => Tree::All(sorted(parts, |holds| 1.0 - holds)),
            Tree::Any(parts) => Tree::Any(sorted(parts, |holds| holds)),
            Tree::Not(inner) => Tree::Not(Box::new(self.ordered(*inner, told, chance))),
            leaf => leaf,
        }
    }

    /// Roughly the nanoseconds that the question takes, and how often it holds.
    fn price(&self, tree: &Tree, told: &[bool], chance: &impl Fn(u32) -> f32) -> (f32, f32) {
        let all = |parts: &[Tree], goes_on: fn(f32) -> f32| {
            let (mut cost, mut reached) = (2.0, 1.0);
            for part in parts {
                let (own, holds) = self.price(part, told, chance);
                cost += own * reached;
                reached *= goes_on(holds);
            }
            (cost, reached)
        };
        match tree {
            Tree::All(parts) => all(parts, |holds| holds),
            Tree::Any(parts) => {
                let (cost, none) = all(parts, |holds| 1.0 - holds);
                (cost, 1.0 - none)
            }
            Tree::Not(inner) => {
                let (cost, holds) = self.price(inner, told, chance);
                (cost, 1.0 - holds)
            }
            Tree::Union(union) => {
                let members = self.unions.get(*union as usize).map_or(&[][..], Vec::as_slice);
                let holds = members.iter().map(|test| chance(*test)).sum::<f32>().min(0.9);
                if told.get(*union as usize) == Some(&true) {
                    return (2.0, holds);
                }
                (members.iter().map(|test| self.effort(*test)).sum(), holds)
            }
            Tree::Test(test) => (self.effort(*test), chance(*test).min(0.9)),
        }
    }

    fn effort(&self, test: u32) -> f32 {
        match self.test(test) {
            Some(Test::Null | Test::Exists) => 1.0,
            _ if self.tests.get(test as usize).is_some_and(|asked| asked.indexed) => 1.0,
            Some(Test::Regex(_)) => 500.0,
            Some(Test::Text(_)) => 30.0,
            _ => 60.0,
        }
    }
}

/// The part itself where there is only one.
fn single(mut parts: Vec<Tree>, join: impl Fn(Vec<Tree>) -> Tree) -> Tree {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}
