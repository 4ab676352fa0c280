//! Where an event belongs, told by numbers instead of texts.
//!
//! The answers to the questions that the taxonomies ask make a signature; events of one signature are of one place, so
//! that the place and its rules are worked out once. Only values that some taxonomy or rule names count in a
//! signature: whoever invents others makes no new places.

use std::collections::HashMap;

use ahash::RandomState;

use super::arena::{Scalar, unescape};
use super::names::{NameId, Names};
use super::record::Record;
use crate::rule::LogSource;
use crate::ruleset::RuleSet;
use crate::taxonomy::{Condition, Mode, Place, Taxonomies};
use crate::text::{fold, fold_char};

/// The names of the log source that an event states itself.
const STATED: [&str; 3] = ["product", "category", "service"];
/// A stated word that no rule asks for; no rule can name it.
const OTHER: &str = "\u{0}other";

/// Longest stated word in bytes that is remembered.
const LONGEST_WORD: usize = 64;

type Numbers = HashMap<Box<str>, u32, RandomState>;

/// A question of taxonomies: a field, and the values that they tell apart.
#[derive(Debug)]
struct Question {
    /// Best first.
    names: Vec<NameId>,
    values: Numbers,
}

/// An answer that is wanted.
#[derive(Debug)]
struct Wanted {
    question: usize,
    /// One of these values; `None` where presence is enough.
    values: Option<Vec<u32>>,
}

#[derive(Debug)]
struct Compiled {
    /// One list must hold.
    recognise: Vec<Vec<Wanted>>,
    /// By source: all must hold.
    gates: Vec<Vec<Wanted>>,
    /// The questions of the gates.
    questions: Vec<usize>,
}

/// The compiled taxonomies.
#[derive(Debug)]
pub(super) struct Placing {
    mode: Mode,
    questions: Vec<Question>,
    taxonomies: Vec<Compiled>,
    stated: [NameId; 3],
    dataset: NameId,
    /// The words that rules use, from 2.
    words: [Numbers; 3],
    names: [Vec<String>; 3],
}

/// The answer of one event.
#[derive(Debug, Clone, Copy, Default)]
struct Answer {
    known: bool,
    present: bool,
    first: u32,
    count: u32,
}

/// What is remembered while one event is placed.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the answers among what is remembered")]
pub(super) struct Answers {
    answers: Vec<Answer>,
    numbers: Vec<u32>,
    folded: String,
    scratch: String,
    /// The words that were stated last, in the order of [`STATED`].
    stated: [Word; 3],
    /// The signature of the event that was asked last.
    pub(super) signature: Vec<u32>,
}

/// A stated word and its number; most events state the same ones.
#[derive(Debug, Default)]
struct Word {
    text: String,
    number: u32,
}

impl Word {
    /// The number of `text`: 1 where no rule knows it.
    fn number(&mut self, known: &Numbers, text: &str, folded: &mut String) -> u32 {
        if text.len() > LONGEST_WORD {
            return number(known, text, folded).unwrap_or(1);
        }
        if self.text != text {
            self.number = number(known, text, folded).unwrap_or(1);
            self.text.clear();
            self.text.push_str(text);
        }
        self.number
    }
}

impl Placing {
    /// Every name that is asked for.
    pub(super) fn names(taxonomies: &Taxonomies) -> impl Iterator<Item = String> {
        let conditions = taxonomies.conditions().flat_map(|(recognise, gates)| recognise.iter().chain(gates));
        let asked = conditions.flatten().flat_map(|condition| condition.names.iter().cloned());
        asked.chain(STATED.map(str::to_owned)).chain(["event.dataset".to_owned()])
    }

    pub(super) fn new(taxonomies: &Taxonomies, rules: &RuleSet, names: &Names, mode: Mode) -> Self {
        let mut compiler = Compiler { names, questions: Vec::new() };
        let taxonomies =
            taxonomies.conditions().map(|(recognise, gates)| compiler.taxonomy(recognise, gates));
        let compiled = taxonomies.collect();
        let word = |choose: fn(&LogSource) -> &Option<String>| {
            let mut words: Vec<String> =
                rules.rules().iter().filter_map(|rule| choose(&rule.logsource).clone()).collect();
            words.sort();
            words.dedup();
            words
        };
        let all = [word(|own| &own.product), word(|own| &own.category), word(|own| &own.service)];
        let numbered =
            |words: &Vec<String>| words.iter().map(|word| Box::from(word.as_str())).zip(2..).collect();
        Self {
            mode,
            questions: compiler.questions,
            taxonomies: compiled,
            stated: STATED.map(|name| names.find(name)),
            dataset: names.find("event.dataset"),
            words: all.each_ref().map(numbered),
            names: all,
        }
    }

    /// Fills the signature of `record`; `find` tells which field carries a name.
    pub(super) fn sign<R: Record>(
        &self,
        record: &R,
        find: impl Fn(NameId) -> Option<usize> + Copy,
        answers: &mut Answers,
    ) {
        answers.answers.clear();
        answers.answers.resize(self.questions.len(), Answer::default());
        answers.numbers.clear();
        answers.signature.clear();
        if self.mode == Mode::Auto {
            let recognised = self
                .taxonomies
                .iter()
                .position(|own| own.recognise.iter().any(|all| self.all_hold(all, record, find, answers)));
            answers.signature.push(recognised.map_or(0, |at| u32::try_from(at).map_or(0, |at| at + 1)));
            for &question in
                recognised.and_then(|at| self.taxonomies.get(at)).map_or(&[][..], |own| &own.questions)
            {
                let answer = self.answer(question, record, find, answers);
                answers.signature.push(answer.count + u32::from(answer.present));
                let range = answer.first as usize..(answer.first + answer.count) as usize;
                answers.signature.extend(answers.numbers.get(range).unwrap_or_default());
            }
        }
        let words = self.stated(record, find, answers);
        answers.signature.extend(words);
    }

    /// The words of the log source that the event states: 0 for none, 1 for one that no rule knows.
    fn stated<R: Record>(
        &self,
        record: &R,
        find: impl Fn(NameId) -> Option<usize>,
        answers: &mut Answers,
    ) -> [u32; 3] {
        let mut words = [0; 3];
        let Answers { scratch, folded, stated, .. } = answers;
        let asked = self.stated.iter().zip(&self.words).zip(stated);
        for (((name, known), last), word) in asked.zip(&mut words) {
            let Some(leaf) = find(*name).filter(|leaf| !record.is_list(*leaf)) else { continue };
            record.scalars(leaf, scratch, &mut |scalar| match scalar {
                Scalar::Text("") | Scalar::Null | Scalar::Other(_) => {}
                Scalar::Text(text) => *word = last.number(known, text, folded),
                Scalar::Escaped(text) => {
                    let mut plain = String::new();
                    unescape(text, &mut plain);
                    *word = last.number(known, &plain, folded);
                }
            });
        }
        // `service` alone says nothing: many formats have a field of that name.
        let [product, category, _] = words;
        let counts =
            self.mode == Mode::Sigma || ((product > 0 || category > 0) && find(self.dataset).is_none());
        if counts { words } else { [0; 3] }
    }

    fn all_hold<R: Record>(
        &self,
        all: &[Wanted],
        record: &R,
        find: impl Fn(NameId) -> Option<usize> + Copy,
        answers: &mut Answers,
    ) -> bool {
        all.iter().all(|wanted| {
            let answer = self.answer(wanted.question, record, find, answers);
            wanted.fits(answer, answers)
        })
    }

    fn answer<R: Record>(
        &self,
        question: usize,
        record: &R,
        find: impl Fn(NameId) -> Option<usize>,
        answers: &mut Answers,
    ) -> Answer {
        if let Some(known) = answers.answers.get(question).filter(|answer| answer.known) {
            return *known;
        }
        let mut answer = Answer { known: true, ..Answer::default() };
        if let Some(own) = self.questions.get(question)
            && let Some(leaf) = own.names.iter().find_map(|name| find(*name))
        {
            answer.present = true;
            let Answers { numbers, folded, scratch, .. } = &mut *answers;
            let first = numbers.len();
            if !own.values.is_empty() {
                record.scalars(leaf, scratch, &mut |scalar| {
                    let mut plain = String::new();
                    let text = match scalar {
                        Scalar::Null => "",
                        Scalar::Text(text) | Scalar::Other(text) => text,
                        Scalar::Escaped(text) => {
                            unescape(text, &mut plain);
                            &plain
                        }
                    };
                    // A list may name a value again and again; there are few different ones.
                    let found = number(&own.values, text, folded);
                    let seen = numbers.get(first..).unwrap_or_default();
                    numbers.extend(found.filter(|found| !seen.contains(found)));
                });
                numbers.get_mut(first..).unwrap_or_default().sort_unstable();
            }
            let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            answer.first = small(first);
            answer.count = small(numbers.len() - first);
        }
        if let Some(slot) = answers.answers.get_mut(question) {
            *slot = answer;
        }
        answer
    }

    /// The place of the signature; `answers` are those that gave it.
    pub(super) fn place(&self, answers: &Answers) -> Place {
        let (taxonomy, words) = match (self.mode, answers.signature.as_slice()) {
            (Mode::Sigma, words) => (None, words),
            (Mode::Auto, [taxonomy, rest @ ..]) => (
                taxonomy.checked_sub(1).map(|at| at as usize),
                rest.last_chunk::<3>().map_or(&[][..], |words| words),
            ),
            (Mode::Auto, []) => (None, &[][..]),
        };
        let stated = (self.mode == Mode::Sigma || words.iter().any(|word| *word > 0)).then(|| {
            let mut all = words.iter().zip(&self.names).map(|(word, names)| match word {
                0 => None,
                word => {
                    let known = (*word as usize).checked_sub(2).and_then(|at| names.get(at));
                    Some(known.map_or_else(|| OTHER.to_owned(), String::clone))
                }
            });
            let mut next = || all.next().flatten();
            LogSource { product: next(), category: next(), service: next() }
        });
        let compiled = taxonomy.and_then(|at| self.taxonomies.get(at));
        let gates = compiled.into_iter().flat_map(|own| own.gates.iter().enumerate());
        let open = gates.filter(|(_, all)| {
            all.iter().all(|wanted| {
                answers.answers.get(wanted.question).is_some_and(|answer| wanted.fits(*answer, answers))
            })
        });
        Place::new(taxonomy, open.map(|(number, _)| number).collect(), stated)
    }
}

impl Wanted {
    fn fits(&self, answer: Answer, answers: &Answers) -> bool {
        let range = answer.first as usize..(answer.first + answer.count) as usize;
        let given = answers.numbers.get(range).unwrap_or_default();
        answer.present
            && self.values.as_ref().is_none_or(|values| given.iter().any(|number| values.contains(number)))
    }
}

/// The number of `text`, folded.
fn number(numbers: &Numbers, text: &str, folded: &mut String) -> Option<u32> {
    folded.clear();
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        folded.extend(text.chars().map(fold_char));
    }
    numbers.get(folded.as_str()).copied()
}

struct Compiler<'n> {
    names: &'n Names,
    questions: Vec<Question>,
}

impl Compiler<'_> {
    fn taxonomy(&mut self, recognise: &[Vec<Condition>], gates: &[Vec<Condition>]) -> Compiled {
        let lists = |own: &mut Self, all: &[Vec<Condition>]| {
            all.iter().map(|all| all.iter().map(|one| own.wanted(one)).collect()).collect()
        };
        let recognise = lists(self, recognise);
        let gates: Vec<Vec<Wanted>> = lists(self, gates);
        let mut questions: Vec<usize> = gates.iter().flatten().map(|wanted| wanted.question).collect();
        questions.sort_unstable();
        questions.dedup();
        Compiled { recognise, gates, questions }
    }

    fn wanted(&mut self, condition: &Condition) -> Wanted {
        let names: Vec<NameId> = condition.names.iter().map(|name| self.names.find(name)).collect();
        let known = self.questions.iter().position(|question| question.names == names);
        let question = known.unwrap_or_else(|| {
            self.questions
                .push(Question { names, values: Numbers::with_hasher(RandomState::with_seeds(1, 2, 3, 4)) });
            self.questions.len() - 1
        });
        let mut number = |value: &String| {
            let values = &mut self.questions.get_mut(question)?.values;
            let next = u32::try_from(values.len()).ok()?;
            Some(*values.entry(fold(value).into()).or_insert(next))
        };
        let values = condition.values.as_ref().map(|values| values.iter().filter_map(&mut number).collect());
        Wanted { question, values }
    }
}
