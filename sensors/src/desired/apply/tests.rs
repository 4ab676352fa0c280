use std::fs;
use std::time::{Duration, Instant};

use dongson_event::trust::Configuration;
use tempfile::TempDir;

use super::{Applier, Base, Limits, Plan, Shipping};
use crate::capture::filter::Filter;
use crate::desired::State;
use crate::engine::Options;
use crate::flow::Checksums;
use crate::protocol::{Kind, Kinds};

fn base() -> Base {
    let shipping = Shipping { spool_bytes: 64 << 20, daily_bytes: None, inputs: vec!["firewall".to_owned()] };
    Base::new(Some(Filter::parse("udp").unwrap()), &Options::default(), shipping)
}

fn wants(version: u64, text: &str) -> State {
    State { version, configuration: serde_json::from_str(text).unwrap(), ..State::default() }
}

/// A sensor that reports every ten seconds.
struct World {
    applier: Applier,
    now: Instant,
    frames: u64,
}

impl World {
    fn open(folder: &TempDir, limits: Limits) -> (Self, Plan) {
        let (applier, plan) = Applier::open(folder.path(), base(), limits).unwrap();
        (Self { applier, now: Instant::now(), frames: 0 }, plan)
    }

    /// Ten seconds with `rate` frames a second.
    fn tick(&mut self, state: &State, rate: u64, blind: f64) -> Option<Plan> {
        self.now += Duration::from_secs(10);
        self.frames += rate * 10;
        self.applier.turn(state, self.frames, Some(blind), self.now).unwrap()
    }

    /// Ticks until there is a plan.
    fn until_plan(&mut self, state: &State, rate: u64, blind: f64) -> Plan {
        (0..40).find_map(|_| self.tick(state, rate, blind)).unwrap()
    }
}

/// A plan's kinds and spool, which tell plans of these tests apart.
fn marks(plan: &Plan) -> (Kinds, u64) {
    (plan.capture.engine.kinds, plan.spool_bytes >> 20)
}

const CONN: &str = r#"{"only":["conn"],"spool_mib":128}"#;

fn conn() -> (Kinds, u64) {
    (Kinds::of(&[Kind::Conn]), 128)
}

fn command_line() -> (Kinds, u64) {
    (Kinds::default(), 64)
}

#[test]
fn settings_go_through_their_trial_and_stay_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, plan) = World::open(&folder, Limits::default());
    assert_eq!(marks(&plan), command_line());
    let state = wants(5, CONN);
    assert!(world.tick(&state, 100, 1.0).is_none(), "there is nothing yet to compare with");
    assert_eq!(marks(&world.until_plan(&state, 100, 1.0)), conn());
    let standing = world.applier.standing(&state);
    assert_eq!((standing.applied, standing.wanted, standing.trial), (5, 5, true));
    for _ in 0..31 {
        assert!(world.tick(&state, 100, 1.0).is_none());
    }
    let standing = world.applier.standing(&state);
    assert_eq!((standing.applied, standing.trial, standing.why_not), (5, false, None));
    drop(world);
    assert_eq!(marks(&World::open(&folder, Limits::default()).1), conn());
}

#[test]
fn a_blind_sensor_goes_back_and_does_not_try_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, _) = World::open(&folder, Limits::default());
    let state = wants(5, CONN);
    world.until_plan(&state, 100, 2.0);
    assert!(world.tick(&state, 100, 50.0).is_none(), "one report is no proof");
    let back = world.until_plan(&state, 100, 50.0);
    assert_eq!(marks(&back), command_line());
    let standing = world.applier.standing(&state);
    assert_eq!((standing.applied, standing.wanted, standing.trial), (0, 5, false));
    assert!(standing.why_not.unwrap().contains("blinder: 50 % of the traffic unseen, 2 % before"));
    for _ in 0..50 {
        assert!(world.tick(&state, 100, 1.0).is_none(), "a refused version is not tried again");
    }
    // The next one is.
    assert_eq!(marks(&world.until_plan(&wants(6, CONN), 100, 1.0)), conn());
}

#[test]
fn a_process_that_died_on_trial_begins_with_the_last_good_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, _) = World::open(&folder, Limits::default());
    world.until_plan(&wants(5, CONN), 100, 1.0);
    // kill -9: nothing is told.
    drop(world);
    let (mut world, plan) = World::open(&folder, Limits::default());
    assert_eq!(marks(&plan), command_line());
    let state = wants(5, CONN);
    for _ in 0..5 {
        assert!(world.tick(&state, 100, 1.0).is_none());
    }
    let standing = world.applier.standing(&state);
    assert!(standing.why_not.unwrap().contains("ended without being told to"));
    drop(world);
    let (mut world, _) = World::open(&folder, Limits::default());
    assert!(world.tick(&state, 100, 1.0).is_none());
    assert!(world.tick(&state, 100, 1.0).is_none(), "nor after another start");
}

#[test]
fn a_sensor_that_is_told_to_stop_tries_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, _) = World::open(&folder, Limits::default());
    world.until_plan(&wants(5, CONN), 100, 1.0);
    world.applier.stop().unwrap();
    drop(world);
    let (mut world, plan) = World::open(&folder, Limits::default());
    assert_eq!(marks(&plan), command_line());
    assert_eq!(marks(&world.until_plan(&wants(5, CONN), 100, 1.0)), conn());
}

#[test]
fn a_filter_may_not_hide_more_than_the_owner_allows() {
    for (rate, hidden) in [(60, false), (40, true)] {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { filter_hides_percent: 50, ..Limits::default() };
        let (mut world, _) = World::open(&folder, limits);
        let state = wants(5, r#"{"filter":"tcp"}"#);
        world.until_plan(&state, 100, 1.0);
        let back = (0..31).find_map(|_| world.tick(&state, rate, 1.0));
        assert_eq!(back.is_some(), hidden, "{rate}");
        let why = world.applier.standing(&state).why_not;
        assert_eq!(why.is_some_and(|why| why.contains("hides 60 % of the frames")), hidden);
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_changes() {
    let limits = Limits { settings: Some(vec!["filter".to_owned(), "only".to_owned()]), ..Limits::default() };
    for (text, said) in [
        (r#"{"filter":"tcp prot 5"}"#, "the filter does not know \"prot\""),
        (r#"{"only":["dsn"]}"#, "\"dsn\" is no kind of events"),
        (r#"{"observer":"x"}"#, "not set observer"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (mut world, _) = World::open(&folder, limits.clone());
        let state = wants(5, text);
        assert!((0..5).all(|_| world.tick(&state, 100, 1.0).is_none()), "{text}");
        let why = world.applier.standing(&state).why_not.unwrap();
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn a_capture_that_cannot_take_them_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, _) = World::open(&folder, Limits::default());
    let state = wants(5, CONN);
    world.until_plan(&state, 100, 1.0);
    let back = world.applier.failed("no memory").unwrap().unwrap();
    assert_eq!(marks(&back), command_line());
    assert!(world.applier.standing(&state).why_not.unwrap().contains("no memory"));
    assert!(world.applier.failed("again").unwrap().is_none(), "nothing is on trial any more");
}

#[test]
fn good_settings_that_the_owner_forbids_later_do_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, _) = World::open(&folder, Limits::default());
    let state = wants(5, CONN);
    world.until_plan(&state, 100, 1.0);
    (0..31).for_each(|_| drop(world.tick(&state, 100, 1.0)));
    drop(world);
    let limits = Limits { kinds_kept: vec![Kind::Dns], ..Limits::default() };
    let (mut world, plan) = World::open(&folder, limits);
    assert_eq!(marks(&plan), command_line());
    assert!(world.tick(&state, 100, 1.0).is_none());
    assert!(world.applier.standing(&state).why_not.unwrap().contains("leave out dns"));
    fs::write(folder.path().join("desired/applied.json"), "[").unwrap();
    let spoilt = Applier::open(folder.path(), base(), Limits::default()).err().unwrap().to_string();
    assert!(spoilt.contains("applied.json") && spoilt.contains("remove it"), "{spoilt}");
}

#[test]
fn the_centre_over_the_command_line() {
    let plan = |text: &str| {
        let wanted: Configuration = serde_json::from_str(text).unwrap();
        base().with(&wanted).unwrap()
    };
    assert!(plan("{}").capture.filter.is_some(), "the command line's filter stays");
    assert!(plan(r#"{"filter":""}"#).capture.filter.is_none());
    let engine = plan(r#"{"without":["dns"],"max_flows":5000,"checksums":"verify","observer":" gw "}"#);
    let engine = engine.capture.engine;
    assert_eq!(engine.kinds, Kinds::default().without(&[Kind::Dns]));
    assert_eq!((engine.flows, engine.checksums), (5_000, Checksums::Verify));
    assert_eq!(engine.observer.as_deref(), Some("gw"));
    assert_eq!(plan(r#"{"only":[]}"#).capture.engine.kinds, Kinds::default());
}

#[test]
fn the_budget_and_the_relay_are_what_the_centre_says_or_the_owner() {
    let base = base();
    let plan = |text: &str| base.with(&serde_json::from_str(text).unwrap());
    let budget = plan(r#"{"daily_mib":100,"relay":["firewall"]}"#).unwrap();
    assert_eq!(budget.daily_bytes, Some(100 << 20));
    assert_eq!(budget.relay, Some(vec!["firewall".to_owned()]));
    assert_eq!(plan(r#"{"relay":[]}"#).unwrap().relay, Some(Vec::new()));
    let silent = plan("{}").unwrap();
    assert_eq!((silent.daily_bytes, silent.relay), (None, None));
    let unknown = plan(r#"{"relay":["suricata"]}"#).unwrap_err();
    assert!(unknown.contains("no input \"suricata\"; the sensor's relay has: firewall"), "{unknown}");
    let metered = Shipping { daily_bytes: Some(7), ..Shipping::default() };
    let metered = Base::new(None, &Options::default(), metered);
    let with = |text: &str| metered.with(&serde_json::from_str(text).unwrap()).unwrap().daily_bytes;
    assert_eq!((with("{}"), with(r#"{"daily_mib":0}"#)), (Some(7), None));
}
