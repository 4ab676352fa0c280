//! Which packets `run` keeps on disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use dongson_sensor::answer::Rules;
use dongson_sensor::packets::{Limits, PacketError, Packets};

/// Whether and how packets are kept.
#[derive(Debug, Args)]
pub(crate) struct Keep {
    /// Keep the last packets in this folder, for `packets find` and for requests of the centre. It is made when it is not
    /// there; nobody but the sensor's user and root can read it.
    #[arg(long, value_name = "DIR")]
    packets: Option<PathBuf>,
    /// Most MiB of the disk for packets; the oldest go first.
    #[arg(long, value_name = "N", default_value_t = 4096, requires = "packets",
        value_parser = clap::value_parser!(u64).range(4..=1 << 30))]
    packets_mib: u64,
    /// How many hours packets are kept at most.
    #[arg(long, value_name = "N", default_value_t = 72, requires = "packets",
        value_parser = clap::value_parser!(u64).range(1..=24 * 366))]
    packets_hours: u64,
    /// How many KiB of each flow are kept, both directions together; 0 for all. What is left out is counted.
    #[arg(long, value_name = "N", default_value_t = 1024, requires = "packets")]
    packets_flow_kib: u32,
    /// Whether signed requests of the centre for packets are answered; each one is written into the journal either way.
    #[arg(long, value_enum, value_name = "WHETHER", default_value_t = Requests::Answer)]
    packets_requests: Requests,
    /// Most MiB of one answer.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=256))]
    packets_answer_mib: u64,
    /// Most requests that are answered in a day.
    #[arg(long, value_name = "N", default_value_t = 20)]
    packets_answers_a_day: u16,
}

/// What to do about requests of the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Requests {
    /// Answer them within the limits.
    Answer,
    /// Refuse all.
    Refuse,
}

impl Keep {
    /// The folder, where packets are kept.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.packets.as_deref()
    }

    /// What of it the centre may have.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            packets: self.packets.clone(),
            answers: self.packets_requests == Requests::Answer,
            max_bytes: self.packets_answer_mib << 20,
            per_day: usize::from(self.packets_answers_a_day),
            ..Rules::default()
        }
    }

    /// Makes the folder for the user as whom the sensor goes on: the owner of `data`, when root starts it.
    #[cfg(target_os = "linux")]
    pub(crate) fn prepare(&self, data: Option<&Path>) -> std::io::Result<()> {
        use std::os::unix::fs::{MetadataExt as _, chown};

        let Some(folder) = &self.packets else { return Ok(()) };
        let is_new = !folder.exists();
        std::fs::create_dir_all(folder)?;
        if let Some(data) = data.filter(|_| is_new) {
            let (owner, ours) = (std::fs::metadata(data)?, std::fs::metadata(folder)?);
            if owner.uid() != ours.uid() {
                chown(folder, Some(owner.uid()), Some(owner.gid()))?;
            }
        }
        Ok(())
    }

    /// Starts to keep.
    pub(crate) fn start(&self) -> Result<Option<Packets>, PacketError> {
        let Some(folder) = &self.packets else { return Ok(None) };
        let limits = Limits {
            bytes: self.packets_mib << 20,
            age: Duration::from_hours(self.packets_hours),
            flow_bytes: u64::from(self.packets_flow_kib) << 10,
        };
        Packets::start(folder, limits).map(Some)
    }
}
