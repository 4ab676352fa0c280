//! Tells the registry who was heard of, and puts an event of dataset `dongson.health` on the bus when a source or a
//! sensor falls silent, and when it comes back: one each, so that a rule raises one alert with its owner.

use crate::directory::Directory;
use crate::publish::{Publisher, now};
use dongson_bus::{Bus, Record};
use dongson_event::{Event, TOPIC_EVENTS, Timestamp, identity};
use dongson_registry::{Registry, Scope};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs until `shutdown`, then tells the registry the last counters.
pub(crate) async fn run(
    directory: Arc<Directory>,
    publisher: Publisher,
    bus: Arc<dyn Bus>,
    every: Duration,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What the registry has marked and the bus has not taken yet; bounded by the number of sources and sensors.
    let mut turns = Vec::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        if let Err(error) = watch(&directory, &publisher, &bus, &mut turns).await {
            tracing::warn!(%error, "watching sources failed; it is tried again");
        }
    }
    if let Err(error) = tell(&directory, &publisher).await {
        tracing::warn!(%error, "the last counters of sources are lost");
    }
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Registry(#[from] dongson_registry::Error),
    #[error(transparent)]
    Bus(#[from] dongson_bus::BusError),
}

/// Something that fell silent or came back.
struct Turn {
    kind: &'static str,
    id: String,
    name: String,
    organization: String,
    owner: Option<String>,
    since: i64,
    silent: bool,
}

async fn watch(
    directory: &Directory,
    publisher: &Publisher,
    bus: &Arc<dyn Bus>,
    turns: &mut Vec<Turn>,
) -> Result<(), WatchError> {
    directory.refresh().await?;
    turns.extend(tell(directory, publisher).await?);
    let registry = directory.registry();
    let at = now().millis();
    for source in registry.mark_silent_sources(at).await? {
        let since = source.silent_since.unwrap_or(at);
        turns.push(Turn {
            kind: "source",
            id: source.id,
            name: source.name,
            organization: source.organization,
            owner: source.owner,
            since,
            silent: true,
        });
    }
    for sensor in registry.mark_silent_sensors(at).await? {
        let since = sensor.silent_since.unwrap_or(at);
        turns.push(Turn {
            kind: "sensor",
            id: sensor.id,
            name: sensor.node,
            organization: sensor.organization,
            owner: None,
            since,
            silent: true,
        });
    }
    while let Some(turn) = turns.last() {
        report(bus, turn).await?;
        turns.pop();
    }
    Ok(())
}

/// Gives the counters to the registry; answers who has come back.
async fn tell(directory: &Directory, publisher: &Publisher) -> Result<Vec<Turn>, dongson_registry::Error> {
    let registry = directory.registry();
    let mut turns = Vec::new();
    let counts = publisher.tally().take_sources();
    if !counts.is_empty() {
        for (id, since) in registry.count_sources(&counts).await? {
            turns.extend(source_back(registry, id, since).await);
        }
    }
    for (id, at, health) in publisher.tally().take_sensors() {
        match registry.sensor_seen(&id, at, health.as_ref()).await {
            Ok(Some(since)) => turns.extend(sensor_back(registry, id, since).await),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, sensor = id, "a sensor's report is not kept"),
        }
    }
    Ok(turns)
}

async fn source_back(registry: &Registry, id: String, since: i64) -> Option<Turn> {
    let source = registry.source(&Scope::All, &id).await.ok()?;
    Some(Turn {
        kind: "source",
        id,
        name: source.name,
        organization: source.organization,
        owner: source.owner,
        since,
        silent: false,
    })
}

async fn sensor_back(registry: &Registry, id: String, since: i64) -> Option<Turn> {
    let sensor = registry.sensor(&Scope::All, &id).await.ok()?;
    Some(Turn {
        kind: "sensor",
        id,
        name: sensor.node,
        organization: sensor.organization,
        owner: None,
        since,
        silent: false,
    })
}

async fn report(bus: &Arc<dyn Bus>, turn: &Turn) -> Result<(), dongson_bus::BusError> {
    let (event, token) = health_event(turn, now());
    let key = format!("{}/{}", turn.organization, turn.name);
    let record = Record::new(key, event.to_json(), event.time("event.ingested").unwrap_or_default());
    bus.produce_once(TOPIC_EVENTS, &token, vec![record]).await?;
    metrics::counter!("collector_silence_reports_total").increment(1);
    Ok(())
}

/// The event and its token: the same silence told twice is one event.
fn health_event(turn: &Turn, at: Timestamp) -> (Event, String) {
    let word = if turn.silent { "silent" } else { "returned" };
    let token = format!("health/{}/{}/{word}/{}", turn.kind, turn.id, turn.since);
    let mut event = Event::of("dongson.health", at);
    event.set("event.ingested", at);
    event.set("event.id", identity::uuid_of(&[b"health", token.as_bytes()]).to_string());
    event.set("event.kind", "state");
    event.set("event.action", format!("{}-{word}", turn.kind));
    event.set("event.outcome", if turn.silent { "failure" } else { "success" });
    event.set("organization.id", turn.organization.as_str());
    event.set("observer.name", turn.name.as_str());
    event.set("dongson.principal", "service:collector");
    event.set("dongson.time.basis", "ingested");
    event.set("dongson.health.source", format!("{}:{}", turn.kind, turn.id));
    event.set_some("dongson.health.owner", turn.owner.as_deref());
    event.set("dongson.health.since", Timestamp::from_millis(turn.since));
    let said = if turn.silent { "has been silent since" } else { "is heard again; it had been silent since" };
    event
        .set("message", format!("{} {} {said} {}", turn.kind, turn.name, Timestamp::from_millis(turn.since)));
    (event, token)
}
