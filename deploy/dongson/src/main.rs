//! The one binary of the centre: arguments in, exit code out.

mod bus;
mod command;
mod config;
mod content;
mod drill;
mod output;
mod process;
mod reach;
mod role;

use std::process::ExitCode;

use clap::Parser;

use command::Command;

/// Events are many small texts, made in one thread and freed in another, which the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Dongson: the security centre's collector, analyzer, rules and console in one program.
#[derive(Debug, Parser)]
#[command(
    name = "dongson",
    version,
    about,
    after_help = "example: dongson up --data /var/lib/dongson\nexit codes: 0 done, 1 something failed or was refused, 2 wrong usage"
)]
struct Arguments {
    /// How the log on standard error is written.
    #[arg(long, global = true, value_enum, default_value = "text", env = "DONGSON_LOG_FORMAT")]
    log_format: process::LogFormat,
    /// By how many seconds the clock of this process is ahead of the machine's: for tests of wrong clocks.
    #[arg(long, global = true, hide = true, default_value_t = 0, allow_negative_numbers = true)]
    clock_offset: i64,
    #[command(subcommand)]
    command: Command,
}

#[expect(clippy::print_stderr, reason = "the log may be turned off, the last word of a command may not")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    process::prepare(arguments.log_format);
    dongson_registry::set_clock_ahead(arguments.clock_offset.saturating_mul(1_000));
    match arguments.command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", output::causes(&error));
            ExitCode::FAILURE
        }
    }
}
