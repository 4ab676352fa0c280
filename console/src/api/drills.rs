//! What becomes of drills in a list: one parameter, `drill`, with one meaning everywhere.

use serde::Deserialize;
use utoipa::ToSchema;

/// What becomes of what belongs to a drill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Drills {
    /// Left out: only what is real. If not given.
    #[default]
    Exclude,
    /// Only what belongs to a drill.
    Only,
    /// Both.
    Include,
}

impl Drills {
    /// As the registry and the store filter: whether it must belong to a drill, if that matters.
    pub(crate) fn filter(self) -> Option<bool> {
        match self {
            Self::Exclude => Some(false),
            Self::Only => Some(true),
            Self::Include => None,
        }
    }

    /// Whether something is wanted.
    pub(crate) fn takes(self, drill: bool) -> bool {
        self.filter().is_none_or(|wanted| wanted == drill)
    }
}
