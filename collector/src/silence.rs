//! Tells the registry who was heard of, and puts an event of dataset `dongson.health` on the bus when a source or a
//! sensor falls silent, when a source sends far less than it should, and when it is over: one each, so that a rule
//! raises one alert, which belongs to somebody ([`dongson_registry::Owner`]).
//!
//! Every collector tells the registry whom it heard; who is silent is looked for by one of them, which holds the lease.
//!
//! What the registry has marked is told again after a start: the bus knows by the event's token whether it has it.

use crate::config::Silence;
use crate::directory::Directory;
use crate::publish::{Publisher, now};
use crate::rate::{Judgement, Rates, Share};
use dongson_bus::{Bus, Record};
use dongson_event::{Event, TOPIC_EVENTS, Timestamp, identity};
use dongson_registry::{Lease, Owner, Registry, Scope, Sensor, Source};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Registry(#[from] dongson_registry::Error),
    #[error(transparent)]
    Bus(#[from] dongson_bus::BusError),
}

/// What happened to a source or a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// It has sent nothing for too long.
    Silent,
    /// It was silent and is heard again.
    Returned,
    /// It sends far less than it should.
    Quiet(Share),
    /// It was quiet and sends enough again.
    Recovered(Share),
}

/// Something that fell silent or came back.
#[derive(Debug)]
struct Turn {
    what: What,
    kind: &'static str,
    id: String,
    name: String,
    organization: String,
    since: i64,
}

impl Turn {
    fn of_source(source: Source, what: What, since: i64) -> Self {
        let Source { id, name, organization, .. } = source;
        Self { what, kind: "source", id, name, organization, since }
    }

    fn of_sensor(sensor: Sensor, what: What, since: i64) -> Self {
        let Sensor { id, node, organization, .. } = sensor;
        Self { what, kind: "sensor", id, name: node, organization, since }
    }

    /// The source or sensor as alerts name it.
    fn thing(&self) -> String {
        format!("{}:{}", self.kind, self.id)
    }
}

/// The lease of who looks for silence.
const LEASE: &str = "silence";

/// Looks at all sources and sensors, again and again.
pub(crate) struct Watch {
    lease: Lease,
    /// Whether the lease was ours in the last round.
    holds: bool,
    directory: Arc<Directory>,
    publisher: Publisher,
    bus: Arc<dyn Bus>,
    rates: Rates,
    /// When the collector began to listen.
    listening: i64,
    /// What the registry has marked and the bus has not taken yet; bounded by the number of sources and sensors.
    turns: VecDeque<Turn>,
}

impl Watch {
    pub(crate) fn new(
        directory: Arc<Directory>,
        publisher: Publisher,
        bus: Arc<dyn Bus>,
        settings: &Silence,
        listening: i64,
    ) -> Self {
        let rates = Rates::new(settings.quiet_percent);
        let lease = directory.registry().lease(LEASE);
        Self { lease, holds: false, directory, publisher, bus, rates, listening, turns: VecDeque::new() }
    }

    /// Runs until `shutdown`, then tells the registry the last counters.
    pub(crate) async fn run(mut self, every: Duration, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "watching sources failed; it is tried again");
            }
        }
        if let Err(error) = self.tell().await {
            tracing::warn!(%error, "the last counters of sources are lost");
        }
        if let Err(error) = self.lease.release().await {
            tracing::warn!(%error, "another collector looks for silence only after a while");
        }
    }

    /// What was marked before it was our turn, and perhaps not told.
    async fn recall(&mut self) -> Result<(), dongson_registry::Error> {
        let registry = self.directory.registry();
        for source in registry.sources(&Scope::All).await? {
            if let Some(since) = source.silent_since {
                self.turns.push_back(Turn::of_source(source, What::Silent, since));
            }
        }
        for sensor in registry.sensors(&Scope::All).await? {
            if let Some(since) = sensor.silent_since.filter(|_| sensor.revoked_at.is_none()) {
                self.turns.push_back(Turn::of_sensor(sensor, What::Silent, since));
            }
        }
        Ok(())
    }

    async fn round(&mut self) -> Result<(), WatchError> {
        self.directory.refresh().await?;
        self.tell().await?;
        let held = std::mem::replace(&mut self.holds, false);
        if self.lease.hold(Instant::now()).await? {
            if !held {
                self.recall().await?;
            }
            self.holds = true;
            self.look().await?;
        }
        while let Some(turn) = self.turns.front() {
            report(self.directory.registry(), &self.bus, turn).await?;
            self.turns.pop_front();
        }
        Ok(())
    }

    /// Finds who has fallen silent or quiet.
    async fn look(&mut self) -> Result<(), WatchError> {
        let at = now().millis();
        let registry = self.directory.registry();
        for source in registry.mark_silent_sources(self.listening, at).await? {
            let since = source.silent_since.unwrap_or(at);
            self.turns.push_back(Turn::of_source(source, What::Silent, since));
        }
        for sensor in registry.mark_silent_sensors(self.listening, at).await? {
            let since = sensor.silent_since.unwrap_or(at);
            self.turns.push_back(Turn::of_sensor(sensor, What::Silent, since));
        }
        Ok(self.judge(at).await?)
    }

    /// Finds sources that have become quiet, or are so no more.
    async fn judge(&mut self, at: i64) -> Result<(), dongson_registry::Error> {
        let sources = self.directory.sources();
        self.rates.keep(&sources);
        for source in sources.iter() {
            let (what, mark) = match (self.rates.judge(source, at), source.quiet_since) {
                (Some(Judgement::Quiet(share)), None) => (What::Quiet(share), Some(at)),
                (Some(Judgement::Enough(share)), Some(_)) => (What::Recovered(share), None),
                _ => continue,
            };
            if self.directory.registry().mark_quiet(&source.id, mark).await? {
                let since = source.quiet_since.unwrap_or(at);
                self.turns.push_back(Turn::of_source(source.clone(), what, since));
            }
        }
        Ok(())
    }

    /// Gives the counters to the registry, and notes who has come back.
    async fn tell(&mut self) -> Result<(), dongson_registry::Error> {
        let registry = self.directory.registry();
        let counts = self.publisher.tally().take_sources();
        if !counts.is_empty() {
            for (id, since) in registry.count_sources(&counts).await? {
                let back = registry.source(&Scope::All, &id).await.ok();
                self.turns.extend(back.map(|source| Turn::of_source(source, What::Returned, since)));
            }
        }
        for (id, at, health) in self.publisher.tally().take_sensors() {
            match registry.sensor_seen(&id, at, health.as_ref()).await {
                Ok(Some(since)) => {
                    let back = registry.sensor(&Scope::All, &id).await.ok();
                    self.turns.extend(back.map(|sensor| Turn::of_sensor(sensor, What::Returned, since)));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, sensor = id, "a sensor's report is not kept"),
            }
        }
        Ok(())
    }
}

async fn report(registry: &Registry, bus: &Arc<dyn Bus>, turn: &Turn) -> Result<(), WatchError> {
    let owner = registry.owner_of(&turn.organization, &turn.thing()).await?;
    let (event, token) = health_event(turn, &owner, now());
    let key = format!("{}/{}", turn.organization, turn.name);
    let record = Record::new(key, event.to_json(), event.time("event.ingested").unwrap_or_default());
    bus.produce_once(TOPIC_EVENTS, &token, vec![record]).await?;
    metrics::counter!("collector_silence_reports_total").increment(1);
    Ok(())
}

/// The event and its token: the same silence told twice is one event.
fn health_event(turn: &Turn, owner: &Owner, at: Timestamp) -> (Event, String) {
    let (word, good) = match turn.what {
        What::Silent => ("silent", false),
        What::Returned => ("returned", true),
        What::Quiet(_) => ("quiet", false),
        What::Recovered(_) => ("recovered", true),
    };
    let token = format!("health/{}/{}/{word}/{}", turn.kind, turn.id, turn.since);
    let mut event = Event::of("dongson.health", at);
    event.set("event.ingested", at);
    event.set("event.id", identity::uuid_of(&[b"health", token.as_bytes()]).to_string());
    event.set("event.kind", "state");
    event.set("event.action", format!("{}-{word}", turn.kind));
    event.set("event.outcome", if good { "success" } else { "failure" });
    event.set("organization.id", turn.organization.as_str());
    event.set("observer.name", turn.name.as_str());
    event.set("dongson.principal", "service:collector");
    event.set("dongson.time.basis", "ingested");
    event.set("dongson.health.source", turn.thing());
    event.set("dongson.health.owner", owner.name.as_str());
    event.set("dongson.health.since", Timestamp::from_millis(turn.since));
    if let What::Quiet(share) | What::Recovered(share) = turn.what {
        event.set("dongson.health.received", share.received);
        event.set("dongson.health.expected", share.expected);
    }
    event.set("message", format!("{} {} {}", turn.kind, turn.name, said(turn)));
    (event, token)
}

/// What happened, in words and numbers.
fn said(turn: &Turn) -> String {
    let since = Timestamp::from_millis(turn.since);
    let rate = |share: Share| {
        format!(
            "sent {} events in {} minutes, where {} are expected",
            share.received, share.minutes, share.expected
        )
    };
    match turn.what {
        What::Silent => format!("has been silent since {since}"),
        What::Returned => format!("is heard again; it had been silent since {since}"),
        What::Quiet(share) => format!("is quiet: it {}", rate(share)),
        What::Recovered(share) => {
            format!("sends enough again: it {}; it had been quiet since {since}", rate(share))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_stand_in_the_text() {
        let share = Share { received: 12, expected: 1_000, minutes: 60 };
        let turn = |what| Turn {
            what,
            kind: "source",
            id: "s".into(),
            name: "fw-01".into(),
            organization: "xa-a".into(),
            since: 0,
        };
        let owner = Owner { account: None, name: "An".into() };
        let at = Timestamp::from_millis(3_600_000);
        let (event, token) = health_event(&turn(What::Quiet(share)), &owner, at);
        assert_eq!(
            event.text("message"),
            Some("source fw-01 is quiet: it sent 12 events in 60 minutes, where 1000 are expected")
        );
        assert_eq!(
            (event.text("event.action"), event.text("dongson.health.owner")),
            (Some("source-quiet"), Some("An"))
        );
        assert_eq!(
            (event.int("dongson.health.received"), event.int("dongson.health.expected")),
            (Some(12), Some(1_000))
        );
        let (over, other) = health_event(&turn(What::Recovered(share)), &owner, at);
        assert_eq!(over.text("event.outcome"), Some("success"));
        assert_ne!(token, other);
    }
}
