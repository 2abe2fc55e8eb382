//! A device that does not finish what it is at is waited for when it is stopped or put to sleep, but not for ever.

use ntsim::{
    NtStatus, Outcome, cm,
    io::pnp,
    po::{self, SystemState},
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::customdpc,
    program::{Computation, Program, assert_served_or_removed},
};

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// How long the driver waits for the device, all in all.
const LONGEST_DRAIN: u64 = 10 * SECOND;

/// What the driver has to do beside.
const SOME: u64 = SECOND / 10;

/// A started device whose watchdogs have more patience than a stop. Both of its engines are at work, and will not end.
async fn stuck(pc: &Pc) -> Outcome<(Program, Computation, ntsim::user::Request)> {
    for (name, value) in [("TimeoutMs", 3_600_000), ("Retries", 100)] {
        cm::set_device_value(&pc.k, pc.pdo, name, cm::Value::Dword(value));
    }
    pc.start().await?;
    let program = Program::open(pc).await?;
    pc.with_device(|device| {
        device.faults_mut().stuck = true;
        device.faults_mut().dma_stuck = true;
    });
    let computation = program.factorial(5).await?;
    let read = program.read(0, 100).await?;
    Ok((program, computation, read))
}

fn mend(pc: &Pc) {
    pc.with_device(|device| {
        device.faults_mut().stuck = false;
        device.faults_mut().dma_stuck = false;
    });
}

/// Found in review: the engines were waited for one after the other, which took 20.5 seconds.
#[test]
fn both_engines_are_waited_for_until_one_deadline() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        let (program, computation, read) = stuck(&pc).await?;
        let before = pc.k.now();
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        let took = pc.k.now() - before;
        assert!(took >= LONGEST_DRAIN, "{took} ns: the device is given its time");
        assert!(took <= LONGEST_DRAIN + SOME, "the stop took {took} ns");
        assert_eq!(computation.request.result(), None, "it would be begun again");
        assert_eq!(read.result(), None, "and so would this");
        pnp::surprise_remove(&pc.k, pc.pdo).await?;
        assert_eq!(computation.wait().await?, NtStatus::DEVICE_REMOVED);
        assert_eq!(read.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
    let _ = run.clean();
}

/// The same when the system goes to sleep.
#[test]
fn the_system_waits_for_both_engines_until_one_deadline() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        let (program, computation, read) = stuck(&pc).await?;
        let before = pc.k.now();
        assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
        let took = pc.k.now() - before;
        assert!(took <= LONGEST_DRAIN + SOME, "the system took {took} ns to fall asleep");
        mend(&pc);
        po::wake(&pc.k).await?;
        assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
        assert_eq!(read.wait(&pc.k).await?.status, NtStatus::SUCCESS);
        program.close().await
    });
    let _ = run.clean();
}

/// The same when a device that is there is surprise-removed: what it does not finish ends with that.
#[test]
fn a_stuck_device_is_surprise_removed_within_the_deadline() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        let (program, computation, read) = stuck(&pc).await?;
        let before = pc.k.now();
        pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
        let took = pc.k.now() - before;
        assert!(took <= LONGEST_DRAIN + SOME, "the removal took {took} ns");
        assert_eq!(computation.wait().await?, NtStatus::DEVICE_REMOVED);
        assert_eq!(read.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
    let _ = run.clean();
}

/// It is pulled out while the driver waits for it.
#[test]
fn a_device_goes_while_it_is_waited_for() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        let (program, computation, read) = stuck(&pc).await?;
        let other = pc.clone();
        let thief = pc.k.spawn(ntsim::sched::ThreadSpec::system("thief"), async move |k| {
            k.delay(SECOND).await?;
            other.with_device(|device| device.faults_mut().dead = true);
            Ok(())
        });
        let before = pc.k.now();
        pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
        let took = pc.k.now() - before;
        assert!(took <= LONGEST_DRAIN + SOME, "the removal took {took} ns");
        pc.k.join(thief).await?;
        assert_served_or_removed(computation.wait().await?);
        assert_served_or_removed(read.wait(&pc.k).await?.status);
        program.close().await
    });
    let _ = run.clean();
}

/// How long a DMA command takes.
const DMA: u64 = SECOND / 10;

/// The interrupt of a DMA command is lost, and the time for it is up when the device has been held for nearly as long as it is waited for. The command is not
/// begun again then: it would be at work still when the device is stopped, and raise its interrupt when nobody takes that back.
#[test]
fn nothing_is_begun_again_on_a_held_device() {
    for before_the_deadline in [DMA / 2, SECOND] {
        let run = Run::of(&customdpc(), Setup::seed(1), async move |pc: Pc| {
            let timeout = LONGEST_DRAIN - before_the_deadline;
            let milliseconds = u32::try_from(timeout / 1_000_000).expect("some seconds");
            cm::set_device_value(&pc.k, pc.pdo, "TimeoutMs", cm::Value::Dword(milliseconds));
            pc.start().await?;
            let program = Program::open(&pc).await?;
            pc.with_device(|device| device.faults_mut().lose_dma_interrupts = 1);
            let read = program.read(0, 100).await?;
            let before = pc.k.now();
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;
            let took = pc.k.now() - before;
            assert!(took <= timeout + DMA / 4, "the stop took {took} ns");
            assert_eq!(read.result(), None, "it is begun again when the device is started");
            pc.start().await?;
            assert_eq!(read.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            let watchdog = program.statistics().await?.transfer_watchdog;
            assert_eq!((watchdog.timeouts, watchdog.retries), (1, 0));
            program.close().await
        });
        let _ = run.clean();
    }
}
