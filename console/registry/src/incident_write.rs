//! What people do with incidents: raise from alerts, change, comment, link, close. Each leaves an entry in the time line.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::database::{Connection, query, query_as};
use crate::{
    Alert, Change, Class, EntryKind, Error, Incident, IncidentStatus, LegalCategory, Millis, Registry,
    Result, Scope, Severity, State, Verdict,
    alert::{fetch_many, next_number},
    alert_triage::{audit_triage, store},
    audit::{self, Deed},
    error::check_text,
    fold::fold,
    incident::fetch,
    new_id, timeline, user,
};

/// How many alerts can be linked by one call.
const MAX_ALERTS: usize = 500;

/// Why an alert was closed with an incident of the whole province, whose number agencies may not know.
const PROVINCE_REASON: &str = "Đóng theo sự cố cấp tỉnh";

/// What raising an incident needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// Title, at most 300 characters.
    pub title: String,
    /// National class.
    pub class: Class,
    /// Working severity.
    pub severity: Severity,
    /// Legal category; when in doubt the higher.
    pub legal_category: LegalCategory,
    /// Its agency where it has no alerts; otherwise that of the alerts. None = the whole province.
    #[serde(default)]
    pub organization: Option<String>,
    /// T0 of the clocks; none = now.
    #[serde(default)]
    pub detected_at: Option<Millis>,
    /// Who leads it; none = who raises it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Alerts to link. Those of one agency make an incident of that agency, those of several one of the province.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// A first comment.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Changes to an incident; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentPatch {
    /// Title.
    #[serde(default)]
    pub title: Option<String>,
    /// National class.
    #[serde(default)]
    pub class: Option<Class>,
    /// Working severity.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Legal category.
    #[serde(default)]
    pub legal_category: Option<LegalCategory>,
    /// State; `closed` only by closing. Any other state opens a closed one again.
    #[serde(default)]
    pub status: Option<IncidentStatus>,
    /// Account id of who leads it.
    #[serde(default)]
    pub owner: Option<String>,
    /// T0 of the clocks.
    #[serde(default)]
    pub detected_at: Option<Millis>,
    /// When the first notice was sent.
    #[serde(default)]
    pub first_notice_at: Option<Millis>,
    /// When the report was sent.
    #[serde(default)]
    pub report_at: Option<Millis>,
}

/// What closing an incident needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// What it turned out to be.
    pub verdict: Verdict,
    /// Root cause, at most 5000 characters.
    pub cause: String,
    /// Lesson learned, at most 5000 characters.
    pub lesson: String,
}

impl Registry {
    /// Raises an incident, numbers it (per year without gaps) and links its alerts, all together or not at all. It
    /// belongs to a drill if all of its alerts do.
    pub async fn create_incident(
        &self,
        scope: &Scope,
        change: &Change,
        new: &NewIncident,
    ) -> Result<Incident> {
        check_text("title", &new.title, 300)?;
        new.comment.as_deref().map_or(Ok(()), |comment| check_text("comment", comment, 10_000))?;
        check_times(change.at, [new.detected_at, None, None])?;
        if new.alerts.len() > MAX_ALERTS {
            return Err(Error::Invalid { field: "alerts", reason: "must be at most 500" });
        }
        let mut tx = self.write().await?;
        let alerts = wanted_alerts(&mut tx, scope, &new.alerts).await?;
        let organization = home(scope, new, &alerts)?;
        let owner = new.owner.clone().unwrap_or_else(|| change.who.clone());
        user::check_worker(&mut tx, scope, &owner).await?;
        let drill = !alerts.is_empty() && alerts.iter().all(|alert| alert.drill);
        let id = insert(&mut tx, change, new, organization.as_deref(), &owner, drill).await?;
        timeline::append(&mut tx, &id, change, EntryKind::Created, &new.title, None).await?;
        if let Some(comment) = &new.comment {
            timeline::append(&mut tx, &id, change, EntryKind::Comment, comment, None).await?;
        }
        for alert in &alerts {
            link(&mut tx, change, &id, alert).await?;
        }
        let made = fetch(&mut tx, &Scope::All, &id).await?;
        record(&mut tx, change, "create", None, &made).await?;
        tx.commit().await?;
        Ok(made.seen_by(scope))
    }

    /// Changes fields; `version` is the one that the caller saw.
    pub async fn patch_incident(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        version: i64,
        patch: &IncidentPatch,
    ) -> Result<Incident> {
        patch.title.as_deref().map_or(Ok(()), |title| check_text("title", title, 300))?;
        check_times(change.at, [patch.detected_at, patch.first_notice_at, patch.report_at])?;
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, scope, id).await?;
        Error::check_version("incident", version, before.version)?;
        if patch.status == Some(IncidentStatus::Closed) {
            return Err(Error::Invalid {
                field: "status",
                reason: "closing needs verdict, cause and lesson",
            });
        }
        if before.status == IncidentStatus::Closed && patch.status.is_none() {
            return Err(Error::Refused { what: "incident", reason: "is closed; open it again first" });
        }
        if let Some(owner) = &patch.owner {
            user::check_worker(&mut tx, scope, owner).await?;
        }
        let after = save(&mut tx, apply(&before, patch, change.at)).await?;
        let reopened = before.status == IncidentStatus::Closed;
        let kind = if reopened { EntryKind::Reopened } else { EntryKind::Changed };
        timeline::append(&mut tx, id, change, kind, "", Some(difference(&before, &after)?)).await?;
        record(&mut tx, change, "update", Some(&before), &after).await?;
        tx.commit().await?;
        Ok(after.seen_by(scope))
    }

    /// Writes into the time line.
    pub async fn comment_incident(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        text: &str,
    ) -> Result<Incident> {
        check_text("text", text, 10_000)?;
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, scope, id).await?;
        timeline::append(&mut tx, id, change, EntryKind::Comment, text, None).await?;
        let after = touch(&mut tx, before, change).await?;
        tx.commit().await?;
        Ok(after.seen_by(scope))
    }

    /// Links alerts of the incident's agency (any agency's for one of the province). A drill takes only alerts of
    /// drills: lists leave drills out, and a real alert would be gone from them.
    pub async fn link_alerts(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        alerts: &[String],
    ) -> Result<Incident> {
        if alerts.is_empty() || alerts.len() > MAX_ALERTS {
            return Err(Error::Invalid { field: "alerts", reason: "must name 1 to 500 alerts" });
        }
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, scope, id).await?;
        let alerts = wanted_alerts(&mut tx, scope, alerts).await?;
        let foreign =
            |alert: &Alert| before.organization.as_ref().is_some_and(|home| *home != alert.organization);
        if alerts.iter().any(foreign) {
            return Err(Error::Refused {
                what: "alert",
                reason: "belongs to another agency than the incident",
            });
        }
        if before.drill && alerts.iter().any(|alert| !alert.drill) {
            return Err(Error::Refused {
                what: "alert",
                reason: "is real and the incident belongs to a drill: raise an incident of its own",
            });
        }
        for alert in &alerts {
            link(&mut tx, change, id, alert).await?;
        }
        let after = touch(&mut tx, before, change).await?;
        tx.commit().await?;
        Ok(after.seen_by(scope))
    }

    /// Takes an alert out of the incident.
    pub async fn unlink_alert(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        alert: &str,
    ) -> Result<Incident> {
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, scope, id).await?;
        let found = wanted_alerts(&mut tx, scope, &[alert.to_owned()]).await?;
        let linked = found
            .into_iter()
            .find(|one| one.incident.as_deref() == Some(id))
            .ok_or(Error::NotFound("alert"))?;
        let after = store(&mut tx, Alert { incident: None, ..linked.clone() }).await?;
        audit_triage(&mut tx, change, "unlink", &linked, Some(&after)).await?;
        timeline::append(
            &mut tx,
            id,
            change,
            EntryKind::Unlinked,
            &linked.title_vi,
            Some(json!({ "alert": alert })),
        )
        .await?;
        let after = touch(&mut tx, before, change).await?;
        tx.commit().await?;
        Ok(after.seen_by(scope))
    }

    /// Closes the incident, and its open alerts with the same verdict.
    pub async fn close_incident(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        version: i64,
        closing: &Closing,
    ) -> Result<Incident> {
        check_text("cause", &closing.cause, 5000)?;
        check_text("lesson", &closing.lesson, 5000)?;
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, scope, id).await?;
        Error::check_version("incident", version, before.version)?;
        if before.status == IncidentStatus::Closed {
            return Err(Error::Refused { what: "incident", reason: "is closed already" });
        }
        let closed = Incident {
            status: IncidentStatus::Closed,
            verdict: Some(closing.verdict),
            cause: Some(closing.cause.clone()),
            lesson: Some(closing.lesson.clone()),
            closed_at: Some(change.at),
            updated_at: change.at,
            ..before.clone()
        };
        let after = save(&mut tx, closed).await?;
        close_alerts(&mut tx, change, &before, closing).await?;
        let data = Some(serde_json::to_value(closing)?);
        timeline::append(&mut tx, id, change, EntryKind::Closed, "", data).await?;
        record(&mut tx, change, "close", Some(&before), &after).await?;
        tx.commit().await?;
        Ok(after.seen_by(scope))
    }
}

/// Times of a clock cannot lie in the future (a minute of difference between clocks is allowed) or before 2000.
fn check_times(now: Millis, times: [Option<Millis>; 3]) -> Result<()> {
    let wrong = |time: &Millis| *time > now + 60_000 || *time < 946_684_800_000;
    if times.iter().flatten().any(wrong) {
        return Err(Error::Invalid {
            field: "detected_at",
            reason: "must lie between the year 2000 and now",
        });
    }
    Ok(())
}

/// All of `ids`, or [`Error::NotFound`].
async fn wanted_alerts(tx: &mut Connection, scope: &Scope, ids: &[String]) -> Result<Vec<Alert>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = fetch_many(tx, scope, ids).await?;
    if ids.iter().any(|id| !found.iter().any(|alert| alert.id == *id)) {
        return Err(Error::NotFound("alert"));
    }
    Ok(found)
}

/// The agency that the new incident belongs to.
fn home(scope: &Scope, new: &NewIncident, alerts: &[Alert]) -> Result<Option<String>> {
    let mut organizations: Vec<&String> = alerts.iter().map(|alert| &alert.organization).collect();
    organizations.sort_unstable();
    organizations.dedup();
    let home = match organizations.as_slice() {
        [] => new.organization.clone(),
        [one] => Some((*one).clone()),
        _ => None,
    };
    if !scope.allows_optional(home.as_deref()) {
        return Err(match home {
            Some(_) => Error::no_agency(),
            None => Error::Invalid { field: "organization", reason: "name one agency of yours" },
        });
    }
    Ok(home)
}

/// The series that incidents are numbered in.
#[derive(Clone, Copy)]
struct Series {
    year: i16,
    /// Drills (diễn tập) are counted apart, so that they leave no gaps between the real ones (sự cố).
    drill: bool,
}

impl Series {
    /// The next number of a register: without gaps because the counter moves in the same transaction.
    async fn next(self, tx: &mut Connection, agency: Option<&str>) -> Result<String> {
        let Self { year, drill } = self;
        let (kind, letters) = if drill { ("drill_incident", "DT") } else { ("incident", "SC") };
        let next = next_number(tx, &format!("{kind}.{year}.{}", agency.unwrap_or_default())).await?;
        Ok(match agency {
            Some(agency) => format!("{letters}-{}-{year}-{next:04}", agency.to_uppercase()),
            None => format!("{letters}-{year}-{next:04}"),
        })
    }
}

/// The year in Viet Nam (UTC+7) at `at`.
fn local_year(at: Millis) -> Result<i16> {
    let instant = jiff::Timestamp::from_millisecond(at).map_err(|_| Error::Range("time"))?;
    Ok(instant.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7))).year())
}

async fn insert(
    tx: &mut Connection,
    change: &Change,
    new: &NewIncident,
    organization: Option<&str>,
    owner: &str,
    drill: bool,
) -> Result<String> {
    let id = new_id();
    let series = Series { year: local_year(change.at)?, drill };
    let central = series.next(tx, None).await?;
    let agency = match organization {
        Some(agency) => Some(series.next(tx, Some(agency)).await?),
        None => None,
    };
    query(
        "INSERT INTO incident (id, number, agency_number, organization, title, class, severity, legal_category, status, owner,
         detected_at, created_at, created_by, updated_at, drill, search, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10, $11, $12, $11, $13, $14, 1)",
    )
    .bind(&id)
    .bind(central)
    .bind(agency)
    .bind(organization)
    .bind(&new.title)
    .bind(new.class)
    .bind(new.severity)
    .bind(new.legal_category)
    .bind(owner)
    .bind(new.detected_at.unwrap_or(change.at))
    .bind(change.at)
    .bind(&change.who)
    .bind(i64::from(drill))
    .bind(fold(&new.title))
    .execute(tx)
    .await
    .map_err(Error::or_taken("incident"))?;
    Ok(id)
}

/// Links an alert unless it is linked here already; one that is linked elsewhere is refused.
async fn link(tx: &mut Connection, change: &Change, id: &str, alert: &Alert) -> Result<()> {
    match alert.incident.as_deref() {
        Some(linked) if linked == id => return Ok(()),
        Some(_) => return Err(Error::Refused { what: "alert", reason: "belongs to another incident" }),
        None => {}
    }
    let state = if alert.state == State::Closed { State::Closed } else { State::InProgress };
    let mut after = Alert { incident: Some(id.to_owned()), state, ..alert.clone() };
    after.triaged_at = alert.triaged_at.or(Some(change.at));
    after.owner.get_or_insert_with(|| change.who.clone());
    let after = store(tx, after).await?;
    audit_triage(tx, change, "link", alert, Some(&after)).await?;
    let data =
        json!({ "alert": alert.id, "rule": alert.rule_id, "level": alert.level, "count": alert.count });
    timeline::append(tx, id, change, EntryKind::Linked, &alert.title_vi, Some(data)).await
}

fn apply(before: &Incident, patch: &IncidentPatch, at: Millis) -> Incident {
    let mut after = before.clone();
    if before.status == IncidentStatus::Closed {
        (after.closed_at, after.verdict) = (None, None);
    }
    if let Some(title) = &patch.title {
        after.title.clone_from(title);
    }
    after.class = patch.class.unwrap_or(before.class);
    after.severity = patch.severity.unwrap_or(before.severity);
    after.legal_category = patch.legal_category.unwrap_or(before.legal_category);
    after.status = patch.status.unwrap_or(before.status);
    after.owner = patch.owner.clone().or(after.owner);
    after.detected_at = patch.detected_at.unwrap_or(before.detected_at);
    after.first_notice_at = patch.first_notice_at.or(before.first_notice_at);
    after.report_at = patch.report_at.or(before.report_at);
    after.updated_at = at;
    after
}

/// Writes all fields that can change and raises the version.
async fn save(tx: &mut Connection, mut incident: Incident) -> Result<Incident> {
    incident.version += 1;
    query(
        "UPDATE incident SET title = $2, class = $3, severity = $4, legal_category = $5, status = $6, owner = $7,
         detected_at = $8, first_notice_at = $9, report_at = $10, updated_at = $11, closed_at = $12, verdict = $13, cause = $14,
         lesson = $15, search = $16, version = $17 WHERE id = $1",
    )
    .bind(&incident.id)
    .bind(&incident.title)
    .bind(incident.class)
    .bind(incident.severity)
    .bind(incident.legal_category)
    .bind(incident.status)
    .bind(&incident.owner)
    .bind(incident.detected_at)
    .bind(incident.first_notice_at)
    .bind(incident.report_at)
    .bind(incident.updated_at)
    .bind(incident.closed_at)
    .bind(incident.verdict)
    .bind(&incident.cause)
    .bind(&incident.lesson)
    .bind(fold(&incident.title))
    .bind(incident.version)
    .execute(tx)
    .await?;
    Ok(incident)
}

async fn touch(tx: &mut Connection, before: Incident, change: &Change) -> Result<Incident> {
    save(tx, Incident { updated_at: change.at, ..before }).await
}

async fn close_alerts(
    tx: &mut Connection,
    change: &Change,
    incident: &Incident,
    closing: &Closing,
) -> Result<()> {
    let open: Vec<Alert> = query_as("SELECT * FROM alert WHERE incident = $1 AND state <> 'closed'")
        .bind(&incident.id)
        .fetch_all(&mut *tx)
        .await?;
    for before in open {
        let mut after = before.clone();
        after.state = State::Closed;
        after.verdict = Some(closing.verdict);
        after.reason = Some(incident.agency_number.clone().unwrap_or_else(|| PROVINCE_REASON.to_owned()));
        after.closed_at = Some(change.at);
        let after = store(tx, after).await?;
        audit_triage(tx, change, "close", &before, Some(&after)).await?;
    }
    Ok(())
}

/// `{field: [before, after]}` for what differs.
fn difference(before: &Incident, after: &Incident) -> Result<Value> {
    let (Value::Object(before), Value::Object(after)) =
        (serde_json::to_value(before)?, serde_json::to_value(after)?)
    else {
        return Ok(Value::Null);
    };
    let changed: Map<String, Value> = after
        .into_iter()
        .filter(|(name, _)| name != "version" && name != "updated_at")
        .filter_map(|(name, now)| {
            let was = before.get(&name)?;
            (*was != now).then(|| (name, json!([was, now])))
        })
        .collect();
    Ok(Value::Object(changed))
}

async fn record(
    tx: &mut Connection,
    change: &Change,
    action: &str,
    before: Option<&Incident>,
    after: &Incident,
) -> Result<()> {
    let deed = Deed {
        action,
        kind: "incident",
        object: &after.id,
        organization: after.organization.as_deref(),
        before: before.map(serde_json::to_value).transpose()?,
        after: Some(serde_json::to_value(after)?),
    };
    audit::record(tx, change, deed).await
}
