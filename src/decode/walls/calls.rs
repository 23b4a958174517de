//! The wall around system calls: seccomp lets through what decoders use and answers everything else with "not permitted".
//!
//! An error, not an end: libraries try this and that, and carry on when it is refused.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// Calls and what their arguments must be; no rule is any arguments.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Memory, time, threads, signals to oneself, reading what is open or may be opened.
const ALWAYS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pselect6,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Older names of the same, which newer machines do not have.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
];

#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// What starting ffmpeg and waiting for it takes, and what it does to itself (see `leash`).
const FOR_FFMPEG: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_pipe2,
    libc::SYS_recvfrom,
    libc::SYS_seccomp,
    libc::SYS_sendto,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

/// Flags with which a file is opened to be changed or made.
const WRITING: i32 = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;

/// Flags of `clone` that make a thread and no process.
const THREAD: i32 = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;

/// Flags of `clone` that make a world of its own.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Lets nothing through but what decoding takes, and with `starts_ffmpeg` what starting it takes.
pub fn raise(starts_ffmpeg: bool) -> Result<(), String> {
    let walls = allowed(starts_ffmpeg).and_then(|rules| filter(rules, refused(libc::EPERM), SeccompAction::Allow));
    let apply = |program: BpfProgram| apply_filter(&program);
    without_clone3().and_then(apply).and_then(|()| walls.and_then(apply)).map_err(|error| error.to_string())
}

/// The C library asks for `clone3` first and, where it is not there, for `clone`, whose flags can be looked at. The other
/// filter lets it through, since of two refusals the later counts.
fn without_clone3() -> Result<BpfProgram, Error> {
    filter(Rules::from([(libc::SYS_clone3, vec![])]), SeccompAction::Allow, refused(libc::ENOSYS))
}

/// A narrower wall for the program that is about to be started: threads, but no processes, and no handler for the
/// signal of used-up processor time. ffmpeg has one, and would end as if by itself.
pub fn without_processes() -> Result<BpfProgram, Error> {
    let process = SeccompRule::new(vec![flags(0, libc::CLONE_THREAD, 0)?])?;
    let handler = SeccompRule::new(vec![is(0, libc::SIGXCPU as u64)?])?;
    let mut rules = Rules::from([
        (libc::SYS_clone, vec![process]),
        (libc::SYS_kill, vec![]),
        (libc::SYS_rt_sigaction, vec![handler]),
    ]);
    #[cfg(target_arch = "x86_64")]
    rules.extend([(libc::SYS_fork, vec![]), (libc::SYS_vfork, vec![])]);
    filter(rules, SeccompAction::Allow, refused(libc::EPERM))
}

fn refused(error: i32) -> SeccompAction {
    SeccompAction::Errno(error as u32)
}

fn filter(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<BpfProgram, Error> {
    let machine = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, otherwise, matched, machine)?.try_into()?)
}

fn allowed(starts_ffmpeg: bool) -> Result<Rules, Error> {
    let mut rules: Rules = ALWAYS.iter().chain(OLDER).map(|&call| (call, vec![])).collect();
    let reading = |argument| Ok::<_, Error>(SeccompRule::new(vec![flags(argument, WRITING, libc::O_RDONLY)?])?);
    rules.insert(libc::SYS_openat, vec![reading(2)?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![reading(1)?]);
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![flags(0, THREAD, THREAD)?])?]);
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![is(0, u64::from(std::process::id()))?])?]);
    rules.insert(libc::SYS_ioctl, any_of(1, &[libc::TCGETS, libc::FIOCLEX, libc::FIONREAD, libc::FIONBIO])?);
    rules.insert(libc::SYS_prctl, any_of(0, &FOR_NAMES.map(|option| option as u64))?);
    rules.insert(libc::SYS_prlimit64, own_limits()?);
    if starts_ffmpeg {
        rules.extend(FOR_FFMPEG.iter().map(|&call| (call, vec![])));
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![flags(0, NAMESPACES, 0)?])?]);
        #[cfg(target_arch = "x86_64")]
        rules.extend([(libc::SYS_fork, vec![]), (libc::SYS_vfork, vec![])]);
        // The standard library hears over a pair of sockets whether a program has started.
        rules.insert(libc::SYS_socketpair, any_of(0, &[libc::AF_UNIX as u64])?);
        rules.insert(libc::SYS_kill, any_of(1, &[libc::SIGKILL as u64])?);
        rules.insert(libc::SYS_prctl, any_of(0, &FOR_ITSELF.map(|option| option as u64))?);
    }
    Ok(rules)
}

/// Reads what the kernel told the program at its start; the C library's headers have no name for it yet.
const PR_GET_AUXV: i32 = 0x4155_5856;

/// What a process may set for itself: names.
const FOR_NAMES: [i32; 3] = [libc::PR_SET_NAME, libc::PR_SET_VMA, PR_GET_AUXV];

/// And what only takes away.
const FOR_ITSELF: [i32; 5] =
    [libc::PR_SET_NAME, libc::PR_SET_VMA, PR_GET_AUXV, libc::PR_SET_PDEATHSIG, libc::PR_SET_NO_NEW_PRIVS];

/// Reading one's own limits, and setting the one on processor time.
fn own_limits() -> Result<Vec<SeccompRule>, Error> {
    let reads = SeccompRule::new(vec![is(0, 0)?, is_long(2, 0)?])?;
    let seconds = SeccompRule::new(vec![is(0, 0)?, is(1, u64::from(libc::RLIMIT_CPU))?])?;
    Ok(vec![reads, seconds])
}

fn any_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, Error> {
    values.iter().map(|&value| Ok(SeccompRule::new(vec![is(argument, value)?])?)).collect()
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, Error> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?)
}

fn is_long(argument: u8, value: u64) -> Result<SeccompCondition, Error> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)?)
}

/// Of the bits in `mask` those of `value` are set and no others.
fn flags(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, Error> {
    let operator = SeccompCmpOp::MaskedEq(u64::from(mask as u32));
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, u64::from(value as u32))?)
}
