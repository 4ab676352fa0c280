//! The legal clocks of an incident: who must be told by when, counted from detection (decree 331/2026, article 31.2.d).

use serde::Serialize;
use utoipa::ToSchema;

use crate::{Incident, IncidentStatus, LegalCategory, Millis};

const HOUR_MS: Millis = 3_600_000;

/// One clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Deadline {
    /// `first_notice` or `report`.
    pub kind: &'static str,
    /// When it began: detection.
    pub from: Millis,
    /// When it ends.
    pub due: Millis,
    /// When it was met, if it was.
    pub met_at: Option<Millis>,
    /// The rule that it comes from.
    pub source: &'static str,
}

impl Incident {
    /// The clocks of this incident: at once or 24 h for the first notice where its category asks for one, 72 h for the report.
    pub fn deadlines(&self) -> Vec<Deadline> {
        let source = "NĐ 331/2026/NĐ-CP Đ31.2.d";
        let clock = |kind, hours: Millis, met_at| Deadline {
            kind,
            from: self.detected_at,
            due: self.detected_at.saturating_add(hours * HOUR_MS),
            met_at,
            source,
        };
        let notice = match self.legal_category {
            LegalCategory::Thuong => None,
            LegalCategory::NghiemTrong => Some(24),
            LegalCategory::AnqgHoacGianDoanNghiemTrong => Some(0),
        };
        let notice = notice.map(|hours| clock("first_notice", hours, self.first_notice_at));
        notice.into_iter().chain([clock("report", 72, self.report_at)]).collect()
    }

    /// The clock that ends first among those not met; none for a closed incident.
    pub fn next_deadline(&self) -> Option<Deadline> {
        if self.status == IncidentStatus::Closed {
            return None;
        }
        self.deadlines().into_iter().filter(|clock| clock.met_at.is_none()).min_by_key(|clock| clock.due)
    }
}
