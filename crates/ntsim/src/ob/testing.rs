//! Calling exports from tests, with the strings and structures that they take.

use std::future::Future;

use ntlayout::{object_attributes as attributes, unicode_string};

use super::handle::Handle;
use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    kernel::{Config, Kernel},
    machine::Machine,
    mm::Va,
    rtl::unicode_string::write_new,
    sched::ThreadSpec,
    status::NtStatus,
};

/// Runs `script` in a thread of a machine without a driver. What it ended with is for the caller to look at.
pub(crate) fn run_as<F>(spec: ThreadSpec, script: impl FnOnce(Kernel) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = Machine::new(Config::default()).unwrap();
    machine.spawn(spec, script);
    let _ = machine.run();
    machine
}

/// Runs `script` in a system thread. It must break no rule.
#[track_caller]
pub(crate) fn run<F>(script: impl FnOnce(Kernel) -> F + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_as(ThreadSpec::system("test"), script);
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}

/// The bug check that `script` ends with: code, first parameter, rule.
#[track_caller]
pub(crate) fn bugcheck_of<F>(script: impl FnOnce(Kernel) -> F + 'static) -> (Code, u64, &'static str)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_as(ThreadSpec::system("test"), script);
    let crash = machine.kernel().crash().expect("a rule is broken");
    (crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

/// Calls an export.
pub(crate) async fn value(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<u64> {
    k.call(k.routine_address(name), arguments).await
}

/// Calls an export that returns a status.
pub(crate) async fn call(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<NtStatus> {
    let returned = value(k, name, arguments).await?;
    Ok(NtStatus((returned & 0xFFFF_FFFF) as u32))
}

/// Zeroed memory.
pub(crate) fn memory(k: &Kernel, size: usize) -> Outcome<Va> {
    k.allocate_system(size, "test memory")
}

/// A `UNICODE_STRING`.
pub(crate) fn counted(k: &Kernel, text: &str) -> Outcome<Va> {
    let string = memory(k, unicode_string::SIZE)?;
    write_new(k, string, text)?;
    Ok(string)
}

/// An empty `UNICODE_STRING` with room for `bytes`.
pub(crate) fn room(k: &Kernel, bytes: u16) -> Outcome<Va> {
    let string = memory(k, unicode_string::SIZE)?;
    k.write(string + unicode_string::MAXIMUM_LENGTH, bytes)?;
    k.write(string + unicode_string::BUFFER, memory(k, usize::from(bytes).max(1))?)?;
    Ok(string)
}

/// An `OBJECT_ATTRIBUTES`.
pub(crate) fn attributes_of(k: &Kernel, root: Handle, name: &str, flags: u32) -> Outcome<Va> {
    let at = memory(k, attributes::SIZE)?;
    k.write(at + attributes::LENGTH, 48_u32)?;
    k.write(at + attributes::ROOT_DIRECTORY, root)?;
    if !name.is_empty() {
        k.write(at + attributes::OBJECT_NAME, counted(k, name)?)?;
    }
    k.write(at + attributes::ATTRIBUTES, flags)?;
    Ok(at)
}

/// Calls an export that opens a handle: handle, access and attributes first, then `more`.
pub(crate) async fn open(k: &Kernel, routine: &str, name: &str, more: &[u64]) -> Outcome<Result<Handle, NtStatus>> {
    let attributes = attributes_of(k, Handle(0), name, 0x240)?;
    open_by(k, routine, attributes, more).await
}

/// The same, with attributes.
pub(crate) async fn open_by(
    k: &Kernel,
    routine: &str,
    attributes: Va,
    more: &[u64],
) -> Outcome<Result<Handle, NtStatus>> {
    let variable = memory(k, 8)?;
    let mut arguments = vec![variable.get(), 0x001F_01FF, attributes.get()];
    arguments.extend(more);
    let status = call(k, routine, &arguments).await?;
    Ok(if status.is_success() {
        Ok(k.read(variable)?)
    } else {
        Err(status)
    })
}

/// `ZwClose`.
pub(crate) async fn close(k: &Kernel, handle: Handle) -> Outcome<()> {
    assert_eq!(call(k, "ZwClose", &[handle.0]).await?, NtStatus::SUCCESS);
    Ok(())
}
