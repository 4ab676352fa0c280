//! Mutated packets, conversations and files against the sensor: no panic, no endless work, no endless memory, and what must
//! stay the same does.
//!
//! - [`seed`], [`talk`]: what inputs begin with: conversations written down in `seeds/`, and those of real captures.
//! - [`mutate`]: how they are changed.
//! - [`target`]: what is fuzzed; one target for each file in `seeds/`, and one for each thing below the protocols.
//! - [`guard`]: one execution, watched; [`alloc`], [`coverage`]: what it held and where it went.
//! - [`fuzz`]: many executions.

pub mod alloc;
pub mod coverage;
pub mod fuzz;
pub mod guard;
pub mod mutate;
pub mod record;
pub mod seed;
pub mod talk;
pub mod target;

/// Memory is counted in every program of this crate.
#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;
