//! Sends the drill: two sensors enrol, read the captures and ship what they see; the logs go in as their agents
//! would send them. All of it under one authenticated drill session.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use dongson_collector::authority::Authority;
use dongson_event::Timestamp;
use dongson_registry::{
    Alert, AlertFilter, AlertSort, Change, NewDrill, OrganizationEdit, Registry, Scope, now,
};
use dongson_sensor::ship::{ShipOptions, Shipper, enrol};
use tracing::info;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::expected::{COMMUNE, EXPECTED, Expected, PORTAL};
use super::{LENGTH, make, write};
use crate::config::{Config, Paths};
use crate::role::{Role, Running};

/// How long the alerts are waited for after everything was acknowledged.
const PATIENCE: Duration = Duration::from_mins(2);
/// Lines of one request.
const LINES: usize = 500;

/// What came of a drill.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The session.
    pub(crate) session: String,
    /// Events that the sensors shipped.
    pub(crate) sensor_events: u64,
    /// Log records that were sent.
    pub(crate) log_records: usize,
    /// The alerts that the drill raised.
    pub(crate) alerts: Vec<Alert>,
    /// Those that should be there and are not.
    pub(crate) missing: Vec<Expected>,
}

/// Runs the drill against the system of the data folder `data`, which must be running on this machine.
pub(crate) fn run(data: &Path, config: Option<&Path>, seed: u64) -> Result<Outcome> {
    let paths = Paths::new(data);
    let place = Config::load(config)?.registry.place(&paths);
    let text = std::fs::read_to_string(paths.running(Role::All)).with_context(|| {
        format!("no system runs on {}: start `dongson up --data {}`", data.display(), data.display())
    })?;
    let running: Running = serde_json::from_str(&text).context("reading running.json")?;
    // A program that was killed leaves its file behind.
    let listens = running.collector.context("running.json names no collector")?;
    let collector = SocketAddr::from(([127, 0, 0, 1], listens.port()));
    TcpStream::connect_timeout(&collector, Duration::from_secs(5)).with_context(|| {
        format!(
            "the program of {} does not run (process {} wrote its running.json): start `dongson up --data {}`",
            data.display(),
            running.process,
            data.display()
        )
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let registry = runtime.block_on(Registry::open(&place))?;
    let began = now();
    let drill = runtime.block_on(prepare(&registry))?;
    let authority = Authority::open(&paths.collector(), began)?;
    let url = format!("https://{collector}");
    let folder = paths.drill(&drill.session.id);
    // The attack ends now, so that nothing of it lies in the future.
    let start = Timestamp::from_millis(began).minus(LENGTH);
    let files = write(make(start, seed)?, &folder)?;

    let mut sensor_events = 0;
    let mut sensors = Vec::new();
    for (organization, node, capture) in
        [(PORTAL, "cong-dvc-cam-bien", &files.portal), (COMMUNE, "xa-cam-bien", &files.commune)]
    {
        let token =
            runtime.block_on(registry.create_enrolment_token(&change(), organization, node, 3_600_000))?;
        let home = folder.join(node);
        let identity = enrol(&url, &authority.token(&token.secret), &home)?;
        sensors.push(identity.sensor.clone());
        let options = ShipOptions { drill: Some(drill.nonce.clone()), ..ShipOptions::default() };
        let mut shipper = Shipper::start(&home, &identity, options)?;
        let mut failed = Ok(());
        dongson_sensor::read_file(capture, &dongson_sensor::Options::default(), &mut |event| {
            if failed.is_ok() {
                failed = shipper.push(event);
            }
        })?;
        failed?;
        let counts = shipper.finish(Duration::from_mins(1))?;
        info!(node, events = counts.acknowledged, "a drill sensor shipped its capture");
        sensor_events += counts.acknowledged;
    }

    let mut log_records = 0;
    let portal = runtime.block_on(registry.create_api_key(&change(), PORTAL, "cong-dvc-may-chu", true))?;
    let commune = runtime.block_on(registry.create_api_key(&change(), COMMUNE, "xa-may-tram", true))?;
    let sender = Sender { agent: agent(&authority), url, nonce: drill.nonce.clone() };
    for (path, secret) in [(&files.nginx, &portal.secret), (&files.linux, &portal.secret)] {
        log_records += sender.lines(path, secret)?;
    }
    log_records += sender.bulk(&files.windows, &commune.secret)?;

    let (alerts, missing) = runtime.block_on(wait_for_alerts(&registry, began))?;
    let ended = runtime.block_on(registry.end_drill(&change(), &drill.session.id));
    ended.context("ending the drill session")?;
    // They have done their work: left alone they would be reported as silent.
    for sensor in sensors {
        runtime.block_on(registry.revoke_sensor(&Scope::All, &change(), &sensor, "diễn tập kết thúc"))?;
    }
    for key in [portal, commune] {
        runtime.block_on(registry.revoke_api_key(&Scope::All, &change(), &key.key.id))?;
    }
    Ok(Outcome { session: drill.session.id, sensor_events, log_records, alerts, missing })
}

fn change() -> Change {
    Change::service("drill", now())
}

async fn prepare(registry: &Registry) -> Result<NewDrill> {
    for (id, name, name_en, level) in [
        (COMMUNE, "UBND xã Diễn Tập", "Drill commune", 2),
        (PORTAL, "Cổng dịch vụ công (diễn tập)", "Public-service portal (drill)", 3),
    ] {
        let edit =
            OrganizationEdit { name: name.to_owned(), name_en: name_en.to_owned(), parent: None, level };
        registry.ensure_organization(&change(), id, &edit).await?;
    }
    Ok(registry.start_drill(&change()).await?)
}

fn agent(authority: &Authority) -> ureq::Agent {
    let root = Certificate::from_der(authority.certificate()).to_owned();
    ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build())
        .timeout_global(Some(Duration::from_mins(1)))
        .http_status_as_error(false)
        .build()
        .into()
}

/// Sends logs as an agent would.
struct Sender {
    agent: ureq::Agent,
    url: String,
    nonce: String,
}

impl Sender {
    /// The lines of a file as records of NDJSON.
    fn lines(&self, path: &Path, secret: &str) -> Result<usize> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let lines: Vec<&str> = text.lines().collect();
        for (number, chunk) in lines.chunks(LINES).enumerate() {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("log");
            self.post(
                "/v1/events",
                secret,
                &format!("{}-{name}-{number}", self.nonce),
                &(chunk.join("\n") + "\n"),
            )?;
        }
        Ok(lines.len())
    }

    /// The objects of a file through the `_bulk` API, as Winlogbeat sends them.
    fn bulk(&self, path: &Path, secret: &str) -> Result<usize> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut body = String::new();
        for (number, line) in text.lines().enumerate() {
            let head = serde_json::json!({"create": {"_index": "winlogbeat", "_id": format!("{}-{number}", self.nonce)}});
            body.extend([head.to_string().as_str(), "\n", line, "\n"]);
        }
        let answer = self.post("/_bulk", secret, &format!("{}-bulk", self.nonce), &body)?;
        let answer: serde_json::Value =
            serde_json::from_str(&answer).context("the answer to _bulk is not JSON")?;
        if answer.get("errors") != Some(&serde_json::Value::Bool(false)) {
            bail!("the collector refused some of the Windows events: {answer}");
        }
        Ok(text.lines().count())
    }

    fn post(&self, path: &str, secret: &str, key: &str, body: &str) -> Result<String> {
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {secret}"))
            .header("content-type", "application/x-ndjson")
            .header("idempotency-key", key)
            .header("dongson-drill", &self.nonce)
            .send(body)
            .with_context(|| format!("sending to {path}"))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().context("reading the collector's answer")?;
        if !status.is_success() {
            bail!("{path}: the collector answered {status}: {text}");
        }
        Ok(text)
    }
}

/// Waits until every expected alert is there, or patience ends.
async fn wait_for_alerts(registry: &Registry, began: i64) -> Result<(Vec<Alert>, Vec<Expected>)> {
    let until = Instant::now() + PATIENCE;
    loop {
        let alerts = drill_alerts(registry, began).await?;
        let there = |one: &Expected| {
            alerts.iter().any(|alert| alert.rule_id == one.rule && alert.organization == one.organization)
        };
        let missing: Vec<Expected> = EXPECTED.iter().filter(|one| !there(one)).copied().collect();
        if missing.is_empty() || Instant::now() >= until {
            return Ok((alerts, missing));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn drill_alerts(registry: &Registry, began: i64) -> Result<Vec<Alert>> {
    let filter = AlertFilter { drill: Some(true), ..AlertFilter::default() };
    let mut alerts = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page =
            registry.alerts(&Scope::All, &filter, AlertSort::FirstSeen, true, cursor.as_deref(), 500).await?;
        alerts.extend(page.alerts.into_iter().filter(|alert| alert.created_at >= began));
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(alerts),
        }
    }
}
