//! `cargo run --release -p dongson-rules-fuzz -- --target rule|event|match|all --seconds N --seed N [--log FILE]`

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use dongson_rules_fuzz::Seeds;
use dongson_rules_fuzz::target::{Target, targets};
use fastrand::Rng;

/// Mutated rules and events against the rule engine; every run adds a line to the kept log.
#[derive(Parser)]
struct Arguments {
    /// What is fuzzed: rule, event, match or all.
    #[arg(long, default_value = "all")]
    target: String,
    /// How long, in all.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The log that gets a line for each target; executions.tsv of this crate otherwise.
    #[arg(long)]
    log: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { target: chosen, seconds, seed, log } = Arguments::parse();
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let log = log.unwrap_or_else(|| home.join("executions.tsv"));
    let seeds = Arc::new(Seeds::load());
    let all = targets(&chosen, &seeds);
    if all.is_empty() {
        say(&format!("{chosen}: there is no such target; they are rule, event, match, all"));
        return ExitCode::from(2);
    }
    let share = Duration::from_secs(seconds) / u32::try_from(all.len()).unwrap_or(1);
    let mut clean = true;
    for mut target in all {
        let started = Instant::now();
        let (executions, found) = fuzz(target.as_mut(), share, seed, &home.join("crashes"));
        clean &= found == 0;
        let line =
            format!("{}\t{seed}\t{executions}\t{}\t{found}\n", target.name(), started.elapsed().as_secs());
        say(line.trim_end());
        let written = OpenOptions::new().append(true).create(true).open(&log);
        if let Err(error) = written.and_then(|mut file| file.write_all(line.as_bytes())) {
            say(&format!("{}: {error}", log.display()));
            return ExitCode::FAILURE;
        }
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Executions, and how many of them found something. Ends early after ten findings.
fn fuzz(target: &mut dyn Target, time: Duration, seed: u64, crashes: &Path) -> (u64, u64) {
    let mut rng = Rng::with_seed(seed);
    let (mut executions, mut found) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < time && found < 10 {
        let input = target.next(&mut rng);
        executions += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| target.run(&input)));
        let what = match outcome {
            Ok(Ok(())) => continue,
            Ok(Err(what)) => what,
            Err(_) => "a panic".to_owned(),
        };
        found += 1;
        let mut name = String::new();
        // A name that two findings do not share.
        let _always = write!(name, "{}-{seed}-{executions}", target.name());
        let file = crashes.join(name);
        say(&format!("{}: {what}", file.display()));
        if let Err(error) = fs::create_dir_all(crashes).and_then(|()| fs::write(&file, &input)) {
            say(&format!("{}: {error}", file.display()));
        }
    }
    (executions, found)
}

#[expect(clippy::print_stdout, reason = "what was found is for the person at the terminal")]
fn say(text: &str) {
    println!("{text}");
}
