//! The alerts that the drill must raise.

/// One alert that must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Stage of the attack.
    pub(crate) stage: &'static str,
    /// Id of the rule.
    pub(crate) rule: &'static str,
    /// The agency.
    pub(crate) organization: &'static str,
}

/// The made-up commune.
pub(crate) const COMMUNE: &str = "dien-tap-xa";
/// The made-up public-service portal.
pub(crate) const PORTAL: &str = "dien-tap-dvc";

/// All of them, in the order of the attack.
pub(crate) const EXPECTED: &[Expected] = &[];
