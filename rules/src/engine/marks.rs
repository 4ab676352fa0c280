//! What is known of one event: which tests and unions hold, and which rules are to be asked.
//!
//! Nothing is cleared between events: each entry carries the number of the event that it is about.

use super::grams::Target;
use super::plan::{Link, Plan};

/// What is known of a test or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing was told or asked.
    Nothing,
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It was told that it may hold.
    Perhaps,
}

/// Room for the number of the event beside what is known.
const STEP: u32 = 4;

/// The memory of a session.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// By test, then by union: number of the event and [`Known`].
    memo: Vec<u32>,
    /// By rule of the plan: number of the event for which it was noted.
    noted: Vec<u32>,
    event: u32,
    /// Rules to be asked.
    pub(super) candidates: Vec<u32>,
}

impl Marks {
    /// Begins with the next event, of which nothing is known.
    pub(super) fn begin(&mut self, plan: &Plan) {
        self.event = self.event.wrapping_add(STEP);
        if self.event == 0 {
            self.memo.fill(0);
            self.noted.fill(0);
            self.event = STEP;
        }
        let size = plan.tests.len() + plan.unions.len();
        if self.memo.len() < size {
            self.memo.resize(size, 0);
        }
        if self.noted.len() < plan.rules.len() {
            self.noted.resize(plan.rules.len(), 0);
        }
        self.candidates.clear();
    }

    /// What is known of test or union `number`.
    #[inline]
    pub(super) fn known(&self, number: usize) -> Known {
        match self.memo.get(number).copied().unwrap_or(0).wrapping_sub(self.event) {
            1 => Known::True,
            2 => Known::False,
            3 => Known::Perhaps,
            _ => Known::Nothing,
        }
    }

    /// Notes what is known.
    #[inline]
    pub(super) fn note(&mut self, number: usize, known: Known) {
        let state = match known {
            Known::Nothing => 0,
            Known::True => 1,
            Known::False => 2,
            Known::Perhaps => 3,
        };
        if let Some(slot) = self.memo.get_mut(number) {
            *slot = self.event + state;
        }
    }

    /// An index tells that a test holds, or may hold.
    pub(super) fn tell(&mut self, plan: &Plan, target: Target) {
        let number = target.test as usize;
        let known = if target.certain { Known::True } else { Known::Perhaps };
        match self.known(number) {
            Known::Nothing => {
                self.note(number, known);
                self.follow(plan, plan.links(number), known);
            }
            Known::Perhaps if target.certain => self.note(number, known),
            _ => {}
        }
    }

    /// Notes what is linked with something that is seen.
    pub(super) fn follow(&mut self, plan: &Plan, links: &[Link], known: Known) {
        for link in links {
            match *link {
                Link::Rule(rule) => self.candidate(rule),
                Link::Union(union) => {
                    let number = plan.tests.len() + union as usize;
                    match self.known(number) {
                        Known::Nothing => {
                            self.note(number, known);
                            // A union's links lead to rules only.
                            self.follow(plan, plan.links(number), known);
                        }
                        Known::Perhaps if known == Known::True => self.note(number, known),
                        _ => {}
                    }
                }
            }
        }
    }

    fn candidate(&mut self, rule: u32) {
        if let Some(noted) = self.noted.get_mut(rule as usize)
            && *noted != self.event
        {
            *noted = self.event;
            self.candidates.push(rule);
        }
    }
}
