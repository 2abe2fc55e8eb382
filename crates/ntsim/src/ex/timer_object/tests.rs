//! Timers that the system allocates.

use iced_x86::code_asm::{qword_ptr, rax, rcx, rdx};

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::{
        Program,
        script::{crash, export, memory, run},
    },
    mm::Va,
};

const NOTIFICATION: u64 = 0x8000_0000;

/// Counts in what the second argument points to; the second function, in what the first one points to.
fn counting() -> Program {
    Program::default()
        .function(|f| {
            f.asm.lock().inc(qword_ptr(rdx)).unwrap();
            f.asm.xor(rax, rax).unwrap();
        })
        .function(|f| {
            f.asm.lock().inc(qword_ptr(rcx)).unwrap();
        })
}

/// A counter, and a timer that counts in it.
async fn new(k: &Kernel, attributes: u64) -> Outcome<(Va, u64)> {
    let counter = memory(k, 8)?;
    k.write(counter, 0_u64)?;
    let arguments = [Program::address(0).get(), counter.get(), attributes];
    let timer = export(k, "ExAllocateTimer", &arguments).await?;
    assert_ne!(timer, 0);
    Ok((counter, timer))
}

const fn milliseconds(count: i64) -> u64 {
    (-count * 10_000).cast_unsigned()
}

#[test]
fn a_timer_calls_its_routine_and_ends_waits() {
    for seed in 0..10 {
        run(&counting(), seed, |k| async move {
            let (counter, timer) = new(&k, NOTIFICATION).await?;
            let start = k.now();
            assert_eq!(export(&k, "ExSetTimer", &[timer, milliseconds(2), 0, 0]).await?, 0);
            assert_eq!(export(&k, "KeWaitForSingleObject", &[timer, 0, 0, 0, 0]).await?, 0);
            assert!(k.now() >= start + 2_000_000);
            assert_eq!(
                export(&k, "ExDeleteTimer", &[timer, 1, 1, 0]).await?,
                0,
                "it was not set any more"
            );
            assert_eq!(k.read::<u64>(counter)?, 1);
            Ok(())
        });
    }
}

#[test]
fn a_periodic_timer_goes_on_until_it_is_cancelled() {
    run(&counting(), 1, |k| async move {
        let (counter, timer) = new(&k, 0).await?;
        export(&k, "ExSetTimer", &[timer, milliseconds(1), 5000, 0]).await?;
        k.delay(3_200_000).await?;
        assert_eq!(export(&k, "ExCancelTimer", &[timer, 0]).await?, 1);
        assert_eq!(export(&k, "ExCancelTimer", &[timer, 0]).await?, 0);
        export(&k, "KeFlushQueuedDpcs", &[]).await?;
        assert_eq!(k.read::<u64>(counter)?, 5, "at 1 ms, and every half from then on");
        assert_eq!(export(&k, "ExSetTimer", &[timer, milliseconds(5), 0, 0]).await?, 0);
        assert_eq!(
            export(&k, "ExSetTimer", &[timer, milliseconds(5), 0, 0]).await?,
            1,
            "set again"
        );
        assert_eq!(export(&k, "ExDeleteTimer", &[timer, 1, 0, 0]).await?, 1);
        k.delay(10_000_000).await?;
        assert_eq!(k.read::<u64>(counter)?, 5);
        Ok(())
    });
}

#[test]
fn a_timer_that_is_not_cancelled_goes_when_it_has_expired() {
    run(&counting(), 1, |k| async move {
        let (counter, timer) = new(&k, 0).await?;
        let (parameters, gone) = (memory(&k, 24)?, memory(&k, 8)?);
        k.fill(parameters, 0, 24)?;
        k.write(gone, 0_u64)?;
        k.write(parameters + 8_u64, Program::address(1))?;
        k.write(parameters + 16_u64, gone)?;
        export(&k, "ExSetTimer", &[timer, milliseconds(1), 0, 0]).await?;
        assert_eq!(export(&k, "ExDeleteTimer", &[timer, 0, 0, parameters.get()]).await?, 0);
        assert_eq!(k.read::<u64>(gone)?, 0);
        k.delay(2_000_000).await?;
        assert_eq!((k.read::<u64>(counter)?, k.read::<u64>(gone)?), (1, 1));
        Ok(())
    });
}

#[test]
fn misuse_is_told() {
    for (routine, arguments) in [
        ("ExSetTimer", [0x1000, 0, 0, 0]),
        ("ExCancelTimer", [0x1000, 0, 0, 0]),
        ("ExDeleteTimer", [0x1000, 1, 0, 0]),
    ] {
        let bugcheck = crash(move |k| async move { export(&k, routine, &arguments).await.map(|_| ()) });
        assert_eq!(bugcheck.rule, "timer-object-misused", "{routine}");
    }
    let waits_without_cancel = crash(|k| async move {
        let (_, timer) = new(&k, 0).await?;
        export(&k, "ExDeleteTimer", &[timer, 0, 1, 0]).await.map(|_| ())
    });
    assert_eq!(waits_without_cancel.rule, "timer-object-misused");
    let absolute = crash(|k| async move {
        let (_, timer) = new(&k, 4).await?;
        export(&k, "ExSetTimer", &[timer, 1, 0, 0]).await.map(|_| ())
    });
    assert_eq!(absolute.rule, "timer-object-misused");
}
