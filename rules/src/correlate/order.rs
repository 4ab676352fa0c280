//! The order of event time, made again from streams that arrive as they like.
//!
//! What is pushed is held until a record of the log ([`Watermarks`], made by [`super::Progress`]) says that its agency
//! has told everything up to that moment; then it is released in the order (event time, event id, rule, base). So the
//! order in which streams were mixed does not matter, and a replay reads the waiting instead of doing it again.
//!
//! The order of the log alone decides what is released when: no clock is read here, and batches do not exist.

use std::collections::{BTreeMap, BTreeSet};

use dongson_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::RuleMatchKeyed;
use super::progress::{Watermarks, agency_of};

/// Before everything.
pub(super) const NEVER: Timestamp = Timestamp::from_nanos(i64::MIN);

/// Where an item stands in the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Event time; never later than the event was taken in, so that a clock that is ahead holds nobody up.
    pub at: Timestamp,
    /// `event.id`.
    pub event: String,
    /// Id of the correlation or script.
    pub rule: String,
    /// Id of the rule that matched; empty for scripts.
    pub base: String,
}

/// What can be put into order.
pub trait Timed {
    /// The agency, or what else is counted together; what follows a unit separator (a drill's session) shares the
    /// agency's watermark, and is apart otherwise.
    fn scope(&self) -> &str;
    /// Where it stands.
    fn place(&self) -> Place;
}

impl Timed for RuleMatchKeyed {
    fn scope(&self) -> &str {
        &self.scope
    }

    fn place(&self) -> Place {
        Place {
            at: self.at,
            event: self.event.clone(),
            rule: self.correlation.clone(),
            base: self.base.clone(),
        }
    }
}

/// How much may be held; beyond it the oldest of the lane are released early, and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Items of one agency.
    pub lane: usize,
    /// Items of all.
    pub all: usize,
    /// Bytes of all, as their records have them.
    pub bytes: usize,
    /// Lanes: agencies, and sessions of drills in them. What has no lane is passed on at once.
    pub lanes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { lane: 20_000, all: 100_000, bytes: 64 << 20, lanes: 4_096 }
    }
}

/// What was counted since the sequencer was made; not part of its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disorder {
    /// Items that came after their turn and were passed on at once.
    pub late: u64,
    /// Items that were released before their turn, because too much was held.
    pub forced: u64,
    /// Items that were held already.
    pub repeated: u64,
}

/// Holds items until their turn. The same item twice is once, while it is held.
///
/// Lanes have a level: 0 for what events lead to, 1 for what correlations of level 0 lead to (chains), and so on. Each
/// level has watermarks of its own, because what completes at one level comes to the next one later.
#[derive(Debug)]
pub struct Sequencer<T> {
    lanes: BTreeMap<(u8, String), Lane<T>>,
    stock: Stock,
    room: Room,
    disorder: Disorder,
}

/// What is held for one scope at one level.
#[derive(Debug)]
struct Lane<T> {
    mark: Mark,
    held: BTreeMap<Place, Held<T>>,
}

/// An item with the number and the size of its record.
#[derive(Debug)]
struct Held<T> {
    number: u64,
    bytes: usize,
    item: T,
}

/// What all lanes hold.
#[derive(Debug, Default)]
struct Stock {
    /// The log's numbers of it.
    numbers: BTreeSet<u64>,
    bytes: usize,
}

/// Up to where a lane is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The number of the item that opened the lane.
    since: u64,
    /// The newest watermark.
    passed: Timestamp,
    /// The last item that was released in order.
    released: Option<Place>,
}

/// Everything of a [`Sequencer`] but the items, for saving; these are kept by their numbers beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outline {
    lanes: Vec<(u8, String, Mark)>,
}

impl<T: Timed> Sequencer<T> {
    /// Holds nothing yet.
    pub fn new(room: Room) -> Self {
        Self { lanes: BTreeMap::new(), stock: Stock::default(), room, disorder: Disorder::default() }
    }

    /// A sequencer as it was saved, still without items: [`Sequencer::put_back`] is told them.
    pub fn restore(room: Room, outline: Outline) -> Self {
        let lane = |(level, scope, mark)| ((level, scope), Lane { mark, held: BTreeMap::new() });
        Self { lanes: outline.lanes.into_iter().map(lane).collect(), ..Self::new(room) }
    }

    /// Takes an item with the number of its record in the log, which rises from item to item, and the record's size.
    /// Adds what must not be held (it came after its turn, or there is no room) to `out`.
    pub fn push(&mut self, level: u8, (number, bytes): (u64, usize), item: T, out: &mut Vec<T>) {
        let key = (level, item.scope().to_owned());
        if self.lanes.len() >= self.room.lanes && !self.lanes.contains_key(&key) {
            self.disorder.forced += 1;
            return out.push(item);
        }
        let place = item.place();
        let lane = self.lanes.entry(key).or_insert_with(|| Lane::new(number));
        if lane.held.contains_key(&place) || lane.mark.released.as_ref() == Some(&place) {
            self.disorder.repeated += 1;
            return;
        }
        if lane.has_passed(&place) {
            self.disorder.late += 1;
            return out.push(item);
        }
        lane.hold(place, Held { number, bytes, item }, &mut self.stock);
        while lane.held.len() > self.room.lane || (self.stock.exceeds(self.room) && !lane.held.is_empty()) {
            self.disorder.forced += 1;
            out.extend(lane.release_first(&mut self.stock));
        }
    }

    /// Takes the watermarks of a level; adds everything whose turn it is to `out`, each lane in order.
    ///
    /// An agency without a watermark has nobody to wait for: all that it has is released.
    pub fn advance(&mut self, level: u8, watermarks: &Watermarks, out: &mut Vec<T>) {
        let stock = &mut self.stock;
        self.lanes.retain(|(own, scope), lane| {
            if *own != level {
                return true;
            }
            let agency = agency_of(scope);
            let mark = watermarks.of(agency);
            lane.release(mark, stock, out);
            // Agencies are few and stay; sessions of drills come and go.
            mark.is_some() && (scope == agency || !lane.held.is_empty())
        });
    }

    /// The input has ended: adds all that is held.
    pub fn flush(&mut self, out: &mut Vec<T>) {
        for lane in self.lanes.values_mut() {
            lane.release(None, &mut self.stock, out);
        }
    }

    /// Everything but the items.
    pub fn outline(&self) -> Outline {
        let lanes = self.lanes.iter();
        Outline {
            lanes: lanes.map(|((level, scope), lane)| (*level, scope.clone(), lane.mark.clone())).collect(),
        }
    }

    /// Takes back an item that was once held under `number`; true when it is held still. What has been released
    /// since is dropped.
    pub fn put_back(&mut self, level: u8, (number, bytes): (u64, usize), item: T) -> bool {
        let still = self.still_waits(level, number, &item);
        if still && let Some(lane) = self.lanes.get_mut(&(level, item.scope().to_owned())) {
            lane.hold(item.place(), Held { number, bytes, item }, &mut self.stock);
        }
        still
    }

    /// True when an item that was once held under `number` has not been released since.
    pub fn still_waits(&self, level: u8, number: u64, item: &T) -> bool {
        let lane = self.lanes.get(&(level, item.scope().to_owned()));
        lane.is_some_and(|lane| number >= lane.mark.since && !lane.has_passed(&item.place()))
    }

    /// Forgets lanes of deeper levels, which nobody tells of any more; what they held is to be held again elsewhere.
    pub fn keep_levels(&mut self, deepest: u8) {
        self.lanes.retain(|(level, _), lane| *level <= deepest || !lane.held.is_empty());
    }

    /// Takes back an item of which is not known whether it was released since: it is held.
    pub fn hold_again(&mut self, level: u8, (number, bytes): (u64, usize), item: T) {
        let lane = self.lanes.entry((level, item.scope().to_owned())).or_insert_with(|| Lane::new(number));
        lane.mark.since = lane.mark.since.min(number);
        lane.hold(item.place(), Held { number, bytes, item }, &mut self.stock);
    }

    /// The numbers of what is held, from `first` to `last`.
    pub fn numbers(&self, first: u64, last: u64) -> impl Iterator<Item = u64> {
        self.stock.numbers.range(first..=last).copied()
    }

    /// How many are held.
    pub fn held(&self) -> usize {
        self.stock.numbers.len()
    }

    /// What did not go by the order.
    pub fn disorder(&self) -> Disorder {
        self.disorder
    }
}

impl<T> Lane<T> {
    fn new(since: u64) -> Self {
        Self { mark: Mark { since, passed: NEVER, released: None }, held: BTreeMap::new() }
    }

    /// True when others that stand after `place`, or would, have been released.
    fn has_passed(&self, place: &Place) -> bool {
        place.at <= self.mark.passed || self.mark.released.as_ref().is_some_and(|released| place <= released)
    }

    /// Releases what `mark` has passed; without a mark, all.
    fn release(&mut self, mark: Option<Timestamp>, stock: &mut Stock, out: &mut Vec<T>) {
        if let Some(mark) = mark {
            self.mark.passed = self.mark.passed.max(mark);
        }
        let passed = if mark.is_some() { self.mark.passed } else { Timestamp::from_nanos(i64::MAX) };
        while self.held.first_key_value().is_some_and(|(place, _)| place.at <= passed) {
            out.extend(self.release_first(stock));
        }
    }

    fn release_first(&mut self, stock: &mut Stock) -> Option<T> {
        let (place, held) = self.held.pop_first()?;
        stock.remove(held.number, held.bytes);
        self.mark.released = Some(place);
        Some(held.item)
    }

    fn hold(&mut self, place: Place, held: Held<T>, stock: &mut Stock) {
        stock.add(held.number, held.bytes);
        if let Some(same) = self.held.insert(place, held) {
            stock.remove(same.number, same.bytes);
        }
    }
}

impl Stock {
    fn add(&mut self, number: u64, bytes: usize) {
        self.numbers.insert(number);
        self.bytes += bytes;
    }

    fn remove(&mut self, number: u64, bytes: usize) {
        self.numbers.remove(&number);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn exceeds(&self, room: Room) -> bool {
        self.numbers.len() > room.all || self.bytes > room.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Second and event id in the agency `a`, or in what is apart in it.
    #[derive(Debug, Clone, PartialEq)]
    struct Item(i64, &'static str, &'static str);

    impl Timed for Item {
        fn scope(&self) -> &str {
            self.2
        }

        fn place(&self) -> Place {
            let (rule, base) = ("r".to_owned(), String::new());
            Place { at: Timestamp::from_seconds(self.0), event: self.1.to_owned(), rule, base }
        }
    }

    fn marks(second: i64) -> Watermarks {
        [("a", Timestamp::from_seconds(second))].into_iter().collect()
    }

    fn filled(room: Room, items: &[Item]) -> (Sequencer<Item>, Vec<Item>) {
        let (mut sequencer, mut out) = (Sequencer::new(room), Vec::new());
        for (number, item) in (1..).zip(items) {
            sequencer.push(0, (number, 10), item.clone(), &mut out);
        }
        (sequencer, out)
    }

    #[test]
    fn items_are_released_in_order_by_watermarks_alone() {
        let items = [Item(5, "e", "a"), Item(3, "b", "a"), Item(3, "a", "a"), Item(9, "x", "a\u{1f}drill")];
        let (mut sequencer, mut out) = filled(Room::default(), &items);
        assert_eq!((out.len(), sequencer.held()), (0, 4));
        sequencer.advance(1, &marks(100), &mut out);
        assert_eq!(out, [], "another level's watermark");
        sequencer.advance(0, &marks(4), &mut out);
        assert_eq!(out, [Item(3, "a", "a"), Item(3, "b", "a")]);
        // After its turn: passed on at once, and counted. The same again is once.
        out.clear();
        sequencer.push(0, (5, 10), Item(4, "late", "a"), &mut out);
        sequencer.push(0, (6, 10), Item(5, "e", "a"), &mut out);
        assert_eq!(out, [Item(4, "late", "a")]);
        assert_eq!(sequencer.disorder(), Disorder { late: 1, forced: 0, repeated: 1 });
        // Nobody speaks any more.
        out.clear();
        sequencer.advance(0, &Watermarks::default(), &mut out);
        assert_eq!(out, [Item(5, "e", "a"), Item(9, "x", "a\u{1f}drill")]);
        assert_eq!((sequencer.held(), sequencer.outline()), (0, Outline::default()));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let items: Vec<Item> = (0..10).map(|second| Item(second, "e", "a")).collect();
        let (sequencer, out) = filled(Room { lane: 4, ..Room::default() }, &items);
        assert_eq!((out.as_slice(), sequencer.held()), (&items[..6], 4));
        let (sequencer, out) = filled(Room { all: 3, ..Room::default() }, &items);
        assert_eq!((out.len(), sequencer.held(), sequencer.disorder().forced), (7, 3, 7));
        let (sequencer, out) = filled(Room { bytes: 35, ..Room::default() }, &items);
        assert_eq!((out.len(), sequencer.held(), sequencer.disorder().forced), (7, 3, 7));
        let scopes = [Item(1, "e", "a"), Item(1, "e", "b"), Item(1, "e", "c")];
        let (sequencer, out) = filled(Room { lanes: 2, ..Room::default() }, &scopes);
        assert_eq!((out, sequencer.held()), (vec![Item(1, "e", "c")], 2));
    }

    #[test]
    fn what_is_put_back_is_what_was_held() {
        let items = [Item(5, "e", "a"), Item(3, "b", "a"), Item(8, "c", "a")];
        let (mut sequencer, mut out) = filled(Room::default(), &items);
        sequencer.advance(0, &marks(4), &mut out);
        let text = serde_json::to_string(&sequencer.outline()).unwrap();
        let mut again = Sequencer::restore(Room::default(), serde_json::from_str(&text).unwrap());
        let back: Vec<bool> =
            (1..).zip(&items).map(|(number, item)| again.put_back(0, (number, 10), item.clone())).collect();
        assert_eq!(back, [true, false, true]);
        assert_eq!(again.numbers(0, 9).collect::<Vec<_>>(), [1, 3]);
        // A lane that was closed, and opened again by number 7, takes nothing back from before.
        sequencer.advance(0, &Watermarks::default(), &mut out);
        sequencer.push(0, (7, 10), Item(20, "d", "a"), &mut out);
        let mut again = Sequencer::restore(Room::default(), sequencer.outline());
        assert!(
            !again.put_back(0, (3, 10), items[2].clone()) && again.put_back(0, (7, 10), Item(20, "d", "a"))
        );
    }

    #[test]
    fn lanes_of_drills_go_when_nothing_of_them_waits() {
        let drill = |number| format!("a\u{1f}drill-{number}");
        let mut sequencer: Sequencer<Drilled> = Sequencer::new(Room { lanes: 3, ..Room::default() });
        let mut out = Vec::new();
        for number in 1..100 {
            for scope in ["a".to_owned(), drill(number)] {
                let second = i64::try_from(number).unwrap();
                sequencer.push(0, (number, 10), Drilled(second, scope), &mut out);
            }
            sequencer.advance(0, &marks(i64::try_from(number).unwrap() - 1), &mut out);
        }
        assert_eq!((sequencer.disorder(), sequencer.outline().lanes.len()), (Disorder::default(), 2));
    }

    /// An item of a scope of its own.
    #[derive(Debug, Clone, PartialEq)]
    struct Drilled(i64, String);

    impl Timed for Drilled {
        fn scope(&self) -> &str {
            &self.1
        }

        fn place(&self) -> Place {
            Item(self.0, "e", "").place()
        }
    }

    #[test]
    fn what_may_have_been_released_is_held_again() {
        let mut sequencer = Sequencer::new(Room::default());
        for number in [7, 3] {
            sequencer.hold_again(0, (number, 10), Item(5, "e", "a"));
        }
        sequencer.hold_again(0, (4, 10), Item(2, "b", "a"));
        assert_eq!(sequencer.numbers(0, 9).collect::<Vec<_>>(), [3, 4]);
        let mut again = Sequencer::restore(Room::default(), sequencer.outline());
        assert!(again.put_back(0, (3, 10), Item(5, "e", "a")));
        let mut out = Vec::new();
        sequencer.advance(0, &marks(5), &mut out);
        assert_eq!(out, [Item(2, "b", "a"), Item(5, "e", "a")]);
    }
}
