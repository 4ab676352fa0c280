//! The ordered log between the services: one trait and the embedded implementation.
