//! From the command line and the centre's settings to what the capture and the spool are told.

use dongson_event::trust::{Checksum, Configuration};

use super::limits::kind;
use crate::capture::filter::Filter;
use crate::engine::{Change, Options};
use crate::flow::Checksums;
use crate::live::Settings;
use crate::protocol::{Kind, Kinds};

/// What the command line and the relay's file say about shipping.
#[derive(Debug, Clone, Default)]
pub struct Shipping {
    /// Most bytes in the spool.
    pub spool_bytes: u64,
    /// Most bytes that are sent in a day.
    pub daily_bytes: Option<u64>,
    /// The names of the relay's inputs.
    pub inputs: Vec<String>,
}

/// What the command line says: it holds where the centre says nothing.
#[derive(Debug, Clone)]
pub struct Base {
    filter: Option<Filter>,
    engine: Change,
    spool_bytes: u64,
    daily_bytes: Option<u64>,
    /// The names of the relay's inputs.
    inputs: Vec<String>,
}

/// What is to be in force.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For the capture.
    pub capture: Settings,
    /// Most bytes in the spool.
    pub spool_bytes: u64,
    /// Most bytes that are sent in a day; `None`: as many as there are.
    pub daily_bytes: Option<u64>,
    /// The inputs of the relay that are on; `None`: as their owner's file says.
    pub relay: Option<Vec<String>>,
}

impl Base {
    /// From the options that the capture begins with.
    pub fn new(filter: Option<Filter>, options: &Options, shipping: Shipping) -> Self {
        let Shipping { spool_bytes, daily_bytes, inputs } = shipping;
        let engine = Change {
            observer: options.observer.clone(),
            flows: options.limits.flows,
            checksums: options.checksums,
            kinds: options.protocol.kinds,
        };
        Self { filter, engine, spool_bytes, daily_bytes, inputs }
    }

    /// The command line without the centre.
    pub(super) fn alone(&self) -> Plan {
        let capture = Settings { filter: self.filter.clone(), engine: self.engine.clone() };
        Plan { capture, spool_bytes: self.spool_bytes, daily_bytes: self.daily_bytes, relay: None }
    }

    /// The centre's settings over the command line; an error says what cannot be done.
    pub(super) fn with(&self, wanted: &Configuration) -> Result<Plan, String> {
        let mut plan = self.alone();
        match wanted.filter.as_deref().map(str::trim) {
            Some("") => plan.capture.filter = None,
            Some(text) => plan.capture.filter = Some(Filter::parse(text).map_err(|error| error.to_string())?),
            None => {}
        }
        let engine = &mut plan.capture.engine;
        if wanted.only.is_some() || wanted.without.is_some() {
            let only = kinds(wanted.only.as_deref())?;
            let only = if only.is_empty() { Kinds::default() } else { Kinds::of(&only) };
            engine.kinds = only.without(&kinds(wanted.without.as_deref())?);
        }
        if let Some(flows) = wanted.max_flows {
            engine.flows = usize::try_from(flows).unwrap_or(usize::MAX);
        }
        if let Some(checksums) = wanted.checksums {
            engine.checksums = match checksums {
                Checksum::Verify => Checksums::Verify,
                Checksum::Ignore => Checksums::Ignore,
            };
        }
        if let Some(observer) = &wanted.observer {
            engine.observer = Some(observer.trim().to_owned());
        }
        if let Some(mib) = wanted.spool_mib {
            plan.spool_bytes = mib.saturating_mul(1 << 20);
        }
        match wanted.daily_mib {
            Some(0) => plan.daily_bytes = None,
            Some(mib) => plan.daily_bytes = Some(mib.saturating_mul(1 << 20)),
            None => {}
        }
        if let Some(names) = &wanted.relay {
            if let Some(unknown) = names.iter().find(|name| !self.inputs.contains(name)) {
                return Err(self.no_input(unknown));
            }
            plan.relay = Some(names.clone());
        }
        Ok(plan)
    }
}

impl Base {
    fn no_input(&self, name: &str) -> String {
        match self.inputs.as_slice() {
            [] => format!("there is no input {name:?}: the owner of this sensor lets it relay no logs"),
            inputs => format!("there is no input {name:?}; the sensor's relay has: {}", inputs.join(", ")),
        }
    }
}

fn kinds(names: Option<&[String]>) -> Result<Vec<Kind>, String> {
    names.unwrap_or_default().iter().map(|name| kind(name)).collect()
}
