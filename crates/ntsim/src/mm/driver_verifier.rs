//! Whether Driver Verifier looks on: `MmIsDriverVerifying`, `MmIsDriverVerifyingByAddress`, `MmIsVerifierEnabled`.

use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
    verifier::Level,
};

/// The options that `verifier /standard` switches on: special pool, force IRQL checking, pool tracking, I/O verification, deadlock detection, DMA
/// checking, security checks, miscellaneous checks, DDI compliance checking.
const STANDARD: u32 = 0x0002_09BB;

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    for name in ["MmIsDriverVerifying", "MmIsDriverVerifyingByAddress"] {
        ddi.function(name, 1, Contract::ANY, |k, _| Ok(u32::from(is_on(k))));
    }
    ddi.function("MmIsVerifierEnabled", 1, Contract::ANY, |k, a| enabled(k, a.va(0)));
}

fn is_on(k: &Kernel) -> bool {
    k.config().verifier.level() != Level::None
}

fn enabled(k: &Kernel, flags: Va) -> Outcome<NtStatus> {
    if !is_on(k) {
        k.write(flags, 0_u32)?;
        return Ok(NtStatus::NOT_SUPPORTED);
    }
    k.write(flags, STANDARD)?;
    Ok(NtStatus::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddi::testing::{buffer, call, clean, status};

    #[test]
    fn the_verifier_looks_on_by_the_standard_settings() {
        clean(|k| async move {
            assert_eq!(call(&k, "MmIsDriverVerifying", &[0]).await?, 1);
            assert_eq!(call(&k, "MmIsDriverVerifyingByAddress", &[0]).await?, 1);
            let flags = buffer(&k, 4)?;
            let answer = status(&k, "MmIsVerifierEnabled", &[flags.get()]).await?;
            assert_eq!((answer, k.read::<u32>(flags)?), (NtStatus::SUCCESS, STANDARD));
            Ok(())
        });
    }
}
