//! Registers that a kernel-mode routine saves before it uses them: `KeSaveExtendedProcessorState`, `KeRestoreExtendedProcessorState`,
//! `KeSaveFloatingPointState`, `KeRestoreFloatingPointState`; and caches: `KeFlushIoBuffers`.
//!
//! On x64 the registers belong to the thread or DPC that runs, and caches are coherent: these have nothing to do.

use super::Irql;
use crate::{
    bugcheck::VerifierRule,
    ddi::{Contract, Registry},
    mm::Va,
    status::NtStatus,
};

/// Bytes of an `XSTATE_SAVE`.
const XSTATE_SAVE_SIZE: usize = 0x38;

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let dispatch = Contract::at_most(Irql::DISPATCH);
    ddi.function("KeSaveExtendedProcessorState", 2, dispatch, |k, a| {
        k.fill(a.va(1), 0, XSTATE_SAVE_SIZE)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("KeRestoreExtendedProcessorState", 1, dispatch, |k, a| {
        k.read::<u64>(a.va(0)).map(|_| ())
    });
    let by_rule = dispatch.by_rule(VerifierRule::IRQL_KE_DISPATCH_LTE);
    ddi.function("KeSaveFloatingPointState", 1, by_rule, |_, _| Ok(NtStatus::SUCCESS));
    ddi.function("KeRestoreFloatingPointState", 1, dispatch, |_, _| Ok(NtStatus::SUCCESS));
    ddi.function("KeFlushIoBuffers", 3, by_rule, |k, a| {
        let mdl: Va = a.va(0);
        k.read::<u64>(mdl).map(|_| ())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::testing::script::{crash, export, idle, memory, run};

    #[test]
    fn saving_and_restoring_succeeds() {
        run(&idle(), 1, |k| async move {
            let save = memory(&k, XSTATE_SAVE_SIZE)?;
            assert_eq!(export(&k, "KeSaveExtendedProcessorState", &[4, save.get()]).await?, 0);
            export(&k, "KeRestoreExtendedProcessorState", &[save.get()]).await?;
            assert_eq!(export(&k, "KeSaveFloatingPointState", &[save.get()]).await?, 0);
            assert_eq!(export(&k, "KeRestoreFloatingPointState", &[save.get()]).await?, 0);
            export(&k, "KeFlushIoBuffers", &[save.get(), 1, 1]).await.map(|_| ())
        });
        let bugcheck = crash(|k| async move {
            export(&k, "KfRaiseIrql", &[5]).await?;
            export(&k, "KeFlushIoBuffers", &[0x1000, 1, 1]).await.map(|_| ())
        });
        assert_eq!(bugcheck.parameters[0], 0x2_0011);
    }
}
