//! What a thread does: records in, rules that hold on them out. It needs nothing of other records, so that any number
//! of threads give the same.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dongson_event::{Event, Matched, Timestamp, Value};

use super::reader::{BadRecord, Texts};
use super::{time, unpack};
use crate::correlate::{self, RuleMatchKeyed};
use crate::engine::Tuner;
use crate::matcher::{Match, Matcher};
use crate::taxonomy::Mode;

/// Names under which records carry the host they tell about, best first.
const HOSTS: [&str; 12] = [
    "host.name",
    "Computer",
    "winlog.computer_name",
    "Hostname",
    "host.hostname",
    "agent.hostname",
    "computer_name",
    "observer.name",
    "source.ip",
    "src_ip",
    "id.orig_h",
    "hostname",
];
/// Longest value of a field that a match keeps, in characters.
const MAX_VALUE_CHARS: usize = 4_096;
/// Longest name of a host in characters; a domain name has at most 253 (RFC 1035, section 2.3.4).
const MAX_HOST_CHARS: usize = 256;
/// One event in so many is asked which rules it cost, where costs are wanted.
const SAMPLE: u64 = 16;

/// Makes events one after another.
pub type Source = Box<dyn FnOnce(&mut dyn FnMut(Result<Event, String>)) + Send>;

/// Records to look at.
pub enum Work {
    /// JSON texts, numbered in their file.
    Texts(Texts),
    /// Events that a thread can make for itself; numbered on from the part of the file before it.
    Events(Source),
    /// The file, or the rest of it, cannot be read.
    Unreadable(String),
}

/// Part of a file.
pub struct Job {
    /// The file's name.
    pub file: Arc<str>,
    /// True for the first part of a file.
    pub first: bool,
    /// What there is to look at.
    pub work: Work,
}

/// What was found in a [`Job`].
#[derive(Debug)]
pub struct Found {
    pub(super) file: Arc<str>,
    pub(super) first: bool,
    /// Numbers count from the end of the part before.
    pub(super) relative: bool,
    /// Events; what could not be read is no event.
    pub(super) records: u64,
    /// Where records stood, readable or not.
    pub(super) places: u64,
    /// Events whose log source no rule asks for.
    pub(super) unruled: u64,
    pub(super) bytes: u64,
    pub(super) hits: Vec<Held>,
    pub(super) bad: Vec<BadRecord>,
    pub(super) unreadable: Option<String>,
}

/// A record on which rules hold.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) number: u64,
    pub(super) time: Option<Timestamp>,
    pub(super) host: Option<String>,
    pub(super) matches: Vec<(Match, Vec<RuleMatchKeyed>)>,
}

/// What rules cost, told by a sample of the events.
#[derive(Debug, Clone, Default)]
pub struct Costs {
    /// Events of the sample.
    pub events: u64,
    /// How many rules they were put to, together.
    pub asked: u64,
    /// The same by rule: its number is its place.
    pub by_rule: Vec<u64>,
}

impl Costs {
    /// Adds what another thread saw.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.asked += other.asked;
        self.by_rule.resize(self.by_rule.len().max(other.by_rule.len()), 0);
        for (own, other) in self.by_rule.iter_mut().zip(&other.by_rule) {
            *own += other;
        }
    }
}

/// Looks at records; one per thread.
#[derive(Debug)]
pub struct Scanner {
    matcher: Matcher,
    tuner: Arc<Tuner>,
    mode: Mode,
    found: Vec<Match>,
    numbers: Vec<usize>,
    seen: u64,
    /// Events of the job at hand whose log source no rule asks for.
    unruled: u64,
    costs: Option<Costs>,
}

impl Scanner {
    /// A scanner with the rules of `tuner`'s engine, which all scanners of a run share; `costs`: note what rules cost.
    pub fn new(tuner: Arc<Tuner>, costs: bool) -> Self {
        let engine = Arc::clone(tuner.engine());
        let mode = engine.mode();
        let costs =
            costs.then(|| Costs { by_rule: vec![0; engine.rules().rules().len()], ..Costs::default() });
        let matcher = Matcher::sharing(engine);
        Self { matcher, tuner, mode, found: Vec::new(), numbers: Vec::new(), seen: 0, unruled: 0, costs }
    }

    /// What rules cost so far.
    pub fn costs(&self) -> Costs {
        self.costs.clone().unwrap_or_default()
    }

    /// Looks at all records of a job.
    pub fn look(&mut self, job: Job) -> Found {
        if !Arc::ptr_eq(self.tuner.engine(), self.matcher.engine()) {
            self.matcher = Matcher::sharing(Arc::clone(self.tuner.engine()));
        }
        let mut found = Found {
            file: job.file,
            first: job.first,
            relative: false,
            records: 0,
            places: 0,
            unruled: 0,
            bytes: 0,
            hits: Vec::new(),
            bad: Vec::new(),
            unreadable: None,
        };
        match job.work {
            Work::Texts(mut texts) => {
                found.bad = texts.take_bad();
                for (number, text) in texts.iter() {
                    found.bytes += text.len() as u64 + 1;
                    match self.text(number, text) {
                        Ok(held) => {
                            found.records += 1;
                            found.hits.extend(held);
                        }
                        Err(reason) => found.bad.push(BadRecord { number, reason }),
                    }
                }
                found.bad.sort_by_key(|bad| bad.number);
            }
            Work::Events(source) => self.events(source, &mut found),
            Work::Unreadable(reason) => found.unreadable = Some(reason),
        }
        found.unruled = std::mem::take(&mut self.unruled);
        found
    }

    fn events(&mut self, source: Source, found: &mut Found) {
        found.relative = true;
        // Parsers of foreign formats may fail on what an attacker wrote; that ends this part and nothing else.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            source(&mut |event| {
                found.places += 1;
                match event {
                    Ok(event) => {
                        found.records += 1;
                        found.hits.extend(self.event(found.places, event));
                    }
                    Err(reason) => found.bad.push(BadRecord { number: found.places, reason }),
                }
            });
        }));
        if outcome.is_err() {
            found.places += 1;
            let reason = "its reader failed; the rest of this part was left out".to_owned();
            found.bad.push(BadRecord { number: found.places, reason });
        }
    }

    /// The fast way: an event is only made of a text on which a rule holds.
    fn text(&mut self, number: u64, text: &[u8]) -> Result<Option<Held>, String> {
        if !(self.mode == Mode::Auto && may_be_packed(text)) {
            self.tuner.offer(|| Event::parse(text).ok().map(|(event, _)| event));
            self.numbers.clear();
            self.matcher.json(text, &mut self.numbers).map_err(|error| error.to_string())?;
            self.tally();
            if self.numbers.is_empty() {
                return Ok(None);
            }
        }
        let (event, _) = Event::parse(text).map_err(|error| error.to_string())?;
        Ok(self.event(number, event))
    }

    /// What holds on one event.
    pub(super) fn event(&mut self, number: u64, event: Event) -> Option<Held> {
        let event = if self.mode == Mode::Auto { unpack(event) } else { event };
        self.found.clear();
        self.matcher.matches(&event, &mut self.found);
        self.tally();
        if self.found.is_empty() {
            return None;
        }
        let host = HOSTS.iter().find_map(|name| event.get(name));
        let host = host.map(|host| host.to_text().chars().take(MAX_HOST_CHARS).collect::<String>());
        let host = host.filter(|host| !host.is_empty());
        let event = time::dated(event);
        let matches = std::mem::take(&mut self.found).into_iter().map(|mut one| {
            one.because.iter_mut().for_each(shorten);
            let keyed = correlate::keyed(&mut self.matcher, &event, one.rule);
            (one, keyed)
        });
        Some(Held { number, matches: matches.collect(), time: event.timestamp(), host })
    }

    fn tally(&mut self) {
        self.seen += 1;
        self.unruled += u64::from(!self.matcher.ruled());
        let Some(costs) = &mut self.costs else { return };
        if self.seen.is_multiple_of(SAMPLE) {
            costs.events += 1;
            self.matcher.asked(&mut |rule| {
                costs.asked += 1;
                if let Some(count) = costs.by_rule.get_mut(rule) {
                    *count += 1;
                }
            });
        }
    }
}

fn shorten(matched: &mut Matched) {
    if let Value::Text(text) = &matched.value
        && text.len() > MAX_VALUE_CHARS
    {
        let mut short: String = text.chars().take(MAX_VALUE_CHARS).collect();
        if short.len() < text.len() {
            short.push('…');
            matched.value = Value::from(short);
        }
    }
}

/// False when the text is certainly no Windows record as EVTX tools print them, which must be [`unpack`]ed: it has no
/// name `Event` or `Event...`, and no name in which that could be hidden by escapes of letters.
fn may_be_packed(text: &[u8]) -> bool {
    let hidden =
        || memchr::memmem::find_iter(text, b"\\u00").any(|at| matches!(text.get(at + 4), Some(b'4'..=b'7')));
    memchr::memmem::find(text, b"\"Event\"").is_some()
        || memchr::memmem::find(text, b"\"Event.").is_some()
        || hidden()
}
