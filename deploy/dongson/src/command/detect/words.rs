//! The words of the page in Vietnamese and English.

use dongson_event::Level;

use super::Lang;
use super::attack::Tactic;

impl Lang {
    /// The text in this language.
    pub(super) const fn pick<'w>(self, vi: &'w str, en: &'w str) -> &'w str {
        match self {
            Self::Vi => vi,
            Self::En => en,
        }
    }

    /// The language's code.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    pub(super) const fn level(self, level: Level) -> &'static str {
        match (self, level) {
            (Self::Vi, Level::Critical) => "Nghiêm trọng",
            (Self::Vi, Level::High) => "Cao",
            (Self::Vi, Level::Medium) => "Trung bình",
            (Self::Vi, Level::Low) => "Thấp",
            (Self::Vi, Level::Informational) => "Thông tin",
            (Self::En, Level::Critical) => "Critical",
            (Self::En, Level::High) => "High",
            (Self::En, Level::Medium) => "Medium",
            (Self::En, Level::Low) => "Low",
            (Self::En, Level::Informational) => "Informational",
        }
    }

    pub(super) const fn tactic(self, tactic: &Tactic) -> &'static str {
        match self {
            Self::Vi => tactic.vi,
            Self::En => tactic.en,
        }
    }
}
