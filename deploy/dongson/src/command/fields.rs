//! `dongson fields`: the table of fields.

use std::process::ExitCode;

use crate::output;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    output::line(dongson_event::fields::markdown().trim_end())?;
    Ok(ExitCode::SUCCESS)
}
