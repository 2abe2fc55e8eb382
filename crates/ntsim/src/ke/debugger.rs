//! The kernel debugger, which the machine has none of: `DbgBreakPoint`, `DbgBreakPointWithStatus`, `KdDebuggerEnabled`,
//! `KdDebuggerNotPresent`, `KdRefreshDebuggerNotPresent`, `KdDisableDebugger`, `KdEnableDebugger`.

use crate::{
    ddi::{Contract, Registry},
    ex::raise,
    status::NtStatus,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    for (name, arity) in [("DbgBreakPoint", 0), ("DbgBreakPointWithStatus", 1)] {
        ddi.function(name, arity, any, move |k, _| -> crate::bugcheck::Outcome<()> {
            let message = format!("{name} was called, and no debugger is attached");
            Err(raise::status(k, NtStatus::BREAKPOINT, &message))
        });
    }
    ddi.data("KdDebuggerEnabled", 8, |k, va| k.write(va, 0_u64));
    ddi.data("KdDebuggerNotPresent", 8, |k, va| k.write(va, 1_u64));
    ddi.function("KdRefreshDebuggerNotPresent", 0, any, |_, _| Ok(true));
    for name in ["KdDisableDebugger", "KdEnableDebugger"] {
        ddi.function(name, 0, any, |_, _| Ok(NtStatus::DEBUGGER_INACTIVE));
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        machine::testing::script::{crash, export, idle, run},
        status::NtStatus,
    };

    #[test]
    fn nobody_debugs_the_machine() {
        run(&idle(), 1, |k| async move {
            assert_eq!(export(&k, "KdRefreshDebuggerNotPresent", &[]).await?, 1);
            for name in ["KdDisableDebugger", "KdEnableDebugger"] {
                let status = export(&k, name, &[]).await?;
                assert_eq!(status, u64::from(NtStatus::DEBUGGER_INACTIVE.0));
            }
            Ok(())
        });
        for name in ["DbgBreakPoint", "DbgBreakPointWithStatus"] {
            let bugcheck = crash(move |k| async move { export(&k, name, &[1]).await.map(|_| ()) });
            assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0x1E, 0x8000_0003));
        }
    }
}
