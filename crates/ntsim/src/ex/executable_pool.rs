//! Executable pool: a pool type that Driver Verifier's code integrity checks refuse.

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    kernel::Kernel,
};

/// Driver Verifier's code for an executable pool type.
const EXECUTABLE_POOL_TYPE: u64 = 0x2000;

/// `PagedPool` and its relatives have this bit.
const PAGED: u32 = 1;
/// `NonPagedPoolNx` and its relatives have this bit.
const NO_EXECUTE: u32 = 512;

/// Checks the `POOL_TYPE` that a driver asks for. Paged pool is not executable on x64.
///
/// # Errors
/// When memory of that type can be executed.
pub fn check_type(k: &Kernel, pool_type: u32, tag: u32) -> Outcome<()> {
    if pool_type & (PAGED | NO_EXECUTE) != 0 {
        return Ok(());
    }
    k.verify(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [
            EXECUTABLE_POOL_TYPE,
            k.caller().get(),
            u64::from(pool_type),
            u64::from(tag),
        ],
        "executable-pool",
        format!("executable pool was asked for: the pool type is {pool_type:#x}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::Config,
        machine::testing::Program,
        sched::{RunEnd, ThreadSpec},
        verifier::Settings,
    };

    /// The first two parameters of the bug check, if a driver's call of `routine` with these arguments is one.
    fn allocated(routine: &'static str, first: u64, verifier: Settings) -> Option<[u64; 4]> {
        let program = Program::default().import(&[routine]).function(move |f| {
            f.arguments(&[first, 64, 0x7458_6345]);
            f.call(routine);
        });
        let config = Config {
            verifier,
            ..Config::default()
        };
        let machine = program.machine_of(config);
        machine.spawn(ThreadSpec::system("test"), |k| async move {
            let memory = k.call(Program::address(0), &[]).await?;
            assert_ne!(memory, 0, "it is allocated");
            Ok(())
        });
        let end = machine.run();
        let crash = machine.kernel().crash();
        assert_eq!(end == RunEnd::Crashed, crash.is_some());
        crash.map(|crash| {
            assert_eq!(crash.bugcheck.rule, "executable-pool");
            crash.bugcheck.parameters
        })
    }

    #[test]
    fn a_pool_type_that_can_be_executed_is_a_violation() {
        const NON_PAGED_EXECUTE: u64 = 0x80;
        let standard = Settings::STANDARD;
        let [code, _, pool_type, tag] = allocated("ExAllocatePoolWithTag", 0, standard).expect("NonPagedPool");
        assert_eq!((code, pool_type, tag), (EXECUTABLE_POOL_TYPE, 0, 0x7458_6345));
        assert!(
            allocated("ExAllocatePoolWithTag", 4, standard).is_some(),
            "cache-aligned"
        );
        assert!(allocated("ExAllocatePool2", NON_PAGED_EXECUTE, standard).is_some());
    }

    #[test]
    fn other_pool_and_machines_without_the_rule_are_let_pass() {
        for (routine, first) in [
            ("ExAllocatePoolWithTag", 512),
            ("ExAllocatePoolWithTag", 1),
            ("ExAllocatePool2", 0x40),
        ] {
            assert_eq!(allocated(routine, first, Settings::ALL), None, "{routine} {first}");
        }
        let allowed = Settings::STANDARD.allow("executable-pool").unwrap();
        assert_eq!(allocated("ExAllocatePoolWithTag", 0, allowed), None);
        assert_eq!(allocated("ExAllocatePoolWithTag", 0, Settings::NONE), None);
    }
}
