//! `enrol URL TOKEN --data DIR`: gets the sensor its certificate.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::say;

/// Where to enrol, and where the identity is kept.
#[derive(Debug, Args)]
pub(crate) struct Enrol {
    /// The collector: https://HOST:PORT.
    #[arg(value_name = "URL")]
    url: String,
    /// The one-time token from the console: dst1.SECRET.FINGERPRINT.
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Folder of the sensor: its key, its certificate and its spool.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/dongson-sensor")]
    data: PathBuf,
}

/// Enrols and says as whom. Root does it as the owner of the folder, so that the sensor's user can read what is written.
#[expect(clippy::print_stdout, reason = "as whom the sensor is enrolled is the output")]
pub(crate) fn enrol(arguments: &Enrol) -> ExitCode {
    #[cfg(target_os = "linux")]
    if arguments.data.is_dir()
        && let Err(error) = dongson_sensor::confine::become_owner(&arguments.data)
    {
        say(format_args!("{error}"));
        return ExitCode::FAILURE;
    }
    match dongson_sensor::ship::enrol(&arguments.url, &arguments.token, &arguments.data) {
        Ok(identity) => {
            println!(
                "enrolled: agency {}, node {} (sensor {}, collector {})",
                identity.organization, identity.node, identity.sensor, identity.url
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}
