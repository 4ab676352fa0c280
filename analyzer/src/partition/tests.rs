//! Both stages without their disks, over a log in memory: whatever the delays, the batches and the restarts, the same
//! events give the same signals.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use dongson_bus::{Batch, Record, partition_of};
use dongson_event::{Event, Signal, TOPIC_SIGNALS, Timestamp};
use dongson_rules::correlate::{Lateness, Timed as _};
use dongson_rules::{LoadOptions, RuleSet};
use dongson_script::{Limits, Scripts};
use proptest::prelude::*;

use super::*;
use crate::detect::Detector;
use crate::item::items;
use crate::stage::marks::{Heard, Marks};

/// A count, an order, a chain of chains, a count over all agencies, and a script, all of which see the order.
const RULES: &str = "
title: Fail
id: fail
logsource: {product: dongson, service: conn}
detection: {s: {event.action: fail}, condition: s}
---
title: Success
id: ok
logsource: {product: dongson, service: conn}
detection: {s: {event.action: ok}, condition: s}
---
title: Many
id: many
correlation: {type: event_count, rules: [fail], group-by: [user.name], timespan: 8s, condition: {gte: 3}}
---
title: Order
id: order
correlation: {type: temporal_ordered, rules: [fail, ok], group-by: [user.name], timespan: 9s}
---
title: Chain
id: chain
correlation: {type: temporal_ordered, rules: [many, ok], group-by: [user.name], timespan: 30s, generate: true}
---
title: Chain of chains
id: deep
correlation: {type: event_count, rules: [chain, order], timespan: 1m, condition: {gte: 3}, generate: true}
---
title: Alone
id: alone
correlation: {type: temporal, rules: [fail, ok], group-by: [user.name], timespan: 3s, condition: fail and not ok}
---
title: Everywhere
id: everywhere
correlation: {type: event_count, rules: [fail], group-by: [source.ip], timespan: 5s, condition: {gte: 3}}
dongson: {scope: province}
";

const SCRIPT: &str = "/* meta
title: After
id: after
logsource: {product: dongson, service: conn}
detection:
  s: {event.dataset: sensor.conn}
  condition: s
script:
  key: [user.name]
  fields: [event.action]
*/
fn on(event, state) {
  let before = state.action;
  state.action = event[\"event.action\"];
  return before == \"fail\" && state.action == \"ok\";
}
";

static CONTENT: LazyLock<Content> = LazyLock::new(|| {
    let options = LoadOptions { scripts: true, ..LoadOptions::default() };
    let report = RuleSet::from_documents([("r.yml", RULES), ("after.rhai", SCRIPT)], &options);
    assert_eq!(report.refused, []);
    let (scripts, refused) = Scripts::compile(&report.rules, &Limits::default());
    assert!(refused.is_empty());
    Content::new(report.rules, scripts)
});

const LATENESS: Lateness = Lateness {
    within_source: Duration::from_secs(10),
    between_sources: Duration::from_mins(2),
    idle: Duration::from_secs(30),
};
const PARTITIONS: u32 = 2;
/// Partitions of the events: the second agency's sources stand in both.
const INPUTS: u32 = 2;
/// When the sources begin to speak; the stages run for longer.
const START: i64 = 1_800_000_000;

/// Seconds since the event before, whether it failed, user, delay of this one in milliseconds.
type Seen = (i64, bool, u8, u64);

/// An event and when it arrives.
#[derive(Clone)]
struct Arrival(Timestamp, Event);

/// The events of a source that is `lag` seconds behind.
fn arrivals(source: usize, lag: i64, seen: &[Seen]) -> Vec<Arrival> {
    let mut now = START;
    let event = |(number, (later, fails, user, delay)): (usize, &Seen)| {
        now += later;
        let at = Timestamp::from_seconds(now);
        let arrival = Timestamp::from_seconds(now + lag).plus(Duration::from_millis(*delay));
        let mut event = Event::of("sensor.conn", arrival);
        event.set("@timestamp", at);
        event.set("event.ingested", arrival);
        event.set("organization.id", if source == 0 { "xa-a" } else { "xa-b" });
        event.set("observer.name", format!("node-{source}"));
        event.set("event.id", format!("{source}-{number:02}"));
        event.set("event.action", if *fails { "fail" } else { "ok" });
        event.set("user.name", format!("u{user}"));
        event.set("source.ip", "203.0.113.7");
        Arrival(arrival, event)
    };
    seen.iter().enumerate().map(event).collect()
}

/// The partition of the events in which an event stands.
fn input_of(event: &Event) -> usize {
    usize::from(event.text("observer.name") == Some("node-1"))
}

fn all_items(detector: &mut Detector, event: &Event) -> Vec<Item> {
    let found = detector.signals(event);
    found
        .into_iter()
        .flat_map(|(rule, signal)| items(&CONTENT.rules, rule, signal, detector, event))
        .collect()
}

/// A line for each signal, so that failures can be read.
fn told(signals: impl IntoIterator<Item = Signal>) -> Vec<String> {
    let line = |one: Signal| {
        format!(
            "{} {} {} {} {} {}",
            one.timestamp, one.rule_id, one.organization, one.entity.value, one.count, one.event_id
        )
    };
    let mut lines: Vec<String> = signals.into_iter().map(line).collect();
    lines.sort();
    lines
}

/// Everything in the right order at once, counted without any of what is tested here.
fn in_order(all: &[Arrival]) -> Vec<String> {
    let (mut detector, mut counting) = (Detector::new(&CONTENT), Counting::new(&CONTENT));
    let mut waiting: Vec<Item> = all.iter().flat_map(|one| all_items(&mut detector, &one.1)).collect();
    waiting.sort_by_key(Item::place);
    let mut signals = Vec::new();
    // Chains are counted after what stands inside them; within one level by time.
    while !waiting.is_empty() {
        let mut onward = Vec::new();
        let depths = dongson_rules::correlate::depths(&CONTENT.rules);
        let depth = |item: &Item| match item {
            Item::Counted { seen, .. } => depths[&seen.correlation],
            _ => 0,
        };
        let level = waiting.iter().map(depth).min().unwrap();
        let (now, later) = waiting.into_iter().partition::<Vec<_>, _>(|item| depth(item) == level);
        for item in now {
            match item {
                Item::Script { seen, about } => signals.extend(counting.script(&CONTENT, &seen, &about)),
                Item::Counted { seen, ingested, observer, asset_level } => {
                    for mut found in counting.correlation(&seen) {
                        for seen in std::mem::take(&mut found.onward) {
                            let (seen, observer) = (Box::new(seen), observer.clone());
                            onward.push(Item::Counted { seen, ingested, observer, asset_level });
                        }
                        let rules = &CONTENT.rules;
                        signals.extend(match found.closed {
                            Some(_) => closed(rules, &found),
                            None => completed(rules, &found, &seen, ingested, &observer, asset_level),
                        });
                    }
                }
                Item::Signal(signal) => signals.push(*signal),
                Item::Told { .. } | Item::Watermarks { .. } => unreachable!(),
            }
        }
        waiting = later.into_iter().chain(onward).collect();
        waiting.sort_by_key(Item::place);
    }
    signals.extend(still_open(&mut counting));
    told(signals)
}

/// The windows that only more time would close.
fn still_open(counting: &mut Counting) -> Vec<Signal> {
    let open = counting.close(|_| Some(Timestamp::from_nanos(i64::MAX)));
    open.iter().filter_map(|found| closed(&CONTENT.rules, found)).collect()
}

/// One partition of the log, who reads it, and what the registry keeps for it.
struct Reader {
    log: Vec<Record>,
    next: usize,
    partition: Partition,
    saved: BTreeMap<String, Vec<u8>>,
}

/// Both stages.
struct World {
    detector: Detector,
    marks: Marks,
    readers: Vec<Reader>,
    signals: Vec<Signal>,
    /// A restart after each so many batches; 0: never.
    restart: usize,
    batches: usize,
}

impl World {
    fn new(restart: usize) -> Self {
        let reader = |number| Reader {
            log: Vec::new(),
            next: 0,
            partition: Partition::new(&CONTENT, number, PARTITIONS),
            saved: BTreeMap::new(),
        };
        let mut marks = Marks::new(LATENESS, INPUTS, PARTITIONS);
        marks.keep((0..INPUTS).map(|input| (input, 1, 0)));
        for input in 0..INPUTS {
            marks.caught_up(input, Timestamp::from_seconds(START).minus(LATENESS.idle));
        }
        assert!(marks.records().unwrap().is_empty());
        Self {
            detector: Detector::new(&CONTENT),
            marks,
            readers: (0..PARTITIONS).map(reader).collect(),
            signals: Vec::new(),
            restart,
            batches: 0,
        }
    }

    fn produce(&mut self, records: Vec<Record>) {
        for record in records {
            let partition = partition_of(&record.key, PARTITIONS);
            self.readers[usize::try_from(partition).unwrap()].log.push(record);
        }
    }

    /// The first stage takes what arrived, from each partition of the events.
    fn events(&mut self, arrived: &[Arrival], now: Timestamp) {
        let mut heard: Vec<Heard> = (0..INPUTS).map(|_| Heard::default()).collect();
        for Arrival(_, event) in arrived {
            heard[input_of(event)].event(event);
            let items = all_items(&mut self.detector, event);
            let records = items.iter().map(|item| item.to_record().unwrap()).collect();
            self.produce(records);
        }
        self.hear(&heard, now);
        let records = self.marks.records().unwrap();
        self.produce(records);
    }

    /// All partitions of the events are read.
    fn hear(&mut self, heard: &[Heard], now: Timestamp) {
        for (input, heard) in (0..INPUTS).zip(heard) {
            self.marks.caught_up(input, now);
            self.marks.hear(input, 0, heard, now);
        }
    }

    /// The second stage takes at most `most` records of partition `number`; false when there are none.
    fn signals(&mut self, number: usize, most: usize) -> bool {
        let reader = &mut self.readers[number];
        let records: Vec<Record> = reader.log[reader.next..].iter().take(most).cloned().collect();
        if records.is_empty() {
            return false;
        }
        let partition = u32::try_from(number).unwrap();
        let (first, count) = (reader.next as u64, records.len());
        let last = first + count as u64 - 1;
        let batch = Batch { topic: TOPIC_SIGNALS.to_owned(), partition, first, last, records };
        let taken = reader.partition.take(&CONTENT, &batch).unwrap();
        reader.next += count;
        for (name, value) in taken.parts {
            match value {
                Some(value) => drop(reader.saved.insert(name, value)),
                None => drop(reader.saved.remove(&name)),
            }
        }
        self.batches += 1;
        if self.restart > 0 && self.batches.is_multiple_of(self.restart) {
            reader.partition = Partition::new(&CONTENT, partition, PARTITIONS);
            reader.partition.restore(&reader.saved, None);
        }
        self.signals.extend(taken.signals);
        self.produce(taken.onward);
        true
    }

    /// Everything that is on its way arrives, and all fall silent.
    fn finish(&mut self, now: Timestamp) {
        self.events(&[], now.plus(LATENESS.idle));
        while (0..self.readers.len()).any(|number| self.signals(number, 7)) {}
        let counting = self.readers.iter_mut().map(|reader| &mut reader.partition.counting);
        self.signals.extend(counting.flat_map(still_open));
    }
}

/// Arrivals in rounds as `cuts` say: seconds of each round, records that the second stage takes then.
fn run(all: &[Arrival], cuts: &[(u64, usize)], restart: usize) -> World {
    let mut world = World::new(restart);
    let mut before: Vec<Heard> = (0..INPUTS).map(|_| Heard::default()).collect();
    for source in 0..3 {
        // Each source was heard before, so that it is waited for.
        let event = &arrivals(source, 0, &[(-1, true, 0, 0)])[0].1;
        before[input_of(event)].event(event);
    }
    world.hear(&before, Timestamp::from_seconds(START));
    let mut left = all.to_vec();
    left.sort_by_key(|Arrival(at, _)| *at);
    let mut left = left.as_slice();
    let mut now = Timestamp::from_seconds(START);
    let mut cuts = cuts.iter().cycle();
    while !left.is_empty() {
        let (seconds, most) = cuts.next().unwrap();
        now = now.plus(Duration::from_secs(*seconds));
        let (arrived, rest) = left.split_at(left.partition_point(|Arrival(at, _)| *at <= now));
        left = rest;
        world.events(arrived, now);
        for number in 0..world.readers.len() {
            world.signals(number, *most);
        }
    }
    world.finish(now);
    world
}

fn source() -> impl Strategy<Value = (i64, Vec<Seen>)> {
    let seen = (0_i64..3, any::<bool>(), 0_u8..2, 0_u64..5_000);
    (0_i64..20, prop::collection::vec(seen, 1..30))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A thousand random interleavings of three sources, with delays and lags of their own, random batches and
    /// restarts in both partitions: the signals are those of the sorted input.
    #[test]
    fn interleavings_batches_and_restarts_change_nothing(
        sources in prop::collection::vec(source(), 3),
        cuts in prop::collection::vec((0_u64..3, 1_usize..20), 1..10).prop_filter("time passes", |cuts| cuts.iter().any(|(seconds, _)| *seconds > 0)),
        restart in 0_usize..5,
    ) {
        let all: Vec<Arrival> =
            sources.iter().enumerate().flat_map(|(number, (lag, seen))| arrivals(number, *lag, seen)).collect();
        let world = run(&all, &cuts, restart);
        prop_assert_eq!(told(world.signals), in_order(&all));
        for reader in &world.readers {
            let left: Vec<&String> = reader.saved.keys().filter(|name| name.starts_with("held/")).collect();
            prop_assert!(left.is_empty(), "nothing waits, but {left:?} is kept");
        }
    }

    /// A saved state that somebody damaged is taken or refused, never a panic.
    #[test]
    fn any_saved_state_is_taken_or_refused(
        order in "\\PC{0,40}",
        piece in prop::collection::vec(any::<u8>(), 0..40),
        name in "held/[0-9]{0,3}-?[0-9]{0,3}",
    ) {
        let whole = r#"{"version":1,"outline":{"lanes":[]},"told":{},"depths":{}}"#;
        for order in [order.as_str(), whole] {
            let parts = BTreeMap::from([("order".to_owned(), order.into()), (name.clone(), piece.clone())]);
            Partition::new(&CONTENT, 0, 1).restore(&parts, Some(order.as_bytes()));
        }
    }
}

/// A round each second: the sources as they are told to speak, then both stages.
fn spoken(until: i64, speaks: impl Fn(i64, &mut dyn FnMut(usize, i64))) -> World {
    let mut world = World::new(0);
    let mut number = 0;
    for second in 0..until {
        let mut arrived = Vec::new();
        speaks(second, &mut |source, behind| {
            number += 1;
            let mut one = arrivals(source, behind, &[(second - behind, true, 0, 0)]).remove(0);
            one.1.set("event.id", format!("{number:05}"));
            arrived.push(one);
        });
        world.events(&arrived, Timestamp::from_seconds(START + second));
        for number in 0..world.readers.len() {
            world.signals(number, 100_000);
        }
    }
    world
}

/// When signals of `many` were found, in seconds of event time after the start.
fn found(world: &World, organization: &str) -> Vec<i64> {
    let many = world.signals.iter().filter(|one| one.rule_id == "many" && one.organization == organization);
    many.map(|one| one.timestamp.seconds() - START).collect()
}

#[test]
fn a_silent_source_does_not_hold_the_others() {
    // Node 2 shares the agency with node 1 and falls silent at second 40.
    let world = spoken(200, |second, speak| {
        speak(1, 0);
        if second < 40 {
            speak(2, 0);
        }
    });
    let found = found(&world, "xa-b");
    assert!(found.last().is_some_and(|last| *last >= 199 - 10 - 9), "{found:?}");
    assert!(found.is_sorted() && found.len() > 15);
    let held: usize = world.readers.iter().map(|reader| reader.partition.order.held()).sum();
    assert!(held < 100, "{held}");
    let late: u64 = world.readers.iter().map(|reader| reader.partition.order.disorder().late).sum();
    assert_eq!(late, 0);
}

#[test]
fn a_backlog_is_counted_late_and_never_lost() {
    // Node 2 was away, and at second 100 brings what it saw an hour before.
    let world = spoken(200, |second, speak| {
        speak(1, 0);
        if second >= 100 {
            speak(2, 3_600);
        }
    });
    let found = found(&world, "xa-b");
    // The fresh ones are as prompt as ever.
    assert!(found.iter().any(|at| *at >= 180));
    let disorder: Vec<Disorder> =
        world.readers.iter().map(|reader| reader.partition.order.disorder()).collect();
    assert!(disorder.iter().map(|one| one.late).sum::<u64>() >= 100, "{disorder:?}");
    assert!(disorder.iter().all(|one| one.forced == 0));
}

#[test]
fn a_clock_that_is_ahead_and_an_agency_with_one_source_wait_no_longer_than_others() {
    // Node 0 alone in its agency; node 2 is four minutes ahead of the collector, which lets that pass.
    let world = spoken(120, |_, speak| {
        speak(0, 0);
        speak(1, 0);
        speak(2, -240);
    });
    for organization in ["xa-a", "xa-b"] {
        assert!(found(&world, organization).iter().any(|at| *at >= 100), "{organization}");
    }
    // Each second brings five items of each of the three.
    let held: usize = world.readers.iter().map(|reader| reader.partition.order.held()).sum();
    assert!(held <= 3 * 5 * 12, "{held}");
    assert!(world.readers.iter().all(|reader| reader.partition.order.disorder().late == 0));
}

#[test]
fn thousands_of_made_up_sources_hold_nobody_up_for_long() {
    let mut world = World::new(0);
    for second in 0..100 {
        let now = Timestamp::from_seconds(START + second);
        let mut arrived = arrivals(1, 0, &[(second, true, 0, 0)]);
        arrived[0].1.set("event.id", format!("real-{second:03}"));
        for number in 0..200 {
            let mut one = arrivals(1, 0, &[(second, false, 1, 0)]).remove(0);
            one.1.set("event.id", format!("{second:03}-{number:03}"));
            one.1.set("observer.name", format!("made-up-{second}-{number}"));
            arrived.push(one);
        }
        world.events(&arrived, now);
        for number in 0..world.readers.len() {
            world.signals(number, 100_000);
        }
    }
    let found = found(&world, "xa-b");
    // They are waited for until they are taken for silent, and for the lateness.
    assert!(found.last().is_some_and(|last| *last >= 99 - 30 - 10 - 9), "{found:?}");
    assert!(world.readers.iter().all(|reader| reader.partition.order.disorder().late == 0));
}
