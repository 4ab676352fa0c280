//! The program itself: output, exit codes, words for the operator.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Output};

use support::{exchange, pcap};

fn sensor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dongson-sensor")).args(arguments).output().unwrap()
}

#[test]
fn read_prints_one_json_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    std::fs::write(&path, pcap(&exchange(), false, false)).unwrap();
    let output = sensor(&["read", "--format", "jsonl", "--observer", "cong-ubnd", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let datasets: Vec<&str> = lines.iter().filter_map(|line| line["event.dataset"].as_str()).collect();
    assert_eq!(datasets, ["sensor.http", "sensor.file", "sensor.conn"]);
    assert!(lines.iter().all(|line| line["observer.name"] == "cong-ubnd"));
}

#[test]
fn a_cut_file_is_a_warning_and_a_missing_one_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pcap");
    let whole = pcap(&exchange(), false, false);
    std::fs::write(&path, whole.get(..whole.len() - 3).unwrap()).unwrap();
    let output = sensor(&["read", path.to_str().unwrap()]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(words.contains("cut.pcap") && words.contains("the file is cut"), "{words}");
    let output = sensor(&["read", "none.pcap", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stdout.is_empty(), "the other file is read all the same");
    assert!(String::from_utf8_lossy(&output.stderr).contains("none.pcap"));
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.pcap");
    std::fs::write(&path, "").unwrap();
    let output = sensor(&["read", path.to_str().unwrap()]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("none.pcap") && words.contains("is empty"), "{words}");
}

#[test]
fn a_wrong_command_line_is_2_and_help_has_an_example() {
    assert_eq!(sensor(&["read"]).status.code(), Some(2));
    assert_eq!(sensor(&["read", "--format", "xml", "a"]).status.code(), Some(2));
    let help = sensor(&["read", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Example"));
    for command in ["read", "run"] {
        let help = sensor(&[command, "--help"]);
        assert!(String::from_utf8_lossy(&help.stdout).contains("--ignore-vlan"));
    }
}

#[test]
fn vlan_tags_can_be_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    let tagged = |frame: &Vec<u8>| [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat();
    let from_client = |frame: &Vec<u8>| frame[29] == 1;
    let frames: Vec<Vec<u8>> = exchange()
        .iter()
        .map(|frame| if from_client(frame) { tagged(frame) } else { frame.clone() })
        .collect();
    std::fs::write(&path, pcap(&frames, false, false)).unwrap();
    let connections = |arguments: &[&str]| {
        let output = sensor(&[arguments, &[path.to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap().matches("\"sensor.conn\"").count()
    };
    assert_eq!(connections(&["read"]), 2);
    assert_eq!(connections(&["read", "--ignore-vlan"]), 1);
}

#[test]
fn an_unknown_interface_is_named() {
    let output = sensor(&["run", "--interface", "no-such-link", "--seconds", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-link"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_doctor_says_what_it_finds() {
    let output = sensor(&["doctor", "--interface", "no-such-link"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-link"));
    let arguments = ["doctor", "--interface", "lo", "--seconds", "0", "--vlan", "77", "--format", "json"];
    let output = sensor(&arguments);
    if output.status.code() == Some(2) {
        assert!(String::from_utf8_lossy(&output.stderr).contains("CAP_NET_RAW"));
        return;
    }
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["facts"]["interface"], "lo");
    let names: Vec<&str> =
        told["findings"].as_array().unwrap().iter().filter_map(|finding| finding["name"].as_str()).collect();
    assert!(names.contains(&"vlan_not_seen"), "{names:?}");
}

#[test]
fn folders_filters_and_the_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = pcap(&exchange(), false, false);
    std::fs::create_dir(folder.path().join("below")).unwrap();
    std::fs::write(folder.path().join("a.pcap"), &bytes).unwrap();
    std::fs::write(folder.path().join("below/b.cap"), &bytes).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not read").unwrap();
    let path = folder.path().to_str().unwrap();
    let connections = |arguments: &[&str]| {
        let output = sensor(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().matches("\"sensor.conn\"").count()
    };
    assert_eq!(connections(&["read", path]), 2);
    assert_eq!(connections(&["read", "--filter", "tcp and port 8080", path]), 2);
    assert_eq!(connections(&["read", "--filter", "udp", path]), 0);
    let output = sensor(&["read", "--filter", "tcp greater 5", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("greater"), "the word is named");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_dongson-sensor"))
        .args(["read", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap().matches("\"sensor.conn\"").count(), 1);
}
