//! Capture files to events.

use std::path::Path;

use dongson_event::{Event, identity};

use crate::capture::filter::{Filter, Program};
use crate::capture::{CaptureError, CaptureFile, Frame, LinkType};
use crate::engine::{Engine, Options, Statistics};
use crate::told::Told;

/// What reading a file gave, beside its events.
#[derive(Debug)]
pub struct Summary {
    /// What the engine saw.
    pub statistics: Statistics,
    /// Frames that were left out because a filter cannot look into their link type.
    pub unfiltered: u64,
    /// Why the file was not read to its end, where it is cut or damaged; everything before that was.
    pub warning: Option<CaptureError>,
}

/// Why a file gave nothing at all.
#[derive(Debug, thiserror::Error)]
#[error("{path:?}: {source}")]
pub struct ReadError {
    /// The file.
    pub path: std::path::PathBuf,
    /// What is wrong with it.
    pub source: CaptureError,
}

/// Reads a capture and gives its events to `emit`, each with an `event.id` made from the file's [mark](CaptureFile::mark) at
/// that place and the number of the event. The same file and options give the same events in the same order.
///
/// A file that is cut or damaged in the middle gives what lies before, and a [`Summary::warning`].
pub fn read_file(path: &Path, options: &Options, emit: &mut dyn FnMut(Event)) -> Result<Summary, ReadError> {
    read_filtered(path, options, None, emit)
}

/// The same with the frames that `filter` takes; see [`Summary::unfiltered`].
pub fn read_filtered(
    path: &Path,
    options: &Options,
    filter: Option<&Filter>,
    emit: &mut dyn FnMut(Event),
) -> Result<Summary, ReadError> {
    read_told(path, options, filter, &mut |told, id| {
        let mut event = told.event();
        event.set("event.id", id);
        emit(event);
    })
}

/// The same with records that are not made events yet, each with its `event.id` beside it.
pub fn read_told(
    path: &Path,
    options: &Options,
    filter: Option<&Filter>,
    emit: &mut dyn FnMut(Told<'_>, &str),
) -> Result<Summary, ReadError> {
    let failed = |source| ReadError { path: path.to_owned(), source };
    let mut capture = CaptureFile::open(path).map_err(failed)?;
    let mut engine = Engine::new(options.clone());
    let mut gate = Gate::new(filter);
    let mut number = 0_u64;
    let mut identified = |mark: &[u8; 32], told: Told<'_>| {
        number += 1;
        let mut id = [0_u8; 36];
        emit(told, identity::of_file(mark, number).hyphenated().encode_lower(&mut id));
    };
    let warning = loop {
        match capture.next_marked() {
            Ok(Some((frame, mark))) if gate.takes(&frame) => {
                engine.packet_told(&frame, &mut |told| identified(mark, told));
            }
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    engine.finish_told(&mut |told| identified(capture.mark(), told));
    Ok(Summary { statistics: engine.statistics(), unfiltered: gate.unfiltered, warning })
}

/// A filter before an engine; a capture may have several link types, each of which has a program of its own.
pub(crate) struct Gate {
    filter: Option<Filter>,
    /// The link type seen last, and its program; `None` where there can be none.
    program: Option<(LinkType, Option<Program>)>,
    unfiltered: u64,
}

impl Gate {
    pub(crate) fn new(filter: Option<&Filter>) -> Self {
        Self { filter: filter.cloned(), program: None, unfiltered: 0 }
    }

    /// How many frames could not be looked into.
    pub(crate) fn unfiltered(&self) -> u64 {
        self.unfiltered
    }

    /// Whether `frame` is wanted.
    pub(crate) fn takes(&mut self, frame: &Frame<'_>) -> bool {
        let Some(filter) = &self.filter else { return true };
        if self.program.as_ref().is_none_or(|(link, _)| *link != frame.link) {
            self.program = Some((frame.link, filter.compile(frame.link).ok()));
        }
        if let Some((_, Some(program))) = &self.program {
            return program.takes(frame);
        }
        self.unfiltered += 1;
        false
    }
}
