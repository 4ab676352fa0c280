//! Text as Sigma compares it: without regard to case, with wildcards.
//!
//! [`mod@fold`] makes two texts comparable, [`glyph`] reads `*`, `?` and backslashes, [`Pattern`] matches.

mod fold;
pub mod glyph;
mod pattern;

pub(crate) use fold::any_case;
pub use fold::{fold, fold_char};
pub use pattern::Pattern;
pub(crate) use pattern::{Piece, Shape};
