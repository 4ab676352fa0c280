//! Settings that change while frames are captured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Live, LiveError};
use crate::capture::filter::Filter;
use crate::engine::{Change, Engine};

/// What a capture that runs can be told anew.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which frames are captured; none: all.
    pub filter: Option<Filter>,
    /// How they are read.
    pub engine: Change,
}

impl Settings {
    /// Applies them to one source and its engine: the filter first, which can fail; then nothing was changed.
    pub(super) fn put_on(&self, live: &mut Live, engine: &mut Engine) -> Result<(), LiveError> {
        live.change_filter(self.filter.as_ref())?;
        engine.change(&self.engine);
        Ok(())
    }
}

/// The newest settings, for threads that look between two blocks of frames.
#[derive(Default)]
pub(super) struct Notice {
    /// How often settings were posted.
    number: AtomicU64,
    settings: Mutex<Option<Arc<Settings>>>,
    failed: Mutex<Option<String>>,
}

impl Notice {
    /// Puts settings before all threads.
    pub(super) fn post(&self, settings: &Settings) {
        *lock(&self.settings) = Some(Arc::new(settings.clone()));
        *lock(&self.failed) = None;
        self.number.fetch_add(1, Ordering::Release);
    }

    /// The number of the newest settings; 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Takes up what was posted since `seen`; true when there was something.
    pub(super) fn take_up(&self, seen: &mut u64, live: &mut Live, engine: &mut Engine) -> bool {
        let number = self.number();
        if number == *seen {
            return false;
        }
        *seen = number;
        let settings = lock(&self.settings).clone();
        if let Some(Err(error)) = settings.map(|settings| settings.put_on(live, engine)) {
            *lock(&self.failed) = Some(error.to_string());
        }
        true
    }

    /// Why a thread could not; told once.
    pub(super) fn failed(&self) -> Option<String> {
        lock(&self.failed).take()
    }
}

/// A lock whose holder panicked still guards whole data: every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
