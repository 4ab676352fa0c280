//! `dongson-sensor-fuzz [--target NAME]... [--executions N] [--seconds N]`; see README.md and `run`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use dongson_sensor_fuzz::fuzz::{self, Budget, Outcome};
use dongson_sensor_fuzz::target::{self, Target};
use dongson_sensor_fuzz::{guard, record, seed};
use fastrand::Rng;

/// Executions after which a target has had its share, over all runs in the log.
const SHARE_EXECUTIONS: u64 = 10_000_000;
/// Processor time after which it has, in seconds.
const SHARE_SECONDS: u64 = 300;

/// Mutated packets, conversations and files against the sensor; every run adds lines to the kept log.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  sensors/fuzz/run --target smb --target tls --seconds 60")]
struct Arguments {
    /// What is fuzzed; may stand several times. All, unless given.
    #[arg(long = "target", value_name = "NAME", default_value = "all")]
    targets: Vec<String>,
    /// Most executions of each target.
    #[arg(long, default_value_t = SHARE_EXECUTIONS)]
    executions: u64,
    /// Longest processor time of each target.
    #[arg(long, default_value_t = SHARE_SECONDS)]
    seconds: u64,
    /// Only what the log says was not yet run for 10 million executions or 300 seconds, and only until it was.
    #[arg(long)]
    missing: bool,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder of inputs that runs begin with and add to, one folder in it for each target.
    #[arg(long, value_name = "FOLDER")]
    corpus: Option<PathBuf>,
    /// The log; executions.tsv of this crate, unless given.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Lists the targets and what the log says of each.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("dongson-sensor-fuzz: {error}"));
            ExitCode::from(2)
        }
    }
}

/// True when nothing was found.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let log = arguments.log.clone().unwrap_or_else(|| seed::home().join("executions.tsv"));
    let mut targets = target::named(&arguments.targets)?;
    if arguments.list {
        for target in &targets {
            let (executions, seconds) = told(&log, target.name())?;
            say(&format!("{}\t{executions}\t{seconds}", target.name()));
        }
        return Ok(true);
    }
    let crashes = seed::home().join("crashes");
    guard::watch(&crashes).map_err(|error| format!("the watching thread: {error}"))?;
    // What panics is told with its input; the usual words would come ten times a second.
    std::panic::set_hook(Box::new(|_| {}));
    let mut clean = true;
    for target in &mut targets {
        let (executions, seconds) = if arguments.missing { told(&log, target.name())? } else { (0, 0) };
        let budget = Budget {
            executions: arguments.executions.saturating_sub(executions),
            time: Duration::from_secs(arguments.seconds.saturating_sub(seconds)),
        };
        if budget.executions == 0 || budget.time.is_zero() {
            continue;
        }
        let mut rng = Rng::with_seed(arguments.seed);
        let more = more(target.as_ref(), arguments.corpus.as_deref());
        let outcome = fuzz::run(target.as_mut(), more, &mut rng, budget, &crashes)
            .map_err(|error| format!("{}: {error}", crashes.display()))?;
        clean &= outcome.found.is_empty();
        tell(&log, target.name(), &outcome)?;
        if let Some(corpus) = &arguments.corpus {
            keep(&corpus.join(target.name()), &outcome)
                .map_err(|error| format!("{}: {error}", corpus.display()))?;
        }
    }
    Ok(clean)
}

/// Inputs beside the target's own: the corpus, and conversations of the captures of `DONGSON_SHARED`.
fn more(target: &dyn Target, corpus: Option<&Path>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in
        corpus.into_iter().flat_map(|corpus| fs::read_dir(corpus.join(target.name()))).flatten().flatten()
    {
        all.extend(fs::read(entry.path()));
    }
    all.extend(record::inputs(target.name()));
    all
}

/// What the log says of a target: executions and seconds of processor time of all its runs.
fn told(log: &Path, name: &str) -> Result<(u64, u64), String> {
    let text = fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let (mut executions, mut seconds) = (0, 0);
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        if let [_, _, target, run, took, _] = columns.as_slice()
            && *target == name
        {
            executions += run.parse::<u64>().map_err(|_| format!("{}: {line:?}", log.display()))?;
            seconds += took.parse::<u64>().map_err(|_| format!("{}: {line:?}", log.display()))?;
        }
    }
    Ok((executions, seconds))
}

fn tell(log: &Path, name: &str, outcome: &Outcome) -> Result<(), String> {
    for (file, what) in &outcome.found {
        let what: String = what.chars().take(600).collect();
        say(&format!("{}: {what}", file.display()));
    }
    let Outcome { executions, time, found, edges: (taken, all), kept } = outcome;
    say(&format!(
        "{name}: {executions} executions in {:.1} s, {} found, {taken} of {all} edges, {} inputs kept",
        time.as_secs_f64(),
        found.len(),
        kept.len()
    ));
    let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%MZ");
    let line = format!("{date}\t{}\t{name}\t{executions}\t{}\t{}\n", commit(), time.as_secs(), found.len());
    let written =
        OpenOptions::new().append(true).open(log).and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(|error| format!("{}: {error}", log.display()))
}

/// The commit that was built from, where git tells.
fn commit() -> String {
    let output =
        Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(seed::home()).output();
    let text =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "-".to_owned() } else { text }
}

fn keep(folder: &Path, outcome: &Outcome) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for input in &outcome.kept {
        fs::write(folder.join(format!("{:016x}", fuzz::sum(input))), input)?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what was found is for the person at the terminal")]
fn say(text: &str) {
    println!("{text}");
}
