//! The centre's disk: a small ext4 file system in a file, which can be filled and whose power can fail.
//!
//! Power fails by the file system's own shutdown (`EXT4_IOC_SHUTDOWN` with `NOLOGFLUSH`, as xfstests does it): from that
//! moment nothing reaches the device, neither pages that were not synced nor the journal of names; mounted again, it
//! holds what a machine would find after a power cut. Needs root and loop devices.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Size of the disk: the log refuses to take the last 256 MiB of it.
const BYTES: u64 = 1_536 << 20;
/// How long a process that was killed may hold the disk.
const BUSY: Duration = Duration::from_secs(20);
/// Shuts a file system down without a last write: `_IOR('X', 125, __u32)` with `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const SHUTDOWN: &str = "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// A mounted disk; unmounted with the value.
#[derive(Debug)]
pub(crate) struct Disk {
    image: PathBuf,
    place: PathBuf,
}

impl Disk {
    /// Makes and mounts a disk in `folder`.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let disk = Self { image: folder.join("disk.ext4"), place: folder.join("disk") };
        File::create(&disk.image)?.set_len(BYTES)?;
        fs::create_dir(&disk.place)?;
        let options = ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        run(Command::new("mkfs.ext4").args(options).arg(&disk.image))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Takes every block.
    pub(crate) fn fill(&self) -> Result<()> {
        let file = File::create(self.filler())?;
        let (mut taken, mut piece) = (0, 256_u64 << 20);
        while piece >= 4_096 {
            let flags = rustix::fs::FallocateFlags::empty();
            match rustix::fs::fallocate(&file, flags, taken, piece) {
                Ok(()) => taken += piece,
                Err(rustix::io::Errno::NOSPC) => piece /= 2,
                Err(error) => bail!("filling {}: {error}", self.place.display()),
            }
        }
        Ok(())
    }

    /// Gives the blocks back; nothing happens when they were not taken.
    pub(crate) fn free(&self) -> Result<()> {
        match fs::remove_file(self.filler()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Loses what was not synced. The processes that use the disk were killed.
    pub(crate) fn cut_power(&self) -> Result<()> {
        run(Command::new("python3").args(["-c", SHUTDOWN]).arg(&self.place))?;
        self.unmount()?;
        self.mount()
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }

    fn mount(&self) -> Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.place))
    }

    fn unmount(&self) -> Result<()> {
        let until = Instant::now() + BUSY;
        while let Err(error) = run(Command::new("umount").arg(&self.place)) {
            ensure!(Instant::now() < until, error);
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The mount is of this process's namespace and ends with it at the latest.
        drop(run(Command::new("umount").arg("--lazy").arg(&self.place)));
    }
}

/// Runs a program to its end; an error says what it said.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program}: is it installed?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {}", output.status, said.trim());
    Ok(())
}
