//! The transactional database: people, agencies, sources, sensors, triage, incidents, exceptions, audit.
