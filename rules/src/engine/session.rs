//! One event after another: place it, load what its rules read, look for witnesses, ask the rules that have one.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use dongson_event::{Event, Matched, ParseError, Value};

use super::Engine;
use super::arena::{Arena, Loaded};
use super::costs::Measure;
use super::direct::Direct;
use super::marks::{Known, Marks};
use super::names::{NameId, UNKNOWN};
use super::place::Answers;
use super::plan::Plan;
use super::read::Read;
use super::recall::{Asker, Recall};
use super::record::{Fields, Record, Spare};
use super::tape::Tape;
use super::tree::{Asked, Tree};
use crate::explain::{self, Facts};
use crate::matcher::Match;
use crate::predicate::{Affix, FieldId, MAX_REFERRED, PredicateId, Tables, Test, refers};

/// Most signatures whose plans a session remembers.
const MAX_SIGNATURES: usize = 4_096;

/// Asks an [`Engine`] about events; keep one per thread. It remembers memory between events, and nothing else.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
    plans: HashMap<Vec<u32>, Arc<Plan>, RandomState>,
    answers: Answers,
    /// By field of the event: its name.
    names: Vec<NameId>,
    /// By name: which event had it last, and in which field.
    seen: Vec<(u32, u32)>,
    event: u32,
    /// Some rule is asked on events of this one's place.
    ruled: bool,
    /// By slot: the best name that the event has for it, and the field.
    best: Vec<(u32, u32)>,
    look: Look,
    tape: Tape,
    spare: Spare,
}

/// What is known of the event.
#[derive(Debug, Default)]
struct Look {
    arena: Arena,
    marks: Marks,
    recall: Recall,
    /// Numbers of the rules that hold, in the plan.
    holding: Vec<u32>,
    /// For numbers that are printed.
    scratch: String,
}

impl Session {
    /// A session with `engine`.
    pub fn new(engine: Arc<Engine>) -> Self {
        let seen = vec![(0, 0); engine.names.len()];
        Self {
            engine,
            plans: HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4)),
            answers: Answers::default(),
            names: Vec::new(),
            ruled: false,
            seen,
            event: 0,
            best: Vec::new(),
            look: Look::default(),
            tape: Tape::default(),
            spare: Spare::default(),
        }
    }

    /// True when some rule asks for the log source of the event looked at last.
    pub fn ruled(&self) -> bool {
        self.ruled
    }

    /// The engine that is asked.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Adds every rule that holds on `event` to `out`, in the order of their numbers.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<Match>) {
        let fields = Fields::new(event, &mut self.spare);
        let plan = self.look_at_fields(&fields);
        for at in 0..self.look.holding.len() {
            let rule = self.look.holding.get(at).and_then(|rule| plan.rules.get(*rule as usize));
            if let Some(rule) = rule {
                out.push(Match { rule: rule.rule, because: self.because(&plan, rule.rule, &fields) });
            }
        }
        fields.recycle(&mut self.spare);
    }

    /// Adds the number of every rule that holds on the event of this JSON text to `rules`, in their order: what
    /// [`Session::matches`] finds on [`Event::parse`], without making the event.
    pub fn json(&mut self, text: &[u8], rules: &mut Vec<usize>) -> Result<(), ParseError> {
        let plain = simdutf8::basic::from_utf8(text).ok();
        let mut tape = std::mem::take(&mut self.tape);
        let read = plain
            .filter(|text| tape.read(text, &self.engine.names, &mut self.names).is_ok() && self.remember());
        let outcome = if let Some(text) = read {
            let plan = self.look_at(&Read { tape: &tape, text });
            self.tell(&plan, rules);
            Ok(())
        } else {
            self.slow_json(text, rules)
        };
        self.tape = tape;
        outcome
    }

    /// Calls `take` with the number of each rule that was put to the event looked at last.
    pub fn asked(&self, take: &mut dyn FnMut(usize)) {
        let Some(plan) = self.plans.get(&self.answers.signature) else { return };
        let asked = plan.always.iter().chain(&self.look.marks.candidates);
        asked.filter_map(|rule| plan.rules.get(*rule as usize)).for_each(|rule| take(rule.rule));
    }

    /// Reads the text without asking any rule: the least that [`Session::json`] can take. How many fields it has.
    pub fn tokens(&mut self, text: &[u8]) -> Option<usize> {
        let text = simdutf8::basic::from_utf8(text).ok()?;
        self.tape.read(text, &self.engine.names, &mut self.names).ok()?;
        Some(self.names.len())
    }

    /// Looks at an event of a sample.
    pub(super) fn measure(&mut self, event: &Event, measure: &mut Measure) {
        let fields = Fields::new(event, &mut self.spare);
        let plan = self.look_at_fields(&fields);
        fields.recycle(&mut self.spare);
        let Look { arena, marks, .. } = &self.look;
        let told = |test: usize| marks.known(test) != Known::Nothing;
        let slots = (0..).zip(&plan.fields).map(|(slot, _)| slot);
        let texts = slots.flat_map(|slot| arena.written(slot));
        measure.add(&plan.tests, told, texts);
    }

    /// What is not plain goes the way over the event.
    fn slow_json(&mut self, text: &[u8], rules: &mut Vec<usize>) -> Result<(), ParseError> {
        let (event, _) = Event::parse(text)?;
        let fields = Fields::new(&event, &mut self.spare);
        let plan = self.look_at_fields(&fields);
        fields.recycle(&mut self.spare);
        self.tell(&plan, rules);
        Ok(())
    }

    fn tell(&self, plan: &Plan, rules: &mut Vec<usize>) {
        let held = self.look.holding.iter().filter_map(|rule| plan.rules.get(*rule as usize));
        rules.extend(held.map(|rule| rule.rule));
    }

    fn look_at_fields(&mut self, fields: &Fields<'_>) -> Arc<Plan> {
        self.names.clear();
        self.names.extend(fields.names().map(|name| self.engine.names.find(name)));
        self.remember();
        self.look_at(fields)
    }

    fn because(&mut self, plan: &Plan, rule: usize, fields: &Fields<'_>) -> Vec<Matched> {
        let engine = Arc::clone(&self.engine);
        let Some(detection) = engine.rules.detection(rule) else { return Vec::new() };
        explain::because(&mut Reasons { session: self, plan, fields }, detection)
    }

    /// Notes which field of the event carries which name; false where two carry the same one that is asked for.
    fn remember(&mut self) -> bool {
        self.event = self.event.wrapping_add(1);
        if self.event == 0 {
            self.seen.fill((0, 0));
            self.event = 1;
        }
        let mut once = true;
        for (leaf, &name) in (0..).zip(&self.names) {
            if let Some(seen) = self.seen.get_mut(name as usize) {
                once &= seen.0 != self.event;
                *seen = (self.event, leaf);
            }
        }
        once
    }

    /// Finds the rules that hold.
    fn look_at<R: Record>(&mut self, record: &R) -> Arc<Plan> {
        let plan = self.plan(record);
        self.ruled = !plan.rules.is_empty();
        self.load(&plan, record);
        let engine = Arc::clone(&self.engine);
        self.look.probe(&plan);
        self.look.decide(&Case { plan: &plan, tables: engine.rules.tables(), record });
        plan
    }

    fn plan<R: Record>(&mut self, record: &R) -> Arc<Plan> {
        let (seen, event) = (&self.seen, self.event);
        let find = |name: NameId| {
            seen.get(name as usize).filter(|(at, _)| *at == event).map(|(_, leaf)| *leaf as usize)
        };
        self.engine.placing.sign(record, find, &mut self.answers);
        if let Some(plan) = self.plans.get(&self.answers.signature) {
            return Arc::clone(plan);
        }
        let plan = self.engine.plan(&self.engine.placing.place(&self.answers));
        // Signatures come from events: whoever floods us with new ones only makes us forget the others.
        if self.plans.len() >= MAX_SIGNATURES {
            self.plans.clear();
        }
        self.plans.insert(self.answers.signature.clone(), Arc::clone(&plan));
        plan
    }

    /// Copies what the plan's rules read into the arena.
    fn load<R: Record>(&mut self, plan: &Plan, record: &R) {
        self.best.clear();
        self.best.resize(plan.fields.len(), (u32::MAX, 0));
        for (leaf, &name) in (0..).zip(&self.names) {
            for reader in plan.readers(name) {
                if let Some(best) = self.best.get_mut(reader.slot as usize)
                    && reader.rank < best.0
                {
                    *best = (reader.rank, leaf);
                }
            }
        }
        let Look { arena, scratch, .. } = &mut self.look;
        arena.reset(plan.fields.len());
        record.begin(arena);
        let may_hold = plan.sieve.as_ref().is_none_or(|sieve| record.may_hold(sieve, scratch, arena));
        for (slot, &(_, leaf)) in (0..).zip(&self.best).filter(|(_, (rank, _))| *rank < u32::MAX) {
            arena.begin(slot, Loaded::THERE);
            record.load(leaf as usize, slot, scratch, arena);
        }
        let Some(slot) = plan.anywhere else { return };
        arena.begin(slot, Loaded::default());
        for (leaf, &name) in self.names.iter().enumerate() {
            if may_hold && self.engine.names.is_content(name, record.name(leaf)) {
                record.load(leaf, slot, scratch, arena);
            }
        }
    }
}

/// What is asked, and about what.
struct Case<'c, R> {
    plan: &'c Plan,
    tables: &'c Tables,
    record: &'c R,
}

impl Look {
    /// Lets the indexes tell what they see.
    fn probe(&mut self, plan: &Plan) {
        let Self { arena, marks, recall, .. } = self;
        marks.begin(plan);
        for &slot in arena.begun() {
            let Some(field) = plan.fields.get(slot as usize) else { continue };
            let loaded = arena.loaded(slot);
            if loaded.present {
                marks.follow(plan, &field.on_present, Known::Perhaps);
            }
            if loaded.has_text() {
                marks.follow(plan, &field.on_text, Known::Perhaps);
                let asker = Asker { plan: plan.number, slot };
                for text in arena.written(slot) {
                    if let Some(told) = recall.told(asker, text) {
                        for target in told {
                            marks.tell(plan, *target);
                        }
                        continue;
                    }
                    recall.begin();
                    field.index.probe(text, &mut |target| {
                        recall.note(target);
                        marks.tell(plan, target);
                    });
                    recall.keep(asker, text);
                }
            }
        }
    }

    /// Asks the rules that have a witness, and those that need none.
    fn decide<R: Record>(&mut self, case: &Case<'_, R>) {
        self.holding.clear();
        let candidates = std::mem::take(&mut self.marks.candidates);
        for &rule in case.plan.always.iter().chain(&candidates) {
            if case.plan.rules.get(rule as usize).is_some_and(|rule| self.holds(case, &rule.tree)) {
                self.holding.push(rule);
            }
        }
        self.marks.candidates = candidates;
        self.holding.sort_unstable();
    }

    fn holds<R: Record>(&mut self, case: &Case<'_, R>, tree: &Tree) -> bool {
        match tree {
            Tree::All(parts) => parts.iter().all(|part| self.holds(case, part)),
            Tree::Any(parts) => parts.iter().any(|part| self.holds(case, part)),
            Tree::Not(inner) => !self.holds(case, inner),
            Tree::Test(test) => self.test(case, *test),
            Tree::Union(union) => self.union(case, *union),
        }
    }

    fn union<R: Record>(&mut self, case: &Case<'_, R>, number: u32) -> bool {
        let at = case.plan.tests.len() + number as usize;
        let Some(union) = case.plan.unions.get(number as usize) else { return false };
        match self.marks.known(at) {
            Known::True => true,
            Known::False => false,
            Known::Nothing if union.told => false,
            Known::Nothing | Known::Perhaps => {
                let truth = union.members.iter().any(|test| self.test(case, *test));
                self.marks.note(at, if truth { Known::True } else { Known::False });
                truth
            }
        }
    }

    fn test<R: Record>(&mut self, case: &Case<'_, R>, number: u32) -> bool {
        let at = number as usize;
        let Some(asked) = case.plan.tests.get(at) else { return false };
        match self.marks.known(at) {
            Known::True => true,
            Known::False => false,
            Known::Nothing if asked.indexed => false,
            Known::Nothing | Known::Perhaps => {
                let truth = self.ask(case, number, asked);
                self.marks.note(at, if truth { Known::True } else { Known::False });
                truth
            }
        }
    }

    fn ask<R: Record>(&mut self, case: &Case<'_, R>, number: u32, asked: &Asked) -> bool {
        let Asked { slot, other, predicate, .. } = *asked;
        let direct = case.plan.direct(number);
        if let Some(direct) = direct {
            let answers = self.arena.written(slot).map(|text| direct.holds(text));
            if let Some(truth) = answers.fold(Some(false), either) {
                return truth;
            }
        }
        let Some(test) = case.tables.predicates.get(predicate).map(|predicate| &predicate.test) else {
            return false;
        };
        let Self { arena, scratch, .. } = self;
        match test {
            Test::Null => return arena.loaded(slot).null,
            Test::Exists => return arena.loaded(slot).present,
            _ => {}
        }
        if let Test::FieldRef { affix: Affix::Whole, cased: false, .. } = test {
            // Folded texts are equal where they are written the same.
            let mut others = arena.written(slot).take(MAX_REFERRED);
            return others.any(|one| arena.written(other).take(MAX_REFERRED).any(|own| one == own));
        }
        arena.spell(slot, case.record, scratch);
        if let Test::FieldRef { affix, cased, .. } = test {
            arena.spell(other, case.record, scratch);
            return refers(arena.texts(slot), &arena.texts(other), *affix, *cased);
        }
        if let Some(regex) = direct.and_then(Direct::instead) {
            return arena.texts(slot).any(|(raw, _)| regex.is_match(raw));
        }
        arena.texts(slot).any(|(raw, folded)| test.fits(raw, folded))
    }
}

/// True when one is; unknown when none is and one is unknown.
fn either(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

/// What the session knows, in the words of [`explain`].
struct Reasons<'s, 'e> {
    session: &'s mut Session,
    plan: &'s Plan,
    fields: &'s Fields<'e>,
}

impl<'e> Facts<'e> for Reasons<'_, 'e> {
    fn tables(&self) -> &Tables {
        self.session.engine.rules.tables()
    }

    fn predicate(&mut self, id: PredicateId) -> bool {
        let Some(test) = self.plan.number(id) else { return false };
        let engine = Arc::clone(&self.session.engine);
        let case = Case { plan: self.plan, tables: engine.rules.tables(), record: self.fields };
        self.session.look.test(&case, test)
    }

    fn field(&self, field: FieldId) -> Option<(&str, &'e Value)> {
        let found = self.plan.names(field).iter().find_map(|name| {
            let (event, leaf) = *self.session.seen.get(*name as usize)?;
            (event == self.session.event).then_some(leaf as usize)
        });
        self.fields.value(found?)
    }

    fn content(&self) -> impl Iterator<Item = &'e Value> {
        let names = &self.session.engine.names;
        let ids = self.session.names.iter().copied().chain(std::iter::repeat(UNKNOWN));
        let fields = self.fields.all().zip(ids);
        fields.filter(|((name, _), id)| names.is_content(*id, name)).map(|((_, value), _)| value)
    }
}
