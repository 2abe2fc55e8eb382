//! Tests that are scripts: a system thread that calls exports as a driver does.

use std::future::Future;

use super::Program;
use crate::{
    bugcheck::{BugCheck, Outcome},
    kernel::Kernel,
    machine::Machine,
    mm::{PoolKind, PoolOwner, Va},
    sched::{RunEnd, ThreadId, ThreadSpec},
};

/// A driver whose only function returns at once.
pub(crate) fn idle() -> Program {
    Program::default().function(|_| {})
}

/// Runs `script` in a system thread to its end, on a machine whose driver is `program`.
pub(crate) fn run<F>(program: &Program, seed: u64, script: impl FnOnce(Kernel) -> F) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = program.machine(seed);
    machine.spawn(ThreadSpec::system("test"), script);
    let end = machine.run();
    assert_eq!(end, RunEnd::Idle, "{}", machine.crash_report(None).unwrap_or_default());
    machine
}

/// Runs `script` in a thread of `spec`'s kind until it breaks a rule: what it stops with.
pub(crate) fn crash_in<F>(program: &Program, spec: ThreadSpec, script: impl FnOnce(Kernel) -> F) -> BugCheck
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = program.machine(1);
    machine.spawn(spec, script);
    assert_eq!(machine.run(), RunEnd::Crashed, "the script breaks no rule");
    let crash = machine.kernel().crash().expect("it has crashed");
    crash.bugcheck.clone()
}

/// The same, in a system thread and without code of the driver's own.
pub(crate) fn crash<F>(script: impl FnOnce(Kernel) -> F) -> BugCheck
where
    F: Future<Output = Outcome<()>> + 'static,
{
    crash_in(&idle(), ThreadSpec::system("test"), script)
}

/// Calls an export; it may return at another IRQL.
pub(crate) async fn export(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<u64> {
    let routine = k.routine_address(name);
    k.call(routine, arguments).label("export").may_change_irql().await
}

/// A thread that runs beside the script.
pub(crate) fn beside<F>(k: &Kernel, name: &str, body: impl FnOnce(Kernel) -> F) -> ThreadId
where
    F: Future<Output = Outcome<()>> + 'static,
{
    k.spawn(ThreadSpec::system(name), body)
}

/// Nonpaged memory of a driver's own, filled with what nobody has initialized.
pub(crate) fn memory(k: &Kernel, size: usize) -> Outcome<Va> {
    let start = k.allocate_pool(
        PoolKind::NonPagedNx,
        size as u64,
        0x7453_6554,
        PoolOwner::System,
        "test",
    );
    k.fill(start, k.config().stale_byte, size)?;
    Ok(start)
}

/// Memory that holds `value`.
pub(crate) fn holding(k: &Kernel, value: u64) -> Outcome<Va> {
    let start = memory(k, 8)?;
    k.write(start, value)?;
    Ok(start)
}
