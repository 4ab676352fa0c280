//! sudo's log: who ran what as whom, and who was refused.

use super::{Context, Parsed, Refusal, pam, syslog};

/// Reads a syslog line of sudo.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    let line = crate::parse::text_of(bytes);
    let header = syslog::header(&line, context)?;
    if header.program.rsplit('/').next() != Some("sudo") {
        return Err(Refusal::Other("sudo"));
    }
    let mut parsed = syslog::event(&header);
    content(header.message, &mut parsed);
    Ok(parsed)
}

/// Reads `an : TTY=pts/0 ; PWD=/home/an ; USER=root ; COMMAND=/bin/ls`, or PAM's words.
pub(crate) fn content(message: &str, parsed: &mut Parsed) {
    parsed.set("event.dataset", "sudo");
    parsed.set("service.type", "sudo");
    if pam::content(message, parsed) {
        return;
    }
    let Some((user, said)) = message.trim_start().split_once(" : ") else { return };
    parsed.text("user.name", user.trim_end());
    // The command comes last and may hold the separator itself.
    let (front, command) = match said.split_once("COMMAND=") {
        Some((front, command)) => (front, command),
        None => (said, ""),
    };
    for part in
        front.split(" ; ").map(|part| part.trim_end_matches(" ;").trim()).filter(|part| !part.is_empty())
    {
        match part.split_once('=') {
            Some(("TTY", value)) => parsed.text("sudo.tty", value),
            Some(("PWD" | "CHROOT", value)) => {
                parsed.text("sudo.pwd", value);
                parsed.text("process.working_directory", value);
            }
            Some(("USER", value)) => {
                parsed.text("sudo.user", value);
                parsed.text("user.effective.name", value);
            }
            Some(("GROUP", value)) => parsed.text("sudo.group", value),
            Some(("ENV", value)) => parsed.text("sudo.env", value),
            Some(("TSID", value)) => parsed.text("sudo.tsid", value),
            _ => parsed.text("sudo.error", part),
        }
    }
    run(command, parsed);
}

fn run(command: &str, parsed: &mut Parsed) {
    let refused = parsed.event.get("sudo.error").is_some();
    parsed.text("sudo.command", command);
    parsed.text("process.command_line", command);
    let executable = command.split(' ').next().unwrap_or_default();
    if executable.starts_with('/') {
        parsed.text("process.executable", executable);
    }
    parsed.set("event.action", "sudo");
    parsed.set("event.category", vec!["process"]);
    parsed.set("event.type", vec![if refused { "denied" } else { "start" }]);
    parsed.set("event.outcome", if refused { "failure" } else { "success" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &[(&str, &str)]) {
        let mut parsed = Parsed::default();
        content(message, &mut parsed);
        for (name, value) in expected {
            assert_eq!(parsed.event.text(name), Some(*value), "{name} of {message}");
        }
    }

    #[test]
    fn messages() {
        check(
            "      an : TTY=pts/0 ; PWD=/home/an ; USER=root ; COMMAND=/bin/sh -c id ; USER=x",
            &[
                ("user.name", "an"),
                ("user.effective.name", "root"),
                ("process.executable", "/bin/sh"),
                ("process.command_line", "/bin/sh -c id ; USER=x"),
                ("event.outcome", "success"),
            ],
        );
        check(
            "binh : user NOT in sudoers ; TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow",
            &[("sudo.error", "user NOT in sudoers"), ("event.outcome", "failure")],
        );
        check(
            "an : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=list",
            &[("sudo.error", "3 incorrect password attempts"), ("sudo.command", "list")],
        );
        check(
            "pam_unix(sudo:session): session opened for user root(uid=0) by an(uid=1000)",
            &[("user.name", "root"), ("service.name", "sudo")],
        );
    }
}
