//! What tests of single routines share: a machine without a driver, and a script that calls exports as a driver would.

use std::future::Future;

use crate::{
    bugcheck::{BugCheckCode, Outcome},
    bus::Slot,
    devices::{Edu, EduProfile},
    ke::Irql,
    kernel::{Config, Kernel},
    machine::Machine,
    mm::Va,
    rtl::unicode_string,
    sched::ThreadSpec,
    status::NtStatus,
};

/// Runs `script` in a system thread of a machine without a driver.
pub(crate) fn run<F>(script: impl FnOnce(Kernel) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = Machine::new(Config::default()).unwrap();
    machine.spawn(ThreadSpec::system("test"), script);
    // What it ended with is for the caller to look at.
    let _ = machine.run();
    machine
}

/// The same, with an edu on the bus, which is started.
pub(crate) fn run_with_edu<F>(script: impl FnOnce(Kernel, Slot) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let mut machine = Machine::new(Config::default()).unwrap();
    let slot = machine.plug(Box::new(Edu::new(EduProfile::default()))).unwrap();
    machine.kernel().bus().borrow_mut().function_mut(slot).set_enabled(true);
    machine.spawn(ThreadSpec::system("test"), move |k| script(k, slot));
    // What it ended with is for the caller to look at.
    let _ = machine.run();
    machine
}

/// Runs `script`, which must break no rule.
#[track_caller]
pub(crate) fn clean<F>(script: impl FnOnce(Kernel) -> F + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    if let Some(report) = run(script).crash_report(None) {
        panic!("{report}");
    }
}

/// The bug check that `script` ends with: code, first parameter, rule.
#[track_caller]
pub(crate) fn bugcheck_of<F>(script: impl FnOnce(Kernel) -> F + 'static) -> (BugCheckCode, u64, &'static str)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run(script);
    let crash = machine.kernel().crash().expect("a rule is broken");
    (crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

/// Calls an export.
pub(crate) async fn call(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<u64> {
    k.call(k.routine_address(name), arguments).await
}

/// Calls an export that returns a status.
pub(crate) async fn status(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<NtStatus> {
    let returned = call(k, name, arguments).await?;
    Ok(NtStatus((returned & 0xFFFF_FFFF) as u32))
}

/// Calls an export at an IRQL.
pub(crate) async fn call_at(k: &Kernel, irql: Irql, name: &str, arguments: &[u64]) -> Outcome<u64> {
    let before = k.raise_irql(irql);
    let returned = call(k, name, arguments).await?;
    k.lower_irql(before);
    Ok(returned)
}

/// Zeroed memory of the system's.
pub(crate) fn buffer(k: &Kernel, size: usize) -> Outcome<Va> {
    k.allocate_system(size, "test buffer")
}

/// A `UNICODE_STRING`.
pub(crate) fn counted(k: &Kernel, text: &str) -> Outcome<Va> {
    let string = buffer(k, ntlayout::unicode_string::SIZE)?;
    unicode_string::write_new(k, string, text)?;
    Ok(string)
}
