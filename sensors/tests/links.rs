//! The doctor and the ring on interfaces that the test makes itself: a pair of virtual Ethernet ends in a network namespace of
//! its own. It needs root, and the programs `ip` and `ethtool`.
//!
//! Each test is a child in that namespace: this binary, started again by `unshare` for one test of its own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dongson_sensor::Options;
use dongson_sensor::live::{Backend, Capture, LiveOptions};
use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};

/// The end that is looked at, and the one that is spoken from.
const SEEN: &str = "veth-seen";
const FAR: &str = "veth-far";
/// What the far side is to do.
const ROLE: &str = "DONGSON_TEST_FAR_SIDE";

/// The namespace of the far end, as a process that lives in it.
struct Far(Child);

impl Drop for Far {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Far {
    /// A namespace with one end of the pair; the other stays here.
    fn new() -> Self {
        // It lives as long as its input is open.
        let child = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut far = Self(child.unwrap());
        // An answer means that the namespace is there.
        far.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        far.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        run(&[
            "ip",
            "link",
            "add",
            SEEN,
            "type",
            "veth",
            "peer",
            "name",
            FAR,
            "netns",
            &far.0.id().to_string(),
        ]);
        run(&["ip", "address", "add", "10.7.0.1/24", "dev", SEEN]);
        run(&["ip", "link", "set", SEEN, "up"]);
        run(&["ip", "link", "set", "lo", "up"]);
        far.run(&["ip", "address", "add", "10.7.0.2/24", "dev", FAR]);
        far.run(&["ip", "link", "set", FAR, "up"]);
        far
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.0.id().to_string()]).args(words);
        command
    }

    fn run(&self, words: &[&str]) {
        succeed(&self.command(words).output().unwrap(), words);
    }

    /// Starts [`far_side`] in this role; it has begun when this returns.
    fn play(&self, role: &str) -> Child {
        let this = std::env::current_exe().unwrap();
        let words =
            [this.to_str().unwrap(), "--exact", "far_side", "--ignored", "--test-threads=1", "--nocapture"];
        let mut child = self.command(&words).env(ROLE, role).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("begun")), "{role} has not begun");
        child
    }
}

fn run(words: &[&str]) {
    let [program, arguments @ ..] = words else { panic!("no program") };
    let output = Command::new(program).args(arguments).output();
    succeed(
        &output.unwrap_or_else(|error| panic!("{program}: {error} (install iproute2 and ethtool)")),
        words,
    );
}

#[track_caller]
fn succeed(output: &Output, words: &[&str]) {
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs the test `name` of this file in namespaces of its own.
#[expect(clippy::print_stdout, reason = "what was found there")]
fn in_a_namespace(name: &str) {
    let is_root = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_ADMIN).unwrap();
    let user: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let this = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(user)
        .args(["--net", "--mount"])
        .arg(this)
        .args(["--exact", name, "--ignored", "--test-threads=1", "--nocapture"])
        .output()
        .unwrap_or_else(|error| panic!("unshare: {error} (install util-linux)"));
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{words}{}\nthis test makes network namespaces: run it as root, or allow user namespaces (sysctl \
         kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(words.contains("1 passed"), "{words}");
    println!("{words}");
}

/// What the doctor finds by name, while `talk` goes on.
fn findings(seconds: &str, vlans: &[&str], talk: impl FnMut()) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dongson-sensor"));
    command.args(["doctor", "--interface", SEEN, "--seconds", seconds, "--format", "json"]);
    for vlan in vlans {
        command.args(["--vlan", vlan]);
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if seconds != "0" {
        listening();
    }
    let mut talk = talk;
    talk();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json: serde_json::Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    let found = json.get("findings").unwrap().as_array().unwrap();
    // What is not about the interface: the clock, and what the kernel of this machine can fence.
    let names = found.iter().map(|finding| finding.get("name").unwrap().as_str().unwrap().to_owned());
    names
        .filter(|name| !name.starts_with("clock") && !name.starts_with("no_landlock") && name != "no_seccomp")
        .collect()
}

/// Waits until somebody takes packets of an interface: a socket of all protocols (3) is bound.
fn listening() {
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_bound = |line: &str| line.split_whitespace().nth(3) == Some("0003");
    while !std::fs::read_to_string("/proc/self/net/packet").unwrap().lines().any(is_bound) {
        assert!(Instant::now() < deadline, "the doctor does not listen");
        std::thread::yield_now();
    }
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

/// Conversations between the two ends, each of some packets.
fn converse(far: &Far, count: usize) {
    let mut server = far.play(&format!("answer {count}"));
    for _ in 0..count {
        let mut stream = TcpStream::connect("10.7.0.2:7").unwrap();
        stream.write_all(b"hi").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    assert!(server.wait().unwrap().success());
}

#[test]
#[ignore = "run by the other tests, in the far end's namespace"]
fn far_side() {
    let role = std::env::var(ROLE).unwrap();
    let (role, count) = role.split_once(' ').unwrap();
    let count: usize = count.parse().unwrap();
    let listener = TcpListener::bind("10.7.0.2:7").unwrap();
    println!("begun");
    match role {
        "answer" => {
            for _ in 0..count {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 2];
                stream.read_exact(&mut asked).unwrap();
                stream.write_all(&asked).unwrap();
            }
        }
        "send" => TcpStream::connect("10.7.0.1:9").unwrap().write_all(&vec![b'x'; count]).unwrap(),
        "tagged" => {
            let mut bytes = datagram([10, 8, 0, 2], (9, 9), b"x");
            drop(bytes.splice(12..12, [0x81, 0, 0, 7]));
            send(&vec![bytes; count]);
        }
        "flood" => {
            // Every one is a flow of its own.
            let frames = (0..count).map(|number| {
                let [.., high, low] = number.to_be_bytes();
                datagram([10, 7, high, low], (40_000, 9), b"x")
            });
            send(&frames.collect::<Vec<_>>());
        }
        "half" => half_conversations(count),
        other => panic!("no role {other}"),
    }
}

/// One direction of TCP conversations, each from its SYN to its FIN.
fn half_conversations(count: usize) {
    let segments = (0..count).flat_map(|number| {
        let port = 40_000 + u16::try_from(number).unwrap();
        (0..4).map(move |step| {
            let mut bytes = Vec::new();
            let builder = link([10, 7, 0, 2]).tcp(port, 80, 100 + u32::from(step > 0), 1_000);
            let builder = match step {
                0 => builder.syn(),
                3 => builder.fin().ack(501),
                _ => builder.ack(501),
            };
            builder.write(&mut bytes, &[]).unwrap();
            bytes
        })
    });
    send(&segments.collect::<Vec<_>>());
}

/// A datagram to somebody whom the far end's neighbours do not know.
fn datagram(source: [u8; 4], ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    link(source).udp(ports.0, ports.1).write(&mut bytes, payload).unwrap();
    bytes
}

fn link(source: [u8; 4]) -> PacketBuilderStep<IpHeaders> {
    let [a, b, c, _] = source;
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]).ipv4(source, [a, b, c, 99], 64)
}

/// Sends frames at the far end, as they are.
fn send(frames: &[Vec<u8>]) {
    let link = pnet_datalink::interfaces().into_iter().find(|link| link.name == FAR).unwrap();
    let channel = pnet_datalink::channel(&link, pnet_datalink::Config::default()).unwrap();
    let pnet_datalink::Channel::Ethernet(mut sender, _) = channel else { panic!("no Ethernet") };
    for frame in frames {
        sender.send_to(frame, None).unwrap().unwrap();
    }
}

#[test]
fn the_doctor_finds_what_is_wrong_with_a_link() {
    in_a_namespace("doctor_in_the_namespace");
}

#[test]
#[ignore = "run by the_doctor_finds_what_is_wrong_with_a_link"]
fn doctor_in_the_namespace() {
    // So that the folder tells of this namespace.
    run(&["mount", "-t", "sysfs", "sysfs", "/sys"]);
    let far = Far::new();
    for option in ["gro", "tso", "gso"] {
        run(&["ethtool", "-K", SEEN, option, "off"]);
        far.run(&["ethtool", "-K", FAR, option, "off"]);
    }
    assert_eq!(findings("2", &[], || converse(&far, 30)), names(&[]), "all is well");
    run(&["ethtool", "-K", SEEN, "gro", "on"]);
    assert_eq!(findings("1", &["7"], || converse(&far, 2)), names(&["gro_on", "vlan_not_seen"]));
    run(&["ethtool", "-K", SEEN, "gro", "off"]);
    tagged(&far);
    longer_than_the_mtu(&far);
    one_direction(&far);
    run(&["ip", "link", "set", SEEN, "down"]);
    assert!(findings_of_a_link_that_is_down().contains("interface_down"));
}

/// VLANs that were declared: 7 is seen, 8 is not.
fn tagged(far: &Far) {
    let say = || assert!(far.play("tagged 5").wait().unwrap().success());
    assert_eq!(findings("2", &["7"], say), names(&[]));
    assert_eq!(findings("2", &["7", "8"], say), names(&["vlan_not_seen"]));
}

/// Segments that the far end leaves to its card, which is none, are longer than any cable carries.
fn longer_than_the_mtu(far: &Far) {
    far.run(&["ethtool", "-K", FAR, "tso", "on", "gso", "on"]);
    let listener = TcpListener::bind("10.7.0.1:9").unwrap();
    let found = findings("2", &[], || {
        let mut sender = far.play("send 2000000");
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        assert!(sender.wait().unwrap().success());
    });
    assert_eq!(found, names(&["frames_beyond_mtu"]));
    far.run(&["ethtool", "-K", FAR, "tso", "off", "gso", "off"]);
}

/// What the far end sends of conversations whose answers go another way.
fn one_direction(far: &Far) {
    let found = findings("2", &[], || assert!(far.play("half 40").wait().unwrap().success()));
    assert_eq!(found, names(&["one_direction"]));
}

fn findings_of_a_link_that_is_down() -> BTreeSet<String> {
    findings("0", &[], || {})
}

/// Frames that the ring is sent as fast as the far end can.
const FLOOD: u64 = 50_000;

#[test]
fn the_ring_loses_nothing_that_was_sent() {
    in_a_namespace("ring_in_the_namespace");
}

#[test]
#[ignore = "run by the_ring_loses_nothing_that_was_sent"]
fn ring_in_the_namespace() {
    let far = Far::new();
    let live =
        LiveOptions { interfaces: vec![SEEN.to_owned()], backend: Backend::Ring, ..LiveOptions::default() };
    let mut capture = Capture::open(&live, &Options::default()).unwrap();
    let mut sender = far.play(&format!("flood {FLOOD}"));
    let (mut flows, deadline) = (0, Instant::now() + Duration::from_mins(1));
    let mut count = |event: dongson_event::Event| {
        let source = event.text("source.ip").unwrap_or_default();
        flows += u64::from(
            event.dataset() == "sensor.conn"
                && source.starts_with("10.7.")
                && event.int("destination.port") == Some(9),
        );
    };
    while capture.counts().unwrap().frames < FLOOD && Instant::now() < deadline {
        capture.poll(&mut count).unwrap();
    }
    assert!(sender.wait().unwrap().success());
    let counts = capture.finish(&mut count).unwrap();
    assert_eq!((counts.dropped, flows), (Some(0), FLOOD));
    println!("{} frames in the ring, {flows} flows told", counts.frames);
}
