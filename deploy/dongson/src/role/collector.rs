//! The collector's part: logs and batches of sensors in, events out to the log.

use std::sync::Arc;

use anyhow::{Result, bail};
use dongson_bus::Bus;
use dongson_collector::FINGERPRINT_SETTING;
use dongson_collector::authority::Authority;
use dongson_registry::now;

use super::{Ground, Role};

/// Opens every listener.
pub(super) async fn start(ground: &Ground, bus: Arc<dyn Bus>) -> Result<dongson_collector::Running> {
    if ground.role == Role::Collector {
        same_authority(ground).await?;
    }
    let config = ground.config.collector.at(ground.paths.collector());
    Ok(dongson_collector::start(config, bus, ground.registry.clone(), ground.stop.clone()).await?)
}

/// All collectors of a cluster sign for sensors with one authority: a sensor may come to any of them.
async fn same_authority(ground: &Ground) -> Result<()> {
    let folder = ground.paths.collector();
    let Some(known) = ground.registry.setting(FINGERPRINT_SETTING).await? else { return Ok(()) };
    let own = Authority::open(&folder, now())?.fingerprint();
    if known.value != *own {
        bail!(
            "the certificate authority in {} is not the one that this registry's sensors know: copy the folder `ca` \
             of the first collector there (or remove the setting {FINGERPRINT_SETTING:?}, and enrol all sensors anew)",
            folder.display()
        );
    }
    Ok(())
}
