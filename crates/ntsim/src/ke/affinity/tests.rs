//! Which processors threads run on.

use ntlayout::group_affinity;

use crate::{
    machine::testing::script::{export, idle, memory, run},
    sched::ThreadSpec,
};

#[test]
fn a_thread_runs_where_it_was_told_to() {
    for seed in 0..30 {
        run(&idle(), seed, |k| async move {
            for _ in 0..4 {
                k.spawn(ThreadSpec::system("noise"), |k| async move { k.delay(1000).await });
            }
            for _ in 0..5 {
                for processor in [0_u64, 1] {
                    export(&k, "KeSetSystemAffinityThread", &[1 << processor]).await?;
                    for _ in 0..3 {
                        assert_eq!(export(&k, "KeGetCurrentProcessorNumberEx", &[0]).await?, processor);
                        k.delay(10).await?;
                    }
                }
            }
            export(&k, "KeRevertToUserAffinityThread", &[]).await.map(|_| ())
        });
    }
}

#[test]
fn system_affinities_are_stacked_and_bad_ones_have_no_effect() {
    run(&idle(), 1, |k| async move {
        assert_eq!(
            export(&k, "KeSetSystemAffinityThreadEx", &[1]).await?,
            0,
            "there was none"
        );
        assert_eq!(export(&k, "KeSetSystemAffinityThreadEx", &[2]).await?, 1);
        assert_eq!(
            export(&k, "KeSetSystemAffinityThreadEx", &[0b110]).await?,
            2,
            "no such processor"
        );
        assert_eq!(export(&k, "KeGetCurrentProcessorNumberEx", &[0]).await?, 1);
        export(&k, "KeRevertToUserAffinityThreadEx", &[1]).await?;
        assert_eq!(export(&k, "KeGetCurrentProcessorNumberEx", &[0]).await?, 0);
        export(&k, "KeRevertToUserAffinityThreadEx", &[0]).await?;
        assert_eq!(export(&k, "KeSetSystemAffinityThreadEx", &[0]).await?, 0);
        Ok(())
    });
}

#[test]
fn group_affinities_are_of_group_zero() {
    run(&idle(), 1, |k| async move {
        let (new, old) = (memory(&k, group_affinity::SIZE)?, memory(&k, group_affinity::SIZE)?);
        k.fill(new, 0, group_affinity::SIZE)?;
        k.write(new + group_affinity::MASK, 2_u64)?;
        export(&k, "KeSetSystemGroupAffinityThread", &[new.get(), old.get()]).await?;
        assert_eq!(export(&k, "KeGetCurrentProcessorNumberEx", &[0]).await?, 1);
        assert_eq!(k.read::<u64>(old + group_affinity::MASK)?, 0);
        assert_eq!(k.read::<u16>(old + group_affinity::GROUP)?, 0);
        k.write(new + group_affinity::MASK, 1_u64)?;
        export(&k, "KeSetSystemGroupAffinityThread", &[new.get(), old.get()]).await?;
        assert_eq!(k.read::<u64>(old + group_affinity::MASK)?, 2);
        export(&k, "KeRevertToUserGroupAffinityThread", &[old.get()]).await?;
        assert_eq!(export(&k, "KeGetCurrentProcessorNumberEx", &[0]).await?, 1);
        Ok(())
    });
}

#[test]
fn at_dispatch_level_the_move_waits_for_the_irql_to_fall() {
    for seed in 0..20 {
        run(&idle(), seed, |k| async move {
            export(&k, "KeSetSystemAffinityThread", &[1]).await?;
            export(&k, "KfRaiseIrql", &[2]).await?;
            export(&k, "KeSetSystemAffinityThread", &[2]).await?;
            assert_eq!(export(&k, "KeGetCurrentProcessorNumberEx", &[0]).await?, 0);
            export(&k, "KeLowerIrql", &[0]).await?;
            assert_eq!(export(&k, "KeGetCurrentProcessorNumberEx", &[0]).await?, 1);
            Ok(())
        });
    }
}
