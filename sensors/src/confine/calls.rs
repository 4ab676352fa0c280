//! System calls: seccomp.
//!
//! Refused with `EPERM` is what a sensor never does and an intruder wants: programs, other processes, mounts, namespaces,
//! modules, keys, the clock, raw sockets. A list of what is allowed would be tighter and would break with the next C
//! library; what a refused call would reach is closed by the other fences too.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::{ConfineError, Fence};

/// Calls that are refused whatever their arguments.
const REFUSED: [libc::c_long; 50] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_personality,
    libc::SYS_mknodat,
    libc::SYS_setuid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
];

/// Families of sockets that are refused: the capture is open, and nothing else is needed below IP.
const FAMILIES: [libc::c_int; 3] = [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG];

/// Refuses the calls from now on, in this thread and those it starts. `no_new_privs` is set too.
pub(super) fn restrict() -> Result<Fence, ConfineError> {
    let Ok(machine) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(Fence::Absent) };
    let program = program(machine)?;
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(Fence::Whole),
        // A kernel without seccomp's filters does not know the call or the operation (seccomp(2)).
        Err(Error::Seccomp(error)) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => {
            Ok(Fence::Absent)
        }
        Err(error) => Err(error.into()),
    }
}

fn program(machine: TargetArch) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let raw = FAMILIES
        .iter()
        .map(|family| {
            let family = u64::from(family.cast_unsigned());
            let is = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)?;
            SeccompRule::new(vec![is])
        })
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_socket, raw);
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, machine)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_can_be_made_for_every_machine_that_seccomp_knows() {
        for machine in [TargetArch::x86_64, TargetArch::aarch64] {
            assert!(program(machine).unwrap().len() > REFUSED.len());
        }
    }
}
