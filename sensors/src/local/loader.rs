//! New packs are compiled on a thread of their own: the capture goes on with what it has.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use super::Content;
use crate::desired::HeldPack;

/// Compiles packs; whoever holds it is given the newest content.
pub(super) struct Loader {
    wishes: Arc<Mutex<Option<Vec<HeldPack>>>>,
    wake: SyncSender<()>,
    ready: Receiver<Arc<Content>>,
    wanted: Vec<HeldPack>,
}

impl Loader {
    /// Starts the thread, which ends when the loader is dropped.
    pub(super) fn start() -> io::Result<Self> {
        let (wake, woken) = sync_channel::<()>(1);
        let (send, ready) = sync_channel(1);
        let wishes: Arc<Mutex<Option<Vec<HeldPack>>>> = Arc::default();
        let theirs = Arc::clone(&wishes);
        std::thread::Builder::new().name("packs".to_owned()).spawn(move || {
            for () in woken {
                let wish = theirs.lock().unwrap_or_else(PoisonError::into_inner).take();
                let Some(packs) = wish else { continue };
                let content = Content::read(&packs);
                tell(&content);
                if send.send(Arc::new(content)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { wishes, wake, ready, wanted: Vec::new() })
    }

    /// Has `packs` compiled, when they are others than those of the last wish.
    pub(super) fn want(&mut self, packs: &[HeldPack]) {
        if self.wanted == packs {
            return;
        }
        packs.clone_into(&mut self.wanted);
        *self.wishes.lock().unwrap_or_else(PoisonError::into_inner) = Some(packs.to_vec());
        // One that is full wakes the thread all the same.
        if let Err(TrySendError::Disconnected(())) = self.wake.try_send(()) {
            warn!("the thread that compiles packs has ended: the present ones stay");
        }
    }

    /// What was compiled since the last call, if anything was.
    pub(super) fn newest(&self) -> Option<Arc<Content>> {
        self.ready.try_iter().last()
    }
}

fn tell(content: &Content) {
    let report = &content.report;
    info!(
        packs = report.packs.len(),
        indicators = report.indicators,
        rules = report.rules,
        correlations_left_to_the_centre = report.correlations,
        refused = report.refused,
        "packs are in force"
    );
    for reason in &report.reasons {
        warn!(%reason, "in a pack something was refused");
    }
}
