//! Events in, alerts out: enrich, match, group, store, notify.
