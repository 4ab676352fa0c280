//! What stands between an interface and a true picture of its traffic, and what to type to mend it.
//!
//! In: the name of an interface and how long to listen. Out: [`Finding`]s. [`examine`] asks the system and listens through a
//! ring; [`findings`] judges what was learnt and is pure. Memory: the engine's, for as long as it listens.
//!
//! Sources: the kernel's `networking/segmentation-offloads` and `ABI/testing/sysfs-class-net`; ethtool(8), adjtimex(2).

mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dongson_event::Event;
use serde::Serialize;

use crate::capture::Frame;
use crate::capture::ring::{Ring, RingError, RingOptions};
use crate::confine::Fence;
use crate::engine::{Engine, Options};
pub use system::Settings;

/// Longest wait for frames at a time.
const WAIT: Duration = Duration::from_millis(100);
/// Fewer conversations than these say nothing about directions.
const ENOUGH: usize = 10;
/// Most VLANs that are noted: as many as there are.
const MAX_VLANS: usize = 4_096;

/// Something that should be mended, or known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A fixed name.
    pub name: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to type or do about it.
    pub mend: String,
}

/// What was learnt about an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Its name.
    pub interface: String,
    /// What the system says.
    pub settings: Settings,
    /// How many frames were seen while listening.
    pub frames: u64,
    /// How many the kernel dropped meanwhile.
    pub dropped: u64,
    /// Frames longer than the MTU and a header with two tags.
    pub oversize: u64,
    /// The VLANs seen, and in how many frames.
    pub vlans: BTreeMap<u16, u64>,
    /// TCP conversations of which both directions were seen, and of which one.
    pub conversations: (usize, usize),
}

/// Learns about `interface`, listening for so long.
pub fn examine(interface: &str, listen: Duration) -> Result<Facts, RingError> {
    let mut ring = Ring::open(&[interface.to_owned()], None, RingOptions::default())?;
    let settings = Settings::of(interface);
    let mut facts = Facts { interface: interface.to_owned(), settings, ..Facts::default() };
    let mut engine = Engine::new(Options::default());
    let mut pairs = (0, 0);
    let mut note = |event: Event| note_conversation(&event, &mut pairs);
    let end = Instant::now() + listen;
    while Instant::now() < end {
        ring.poll(WAIT, &mut |frame| {
            facts.frame(frame);
            engine.packet(frame, &mut note);
        })?;
    }
    engine.finish(&mut note);
    facts.conversations = pairs;
    facts.dropped = ring.statistics()?.dropped;
    Ok(facts)
}

impl Facts {
    fn frame(&mut self, frame: &Frame<'_>) {
        self.frames += 1;
        let longest = self.settings.mtu.map(|mtu| mtu.saturating_add(14 + 8));
        self.oversize += u64::from(longest.is_some_and(|longest| frame.wire_length > longest));
        let in_frame = match frame.bytes.get(12..16) {
            Some([0x81, 0x00, high, low] | [0x88, 0xa8, high, low]) => {
                Some(u16::from_be_bytes([*high, *low]) & 0x0fff)
            }
            _ => None,
        };
        if let Some(vlan) = frame.vlan.or(in_frame)
            && (self.vlans.len() < MAX_VLANS || self.vlans.contains_key(&vlan))
        {
            *self.vlans.entry(vlan).or_default() += 1;
        }
    }
}

/// Counts a TCP conversation of more than a few packets by whether both directions were seen.
fn note_conversation(event: &Event, (both, one): &mut (usize, usize)) {
    let packets = |name| event.int(name).unwrap_or_default();
    let (sent, answered) = (packets("source.packets"), packets("destination.packets"));
    if event.dataset() != "sensor.conn"
        || event.text("network.transport") != Some("tcp")
        || sent + answered < 3
    {
        return;
    }
    *if sent > 0 && answered > 0 { both } else { one } += 1;
}

/// What is wrong with what was learnt; `declared` are the VLANs that should be seen.
pub fn findings(facts: &Facts, declared: &[u16]) -> Vec<Finding> {
    let mut found = of_settings(facts);
    found.extend(of_traffic(facts));
    let seen: BTreeSet<u16> = facts.vlans.keys().copied().collect();
    let missing: Vec<String> =
        declared.iter().filter(|vlan| !seen.contains(vlan)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        found.push(Finding {
            name: "vlan_not_seen",
            what: format!("nothing was seen of VLAN {}", missing.join(", ")),
            mend: "add them to the mirror session at the switch, or listen for longer (--seconds)".to_owned(),
        });
    }
    found
}

fn of_settings(facts: &Facts) -> Vec<Finding> {
    let (name, settings) = (&facts.interface, &facts.settings);
    let mut found = Vec::new();
    let mut add = |wrong: bool, finding: &'static str, what: &str, mend: String| {
        if wrong {
            found.push(Finding { name: finding, what: what.to_owned(), mend });
        }
    };
    add(
        !settings.up,
        "interface_down",
        "the interface is not up: nothing can be seen",
        format!("ip link set dev {name} up"),
    );
    add(
        settings.up && settings.carrier == Some(false),
        "no_link",
        "there is no link: no cable, or the other side is off",
        "look at the cable and at the switch's port".to_owned(),
    );
    for (on, finding, what, option) in [
        (
            settings.gro,
            "gro_on",
            "the card's driver joins packets (GRO): sizes and counts are not the wire's",
            "gro",
        ),
        (settings.lro, "lro_on", "the card joins packets (LRO): sizes and counts are not the wire's", "lro"),
    ] {
        add(on == Some(true), finding, what, format!("ethtool -K {name} {option} off"));
    }
    add(
        settings.clock_is_set == Some(false),
        "clock_not_synchronised",
        "the clock of this machine is not synchronised: times of events may be wrong",
        "timedatectl set-ntp true".to_owned(),
    );
    found
}

fn of_traffic(facts: &Facts) -> Vec<Finding> {
    let Facts { interface, frames, dropped, oversize, conversations: (both, one), .. } = facts;
    let mut found = Vec::new();
    let mut add = |name, what: String, mend: String| found.push(Finding { name, what, mend });
    if *frames == 0 {
        add(
            "no_traffic",
            "nothing was seen".to_owned(),
            "look at the mirror session or the tap, or listen for longer (--seconds)".to_owned(),
        );
    }
    if *dropped > 0 {
        add(
            "kernel_drops",
            format!("the kernel dropped {dropped} of {frames} frames"),
            "run with --threads, or leave out what need not be seen (--filter)".to_owned(),
        );
    }
    if *oversize > 0 {
        let segments = facts.settings.tso == Some(true) || facts.settings.gso == Some(true);
        let mend = if segments {
            format!("ethtool -K {interface} tso off gso off gro off")
        } else {
            format!("ethtool -K {interface} gro off lro off, or ip link set dev {interface} mtu 9000")
        };
        add(
            "frames_beyond_mtu",
            format!("{oversize} of {frames} frames are longer than the MTU allows"),
            mend,
        );
    }
    if both + one >= ENOUGH && one * 10 > (both + one) * 8 {
        add(
            "one_direction",
            format!("of {one} of {} TCP conversations only one direction was seen", both + one),
            "mirror both directions (rx and tx) of the port, or give both sides of the tap (--interface twice)"
                .to_owned(),
        );
    }
    found
}

/// What is wrong with the fences (landlock, seccomp) that the kernel offers to a sensor.
pub fn of_fences((files, calls): (Fence, Fence)) -> Vec<Finding> {
    let mut found = Vec::new();
    if files == Fence::Absent {
        found.push(Finding {
            name: "no_landlock",
            what: "the kernel has no landlock: a sensor that is broken into can read and write files"
                .to_owned(),
            mend: "boot a kernel of 5.13 or newer, with landlock in its lsm= (cat /sys/kernel/security/lsm)"
                .to_owned(),
        });
    }
    if calls == Fence::Absent {
        found.push(Finding {
            name: "no_seccomp",
            what: "the kernel has no seccomp: a sensor that is broken into can make every system call"
                .to_owned(),
            mend: "boot a kernel with CONFIG_SECCOMP_FILTER (every one of Debian's has it)".to_owned(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An interface with which all is well.
    fn well() -> Facts {
        let settings = Settings {
            up: true,
            carrier: Some(true),
            promiscuous: true,
            mtu: Some(1_500),
            gro: Some(false),
            lro: Some(false),
            tso: Some(false),
            gso: Some(false),
            rx_vlan: Some(true),
            clock_is_set: Some(true),
        };
        let vlans = [(7, 50)].into();
        Facts {
            interface: "eth1".to_owned(),
            settings,
            frames: 100,
            vlans,
            conversations: (20, 1),
            ..Facts::default()
        }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut Facts), declared: &[u16], expected: &[&str]) {
        let mut facts = well();
        change(&mut facts);
        let names: Vec<&str> = findings(&facts, declared).iter().map(|finding| finding.name).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn each_fault_is_found() {
        check(|_| {}, &[7], &[]);
        check(|facts| facts.settings.up = false, &[], &["interface_down"]);
        check(|facts| facts.settings.carrier = Some(false), &[], &["no_link"]);
        check(|facts| facts.settings.gro = Some(true), &[], &["gro_on"]);
        check(|facts| facts.settings.lro = Some(true), &[], &["lro_on"]);
        check(|facts| facts.settings.clock_is_set = Some(false), &[], &["clock_not_synchronised"]);
        check(|facts| facts.frames = 0, &[], &["no_traffic"]);
        check(|facts| facts.dropped = 3, &[], &["kernel_drops"]);
        check(|facts| facts.oversize = 3, &[], &["frames_beyond_mtu"]);
        check(|facts| facts.conversations = (1, 30), &[], &["one_direction"]);
        check(|facts| facts.conversations = (0, 5), &[], &[]);
        check(|_| {}, &[7, 8], &["vlan_not_seen"]);
    }

    #[test]
    fn a_fence_that_is_missing_is_found() {
        let names = |fences| of_fences(fences).iter().map(|finding| finding.name).collect::<Vec<_>>();
        assert_eq!(names((Fence::Absent, Fence::Absent)), ["no_landlock", "no_seccomp"]);
        assert!(names((Fence::Part, Fence::Whole)).is_empty());
    }

    #[test]
    fn frames_are_measured_and_their_tags_noted() {
        let mut facts = well();
        facts.frames = 0;
        let mut tagged = vec![0; 64];
        tagged.splice(12..16, [0x81, 0, 0x20, 9]);
        for (bytes, vlan, wire_length) in
            [(&[0; 64][..], None, 64), (&tagged, None, 1_522), (&[0; 64], Some(11), 1_523)]
        {
            let link = crate::capture::LinkType::ETHERNET;
            let at = dongson_event::Timestamp::default();
            facts.frame(&Frame { at, link, bytes, wire_length, vlan });
        }
        assert_eq!((facts.frames, facts.oversize), (3, 1));
        assert_eq!(facts.vlans, [(7, 50), (9, 1), (11, 1)].into());
    }
}
