//! Sigma rules: load, check, compile and match; pure.
