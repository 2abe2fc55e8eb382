//! Bug checks: how a run ends when a rule is broken, with Windows' code and parameters.

use std::fmt;

use crate::report::{Note, StackEntry};

/// A bug check code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BugCheckCode(pub u32);

macro_rules! codes {
    ($($constant:ident = $value:literal [$p1:literal, $p2:literal, $p3:literal, $p4:literal];)*) => {
        impl BugCheckCode {
            $(
                #[doc = concat!("`", stringify!($constant), "`")]
                pub const $constant: Self = Self($value);
            )*

            /// The name Windows gives the code.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($constant)),)*
                    _ => None,
                }
            }

            /// What the four parameters mean, from the bug check reference.
            #[must_use]
            pub const fn parameters(self) -> [&'static str; 4] {
                match self.0 {
                    $($value => [$p1, $p2, $p3, $p4],)*
                    _ => [""; 4],
                }
            }
        }
    };
}

codes! {
    APC_INDEX_MISMATCH = 0x01 ["the system routine or worker routine", "ApcStateIndex of the thread", "CombinedApcDisable of the thread", "0 system call, 1 worker routine"];
    INVALID_PROCESS_ATTACH_ATTEMPT = 0x05 ["the process that was attached to", "the process of the APC state", "APC state index", "whether a DPC was running"];
    IRQL_NOT_LESS_OR_EQUAL = 0x0A ["address referenced", "IRQL", "operation: 0 read, 1 write, 8 execute", "address of the instruction"];
    MAXIMUM_WAIT_OBJECTS_EXCEEDED = 0x0C ["objects asked for", "objects allowed", "address of the array", "reserved"];
    TRAP_CAUSE_UNKNOWN = 0x12 ["unexpected interrupt", "unknown floating-point exception", "enabled and asserted status bits", "reserved"];
    REFERENCE_BY_POINTER = 0x18 ["object type", "the object", "reserved", "reserved"];
    MEMORY_MANAGEMENT = 0x1A ["type of violation", "depends on parameter 1", "depends on parameter 1", "depends on parameter 1"];
    KMODE_EXCEPTION_NOT_HANDLED = 0x1E ["exception code", "address of the instruction", "exception parameter 0", "exception parameter 1"];
    KERNEL_APC_PENDING_DURING_EXIT = 0x20 ["address of the APC found pending", "the thread's APC disable count", "IRQL", "reserved"];
    NO_MORE_IRP_STACK_LOCATIONS = 0x35 ["address of the IRP", "reserved", "reserved", "reserved"];
    NO_MORE_SYSTEM_PTES = 0x3F ["PTE type: 0 system expansion, 1 nonpaged pool expansion", "requested size", "total free system PTEs", "total system PTEs"];
    TARGET_MDL_TOO_SMALL = 0x40 ["source MDL", "target MDL", "virtual address", "length"];
    MULTIPLE_IRP_COMPLETE_REQUESTS = 0x44 ["address of the IRP", "reserved", "reserved", "reserved"];
    CANCEL_STATE_IN_COMPLETED_IRP = 0x48 ["address of the IRP", "cancel routine set by the driver", "reserved", "reserved"];
    PAGE_FAULT_IN_NONPAGED_AREA = 0x50 ["address referenced", "operation: 0 read, 2 write, 10 execute", "address of the instruction", "type of fault"];
    PFN_LIST_CORRUPT = 0x4E ["type of violation", "page frame number", "depends on parameter 1", "depends on parameter 1"];
    UNEXPECTED_KERNEL_MODE_TRAP = 0x7F ["trap number", "reserved", "reserved", "reserved"];
    INVALID_KERNEL_HANDLE = 0x93 ["the handle", "0 it is protected from being closed, 1 it is invalid", "reserved", "reserved"];
    DRIVER_POWER_STATE_FAILURE = 0x9F ["type of violation", "depends on parameter 1", "depends on parameter 1", "depends on parameter 1"];
    ATTEMPTED_SWITCH_FROM_DPC = 0xB8 ["original thread", "new thread", "stack address of the original thread", "reserved"];
    ATTEMPTED_WRITE_TO_READONLY_MEMORY = 0xBE ["address written to", "page table entry", "reserved", "reserved"];
    BAD_POOL_CALLER = 0xC2 ["type of violation", "depends on parameter 1", "depends on parameter 1", "depends on parameter 1"];
    DRIVER_VERIFIER_DETECTED_VIOLATION = 0xC4 ["type of violation", "depends on parameter 1", "depends on parameter 1", "depends on parameter 1"];
    TIMER_OR_DPC_INVALID = 0xC7 ["what was found: 0 timer, 1 DPC object, 2 DPC routine", "its address", "start of the memory checked", "end of the memory checked"];
    IRQL_UNEXPECTED_VALUE = 0xC8 ["IRQLs: current << 16 | expected << 8", "what was being done", "depends on parameter 2", "depends on parameter 2"];
    DRIVER_VERIFIER_IOMANAGER_VIOLATION = 0xC9 ["type of violation", "depends on parameter 1", "depends on parameter 1", "depends on parameter 1"];
    PNP_DETECTED_FATAL_ERROR = 0xCA ["type of violation", "address of the device object", "depends on parameter 1", "depends on parameter 1"];
    DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS = 0xCB ["where the driver locked them", "its caller", "address of the MDL", "locked pages"];
    DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS = 0xCE ["address referenced", "operation: 0 read, 1 write", "address of the instruction", "reserved"];
    DRIVER_IRQL_NOT_LESS_OR_EQUAL = 0xD1 ["address referenced", "IRQL", "operation: 0 read, 1 write, 8 execute", "address of the instruction"];
    DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL = 0xD5 ["address referenced", "operation: 0 read, 1 write", "address of the instruction", "reserved"];
    DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION = 0xD6 ["address referenced", "operation: 0 read, 1 write", "address of the instruction", "reserved"];
    SYSTEM_PTE_MISUSE = 0xDA ["type of violation", "depends on parameter 1", "depends on parameter 1", "depends on parameter 1"];
    MANUALLY_INITIATED_CRASH = 0xE2 ["", "", "", ""];
    WORKER_INVALID = 0xE4 ["what was found: 1 queued twice, 2 freed while queued, 3 no device object, 5 not initialized, 6 wrong queue", "address of the work item", "depends on parameter 1", "depends on parameter 1"];
    RESOURCE_NOT_OWNED = 0xE3 ["address of the resource", "the thread", "address of the owner table, if any", "reserved"];
    DRIVER_VERIFIER_DMA_VIOLATION = 0xE6 ["type of violation", "depends on parameter 1", "depends on parameter 1", "depends on parameter 1"];
    ACTIVE_EX_WORKER_THREAD_TERMINATION = 0xE9 ["the worker thread", "reserved", "reserved", "reserved"];
    DRIVER_OVERRAN_STACK_BUFFER = 0xF7 ["the cookie found", "the cookie expected", "the complement of the cookie expected", "reserved"];
    HARDWARE_INTERRUPT_STORM = 0xF2 ["address of the ISR", "ISR context", "address of the interrupt object", "1 ISR not chained, 2 chained"];
    ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY = 0xFC ["address executed", "page table entry", "reserved", "reserved"];
    INVALID_MDL_RANGE = 0x12E ["source MDL", "target MDL", "virtual address", "length"];
    DPC_WATCHDOG_VIOLATION = 0x133 ["0 one DPC took too long, 1 too long at DISPATCH_LEVEL or above", "time spent", "time allowed", "reserved"];
    KERNEL_SECURITY_CHECK_FAILURE = 0x139 ["type of corruption", "trap frame", "exception record", "reserved"];
    THREAD_TERMINATE_HELD_MUTEX = 0x4000_008A ["the thread that owns the mutex", "the mutex", "reserved", "reserved"];
}

impl BugCheckCode {
    /// No bug check of Windows: the run reached what the machine does not model. The value is not one that Windows uses.
    pub const NOT_MODELLED: Self = Self(0xFFFF_FFFF);
    /// No bug check of Windows: what a device is made of on the host has failed. The value is not one that Windows uses.
    pub const HOST_FAILED: Self = Self(0xFFFF_FFFE);

    /// Whether Windows has such a bug check. One that it does not have says nothing about the driver.
    #[must_use]
    pub fn is_of_windows(self) -> bool {
        ![Self::NOT_MODELLED, Self::HOST_FAILED].contains(&self)
    }
}

impl fmt::Display for BugCheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NOT_MODELLED {
            return f.write_str("NOT MODELLED (the machine's limit, no bug check of Windows)");
        }
        if *self == Self::HOST_FAILED {
            return f.write_str("HOST FAILED (a device's program on this computer, no bug check of Windows)");
        }
        match self.name() {
            Some(name) => write!(f, "{name} ({:#x})", self.0),
            None => write!(f, "bug check {:#x}", self.0),
        }
    }
}

/// A broken rule: what Windows would stop with, and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BugCheck {
    /// The code.
    pub code: BugCheckCode,
    /// Its four parameters.
    pub parameters: [u64; 4],
    /// The machine's own name of the rule, for tests and reports: kebab-case, stable.
    pub rule: &'static str,
    /// What happened, for a reader. Where it has the address of a driver's code, as [`Va`](crate::mm::Va) is written, the report adds
    /// function and source line; where it has that of something that a driver made, the report says where.
    pub message: String,
    /// Other call stacks that have to do with it: who holds the other lock of a deadlock, say.
    pub notes: Vec<Note>,
}

impl BugCheck {
    /// A bug check.
    #[must_use]
    pub fn new(code: BugCheckCode, parameters: [u64; 4], rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            parameters,
            rule,
            message: message.into(),
            notes: Vec::new(),
        }
    }

    /// Adds another call stack that has to do with it, as [`Site::stack`](crate::kernel::Site::stack) gives one.
    #[must_use]
    pub fn with_stack(mut self, what: impl Into<String>, stack: impl Into<Vec<StackEntry>>) -> Self {
        let (what, stack) = (what.into(), stack.into());
        self.notes.push(Note { what, stack });
        self
    }
}

impl fmt::Display for BugCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.code.is_of_windows() {
            return write!(f, "{}: {}", self.code, self.message);
        }
        let [p1, p2, p3, p4] = self.parameters;
        write!(
            f,
            "{} ({p1:#x}, {p2:#x}, {p3:#x}, {p4:#x}): {}",
            self.code, self.message
        )
    }
}

/// The value Driver Verifier puts in the first parameter of `DRIVER_VERIFIER_DETECTED_VIOLATION`, with its DDI compliance rule's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierRule {
    /// Parameter 1. Values from `0x4E54_0000` on are this machine's own rules, which Driver Verifier has no number for.
    pub subcode: u64,
    /// The rule's name in Microsoft's documentation, in this machine's spelling of rule names.
    pub name: &'static str,
}

macro_rules! verifier_rules {
    ($($constant:ident = $value:literal $name:literal;)*) => {
        impl VerifierRule {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Self = Self { subcode: $value, name: $name };
            )*
        }
    };
}

verifier_rules! {
    INCORRECT_IRQL = 0xE5 "incorrect-irql";
    IRQL_DISPATCH = 0x2_0003 "IrqlDispatch";
    IRQL_EX_ALLOCATE_POOL = 0x2_0004 "IrqlExAllocatePool";
    IRQL_EX_APC_LTE_3 = 0x2_0007 "IrqlExApcLte3";
    IRQL_EX_APC_LTE = 0x2_0006 "IrqlExApcLte2";
    IRQL_EX_PASSIVE = 0x2_0008 "IrqlExPassive";
    IRQL_IO_APC_LTE = 0x2_0009 "IrqlIoApcLte";
    IRQL_IO_PASSIVE_1 = 0x2_000A "IrqlIoPassive1";
    IRQL_IO_PASSIVE_2 = 0x2_000B "IrqlIoPassive2";
    IRQL_IO_PASSIVE_3 = 0x2_000C "IrqlIoPassive3";
    IRQL_IO_PASSIVE_4 = 0x2_000D "IrqlIoPassive4";
    IRQL_IO_PASSIVE_5 = 0x2_000E "IrqlIoPassive5";
    IRQL_KE_APC_LTE_1 = 0x2_000F "IrqlKeApcLte1";
    IRQL_KE_APC_LTE_2 = 0x2_0010 "IrqlKeApcLte2";
    IRQL_KE_DISPATCH_LTE = 0x2_0011 "IrqlKeDispatchLte";
    IRQL_KE_RELEASE_SPIN_LOCK = 0x2_0015 "IrqlKeReleaseSpinLock";
    IRQL_KE_SET_EVENT = 0x2_0016 "IrqlKeSetEvent";
    IRQL_MM_APC_LTE = 0x2_0019 "IrqlMmApcLte";
    IRQL_MM_DISPATCH = 0x2_001A "IrqlMmDispatch";
    IRQL_OB_PASSIVE = 0x2_001B "IrqlObPassive";
    IRQL_PS_PASSIVE = 0x2_001C "IrqlPsPassive";
    IRQL_RETURN = 0x2_001D "IrqlReturn";
    IRQL_RTL_PASSIVE = 0x2_001E "IrqlRtlPassive";
    IRQL_ZW_PASSIVE = 0x2_001F "IrqlZwPassive";
    IRQL_IO_DISPATCH = 0x2_0022 "IrqlIoDispatch";
    SPIN_LOCK = 0x4_0009 "SpinLock";
    GUARDED_REGIONS = 0x4_000E "GuardedRegions";
    QUEUED_SPIN_LOCK = 0x4_0006 "QueuedSpinLock";
    QUEUED_SPIN_LOCK_RELEASE = 0x4_0007 "QueuedSpinLockRelease";
    SPIN_LOCK_RELEASE = 0x4_000B "SpinlockRelease";
    REQUESTED_POWER_IRP = 0x4_100B "RequestedPowerIrp";
    POWER_MISREPORTED = 0x4E54_0020 "ntsim: device power misreported";
    SYSTEM_IRP_EARLY = 0x4E54_0021 "ntsim: system power IRP ended before the device's";
    UNLOCKED_SHARING = 0x4E54_0001 "ntsim: unlocked sharing";
    NOT_CONNECTED = 0x4E54_0002 "ntsim: interrupt not connected";
    BAD_UNMAP = 0x4E54_0003 "ntsim: I/O space not mapped";
    LEAKED_MAPPING = 0x4E54_0005 "ntsim: device memory left mapped";
    LEFT_BEHIND = 0x4E54_0006 "ntsim: left behind at unload";
    DEVICE_QUEUE = 0x4E54_0007 "ntsim: device queue misused";
    NO_TIMER = 0x4E54_0008 "ntsim: timer not initialized";
    COMMON_BUFFER_MISMATCH = 0x4E54_0030 "ntsim: common buffer freed unlike it was allocated";
    PHYSICAL_MEMORY = 0x4E54_0040 "ntsim: physical memory freed unlike it was allocated";
    PHYSICAL_MEMORY_LEFT = 0x4E54_0041 "ntsim: physical memory left allocated at unload";
    BUS_INTERFACE = 0x4E54_0042 "ntsim: bus interface not referenced";
    NOTIFICATION = 0x4E54_0043 "ntsim: PnP notification not registered";
    ERROR_LOG = 0x4E54_0044 "ntsim: no entry of the error log";
    POWER_REGISTRATION = 0x4E54_0045 "ntsim: no registration with the power manager";
    SECURED_MEMORY = 0x4E54_0046 "ntsim: memory not secured";
    DRIVER_IRP = 0x4E54_0022 "ntsim: driver's own IRP misused";
    RUNDOWN = 0x4E54_0051 "ntsim: rundown protection misused";
    CALLBACK = 0x4E54_0052 "ntsim: callback misused";
    TIMER_OBJECT = 0x4E54_0053 "ntsim: timer object misused";
    NO_THREAD = 0x4E54_0050 "ntsim: no thread object";
    STATUS_NOT_SET = 0x4E54_0060 "ntsim: IRP completed without a status";
    USER_MEMORY_NOT_PROBED = 0x4E54_0061 "ntsim: user memory accessed without a probe";
    OBJECT_IN_USE = 0x4E54_0004 "ntsim: freed memory in use";
}

/// Unwinds host code after a bug check: the machine has stopped and holds the [`BugCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halted;

/// What everything returns that can end the run.
pub type Outcome<T = u64> = Result<T, Halted>;
