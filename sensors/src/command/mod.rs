//! The commands, one file each, and how they print.

pub(crate) mod alerts;
mod detect;
#[cfg(target_os = "linux")]
pub(crate) mod doctor;
pub(crate) mod enrol;
pub(crate) mod journal;
mod keep;
pub(crate) mod packets;
pub(crate) mod read;
mod relay;
pub(crate) mod run;
mod scope;
mod sink;
mod steer;

use std::io::{self, StdoutLock, Write};

use dongson_event::Event;
use dongson_sensor::Told;

/// Events as JSON lines on the standard output. Once the reader is gone, nothing more is written.
pub(crate) struct Lines {
    out: StdoutLock<'static>,
    text: String,
    failed: Option<io::Error>,
}

/// Bytes of text that are written at once.
const BLOCK: usize = 1 << 17;

impl Lines {
    pub(crate) fn new() -> Self {
        Self { out: io::stdout().lock(), text: String::with_capacity(2 * BLOCK), failed: None }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        event.put_json(&mut self.text);
        self.line();
    }

    pub(crate) fn told(&mut self, told: &Told<'_>, id: &str) {
        told.print(id, &mut self.text);
        self.line();
    }

    fn line(&mut self) {
        self.text.push('\n');
        if self.text.len() >= BLOCK {
            self.flush();
        }
    }

    /// Writes what is buffered.
    pub(crate) fn flush(&mut self) {
        if self.failed.is_none() {
            let written = self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush());
            self.failed = written.err();
        }
        self.text.clear();
    }

    /// True when nobody reads any more, or the output is full.
    pub(crate) fn is_closed(&self) -> bool {
        self.failed.is_some()
    }

    /// Ends; a reader that went away early is not an error.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush();
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// Tells the operator something on the standard error.
#[expect(clippy::print_stderr, reason = "words for the operator")]
pub(crate) fn say(words: std::fmt::Arguments<'_>) {
    eprintln!("dongson-sensor: {words}");
}
