//! Tells quickly that no keyword of a route can be in a record, so that its values need not be looked at one by one.
//!
//! It looks at the folded JSON text as a whole; what it finds may as well be a name, or reach over several values.

use super::frequency::Frequencies;
use super::grams::{Grams, Literal};

/// All keywords of a route.
#[derive(Debug)]
pub(super) struct Sieve {
    keywords: Grams,
}

impl Sieve {
    /// For these keywords.
    pub(super) fn new(keywords: &[Literal], frequencies: &Frequencies) -> Self {
        Self { keywords: Grams::new(keywords, frequencies) }
    }

    /// False where no keyword can be in a value of `text`, which is folded and written in the usual way.
    pub(super) fn may_hold(&self, text: &[u8]) -> bool {
        self.keywords.any(text)
    }
}
