//! Asking how far a group is, without being in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::Inner;
use super::failure::Listener;
use super::producer::setup;
use crate::{BusError, Lag, Result};

/// Most clients kept for questions, one for each group.
const KEPT: usize = 16;

/// Clients that carry a group's name and never join it.
#[derive(Default)]
pub(super) struct Observers(Mutex<BTreeMap<String, Arc<BaseConsumer<Listener>>>>);

impl Observers {
    fn get(&self, bus: &Inner, full: &str) -> Result<Arc<BaseConsumer<Listener>>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(native) = kept.get(full) {
            return Ok(Arc::clone(native));
        }
        let config = bus.options.consumer(Some(full));
        let native = BaseConsumer::from_config_and_context(&config, Listener(Arc::clone(&bus.failures)));
        let native = Arc::new(native.map_err(|error| setup(&error))?);
        if kept.len() >= KEPT {
            kept.pop_first();
        }
        kept.insert(full.to_owned(), Arc::clone(&native));
        Ok(native)
    }
}

/// How far `group` is behind, in the topics that it reads here or has committed anything of.
pub(super) async fn lag(bus: &Arc<Inner>, group: &str) -> Result<Vec<Lag>> {
    let registered = bus.registered().get(group).cloned().unwrap_or_default();
    let topics = bus.visible(bus.options.patience).await?;
    let (bus, full) = (Arc::clone(bus), bus.full(group));
    let work = move || {
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in &topics {
            for number in 0..*partitions {
                list.add_partition(&bus.full(topic), i32::try_from(number).unwrap_or(i32::MAX));
            }
        }
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let native = bus.observers.get(&bus, &full)?;
        let answer = native
            .committed_offsets(list, bus.options.patience)
            .map_err(|error| bus.failures.explain(&error))?;
        let mut lags = Vec::new();
        for one in answer.elements() {
            one.error().map_err(|error| bus.failures.explain(&error))?;
            let topic = bus.shown(one.topic()).to_owned();
            let committed = match one.offset() {
                Offset::Offset(offset) => u64::try_from(offset).ok(),
                _ => None,
            };
            if committed.is_none() && !registered.contains(&topic) {
                continue;
            }
            let partition = u32::try_from(one.partition()).unwrap_or_default();
            let reach = bus.topics.reach_now(one.topic(), partition)?;
            let at = committed.unwrap_or(reach.start).max(reach.start);
            let records = reach.end.saturating_sub(at);
            let bytes = records.saturating_mul(bus.sizes.mean());
            lags.push(Lag { topic, partition, committed: at, end: reach.end, records, bytes });
        }
        lags.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
        Ok(lags)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| BusError::Closed)?
}
