//! Why a rule holds: the tests that made it hold, with the values that they saw.
//!
//! Written once for both evaluators, so that they give the same reasons.

use dongson_event::{Matched, Value};

use crate::predicate::{FieldId, Loaded, PredicateId, Tables, Target};
use crate::sigma::detection::{Detection, Node};

/// Most reasons that are told for one match.
const MAX_REASONS: usize = 64;

/// What an evaluator knows of the event that it has looked at.
pub(crate) trait Facts<'e> {
    /// The predicates of all rules.
    fn tables(&self) -> &Tables;
    /// True when the predicate holds.
    fn predicate(&mut self, id: PredicateId) -> bool;
    /// The name under which the event carries the field, and the value.
    fn field(&self, field: FieldId) -> Option<(&str, &'e Value)>;
    /// The values that keywords look into.
    fn content(&self) -> impl Iterator<Item = &'e Value>;
}

/// The tests that make `detection`, which holds, hold.
pub(crate) fn because<'e>(facts: &mut impl Facts<'e>, detection: &Detection) -> Vec<Matched> {
    let mut out = Vec::new();
    walk(facts, detection, &detection.condition, "", &mut out);
    out
}

/// True when `node` holds.
pub(crate) fn holds<'e>(facts: &mut impl Facts<'e>, detection: &Detection, node: &Node) -> bool {
    match node {
        Node::All(parts) => parts.iter().all(|part| holds(facts, detection, part)),
        Node::Any(parts) => parts.iter().any(|part| holds(facts, detection, part)),
        Node::Not(inner) => !holds(facts, detection, inner),
        Node::Selection(number) => {
            detection.selections.get(*number).is_some_and(|(_, node)| holds(facts, detection, node))
        }
        Node::Test(predicate) => facts.predicate(*predicate),
    }
}

fn walk<'e>(
    facts: &mut impl Facts<'e>,
    detection: &Detection,
    node: &Node,
    selection: &str,
    out: &mut Vec<Matched>,
) {
    if out.len() >= MAX_REASONS || !holds(facts, detection, node) {
        return;
    }
    match node {
        Node::All(parts) | Node::Any(parts) => {
            for part in parts {
                walk(facts, detection, part, selection, out);
            }
        }
        Node::Selection(number) => {
            if let Some((name, node)) = detection.selections.get(*number) {
                walk(facts, detection, node, name, out);
            }
        }
        Node::Test(predicate) => out.extend(reason(facts, *predicate, selection)),
        Node::Not(_) => {}
    }
}

fn reason<'e>(facts: &impl Facts<'e>, id: PredicateId, selection: &str) -> Option<Matched> {
    let predicate = facts.tables().predicates.get(id)?;
    let held = |value: &&Value| predicate.test.holds(&Loaded::field(Some(value)));
    let (field, value) = match predicate.target {
        Target::Field(field) => {
            let (name, value) = facts.field(field)?;
            (name, value.scalars().iter().find(held).unwrap_or(value))
        }
        Target::Anywhere => ("", facts.content().flat_map(Value::scalars).find(held)?),
    };
    Some(Matched { field: field.to_owned(), value: value.clone(), selection: selection.to_owned() })
}
