//! The event of Dongson: the schema that every other room shares.
