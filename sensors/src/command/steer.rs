//! What the centre wants of a running sensor: asked for, put into force, and told back.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dongson_event::batch::Class;
use dongson_sensor::answer::Answerer;
use dongson_sensor::desired::apply::{Applier, Base, Limits, LimitsError, Plan};
use dongson_sensor::desired::{self, Desired};
use dongson_sensor::live::{Capture, Counts};
use dongson_sensor::ship::{BudgetOptions, Health, Identity};
use serde_json::json;
use tracing::{error, warn};

use super::keep::Keep;
use super::sink::{Ship, Sink};

/// Where the owner's limits are looked for when none are named.
const LIMITS: &str = "/etc/dongson-sensor/limits.toml";

/// What the centre may do.
#[derive(Debug, Args)]
pub(crate) struct Steer {
    /// What the centre may not change here, as TOML; the README lists the keys (`settings = []` forbids all of it). Without
    /// it /etc/dongson-sensor/limits.toml, if it is there.
    #[arg(long, value_name = "FILE", requires = "data")]
    limits: Option<PathBuf>,
}

/// A sensor that does what the centre wants.
pub(crate) struct Steering {
    desired: Desired,
    applier: Applier,
    /// To begin with.
    plan: Plan,
    /// What a daily budget of the plan lets go in any case.
    always: Class,
    /// Serves requests as long as it lives.
    _answerer: Option<Answerer>,
}

impl Steer {
    /// The limits; read before rights are given up.
    pub(crate) fn limits(&self) -> Result<Limits, LimitsError> {
        match &self.limits {
            Some(path) => Limits::read(path),
            None if Path::new(LIMITS).exists() => Limits::read(Path::new(LIMITS)),
            None => Ok(Limits::default()),
        }
    }
}

impl Steering {
    /// Begins to ask what the centre wants, and to serve its requests; `None` where the sensor is not enrolled.
    pub(crate) fn start(
        folder: Option<&Path>,
        base: Base,
        limits: Limits,
        keep: &Keep,
        ship: &Ship,
        sink: &Sink,
    ) -> anyhow::Result<Option<Self>> {
        let (Some(folder), Sink::Ship(shipping)) = (folder, sink) else { return Ok(None) };
        let meter = shipping.shipper.meter();
        let identity = Identity::load(folder)?;
        let (applier, plan) = Applier::open(folder, base, limits)?;
        let (desired, requests) = Desired::start(folder, &identity, meter.clone())?;
        // Without a whole journal nothing may leave; the capture goes on.
        let answerer = Answerer::start(folder, &identity, keep.rules(), meter, requests);
        let answerer =
            answerer.inspect_err(|error| error!(%error, "no request for packets is answered")).ok();
        Ok(Some(Self { desired, applier, plan, always: ship.always(), _answerer: answerer }))
    }

    /// Puts the settings into force that a former run left.
    pub(crate) fn begin(&mut self, capture: &mut Capture, sink: &mut Sink) {
        let plan = self.plan.clone();
        self.put(&plan, capture, sink);
        sink.want(&self.desired.state().packs);
    }

    /// Looks at what is wanted and how the sensor does; to be called every ten seconds, after the health report.
    pub(crate) fn turn(
        &mut self,
        capture: &mut Capture,
        sink: &mut Sink,
        counts: &Counts,
        health: &mut Health,
    ) {
        if let Some(reason) = capture.change_failed() {
            self.back(&reason, capture, sink);
        }
        let state = self.desired.state();
        sink.want(&state.packs);
        match self.applier.turn(&state, counts.frames, health.blind(), Instant::now()) {
            Ok(Some(plan)) => self.put(&plan, capture, sink),
            Ok(None) => {}
            Err(error) => warn!(%error, "what the centre wants is not put into force"),
        }
        self.tell(health);
    }

    /// The sensor was told to stop.
    pub(crate) fn stop(&mut self) {
        if let Err(error) = self.applier.stop() {
            warn!(%error, "the trial of settings counts as failed");
        }
    }

    fn put(&mut self, plan: &Plan, capture: &mut Capture, sink: &mut Sink) {
        self.put_shipping(plan, sink);
        if let Err(error) = capture.change(&plan.capture) {
            self.back(&error.to_string(), capture, sink);
        }
    }

    /// What of the plan the capture has nothing to do with.
    fn put_shipping(&self, plan: &Plan, sink: &Sink) {
        let Sink::Ship(shipping) = sink else { return };
        shipping.shipper.set_quota(plan.spool_bytes);
        let always = self.always;
        let budget = plan.daily_bytes.map(|daily_bytes| BudgetOptions { daily_bytes, always });
        shipping.shipper.meter().set(budget);
        if let Some(relay) = &shipping.relay {
            relay.set_on(plan.relay.as_deref());
        }
    }

    /// Back to what was before; where that fails too, the capture stays as it is.
    fn back(&mut self, reason: &str, capture: &mut Capture, sink: &mut Sink) {
        match self.applier.failed(reason) {
            Ok(Some(plan)) => {
                self.put_shipping(&plan, sink);
                if let Err(error) = capture.change(&plan.capture) {
                    error!(%error, "the settings before could not be put back: the capture stays as it is");
                }
            }
            Ok(None) => error!(reason, "the settings in force cannot be put on the capture"),
            Err(error) => error!(%error, "the ledger of settings cannot be written"),
        }
    }

    /// Has the next health report say how the sensor stands.
    fn tell(&self, health: &mut Health) {
        let state = self.desired.state();
        let standing = self.applier.standing(&state);
        let packs: serde_json::Map<_, _> = state
            .packs
            .iter()
            .map(|pack| (pack.manifest.name.clone(), pack.manifest.version.into()))
            .collect();
        health.set_desired(desired::Told {
            applied: standing.applied,
            wanted: standing.wanted,
            problem: standing.why_not.clone(),
            log: state.log.clone(),
            packs: state
                .packs
                .iter()
                .map(|pack| format!("{} {}", pack.manifest.name, pack.manifest.version))
                .collect(),
            report: json!({
                "root": state.root,
                "applied": standing.applied,
                "wanted": standing.wanted,
                "trial": standing.trial,
                "why_not": standing.why_not,
                "packs": packs,
                "log_size": state.log.size,
                "log_fork": state.log.fork,
            }),
        });
    }
}
