//! Critical and guarded regions.

use crate::{
    bugcheck::BugCheck,
    machine::testing::{
        Program,
        script::{crash, crash_in, export, idle, run},
    },
    sched::ThreadSpec,
};

#[test]
fn regions_nest_and_say_what_they_disable() {
    run(&idle(), 1, |k| async move {
        export(&k, "KeEnterCriticalRegion", &[]).await?;
        export(&k, "KeEnterCriticalRegion", &[]).await?;
        export(&k, "KeLeaveCriticalRegion", &[]).await?;
        assert_eq!(export(&k, "KeAreApcsDisabled", &[]).await?, 1);
        assert_eq!(export(&k, "KeAreAllApcsDisabled", &[]).await?, 0);
        export(&k, "KeLeaveCriticalRegion", &[]).await?;
        assert_eq!(export(&k, "KeAreApcsDisabled", &[]).await?, 0);
        export(&k, "KeEnterGuardedRegion", &[]).await?;
        assert_eq!(export(&k, "KeAreApcsDisabled", &[]).await?, 1);
        assert_eq!(export(&k, "KeAreAllApcsDisabled", &[]).await?, 1);
        export(&k, "KeLeaveGuardedRegion", &[]).await?;
        export(&k, "KfRaiseIrql", &[1]).await?;
        assert_eq!(export(&k, "KeAreAllApcsDisabled", &[]).await?, 1);
        export(&k, "KeLowerIrql", &[0]).await.map(|_| ())
    });
}

fn stops(routine: &'static str, irql: u64) -> BugCheck {
    crash(move |k| async move {
        export(&k, "KfRaiseIrql", &[irql]).await?;
        export(&k, routine, &[]).await.map(|_| ())
    })
}

#[test]
fn misuse_has_driver_verifiers_codes() {
    assert_eq!(stops("KeLeaveCriticalRegion", 0).parameters[0], 0x3E);
    assert_eq!(stops("KeLeaveGuardedRegion", 0).parameters[0], 0x4_000E);
    assert_eq!(stops("KeEnterCriticalRegion", 2).parameters[..2], [0x11A, 2]);
    assert_eq!(stops("KeLeaveCriticalRegion", 2).parameters[..2], [0x11B, 2]);
    assert_eq!(stops("KeEnterGuardedRegion", 2).parameters[0], 0x2_0010);
}

#[test]
fn a_thread_must_not_end_in_a_region() {
    let bugcheck = crash(|k| async move { export(&k, "KeEnterCriticalRegion", &[]).await.map(|_| ()) });
    assert_eq!((bugcheck.code.0, bugcheck.parameters[1]), (0x20, 0xFFFF));
}

/// What a routine called `label` that does not leave its region stops with.
fn returns_in_region(label: &'static str) -> BugCheck {
    let program = Program::default()
        .import(&["KeEnterCriticalRegion"])
        .function(|f| f.call("KeEnterCriticalRegion"));
    crash_in(&program, ThreadSpec::system("test"), move |k| async move {
        k.call(Program::address(0), &[]).label(label).await.map(|_| ())
    })
}

#[test]
fn a_routine_that_returns_in_another_region_is_told_by_its_kind() {
    let dispatch = returns_in_region("dispatch IRP_MJ_READ");
    assert_eq!(
        (dispatch.code.0, dispatch.parameters[0], dispatch.parameters[3]),
        (0xC4, 0xC5, 0)
    );
    let completion = returns_in_region("completion routine");
    assert_eq!((completion.code.0, completion.parameters[0]), (0xC4, 0xFB));
    let worker = returns_in_region("work item");
    assert_eq!(
        (worker.code.0, worker.parameters),
        (0x1, [Program::address(0).get(), 0, 0xFFFF, 1])
    );
}
