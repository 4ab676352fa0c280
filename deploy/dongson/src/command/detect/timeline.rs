//! Matches by host, tactic and time, in memory that does not grow with the number of matches.

use std::collections::BTreeMap;

use dongson_event::Level;
use dongson_rules::detect::Hit;

use super::attack::TACTICS;

/// Most hosts that have lanes of their own.
const MAX_HOSTS: usize = 500;
/// Most cells; beyond that they are made twice as long.
const MAX_CELLS: usize = 100_000;
/// Columns that are drawn.
pub(super) const COLUMNS: i64 = 96;

/// Matches of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) count: u64,
    pub(super) worst: Level,
}

impl Cell {
    fn join(own: Option<Self>, other: Self) -> Self {
        own.map_or(other, |own| Self { count: own.count + other.count, worst: own.worst.max(other.worst) })
    }
}

/// One host's row: tactic (place in [`TACTICS`]) and its cells by column.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) tactic: usize,
    pub(super) all: Cell,
    pub(super) cells: BTreeMap<i64, Cell>,
}

/// A host with its rows.
#[derive(Debug)]
pub(super) struct Host {
    /// Empty: matches without a host, or hosts beyond the limit.
    pub(super) name: String,
    pub(super) all: Cell,
    pub(super) lanes: Vec<Lane>,
}

/// All cells: (host, tactic, number of the span of time).
#[derive(Debug)]
pub(super) struct Timeline {
    hosts: BTreeMap<String, usize>,
    cells: BTreeMap<(usize, usize, i64), Cell>,
    /// Matches without a time, by host and tactic.
    timeless: BTreeMap<(usize, usize), Cell>,
    /// Length of a span in seconds.
    span: i64,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self { hosts: BTreeMap::new(), cells: BTreeMap::new(), timeless: BTreeMap::new(), span: 1 }
    }

    /// Adds a match whose rule has these tactics.
    pub(super) fn add(&mut self, hit: &Hit, tactics: &[usize]) {
        let name = hit.host.as_deref().unwrap_or_default();
        let host = match self.hosts.get(name) {
            Some(host) => *host,
            None if name.is_empty() || self.hosts.len() >= MAX_HOSTS => 0,
            None => {
                let number = self.hosts.len() + 1;
                self.hosts.insert(name.to_owned(), number);
                number
            }
        };
        let cell = Cell { count: 1, worst: hit.level };
        let none = [TACTICS.len() - 1];
        for &tactic in if tactics.is_empty() { none.as_slice() } else { tactics } {
            if let Some(moment) = hit.moment {
                let key = (host, tactic, moment.nanos().div_euclid(1_000_000_000).div_euclid(self.span));
                let joined = Cell::join(self.cells.get(&key).copied(), cell);
                self.cells.insert(key, joined);
            } else {
                let joined = Cell::join(self.timeless.get(&(host, tactic)).copied(), cell);
                self.timeless.insert((host, tactic), joined);
            }
        }
        while self.cells.len() > MAX_CELLS {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.span = self.span.saturating_mul(2);
        for ((host, tactic, at), cell) in std::mem::take(&mut self.cells) {
            let key = (host, tactic, at.div_euclid(2));
            let joined = Cell::join(self.cells.get(&key).copied(), cell);
            self.cells.insert(key, joined);
        }
    }

    /// First second, and length of a column in seconds; `None` without times.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        let first = self.cells.keys().map(|(_, _, at)| *at).min()?;
        let last = self.cells.keys().map(|(_, _, at)| *at).max()?;
        let (start, end) = (first.saturating_mul(self.span), (last + 1).saturating_mul(self.span));
        Some((start, ((end - start) + COLUMNS - 1).div_euclid(COLUMNS).max(1)))
    }

    /// Hosts with their rows, the worst first.
    pub(super) fn rows(&self) -> Vec<Host> {
        let (start, column) = self.range().unwrap_or((0, 1));
        let mut lanes: BTreeMap<(usize, usize), Lane> = BTreeMap::new();
        let lane = |tactic, all| Lane { tactic, all, cells: BTreeMap::new() };
        for (&(host, tactic, at), &cell) in &self.cells {
            let lane = lanes.entry((host, tactic)).or_insert_with(|| lane(tactic, Cell { count: 0, ..cell }));
            lane.all = Cell::join(Some(lane.all), cell);
            let place = (at.saturating_mul(self.span) - start).div_euclid(column);
            let joined = Cell::join(lane.cells.get(&place).copied(), cell);
            lane.cells.insert(place, joined);
        }
        for (&(host, tactic), &cell) in &self.timeless {
            let lane = lanes.entry((host, tactic)).or_insert_with(|| lane(tactic, Cell { count: 0, ..cell }));
            lane.all = Cell::join(Some(lane.all), cell);
        }
        let names: BTreeMap<usize, &String> =
            self.hosts.iter().map(|(name, number)| (*number, name)).collect();
        let mut hosts: BTreeMap<usize, Host> = BTreeMap::new();
        for ((host, _), lane) in lanes {
            let name = names.get(&host).map(|name| (*name).clone()).unwrap_or_default();
            let host = hosts.entry(host).or_insert_with(|| Host {
                name,
                all: Cell { count: 0, ..lane.all },
                lanes: Vec::new(),
            });
            host.all = Cell::join(Some(host.all), lane.all);
            host.lanes.push(lane);
        }
        let mut hosts: Vec<Host> = hosts.into_values().collect();
        hosts.sort_by(|one, other| {
            let key = |host: &Host| (std::cmp::Reverse((host.all.worst, host.all.count)), host.name.clone());
            key(one).cmp(&key(other))
        });
        hosts
    }
}
