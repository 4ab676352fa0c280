//! Matches by host, tactic and time, in memory that does not grow with the number of matches.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dongson_event::Level;
use dongson_rules::detect::Hit;

use super::attack::TACTICS;

/// Most hosts that have lanes of their own.
const MAX_HOSTS: usize = 500;
/// Most cells; beyond that they are made twice as long.
const MAX_CELLS: usize = 100_000;
/// Round spans between two marks of the axis, in seconds: up to ten years.
const STEPS: [i64; 23] = [
    1,
    2,
    5,
    10,
    30,
    60,
    120,
    300,
    600,
    1_800,
    3_600,
    7_200,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    2_592_000,
    7_776_000,
    31_536_000,
    63_072_000,
    157_680_000,
    315_360_000,
];
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

    /// Hosts that stand under the row of another one: the same name in other letters, and the first label of the only
    /// full name that begins with it. A short name that two full ones could be keeps a row of its own.
    fn same_hosts(&self) -> BTreeMap<usize, usize> {
        let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
        let mut same = BTreeMap::new();
        for (name, number) in &self.hosts {
            let first = *by_name.entry(name.to_lowercase()).or_insert(*number);
            if first != *number {
                same.insert(*number, first);
            }
        }
        let mut full: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (name, number) in &by_name {
            if let Some((label, _)) = name.split_once('.').filter(|_| name.parse::<IpAddr>().is_err()) {
                full.entry(label).or_default().push(*number);
            }
        }
        for (label, numbers) in full {
            if let ([only], Some(short)) = (numbers.as_slice(), by_name.get(label)) {
                // The short name finds both in the table.
                same.insert(*only, *short);
                same.values_mut().filter(|shown| *shown == only).for_each(|shown| *shown = *short);
            }
        }
        same
    }

    /// Round moments within the range, about one for each eighth of it: seconds since 1970.
    pub(super) fn ticks(&self) -> Vec<i64> {
        let Some((start, column)) = self.range() else { return Vec::new() };
        let end = start.saturating_add(column.saturating_mul(COLUMNS));
        let wide = STEPS.iter().find(|step| (end - start) / *step <= 8).copied();
        let step = wide.unwrap_or_else(|| (end - start) / 8 + 1);
        let first = start.div_euclid(step).saturating_add(1).saturating_mul(step);
        (0..8)
            .map(|number| first.saturating_add(step.saturating_mul(number)))
            .filter(|at| *at < end)
            .collect()
    }

    /// Hosts with their rows, the worst first.
    pub(super) fn rows(&self) -> Vec<Host> {
        let (start, column) = self.range().unwrap_or((0, 1));
        let mut lanes: BTreeMap<(usize, usize), Lane> = BTreeMap::new();
        let lane = |tactic, all| Lane { tactic, all, cells: BTreeMap::new() };
        let same = self.same_hosts();
        let shown = |host: usize| same.get(&host).copied().unwrap_or(host);
        for (&(host, tactic, at), &cell) in &self.cells {
            let host = shown(host);
            let lane = lanes.entry((host, tactic)).or_insert_with(|| lane(tactic, Cell { count: 0, ..cell }));
            lane.all = Cell::join(Some(lane.all), cell);
            let place = (at.saturating_mul(self.span) - start).div_euclid(column);
            let joined = Cell::join(lane.cells.get(&place).copied(), cell);
            lane.cells.insert(place, joined);
        }
        for (&(host, tactic), &cell) in &self.timeless {
            let host = shown(host);
            let lane = lanes.entry((host, tactic)).or_insert_with(|| lane(tactic, Cell { count: 0, ..cell }));
            lane.all = Cell::join(Some(lane.all), cell);
        }
        let names: BTreeMap<usize, &String> = self
            .hosts
            .iter()
            .filter(|(_, number)| same.get(number).is_none_or(|shown| shown == *number))
            .map(|(name, number)| (*number, name))
            .collect();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dongson_event::Timestamp;

    use super::*;

    fn timeline(hosts: &[&str], last: i64) -> Timeline {
        let mut timeline = Timeline::new();
        for (number, host) in (0..).zip(hosts) {
            let hit = Hit {
                event: 1,
                rule_id: String::new(),
                rule_title: String::new(),
                level: Level::High,
                file: Arc::from(""),
                timestamp: None,
                host: Some((*host).to_owned()),
                count: None,
                fields: Vec::new(),
                rule: 0,
                moment: Some(Timestamp::from_seconds(if number == 0 { 1_767_571_207 } else { last })),
            };
            timeline.add(&hit, &[0]);
        }
        timeline
    }

    #[test]
    fn short_and_full_names_of_a_host_are_one_row() {
        let rows = |hosts: &[&str]| -> Vec<(String, u64)> {
            let rows = timeline(hosts, 1_767_571_300).rows();
            let mut rows: Vec<_> = rows.into_iter().map(|host| (host.name, host.all.count)).collect();
            rows.sort();
            rows
        };
        let row = |name: &str, count| (name.to_owned(), count);
        assert_eq!(rows(&["WS01", "ws01.xa-a.vn", "WS01.XA-A.VN"]), [row("WS01", 3)]);
        assert_eq!(rows(&["WS01.xa-a.vn", "ws01.xa-a.vn"]).len(), 1);
        assert_eq!(rows(&["dc", "dc.xa-a.vn", "dc.xa-b.vn"]).len(), 3);
        assert_eq!(rows(&["10", "10.0.0.1", "10.0.0.2"]).len(), 3);
    }

    #[test]
    fn the_axis_has_round_marks_inside_the_range() {
        for last in [
            1_767_571_208,
            1_767_571_300,
            1_767_600_000,
            1_770_000_000,
            1_900_000_000,
            i64::MAX / 2_000_000_000,
        ] {
            let timeline = timeline(&["a", "b"], last);
            let (start, column) = timeline.range().unwrap();
            let ticks = timeline.ticks();
            assert!((2..=8).contains(&ticks.len()), "{last}: {ticks:?}");
            assert!(
                ticks.iter().all(|at| *at > start && *at < start + column * COLUMNS),
                "{last}: {ticks:?}"
            );
        }
        assert!(Timeline::new().ticks().is_empty());
    }
}
