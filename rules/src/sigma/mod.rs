//! From Sigma's YAML to something that can be evaluated.
//!
//! [`document`] cuts files into documents (after [`nesting`] has looked at them), [`meta`] reads what a rule says about
//! itself, [`condition`] and [`modifier`] read the two small languages inside, [`value`] applies modifiers to values with [`encoding`] and
//! [`placeholder`], [`detection`] builds the tree, [`filter`] reads what is
//! excluded from many rules at once. All of it follows the Sigma specification 2.1.0; what is not in it is refused.
//! Where the text is open, `vectors/` says what was decided.

pub mod condition;
pub(crate) mod detection;
pub(crate) mod document;
mod encoding;
pub(crate) mod filter;
pub(crate) mod meta;
pub mod modifier;
mod nesting;
pub mod placeholder;
pub(crate) mod value;
