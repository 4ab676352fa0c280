//! What is fuzzed, each with what must hold.
//!
//! [`all`] is the one list: what lies below the protocols, and one target for each file of `seeds/`.

pub mod capture;
pub mod engine;
pub mod filter;
pub mod fragments;
pub mod layers;
pub mod protocol;
pub mod quic;
#[cfg(target_os = "linux")]
pub mod ring;
pub mod spool;
pub mod wire;

use fastrand::Rng;

use crate::seed;

/// One thing that is fuzzed. An input is bytes, so that what was found can be kept as a file; any bytes are an input.
pub trait Target {
    /// Its name in the log.
    fn name(&self) -> &'static str;

    /// What the first changes are made to.
    fn seeds(&self) -> Vec<Vec<u8>>;

    /// An input made from two others.
    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8>;

    /// Runs it.
    ///
    /// # Errors
    /// What does not hold, in words.
    fn run(&mut self, input: &[u8]) -> Result<(), String>;

    /// Most bytes that an execution may hold.
    fn memory(&self) -> usize;
}

/// Every target.
///
/// # Errors
/// A file of `seeds/` that is not right.
pub fn all() -> Result<Vec<Box<dyn Target>>, String> {
    let mut all: Vec<Box<dyn Target>> = vec![
        Box::new(capture::Captures),
        Box::new(engine::Reassembly),
        Box::new(filter::Filters),
        Box::new(fragments::Defragmentation),
        Box::new(layers::Layers),
        #[cfg(target_os = "linux")]
        Box::new(ring::Blocks),
        Box::new(spool::Spools::new()?),
    ];
    for seed in seed::all()? {
        all.push(Box::new(protocol::Protocol::new(seed)));
    }
    Ok(all)
}

/// The targets with these names; all of them for `all`.
///
/// # Errors
/// A name that no target has.
pub fn named(names: &[String]) -> Result<Vec<Box<dyn Target>>, String> {
    let all = all()?;
    let known: Vec<&str> = all.iter().map(|target| target.name()).collect();
    if let Some(wrong) = names.iter().find(|name| *name != "all" && !known.contains(&name.as_str())) {
        return Err(format!("{wrong}: there is no such target; they are all, {}", known.join(", ")));
    }
    let wanted = |known: &str| names.iter().any(|name| name == "all" || name == known);
    Ok(all.into_iter().filter(|target| wanted(target.name())).collect())
}
