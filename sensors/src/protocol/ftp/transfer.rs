//! A data connection (RFC 959, 3): its bytes are one file, and the command connection says which.
//!
//! In: the stream of a connection that a command connection announced. Out: one `sensor.ftp_data` event and one
//! `sensor.file` event for each side that sent something. Both connections hold one [`Transfer`]. Memory: a [`File`] a side.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dongson_event::{Event, Timestamp};

use crate::protocol::dissect::Stream;
use crate::protocol::file::{About, File, State};
use crate::protocol::{Kind, Options, Side};

/// First bytes whose type may still change.
const UNSURE: u64 = 512;

/// What is known of a transfer.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) command: Option<String>,
    /// As the client said it.
    pub(super) name: Option<String>,
    pub(super) user: Option<String>,
    /// Length that the server announced.
    pub(super) total: Option<u64>,
    /// The transfer was given up, as the server says.
    pub(super) aborted: bool,
    pub(super) mime_type: Option<&'static str>,
}

/// What a command connection and its data connection tell each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transfer(Arc<Mutex<Told>>);

impl Transfer {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A data connection.
#[derive(Debug)]
pub(in crate::protocol) struct Data {
    transfer: Transfer,
    options: Options,
    files: [Option<File>; 2],
}

impl Data {
    pub(in crate::protocol) fn new(transfer: Transfer, options: Options) -> Self {
        Self { transfer, options, files: Default::default() }
    }

    fn file(&mut self, side: Side, at: Timestamp) -> &mut File {
        let about = About { protocol: "ftp-data", ..About::default() };
        side.of_mut(&mut self.files).get_or_insert_with(|| File::new(about, side, at))
    }
}

impl Stream for Data {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], _out: &mut Vec<Event>) {
        let file = self.file(side, at);
        let unsure = file.size() < UNSURE;
        file.data(at, bytes);
        if unsure {
            let found = file.mime_type();
            self.transfer.told().mime_type = found;
        }
    }

    fn gap(&mut self, side: Side, length: u64) {
        if let Some(file) = side.of_mut(&mut self.files) {
            file.gap(length);
        }
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        let told = self.transfer.told();
        for mut file in std::mem::take(&mut self.files).into_iter().flatten() {
            file.about.name.clone_from(&told.name);
            file.about.total = told.total;
            let file = file.describe(if told.aborted { State::Truncated } else { State::Closed });
            let mut event = Event::of("sensor.ftp_data", file.timestamp().unwrap_or_default());
            event.set("network.protocol", "ftp-data");
            event.set_some("dongson.ftp.command", told.command.as_deref());
            event.set_some("user.name", told.user.as_deref());
            for name in ["file.name", "file.path", "file.size", "file.mime_type", "file.hash.sha256"] {
                event.set_some(name, file.get(name).cloned());
            }
            out.push(event);
            if self.options.kinds.has(Kind::File) {
                let mut file = file;
                file.set_some("dongson.ftp.command", told.command.as_deref());
                file.set_some("user.name", told.user.as_deref());
                out.push(file);
            }
        }
    }

    fn wants_more(&self, _side: Side) -> bool {
        true
    }
}
