//! A Kafka for tests: `deploy/kafka/run`, which ends with this process.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// May do everything.
pub(crate) const USER: &str = "dongson";
/// May log in, and nothing else.
pub(crate) const STRANGER: &str = "stranger";
/// Of both.
pub(crate) const PASSWORD: &str = "correct-horse";

/// Brokers that run.
pub(crate) struct Brokers {
    /// Without encryption and without a login.
    pub(crate) plain: String,
    /// With a login.
    pub(crate) sasl: String,
    /// With encryption.
    pub(crate) tls: String,
    /// The authority of the certificates.
    pub(crate) ca: PathBuf,
    processes: BTreeMap<u32, String>,
    child: Child,
    /// They end when it is closed, and so with this process.
    input: Option<ChildStdin>,
}

impl Brokers {
    /// One broker for all tests of this process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Brokers> = OnceLock::new();
        let user = format!("{USER}:{PASSWORD}");
        let stranger = format!("{STRANGER}:{PASSWORD}");
        SHARED.get_or_init(|| Self::start(&["--user", &user, "--stranger", &stranger, "--tls"]))
    }

    /// Starts brokers as `arguments` say, and waits until they answer.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kafka/run");
        let mut child = Command::new(&script)
            .args(arguments)
            .arg("--until-eof")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let input = child.stdin.take();
        let (mut told, mut processes) = (BTreeMap::new(), BTreeMap::new());
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["ready"] => {
                    told.insert("ready".to_owned(), Vec::new());
                    break;
                }
                ["broker", number, process] => {
                    processes.insert(number.parse().unwrap(), process.to_owned());
                }
                [name, ref rest @ ..] => {
                    told.insert(
                        name.to_owned(),
                        rest.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(),
                    );
                }
                [] => {}
            }
        }
        if !told.contains_key("ready") {
            let output = child.wait_with_output().unwrap();
            panic!("{} did not start: {}", script.display(), String::from_utf8_lossy(&output.stderr));
        }
        let word = |name: &str, at: usize| {
            told.get(name).and_then(|words| words.get(at)).cloned().unwrap_or_default()
        };
        Self {
            plain: word("bootstrap", 0),
            sasl: word("sasl", 0),
            tls: word("tls", 0),
            ca: word("tls", 1).into(),
            processes,
            child,
            input,
        }
    }

    /// SIGKILL for one of them.
    pub(crate) fn kill(&self, number: u32) {
        let killed = Command::new("kill").args(["-9", &self.processes[&number]]).status().unwrap();
        assert!(killed.success());
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}
