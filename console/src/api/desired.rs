//! Desired state of sensors: what all of them, those of an agency, or one are to do. The registry signs it; the sensors take
//! it with their next question, and tell in their health reports what became of it.

use axum::extract::State;
use dongson_event::trust::{Configuration, Target};
use dongson_filter::Filter;
use dongson_registry::{Desired, Millis, Scope, Sensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    Console,
    auth::{Administrator, Reader},
    error::{ApiError, ApiResult},
    extract::{Json, Path},
};

/// What is to be set; the settings take the place of the former ones as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DesiredEdit {
    /// The version that the caller saw; 0 where nothing was ever set.
    version: i64,
    /// The settings; what is absent is left to the wider target, and at last to the sensor's command line.
    configuration: Settings,
}

/// Settings of sensors; all are optional.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Which frames are captured, as `dongson-sensor run --filter` takes it; an empty text: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    /// Only events of these kinds: conn, dns, http, tls, x509, file, services; an empty list: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<Vec<String>>,
    /// No events of these kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    without: Option<Vec<String>>,
    /// Most flows that are live at once, of each capturing thread: 1,000 to 100,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_flows: Option<u32>,
    /// Transport checksums: `verify` or `ignore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksums: Option<String>,
    /// Name of the monitored point: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observer: Option<String>,
    /// Most MiB of the sensor's disk for events that wait: 16 to 1,048,576.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spool_mib: Option<u64>,
    /// Most MiB that the sensor sends in a day (UTC): 1 to 1,048,576; 0: as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    daily_mib: Option<u64>,
    /// The inputs of the sensor's relay that are on, by their names; the others are off. At most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relay: Option<Vec<String>>,
}

impl Settings {
    /// The settings as sensors take them; what no sensor would take is refused here.
    fn checked(self) -> ApiResult<Configuration> {
        let checksums = match self.checksums.as_deref() {
            None => Value::Null,
            Some("verify" | "ignore") => self.checksums.clone().into(),
            Some(_) => return Err(ApiError::invalid("checksums", "must be verify or ignore")),
        };
        if let Some(text) = self.filter.as_deref().filter(|text| !text.trim().is_empty())
            && let Err(error) = Filter::parse(text)
        {
            return Err(ApiError::invalid("filter", "is no filter: `detail` says why")
                .with_detail(&error.to_string()));
        }
        let configuration = Configuration {
            filter: self.filter,
            only: self.only,
            without: self.without,
            max_flows: self.max_flows,
            checksums: serde_json::from_value(checksums).unwrap_or_default(),
            observer: self.observer,
            spool_mib: self.spool_mib,
            daily_mib: self.daily_mib,
            relay: self.relay,
        };
        configuration
            .check()
            .map(|()| configuration)
            .map_err(|(field, reason)| ApiError::invalid(field, reason))
    }
}

/// How a sensor stands to what is wanted of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Standing {
    /// The version that it should have; 0: nothing is wanted of it.
    pub(crate) wanted: u64,
    /// The version in force there, as it told; none where it never told.
    pub(crate) applied: Option<u64>,
    /// Whether that is on trial.
    pub(crate) trial: bool,
    /// Why the sensor does not do what is wanted, in its words.
    pub(crate) why_not: Option<String>,
}

impl Standing {
    /// From what is wanted and what the sensor told last.
    pub(crate) fn of(sensor: &Sensor, wanted: u64) -> Self {
        let told = sensor.health.as_ref().and_then(|health| health.get("desired"));
        let field = |name: &str| told.and_then(|told| told.get(name));
        Self {
            wanted,
            applied: field("applied").and_then(Value::as_u64),
            trial: field("trial").and_then(Value::as_bool).unwrap_or_default(),
            why_not: field("why_not").and_then(Value::as_str).map(|why| why.chars().take(500).collect()),
        }
    }
}

/// What is wanted of one sensor, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SensorDesired {
    /// The documents from wide to narrow: for all (only to those who see the whole province), for the agency, for the sensor.
    documents: Vec<Desired>,
    /// How it stands.
    standing: Standing,
    /// The time of this answer.
    at: Millis,
}

fn target(text: &str) -> ApiResult<Target> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// What is wanted of a target.
#[utoipa::path(get, path = "/desired/{target}", tag = "sensors", params(("target" = String, Path, description = "`all`, `organization:ID` or `sensor:ID`")), responses((status = 200, body = Desired)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(text): Path<String>,
) -> ApiResult<Json<Desired>> {
    Ok(Json(console.registry.desired(&person.scope, &target(&text)?).await?))
}

/// Sets what is wanted of a target.
#[utoipa::path(put, path = "/desired/{target}", tag = "sensors", params(("target" = String, Path, description = "`all`, `organization:ID` or `sensor:ID`")), request_body = DesiredEdit, responses((status = 200, body = Desired)))]
pub(crate) async fn set(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(text): Path<String>,
    Json(given): Json<DesiredEdit>,
) -> ApiResult<Json<Desired>> {
    let (target, configuration) = (target(&text)?, given.configuration.checked()?);
    let change = person.change();
    let after =
        console.registry.set_desired(&person.scope, &change, &target, given.version, &configuration).await?;
    Ok(Json(after))
}

/// What is wanted of one sensor, and how it stands to that.
#[utoipa::path(get, path = "/sensors/{id}/desired", tag = "sensors", params(("id" = String, Path)), responses((status = 200, body = SensorDesired)))]
pub(crate) async fn of_sensor(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<SensorDesired>> {
    let sensor = console.registry.sensor(&person.scope, &id).await?;
    let targets =
        [Target::All, Target::Organization(sensor.organization.clone()), Target::Sensor(sensor.id.clone())];
    let mut documents = Vec::new();
    for target in targets {
        if target != Target::All || person.scope == Scope::All {
            documents.push(console.registry.desired(&person.scope, &target).await?);
        }
    }
    let wanted = console.registry.wanted_version(&sensor.organization, &sensor.id).await?;
    Ok(Json(SensorDesired { documents, standing: Standing::of(&sensor, wanted), at: person.at }))
}
