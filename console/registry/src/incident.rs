//! Incidents: numbered, classed, on a legal clock; what is read of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::{Connection, Flag, QueryBuilder, query_as};
use crate::{Alert, Entry, Error, Millis, Registry, Result, Scope, Verdict, fold, scope::push_in};

/// The national incident classes by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "TEXT", rename_all = "UPPERCASE")]
pub enum Class {
    /// Mã độc.
    Md,
    /// Mã độc tống tiền / mã hóa dữ liệu.
    Tt,
    /// Máy nhiễm mạng botnet.
    Bn,
    /// Xâm nhập, chiếm quyền điều khiển.
    Xn,
    /// Dò quét, trinh sát.
    Dq,
    /// Dò mật khẩu.
    Bf,
    /// Từ chối dịch vụ.
    Dd,
    /// Thay đổi giao diện, chèn nội dung.
    Df,
    /// Lừa đảo, giả mạo.
    Ld,
    /// Lộ, lọt, mất dữ liệu.
    Ll,
    /// Phá hoại dữ liệu.
    Ph,
    /// Nghe lén, gián điệp mạng.
    Nt,
    /// Chuỗi cung ứng.
    Cu,
    /// Vi phạm nội bộ.
    Nb,
    /// Lỗ hổng, điểm yếu (chưa thành sự cố).
    Lh,
    /// Lỗi kỹ thuật, vận hành, thiên tai.
    Kt,
    /// Khác.
    Kh,
}

/// Working severity: the order of work.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum Severity {
    /// Thấp.
    Low,
    /// Trung bình.
    Medium,
    /// Cao.
    High,
    /// Nghiêm trọng.
    Critical,
}

/// Legal category: it decides the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum LegalCategory {
    /// Ordinary: report within 72 h.
    Thuong,
    /// Serious: first notice within 24 h, report within 72 h.
    NghiemTrong,
    /// Harm to national security or a serious interruption: notice at once, report within 72 h.
    AnqgHoacGianDoanNghiemTrong,
}

/// Where an incident is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum IncidentStatus {
    /// Raised.
    Open,
    /// Being worked on.
    InProgress,
    /// It spreads no further.
    Contained,
    /// Its cause is gone and service is restored.
    Resolved,
    /// Done, with verdict, cause and lesson.
    Closed,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Incident {
    /// Id.
    pub id: String,
    /// Its number for the reader: `SC-2026-0001` in the centre's register, the agency's own number for whoever sees only
    /// some agencies, because the centre's numbers would tell how many incidents others have. Those of drills are counted
    /// apart: `DT-2026-0001`.
    pub number: String,
    /// Its number in its agency's register: `SC-SO-YTE-2026-0001`, of a drill `DT-SO-YTE-2026-0001`. None for an incident of the whole province.
    pub agency_number: Option<String>,
    /// Its agency; none = the whole province.
    pub organization: Option<String>,
    /// Title.
    pub title: String,
    /// National class.
    pub class: Class,
    /// Working severity.
    pub severity: Severity,
    /// Legal category.
    pub legal_category: LegalCategory,
    /// Where it is on its way.
    pub status: IncidentStatus,
    /// Account id of who leads it.
    pub owner: Option<String>,
    /// T0 of the clocks.
    pub detected_at: Millis,
    /// When the first notice was sent.
    pub first_notice_at: Option<Millis>,
    /// When the report was sent.
    pub report_at: Option<Millis>,
    /// When it was raised.
    pub created_at: Millis,
    /// Who raised it.
    pub created_by: String,
    /// Last change.
    pub updated_at: Millis,
    /// When it was closed.
    pub closed_at: Option<Millis>,
    /// What it turned out to be.
    pub verdict: Option<Verdict>,
    /// Root cause.
    pub cause: Option<String>,
    /// Lesson learned.
    pub lesson: Option<String>,
    /// Whether it belongs to a drill.
    #[sqlx(try_from = "Flag")]
    pub drill: bool,
    /// For the optimistic check.
    pub version: i64,
}

/// What the list of incidents is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Any of these states; empty = all.
    pub statuses: Vec<IncidentStatus>,
    /// Only of these agencies; empty = all.
    pub organizations: Vec<String>,
    /// Words in number or title, without regard to diacritics.
    pub text: Option<String>,
    /// Only drills, or only what is real.
    pub drill: Option<bool>,
    /// Id of the last incident of the page before.
    pub after: Option<String>,
}

impl Incident {
    /// Shows the number that the reader may know.
    pub(crate) fn seen_by(mut self, scope: &Scope) -> Self {
        if let (Scope::Organizations(_), Some(number)) = (scope, &self.agency_number) {
            self.number.clone_from(number);
        }
        self
    }
}

/// The incident as stored, if it is in scope.
pub(crate) async fn fetch(tx: &mut Connection, scope: &Scope, id: &str) -> Result<Incident> {
    let found: Option<Incident> =
        query_as("SELECT * FROM incident WHERE id = $1").bind(id).fetch_optional(tx).await?;
    found.filter(|one| scope.allows_optional(one.organization.as_deref())).ok_or(Error::NotFound("incident"))
}

impl Registry {
    /// Incidents newest first, at most `limit` (1 to 500). Ids are made in order of time, so the page goes by id.
    pub async fn incidents(
        &self,
        scope: &Scope,
        filter: &IncidentFilter,
        limit: u32,
    ) -> Result<Vec<Incident>> {
        let mut query = QueryBuilder::new("SELECT * FROM incident WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        if !filter.organizations.is_empty() {
            push_in(&mut query, "organization", &filter.organizations);
        }
        if !filter.statuses.is_empty() {
            query.push(" AND status IN (");
            let mut list = query.separated(", ");
            for status in &filter.statuses {
                list.push_bind(*status);
            }
            query.push(")");
        }
        let central = if *scope == Scope::All { " || ' ' || number" } else { "" };
        for word in filter.text.iter().flat_map(|text| text.split_whitespace()).take(10) {
            query
                .push(" AND LOWER(search || ' ' || COALESCE(agency_number, '')")
                .push(central)
                .push(") LIKE ");
            query.push_bind(fold::pattern(word)).push(" ESCAPE '\\'");
        }
        if let Some(drill) = filter.drill {
            query.push(" AND drill = ").push_bind(i64::from(drill));
        }
        if let Some(after) = &filter.after {
            query.push(" AND id < ").push_bind(after.clone());
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit.clamp(1, 500)));
        let found: Vec<Incident> = query.build_query_as().fetch_all(&self.readers).await?;
        Ok(found.into_iter().map(|one| one.seen_by(scope)).collect())
    }

    /// One incident, if it is in scope.
    pub async fn incident(&self, scope: &Scope, id: &str) -> Result<Incident> {
        Ok(fetch(&mut *self.readers.acquire().await?, scope, id).await?.seen_by(scope))
    }

    /// Its time line, oldest first, at most 5000 entries.
    pub async fn timeline(&self, scope: &Scope, id: &str) -> Result<Vec<Entry>> {
        let mut tx = self.readers.begin().await?;
        fetch(&mut tx, scope, id).await?;
        let entries =
            query_as("SELECT * FROM incident_entry WHERE incident = $1 ORDER BY sequence LIMIT 5000")
                .bind(id)
                .fetch_all(&mut *tx)
                .await?;
        Ok(entries)
    }

    /// The alerts linked to it, newest first, at most 1000.
    pub async fn incident_alerts(&self, scope: &Scope, id: &str) -> Result<Vec<Alert>> {
        let mut tx = self.readers.begin().await?;
        fetch(&mut tx, scope, id).await?;
        let mut query = QueryBuilder::new("SELECT * FROM alert WHERE incident = ");
        query.push_bind(id);
        scope.restrict(&mut query, "organization");
        query.push(" ORDER BY last_seen DESC, id LIMIT 1000");
        Ok(query.build_query_as().fetch_all(&mut *tx).await?)
    }
}
