//! Network namespaces: the centre stands in one, the sensors in another, and the link between them can be cut.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::disk::run;

/// The centre's address on the link.
pub(crate) const CENTRE: &str = "10.77.0.1";
/// Set for the process inside the namespaces.
const INSIDE: &str = "DONGSON_BENCH_FAULTS_INSIDE";
/// The centre's end of the link.
const END: &str = "down0";

/// Starts this program again in namespaces of its own (network, mounts, processes), where it answers.
pub(crate) fn inside() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    let failed = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    bail!("unshare: {failed} (it makes the namespaces: run as root, with util-linux installed)");
}

/// The link, and the namespace at its other end; it ends with the value.
#[derive(Debug)]
pub(crate) struct Link {
    holder: Child,
    /// The centre's end.
    end: &'static str,
}

impl Link {
    /// Makes the other namespace and joins the two.
    pub(crate) fn make() -> Result<Self> {
        ip(&["link", "set", "lo", "up"])?;
        let holder =
            Command::new("unshare").args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).spawn()?;
        let link = Self { holder, end: END };
        let (pid, until) = (link.holder.id().to_string(), Instant::now() + Duration::from_secs(10));
        let ours = namespace("self")?;
        while namespace(&pid)? == ours {
            ensure!(Instant::now() < until, "unshare made no network namespace: run as root");
            sleep(Duration::from_millis(10));
        }
        ip(&["link", "add", END, "type", "veth", "peer", "name", "up0", "netns", &pid])?;
        ip(&["address", "add", &format!("{CENTRE}/24"), "dev", END])?;
        ip(&["link", "set", END, "up"])?;
        for words in [
            ["link", "set", "lo", "up"].as_slice(),
            &["address", "add", "10.77.0.2/24", "dev", "up0"],
            &["link", "set", "up0", "up"],
        ] {
            run(link.there("ip".into()).args(words))?;
        }
        Ok(link)
    }

    /// A command at the other end; its process is the program itself.
    pub(crate) fn there(&self, program: OsString) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.holder.id().to_string()).arg("--net").arg(program);
        command
    }

    /// Cuts the link.
    pub(crate) fn cut(&self) -> Result<()> {
        ip(&["link", "set", self.end, "down"])
    }

    /// Joins it again.
    pub(crate) fn join(&self) -> Result<()> {
        ip(&["link", "set", self.end, "up"])
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
        // With the namespace its end of the link goes, and so does ours, unless nothing was joined.
        drop(ip(&["link", "delete", END]));
    }
}

fn ip(words: &[&str]) -> Result<()> {
    run(Command::new("ip").args(words))
}

fn namespace(process: &str) -> Result<PathBuf> {
    Ok(fs::read_link(format!("/proc/{process}/ns/net"))?)
}
