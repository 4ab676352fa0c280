//! What a confined process cannot do any more. It is a child: this test binary, started again for one test of its own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dongson_sensor::confine::{Fence, confine, offered};
use dongson_sensor::live::{LiveOptions, Sources};

const FOLDER: &str = "DONGSON_TEST_CONFINED_FOLDER";
const OUTSIDE: &str = "DONGSON_TEST_OUTSIDE_FILE";
const LISTENER: &str = "DONGSON_TEST_LISTENER";
/// Debian's `nobody`; any number but root's would do.
const NOBODY: u32 = 65_534;

/// Runs the test `name` of this file in a process of its own.
fn child(name: &str, folder: &Path, outside: &Path, listener: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--test-threads=1", "--nocapture"])
        .env(FOLDER, folder)
        .env(OUTSIDE, outside)
        .env(LISTENER, listener)
        .output()
        .unwrap()
}

fn from_environment(name: &str) -> PathBuf {
    std::env::var_os(name).unwrap().into()
}

fn is_root() -> bool {
    caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SETUID).unwrap()
}

#[test]
fn a_confined_process_reaches_its_folder_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let (folder, outside) = (home.path().join("data"), home.path().join("outside"));
    fs::create_dir(&folder).unwrap();
    let logs = home.path().join("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join("eve.json"), "{}").unwrap();
    fs::write(&outside, "x").unwrap();
    if is_root() {
        for path in [&folder, &logs, &logs.join("eve.json")] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        // So that landlock, and not the rights of the files, is what refuses.
        chown(&outside, Some(NOBODY), Some(NOBODY)).unwrap();
        chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = child("in_the_child", &folder, &outside, &listener.local_addr().unwrap().to_string());
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words}{}", String::from_utf8_lossy(&output.stderr));
    assert!(words.contains("1 passed"), "{words}");
    assert_eq!(fs::read(folder.join("made")).unwrap(), b"here");
}

#[test]
#[ignore = "run by a_confined_process_reaches_its_folder_and_nothing_else"]
fn in_the_child() {
    let (folder, outside) = (from_environment(FOLDER), from_environment(OUTSIDE));
    let (landlock, seccomp) = offered();
    let root = is_root();
    let logs = folder.parent().unwrap().join("logs");
    let report = confine(&[&folder], &[&logs]).unwrap();
    assert_eq!((report.files, report.calls), (landlock, seccomp));
    if root {
        assert_eq!(report.user, NOBODY);
    }
    fs::write(folder.join("made"), "here").unwrap();
    fs::rename(folder.join("made"), folder.join("other")).unwrap();
    fs::rename(folder.join("other"), folder.join("made")).unwrap();
    fs::read("/etc/hosts").unwrap();
    assert_eq!(fs::read(logs.join("eve.json")).unwrap(), b"{}");
    assert_eq!(fs::read_dir(&logs).unwrap().count(), 1);
    let refused = |result: std::io::Result<()>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
    };
    if landlock != Fence::Absent {
        refused(fs::read(&outside).map(drop));
        refused(fs::write(&outside, "y"));
        refused(fs::write("/etc/dongson-test", "y"));
        refused(fs::write(logs.join("eve.json"), "y"));
        refused(fs::write(logs.join("new"), "y"));
        refused(fs::rename(logs.join("eve.json"), logs.join("eve.json.1")));
        refused(fs::write(folder.parent().unwrap().join("new"), "y"));
    }
    if landlock == Fence::Whole {
        refused(TcpListener::bind("127.0.0.1:0").map(drop));
    }
    if seccomp != Fence::Absent {
        refused(Command::new("/bin/true").status().map(drop));
    }
    refused_rights();
    // What shipping needs still works, in threads too.
    let address = std::env::var(LISTENER).unwrap();
    std::thread::spawn(move || TcpStream::connect(address).map(drop)).join().unwrap().unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap();
}

/// No capability is left, and no interface can be opened any more.
fn refused_rights() {
    for set in [caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable] {
        assert!(caps::read(None, set).unwrap().is_empty(), "{set:?}");
    }
    let live = LiveOptions { interfaces: vec!["lo".to_owned()], ..LiveOptions::default() };
    assert!(Sources::open(&live).is_err());
}
