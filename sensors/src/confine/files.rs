//! Files and listening: landlock.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::{ConfineError, Fence};

/// The newest rights that are asked for; older kernels get what they know.
const NEWEST: ABI = ABI::V6;

/// What finding the collector's address reads: `/etc` whole, because `resolv.conf` is replaced when the network changes
/// and a rule on the file would stay with the old one; the modules of the C library that do it; and what the process
/// is told about itself.
const READ: [&str; 11] = [
    "/etc",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/dev/urandom",
    "/proc/self",
    "/sys/class/net",
];

/// Lets the thread, and those it starts, write to `folders` only, read those, `more` and what [`READ`] names, listen nowhere,
/// and send signals to nobody outside.
pub(super) fn restrict(folders: &[&Path], more: &[&Path]) -> Result<Fence, ConfineError> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let paths = READ.iter().map(Path::new).chain(more.iter().copied());
    let mut rules = paths.into_iter().try_fold(rules, |rules, path| allow(rules, path, read))?;
    rules = allow(rules, Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?;
    for folder in folders {
        let without = AccessFs::Execute | AccessFs::IoctlDev | AccessFs::MakeBlock | AccessFs::MakeChar;
        rules = allow(rules, folder, AccessFs::from_all(NEWEST) & !without)?;
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Fence::Whole,
        RulesetStatus::PartiallyEnforced => Fence::Part,
        RulesetStatus::NotEnforced => Fence::Absent,
    })
}

/// Allows `rights` beneath `path`; what is not there needs no right.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(handle) => {
            let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
            rules.add_rule(PathBeneath::new(handle, rights))
        }
        Err(_) => Ok(rules),
    }
}
