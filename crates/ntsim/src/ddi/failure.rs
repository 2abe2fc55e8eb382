//! Which routines can fail for lack of resources, and what each returns then.
//!
//! [`Config::failing_call`](crate::Config::failing_call) has one such call of a run fail. A run for each of them is the systematic form
//! of Driver Verifier's "Low Resources Simulation": every failure path of a driver runs once.

use super::{Args, ReturnValue as _};
use crate::{
    kernel::Kernel,
    status::NtStatus,
    trace::{Counter, Event},
};

/// How a routine reports that it has no resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It returns a null pointer.
    Null,
    /// It returns a status.
    Status(NtStatus),
}

impl Failure {
    /// The value of rax.
    #[must_use]
    pub fn into_rax(self) -> u64 {
        match self {
            Self::Null => 0,
            Self::Status(status) => status.into_rax(),
        }
    }
}

const NO_RESOURCES: Failure = Failure::Status(NtStatus::INSUFFICIENT_RESOURCES);
const NO_MEMORY: Failure = Failure::Status(NtStatus::NO_MEMORY);

/// The routines whose documentation lets them fail for lack of resources, in the order of their names.
const FALLIBLE: &[(&str, Failure)] = &[
    ("AllocateAdapterChannel", NO_RESOURCES),
    ("AllocateAdapterChannelEx", NO_RESOURCES),
    ("AllocateCommonBuffer", Failure::Null),
    ("AllocateCommonBufferEx", Failure::Null),
    ("AllocateCommonBufferWithBounds", Failure::Null),
    ("BuildScatterGatherList", NO_RESOURCES),
    ("BuildScatterGatherListEx", NO_RESOURCES),
    ("ExAllocateFromLookasideListEx", Failure::Null),
    ("ExAllocatePool", Failure::Null),
    ("ExAllocatePool2", Failure::Null),
    ("ExAllocatePool3", Failure::Null),
    ("ExAllocatePoolWithTag", Failure::Null),
    ("ExAllocatePoolWithTagPriority", Failure::Null),
    ("ExAllocateTimer", Failure::Null),
    ("ExCreateCallback", NO_RESOURCES),
    ("ExInitializeLookasideListEx", NO_RESOURCES),
    ("GetScatterGatherList", NO_RESOURCES),
    ("GetScatterGatherListEx", NO_RESOURCES),
    ("IoAllocateDriverObjectExtension", NO_RESOURCES),
    ("IoAllocateErrorLogEntry", Failure::Null),
    ("IoAllocateIrp", Failure::Null),
    ("IoAllocateIrpEx", Failure::Null),
    ("IoAllocateMdl", Failure::Null),
    ("IoAllocateWorkItem", Failure::Null),
    ("IoBuildAsynchronousFsdRequest", Failure::Null),
    ("IoBuildDeviceIoControlRequest", Failure::Null),
    ("IoBuildSynchronousFsdRequest", Failure::Null),
    ("IoConnectInterrupt", NO_RESOURCES),
    ("IoConnectInterruptEx", NO_RESOURCES),
    ("IoCreateDevice", NO_RESOURCES),
    ("IoCreateSymbolicLink", NO_RESOURCES),
    ("IoCreateUnprotectedSymbolicLink", NO_RESOURCES),
    ("IoGetDmaAdapter", Failure::Null),
    ("IoOpenDeviceInterfaceRegistryKey", NO_RESOURCES),
    ("IoOpenDeviceRegistryKey", NO_RESOURCES),
    ("IoRegisterDeviceInterface", NO_RESOURCES),
    ("IoRegisterPlugPlayNotification", NO_RESOURCES),
    ("IoRegisterShutdownNotification", NO_RESOURCES),
    ("IoSetCompletionRoutineEx", NO_RESOURCES),
    ("IoSetDeviceInterfaceState", NO_RESOURCES),
    ("MmAllocateContiguousMemory", Failure::Null),
    ("MmAllocateContiguousMemorySpecifyCache", Failure::Null),
    ("MmAllocateContiguousMemorySpecifyCacheNode", Failure::Null),
    ("MmAllocateContiguousNodeMemory", Failure::Null),
    ("MmAllocateMappingAddress", Failure::Null),
    ("MmAllocateNonCachedMemory", Failure::Null),
    ("MmAllocatePagesForMdl", Failure::Null),
    ("MmAllocatePagesForMdlEx", Failure::Null),
    ("MmMapIoSpace", Failure::Null),
    ("MmMapIoSpaceEx", Failure::Null),
    ("MmMapLockedPagesSpecifyCache", Failure::Null),
    ("PoRequestPowerIrp", NO_RESOURCES),
    ("PsCreateSystemThread", NO_RESOURCES),
    ("RtlAnsiStringToUnicodeString", NO_MEMORY),
    ("RtlDowncaseUnicodeString", NO_MEMORY),
    ("RtlDuplicateUnicodeString", NO_MEMORY),
    ("RtlStringFromGUID", NO_MEMORY),
    ("RtlUTF8StringToUnicodeString", NO_MEMORY),
    ("RtlUnicodeStringToAnsiString", NO_MEMORY),
    ("RtlUnicodeStringToUTF8String", NO_MEMORY),
    ("RtlUpcaseUnicodeString", NO_MEMORY),
    ("RtlWriteRegistryValue", NO_RESOURCES),
    ("ZwCreateEvent", NO_RESOURCES),
    ("ZwCreateFile", NO_RESOURCES),
    ("ZwCreateKey", NO_RESOURCES),
    ("ZwCreateSection", NO_RESOURCES),
    ("ZwOpenFile", NO_RESOURCES),
    ("ZwOpenKey", NO_RESOURCES),
    ("ZwSetValueKey", NO_RESOURCES),
];

/// How the routine called `name` fails for lack of resources, if it can.
#[must_use]
pub fn of(name: &str) -> Option<Failure> {
    let index = FALLIBLE.binary_search_by_key(&name, |&(name, _)| name).ok()?;
    Some(FALLIBLE[index].1)
}

/// Whether the caller lets this call fail. Some routines can be told not to fail, or to raise an exception instead of returning.
fn may_fail(name: &str, args: &Args) -> bool {
    const POOL_FLAG_RAISE_ON_FAILURE: u64 = 0x20;
    const POOL_RAISE_IF_ALLOCATION_FAILURE: u32 = 16;
    const USER_MODE: u8 = 1;
    const ALLOCATE: usize = 2;
    match name {
        "ExAllocatePool2" | "ExAllocatePool3" => args.u64(0) & POOL_FLAG_RAISE_ON_FAILURE == 0,
        "ExAllocatePool" | "ExAllocatePoolWithTag" | "ExAllocatePoolWithTagPriority" => {
            args.u32(0) & POOL_RAISE_IF_ALLOCATION_FAILURE == 0
        }
        // Nothing has to be made to disable an interface.
        "IoSetDeviceInterfaceState" => args.bool(1),
        // For user mode it raises an exception.
        "MmMapLockedPagesSpecifyCache" => args.u8(1) != USER_MODE,
        "RtlAnsiStringToUnicodeString"
        | "RtlDowncaseUnicodeString"
        | "RtlUTF8StringToUnicodeString"
        | "RtlUnicodeStringToAnsiString"
        | "RtlUnicodeStringToUTF8String"
        | "RtlUpcaseUnicodeString" => args.bool(ALLOCATE),
        _ => true,
    }
}

/// Counts a call that can fail. What it returns if the run was told to have this one fail.
pub(crate) fn strike(k: &Kernel, name: &'static str, failure: Option<Failure>, args: &Args) -> Option<Failure> {
    let failure = failure.filter(|_| may_fail(name, args))?;
    let earlier = k.recorded().counters.get(Counter::FallibleCalls);
    k.count(Counter::FallibleCalls);
    if k.config().failing_call != Some(earlier) {
        return None;
    }
    k.trace(Event::Note(format!(
        "{name} fails, as this run was told: fallible call {earlier}"
    )));
    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::Config,
        machine::testing::Program,
        mm::Va,
        sched::{RunEnd, ThreadSpec},
    };

    #[test]
    fn the_table_is_in_order() {
        assert!(FALLIBLE.is_sorted_by(|(one, _), (other, _)| one < other));
    }

    /// What each of three allocations returns when the call with the number `failing` fails; how many calls could.
    fn three_allocations(failing: Option<u64>) -> (Vec<bool>, u64) {
        const NON_PAGED: u64 = 0x40;
        let slot = |index: u64| Program::data() + index * 8;
        let program = Program::default().import(&["ExAllocatePool2"]).function(move |f| {
            use iced_x86::code_asm::{qword_ptr, rax, rcx};
            for index in 0..3 {
                f.arguments(&[NON_PAGED, 16, 0x7473_6554]);
                f.call("ExAllocatePool2");
                f.load(rcx, slot(index).get());
                f.asm.mov(qword_ptr(rcx), rax).unwrap();
            }
        });
        let machine = program.machine_of(Config {
            failing_call: failing,
            ..Config::default()
        });
        machine.spawn(ThreadSpec::system("test"), |k| async move {
            k.call(Program::address(0), &[]).await
        });
        assert_eq!(machine.run(), RunEnd::Idle, "{:?}", machine.crash_report(None));
        let given = (0..3).map(|index| machine.kernel().read::<Va>(slot(index)).unwrap() != Va::NULL);
        let fallible = machine.kernel().recorded().counters.get(Counter::FallibleCalls);
        (given.collect(), fallible)
    }

    #[test]
    fn the_call_that_was_asked_for_fails_and_no_other() {
        assert_eq!(three_allocations(None), (vec![true; 3], 3));
        assert_eq!(three_allocations(Some(0)), (vec![false, true, true], 3));
        assert_eq!(three_allocations(Some(2)), (vec![true, true, false], 3));
        assert_eq!(three_allocations(Some(3)), (vec![true; 3], 3));
    }
}
