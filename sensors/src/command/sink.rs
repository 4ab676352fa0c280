//! Where events go: to the standard output, or through the spool to the collector.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dongson_event::Event;
use dongson_event::batch::Class;
use dongson_sensor::desired::HeldPack;
use dongson_sensor::local::Local;
use dongson_sensor::relay::Relay;
use dongson_sensor::ship::{
    BudgetOptions, Counts, Identity, IdentityError, ShipError, ShipOptions, Shipper, SpoolError, secret_key,
};
use dongson_sensor::{Options, Told};

use super::Lines;

/// Whether and how to ship.
#[derive(Debug, Args)]
pub(crate) struct Ship {
    /// Folder of an enrolled sensor: events go to its collector instead of the standard output.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Most MiB of the disk for events that wait for the collector.
    #[arg(long, value_name = "N", default_value_t = 4096, requires = "data",
        value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    spool_mib: u64,
    /// Most MiB that are sent to the collector in a day, for poor links: they come in evenly over the day, and what does
    /// not go waits in the spool. Without it: as much as there is. The centre may say another number within the owner's
    /// limits.
    #[arg(long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    daily_mib: Option<u64>,
    /// With a daily budget, of --daily-mib or of the centre: what goes in any case is this and all that is more urgent
    /// (alert, context, conn, protocol, file).
    #[arg(long, value_name = "CLASS", default_value = "alert", requires = "data", value_parser = class)]
    always_send: Class,
}

fn class(name: &str) -> Result<Class, String> {
    Class::parse(name).ok_or_else(|| {
        let names = Class::ALL.map(Class::as_str).join(", ");
        format!("there are: {names}")
    })
}

/// Takes events.
pub(crate) enum Sink {
    /// Prints them.
    Print(Lines),
    /// Ships them.
    Ship(Box<Shipping>),
}

/// A shipper, and the error that its caller was not told of yet.
pub(crate) struct Shipping {
    pub(crate) shipper: Shipper,
    failed: Option<SpoolError>,
    local: Option<(Local, Duration)>,
    pub(crate) relay: Option<Relay>,
}

impl Shipping {
    /// Has `local` look at every event; the centre counts as away after `away` without an answer.
    pub(crate) fn detect(&mut self, local: Local, away: Duration) {
        self.local = Some((local, away));
    }

    fn take(&mut self, mut event: Event) {
        if let Some((local, away)) = &mut self.local {
            local.look(&mut event, self.shipper.unanswered() >= *away);
        }
        if let Err(error) = self.shipper.push(event) {
            self.failed = Some(error);
        }
    }
}

impl Ship {
    /// The folder of the sensor, where events are shipped; an error when it is not enrolled.
    pub(crate) fn folder(&self) -> Result<Option<&Path>, IdentityError> {
        let Some(data) = &self.data else { return Ok(None) };
        Identity::load(data).map(|_| Some(data.as_path()))
    }

    /// Most bytes in the spool.
    pub(crate) fn spool_bytes(&self) -> u64 {
        self.spool_mib << 20
    }

    /// Most bytes that are sent in a day.
    pub(crate) fn daily_bytes(&self) -> Option<u64> {
        self.daily_mib.map(|mib| mib << 20)
    }

    /// What a daily budget lets go in any case.
    pub(crate) fn always(&self) -> Class {
        self.always_send
    }

    /// Opens the way for the events and gives `options` the key for secrets of shipped traffic.
    pub(crate) fn open(&self, options: &mut Options) -> anyhow::Result<Sink> {
        let Some(data) = &self.data else { return Ok(Sink::Print(Lines::new())) };
        let identity = Identity::load(data)?;
        options.protocol.secret_key = secret_key(data)?;
        let always = self.always_send;
        let budget = self.daily_bytes().map(|daily_bytes| BudgetOptions { daily_bytes, always });
        let shipping = ShipOptions { quota_bytes: self.spool_bytes(), drill: None, budget };
        let shipper = Shipper::start(data, &identity, shipping)?;
        Ok(Sink::Ship(Box::new(Shipping { shipper, failed: None, local: None, relay: None })))
    }
}

impl Sink {
    /// Takes an event; what goes wrong is told by [`Sink::settle`].
    pub(crate) fn event(&mut self, event: Event) {
        match self {
            Self::Print(lines) => lines.event(&event),
            Self::Ship(shipping) => shipping.take(event),
        }
    }

    /// Puts the packs of the centre in force, where something is looked for here.
    pub(crate) fn want(&mut self, packs: &[HeldPack]) {
        if let Self::Ship(shipping) = self
            && let Some((local, _)) = &mut shipping.local
        {
            local.want(packs);
        }
    }

    /// Takes a record with its `event.id`; the same as [`Sink::event`].
    pub(crate) fn told(&mut self, told: Told<'_>, id: &str) {
        if let Self::Print(lines) = self {
            return lines.told(&told, id);
        }
        let mut event = told.event();
        event.set("event.id", id);
        self.event(event);
    }

    /// Gives on what has waited; to be called often.
    pub(crate) fn settle(&mut self) -> Result<(), SpoolError> {
        match self {
            Self::Print(lines) => {
                lines.flush();
                Ok(())
            }
            Self::Ship(shipping) => {
                if let Some(relay) = &shipping.relay {
                    relay.drain(&mut shipping.shipper)?;
                }
                shipping.shipper.flush_old()?;
                shipping.failed.take().map_or(Ok(()), Err)
            }
        }
    }

    /// True when nobody takes events any more.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Print(lines) => lines.is_closed(),
            Self::Ship(_) => false,
        }
    }

    /// Ends; shipped events are waited for up to `patience`. What was shipped, if anything was to be.
    pub(crate) fn finish(self, patience: Duration) -> anyhow::Result<Option<Counts>> {
        match self {
            Self::Print(lines) => {
                lines.finish().map_err(|error| anyhow::anyhow!("writing the events: {error}"))?;
                Ok(None)
            }
            Self::Ship(shipping) => {
                let Shipping { mut shipper, mut failed, relay, .. } = *shipping;
                if let Some(Err(error)) = relay.map(|relay| relay.finish(&mut shipper)) {
                    failed = Some(error);
                }
                let counts = shipper.finish(patience);
                if let Some(error) = failed {
                    return Err(ShipError::from(error).into());
                }
                Ok(Some(counts?))
            }
        }
    }
}
