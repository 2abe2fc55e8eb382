//! A device is given other resources while it is in use: another place in memory, another interrupt, another processor to take it.

use std::collections::BTreeSet;

use ntsim::{
    NtStatus, Outcome,
    bus::{Interrupt, InterruptMode},
    io::pnp,
    po::{self, SystemState},
    sched::ThreadSpec,
    trace::{Event, Record},
};
use scenarios::{
    boot::{Run, Setup},
    program::{Computation, Program, assert_served_or_removed},
};

/// `STATUS_DEVICE_CONFIGURATION_ERROR`.
const DEVICE_CONFIGURATION_ERROR: NtStatus = NtStatus(0xC000_0182);

/// How often the device moves while a program uses it.
const MOVES: usize = 3;

/// The processors that service routines ran on.
fn interrupted(records: &[Record]) -> impl Iterator<Item = Option<usize>> + '_ {
    let isrs = records
        .iter()
        .filter(|record| matches!(record.event, Event::Entered { label: "ISR", .. }));
    isrs.map(|record| record.processor)
}

/// Four requests at a time.
async fn factorials(program: &Program) -> Outcome<Vec<Computation>> {
    let mut under_way = Vec::new();
    for n in 1..=4 {
        under_way.push(program.factorial(n).await?);
    }
    Ok(under_way)
}

async fn succeed(under_way: &[Computation]) -> Outcome<()> {
    for computation in under_way {
        assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
    }
    Ok(())
}

#[test]
fn requests_survive_that_their_device_moves() {
    for interrupts in [InterruptMode::Line, InterruptMode::Message] {
        let mut taken_by = BTreeSet::new();
        for seed in 1..=25 {
            let mut setup = Setup::seed(seed);
            setup.interrupts = interrupts;
            let run = Run::started(setup, async |pc| {
                let user = pc.clone();
                let program = pc.k.spawn(ThreadSpec::user("program"), async move |_| {
                    let program = Program::open(&user).await?;
                    for _ in 0..4 {
                        let under_way = factorials(&program).await?;
                        succeed(&under_way).await?;
                    }
                    program.close().await
                });
                for processor in 0..MOVES {
                    pc.k.delay(5_000).await?;
                    let mut other = pc.k.bus().borrow().other_resources(pc.slot);
                    let processor = processor % 2;
                    other.affinity = Some(1 << processor);
                    let status = pnp::rebalance(&pc.k, pc.pdo, other.clone()).await?;
                    assert_eq!(status, NtStatus::SUCCESS);
                    assert_eq!(*pc.k.bus().borrow().function(pc.slot).resources(), other);
                    let moved = pc.k.recorded().records().len();
                    pc.k.delay(5_000).await?;
                    assert!(interrupted(&pc.k.recorded().records()[moved..]).all(|it| it == Some(processor)));
                }
                pc.k.join(program).await
            });
            taken_by.extend(interrupted(run.clean().records()));
        }
        assert_eq!(
            taken_by,
            BTreeSet::from([Some(0), Some(1)]),
            "both processors had their turn"
        );
    }
}

/// The length of a range decides how it is described: a driver is to find one of 4 GiB and more in its place all the same.
#[test]
fn registers_in_a_large_range_are_found() {
    for length in [1 << 32, 1 << 40, 1 << 50] {
        let run = Run::started(Setup::seed(1), async move |pc| {
            let mut other = pc.k.bus().borrow().other_resources(pc.slot);
            other.memory[0].length = length;
            assert_eq!(pnp::rebalance(&pc.k, pc.pdo, other).await?, NtStatus::SUCCESS);
            let program = Program::open(&pc).await?;
            assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// An ISR for an interrupt of `PASSIVE_LEVEL` would run in a thread, without the lock that it is promised: the safe layer connects none.
#[test]
fn an_interrupt_of_passive_level_is_refused() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let mut other = pc.k.bus().borrow().other_resources(pc.slot);
        other.interrupt = Some(Interrupt::Line { line: 16, vector: 0x01 });
        assert_eq!(pnp::rebalance(&pc.k, pc.pdo, other).await?, NtStatus::NOT_SUPPORTED);
        Ok(())
    });
    let _ = run.clean();
}

/// `IRP_MN_START_DEVICE` for a device that is started: what it has is given back first, and nothing is lost.
#[test]
fn requests_survive_that_their_started_device_is_started_again() {
    for interrupts in [InterruptMode::Line, InterruptMode::Message] {
        for seed in 1..=25 {
            let mut setup = Setup::seed(seed);
            setup.interrupts = interrupts;
            let run = Run::started(setup, async |pc| {
                let user = pc.clone();
                let program = pc.k.spawn(ThreadSpec::user("program"), async move |_| {
                    let program = Program::open(&user).await?;
                    for _ in 0..4 {
                        let under_way = factorials(&program).await?;
                        let read = program.read(0, 100).await?;
                        succeed(&under_way).await?;
                        assert_eq!(read.wait(&user.k).await?.status, NtStatus::SUCCESS);
                    }
                    program.close().await
                });
                for _ in 0..MOVES {
                    pc.k.delay(5_000).await?;
                    let other = pc.k.bus().borrow().other_resources(pc.slot);
                    let status = pnp::start_started_device(&pc.k, pc.pdo, other.clone()).await?;
                    assert_eq!(status, NtStatus::SUCCESS);
                    assert_eq!(*pc.k.bus().borrow().function(pc.slot).resources(), other);
                    assert_eq!(pc.interfaces().len(), 1);
                }
                pc.k.join(program).await
            });
            println!("{interrupts:?}, seed {seed}");
            let _ = run.clean();
        }
    }
}

/// The system is awake again, and the device on its way to D0, when it is started again.
#[test]
fn a_device_that_wakes_up_is_started_again() {
    for seed in 1..=20 {
        let run = Run::started(Setup::seed(seed), async move |pc| {
            let program = Program::open(&pc).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let held = program.factorial(5).await?;
            po::wake(&pc.k).await?;
            pc.k.delay(1_000 * seed).await?;
            let other = pc.k.bus().borrow().other_resources(pc.slot);
            let status = pnp::start_started_device(&pc.k, pc.pdo, other).await?;
            assert_eq!(status, NtStatus::SUCCESS);
            assert_eq!(held.wait().await?, NtStatus::SUCCESS);
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            po::wake(&pc.k).await?;
            assert_eq!(program.factorial(6).await?.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        println!("seed {seed}");
        let _ = run.clean();
    }
}

/// The new resources are none that the driver can use: the device, whose old ones are gone, is not taken for one that works.
#[test]
fn a_device_that_cannot_be_started_again_is_given_up() {
    for seed in 1..=10 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let under_way = [program.factorial(5).await?, program.factorial(6).await?];
            let mut other = pc.k.bus().borrow().other_resources(pc.slot);
            other.interrupt = None;
            let status = pnp::start_started_device(&pc.k, pc.pdo, other).await?;
            assert_eq!(status, DEVICE_CONFIGURATION_ERROR);
            for computation in &under_way {
                assert_served_or_removed(computation.wait().await?);
            }
            let late = program.factorial(7).await?;
            assert_eq!(late.wait().await?, NtStatus::DEVICE_REMOVED);
            assert_eq!(pc.interfaces(), [""; 0]);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// The lower drivers do not find it any more: it has nothing, neither what it had before nor what it was to get.
#[test]
fn a_device_that_is_not_there_is_not_started_again() {
    for seed in 1..=10 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let under_way = [program.factorial(5).await?, program.factorial(6).await?];
            let other = pc.k.bus().borrow().other_resources(pc.slot);
            pc.k.bus().borrow_mut().function_mut(pc.slot).unplug();
            let status = pnp::start_started_device(&pc.k, pc.pdo, other).await?;
            assert_eq!(status, NtStatus::NO_SUCH_DEVICE);
            for computation in &under_way {
                assert_served_or_removed(computation.wait().await?);
            }
            program.close().await
        });
        let _ = run.clean();
    }
}

/// The device moves bytes for nobody when it is made to let go of what it has, and is finished when it is started: its memory is there still. By the line:
/// a message at the end of the DMA would come when nobody is connected to its vector, and edu cannot be told not to send it.
#[test]
fn a_device_that_was_busy_until_it_is_started_again_works() {
    /// Longer than the watchdog's four times 2 seconds and the wait for a device that is to be stopped; the start waits as long once more.
    const LATE: u64 = 8_700_000_000;
    let run = Run::started(Setup::by_line(1), async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().extra_dma_latency = LATE);
        let write = program.write(0, &[7; 100]).await?;
        pc.with_device(|device| device.faults_mut().extra_dma_latency = 0);
        let other = pc.k.bus().borrow().other_resources(pc.slot);
        let status = pnp::start_started_device(&pc.k, pc.pdo, other).await?;
        assert_eq!(status, NtStatus::SUCCESS);
        assert_eq!(write.wait(&pc.k).await?.status, NtStatus::IO_TIMEOUT);
        assert_eq!(program.read(0, 100).await?.wait(&pc.k).await?.status, NtStatus::SUCCESS);
        program.close().await
    });
    let _ = run.clean();
}
