//! Several devices of one driver.

use edu::ioctl::{Factorial, FactorialInput};
use ntsim::{
    NtStatus, Outcome,
    bus::InterruptMode,
    io::pnp::{self, DeviceState, Removal},
    sched::ThreadSpec,
    trace::{Counter, Event},
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::customdpc,
    program::Program,
};

const DEVICES: usize = 3;

/// Three programs, each with a device of its own.
async fn use_all(pcs: &[Pc]) -> Outcome<()> {
    let k = pcs[0].k.clone();
    let programs = pcs.iter().map(|pc| {
        let pc = pc.clone();
        k.spawn(ThreadSpec::user(format!("program {}", pc.slot.0)), async move |_| {
            let program = Program::open(&pc).await?;
            let mut under_way = Vec::new();
            for n in 0..4 {
                under_way.push(program.factorial(n + u32::from(pc.slot.0)).await?);
            }
            for computation in &under_way {
                assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
            }
            program.close().await
        })
    });
    for program in programs.collect::<Vec<_>>() {
        k.join(program).await?;
    }
    Ok(())
}

#[test]
fn every_device_works_for_itself() {
    for seed in 1..=20 {
        let run = Run::several(&customdpc(), Setup::seed(seed), DEVICES, async |pcs: Vec<Pc>| {
            for pc in &pcs {
                pc.start().await?;
                assert_eq!(pc.interfaces().len(), 1);
            }
            use_all(&pcs).await
        });
        let _ = run.clean();
    }
}

/// On a shared line every service routine but one says that it was not its device's interrupt.
#[test]
fn devices_share_an_interrupt_line() {
    let mut not_claimed_at_first = 0;
    for seed in 1..=20 {
        let mut setup = Setup::seed(seed);
        setup.interrupts = InterruptMode::Line;
        setup.share_line = true;
        let run = Run::several(&customdpc(), setup, DEVICES, async |pcs: Vec<Pc>| {
            for pc in &pcs {
                pc.start().await?;
            }
            use_all(&pcs).await
        });
        let trace = run.clean();
        let isrs = trace
            .records()
            .iter()
            .filter(|record| matches!(record.event, Event::Entered { label: "ISR", .. }));
        let delivered = trace.counters.get(Counter::InterruptsDelivered);
        not_claimed_at_first += isrs.count() as u64 - delivered;
    }
    assert!(
        not_claimed_at_first > 0,
        "a service routine was asked for another's device"
    );
}

#[test]
fn one_device_goes_and_the_others_work_on() {
    for seed in 1..=20 {
        let run = Run::several(&customdpc(), Setup::seed(seed), DEVICES, async |pcs: Vec<Pc>| {
            for pc in &pcs {
                pc.start().await?;
            }
            pnp::surprise_remove(&pcs[0].k, pcs[0].pdo).await?;
            assert_eq!(pcs[0].interfaces(), [""; 0]);
            use_all(&pcs[1..]).await?;
            assert_eq!(pnp::remove_device(&pcs[1].k, pcs[1].pdo).await?, Removal::Done);
            let program = Program::open(&pcs[2]).await?;
            let input = FactorialInput { n: 5 };
            assert_eq!(program.request::<Factorial>(input).await?, input.expected());
            program.close().await
        });
        let _ = run.clean();
    }
}

/// The device that fails to start is removed; the one that works does not notice.
#[test]
fn a_device_that_does_not_start_leaves_the_others_alone() {
    let run = Run::several(&customdpc(), Setup::seed(1), 2, async |pcs: Vec<Pc>| {
        pcs[0].start().await?;
        pcs[1].with_device(|device| device.faults_mut().dead = true);
        let status = pnp::start_device(&pcs[1].k, pcs[1].pdo).await?;
        assert!(!status.is_success(), "a device that reads as ones starts: {status}");
        assert_eq!(pnp::state(&pcs[1].k, pcs[1].pdo), Some(DeviceState::Removed));
        use_all(&pcs[..1]).await
    });
    let _ = run.clean();
}
