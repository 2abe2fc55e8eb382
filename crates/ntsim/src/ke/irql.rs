//! Interrupt request levels on x64, and the routines that change them: `KeGetCurrentIrql`, `KfRaiseIrql`, `KeLowerIrql`.

use std::fmt;

use crate::{
    bugcheck::{BugCheck, BugCheckCode, Halted, Outcome},
    ddi::{Contract, Registry},
    kernel::Kernel,
    sched::ActivityKind,
};

/// An interrupt request level, as the processor's CR8 holds it on x64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Irql(pub u8);

impl Irql {
    /// `PASSIVE_LEVEL`: threads.
    pub const PASSIVE: Self = Self(0);
    /// `APC_LEVEL`: asynchronous procedure calls held off.
    pub const APC: Self = Self(1);
    /// `DISPATCH_LEVEL`: the scheduler held off; DPCs and spin locks.
    pub const DISPATCH: Self = Self(2);
    /// `CLOCK_LEVEL`: the clock interrupt.
    pub const CLOCK: Self = Self(13);
    /// `IPI_LEVEL`: interrupts by other processors.
    pub const IPI: Self = Self(14);
    /// `HIGH_LEVEL`: everything held off.
    pub const HIGH: Self = Self(15);

    /// The documentation's name of the level, `DIRQL` for those in between.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "PASSIVE_LEVEL",
            1 => "APC_LEVEL",
            2 => "DISPATCH_LEVEL",
            13 => "CLOCK_LEVEL",
            14 => "IPI_LEVEL",
            15 => "HIGH_LEVEL",
            _ => "DIRQL",
        }
    }
}

impl fmt::Display for Irql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "DIRQL" => write!(f, "DIRQL {}", self.0),
            name => f.write_str(name),
        }
    }
}

impl From<u8> for Irql {
    fn from(level: u8) -> Self {
        Self(level)
    }
}

const INVALID_RAISE: u64 = 0x30;
const INVALID_LOWER: u64 = 0x31;

/// A `mov cr8`: what `KeRaiseIrql` and `KeLowerIrql` are compiled to where the headers define them inline.
pub(crate) fn write_cr8(k: &Kernel, new: Irql) -> Outcome<()> {
    if new > k.irql() {
        raise(k, new).map(|_| ())
    } else {
        lower(k, new)
    }
}

/// `KfRaiseIrql`.
///
/// # Errors
/// When `new` is below the current IRQL or is none: Driver Verifier's 0xC4, 0x30.
pub fn raise(k: &Kernel, new: Irql) -> Outcome<Irql> {
    let current = k.irql();
    if new < current || new > Irql::HIGH {
        return Err(invalid(k, INVALID_RAISE, new, "raise"));
    }
    Ok(k.raise_irql(new))
}

/// `KeLowerIrql`. What the lower level lets in runs before the caller goes on.
///
/// # Errors
/// When `new` is above the current IRQL, or below `DISPATCH_LEVEL` in a DPC: Driver Verifier's 0xC4, 0x31.
pub fn lower(k: &Kernel, new: Irql) -> Outcome<()> {
    if new > k.irql() {
        return Err(invalid(k, INVALID_LOWER, new, "lower"));
    }
    let floor = match k.activity() {
        Some(ActivityKind::Dpc) => Irql::DISPATCH,
        Some(ActivityKind::Ipi) => Irql::IPI,
        Some(ActivityKind::Interrupt { source }) => super::interrupt::source_irql(k, source),
        _ => Irql::PASSIVE,
    };
    if new < floor {
        return Err(invalid(k, INVALID_LOWER, new, "lower"));
    }
    k.lower_irql(new);
    Ok(())
}

fn invalid(k: &Kernel, subcode: u64, new: Irql, verb: &str) -> Halted {
    let current = k.irql();
    let in_dpc = u64::from(subcode == INVALID_LOWER && new <= current);
    k.bugcheck(BugCheck::new(
        BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, u64::from(current.0), u64::from(new.0), in_dpc],
        "invalid-irql",
        format!("the driver tried to {verb} the IRQL from {current} to {new}"),
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeGetCurrentIrql", 0, Contract::ANY, |k, _| Ok(k.irql()));
    ddi.function("KfRaiseIrql", 1, Contract::ANY, |k, args| raise(k, Irql(args.u8(0))));
    ddi.function("KeRaiseIrqlToDpcLevel", 0, Contract::at_most(Irql::DISPATCH), |k, _| {
        raise(k, Irql::DISPATCH)
    });
    ddi.function("KeLowerIrql", 1, Contract::ANY, |k, args| lower(k, Irql(args.u8(0))));
}
