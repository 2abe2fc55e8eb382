//! Lower drivers that return `STATUS_PENDING` for every PnP and power request and handle it later: a filter below the driver, and the bus driver.

use std::rc::Rc;

use ntsim::{
    NtStatus, Outcome,
    bus::{BusProfile, DevicePower},
    devices::EduFaults,
    io::pnp,
    machine::DriverImage,
    po::{self, SystemState},
    sched::ThreadSpec,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::{customdpc, test_driver},
    program::Program,
    seeds,
};

/// Seeds of each scenario, with the filter and with the bus driver.
const SEEDS: u64 = 10;
/// A millisecond, in nanoseconds.
const MS: u64 = 1_000_000;

/// Runs `script` on a started device in both kinds of stack.
fn each(script: impl AsyncFn(Pc) -> Outcome<()> + Copy + 'static) {
    let filter: Rc<DriverImage> = test_driver("pends-pnp-and-power");
    for seed in seeds::up_to(SEEDS) {
        println!("a filter that pends, seed {seed}");
        let run = Run::stacked(
            &[filter.clone(), customdpc()],
            Setup::seed(seed),
            async move |pc: Pc| {
                pc.start().await?;
                script(pc).await
            },
        );
        let _ = run.clean();

        println!("a bus driver that pends, seed {seed}");
        let mut setup = Setup::seed(seed);
        setup.config.bus = BusProfile::SLOW;
        let _ = Run::started(setup, async move |pc| script(pc).await).clean();
    }
}

/// How often the driver has freed a common buffer.
fn freed(pc: &Pc) -> u64 {
    let trace = pc.k.recorded();
    let mut calls = trace.counters.calls().iter();
    calls
        .find(|(routine, _)| **routine == "FreeCommonBuffer")
        .map_or(0, |(_, &count)| count)
}

#[test]
fn a_device_lives_on_them() {
    each(async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
        let other = pc.k.bus().borrow().other_resources(pc.slot);
        assert_eq!(pnp::rebalance(&pc.k, pc.pdo, other).await?, NtStatus::SUCCESS);
        assert_eq!(pnp::query_stop_device(&pc.k, pc.pdo).await?, NtStatus::SUCCESS);
        pnp::cancel_stop_device(&pc.k, pc.pdo).await?;
        assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok(), "nobody refuses");
        assert_eq!(pc.k.bus().borrow().function(pc.slot).power(), DevicePower::D3);
        let meanwhile = program.factorial(6).await?;
        po::wake(&pc.k).await?;
        assert_eq!(meanwhile.wait().await?, NtStatus::SUCCESS);
        assert_eq!(pc.k.bus().borrow().function(pc.slot).power(), DevicePower::D0);
        assert_eq!(pnp::query_remove_device(&pc.k, pc.pdo).await?, NtStatus::SUCCESS);
        pnp::cancel_remove_device(&pc.k, pc.pdo).await?;
        assert_eq!(program.factorial(7).await?.wait().await?, NtStatus::SUCCESS);
        program.close().await
    });
}

#[test]
fn a_device_on_them_is_pulled_out() {
    each(async |pc| {
        let program = Program::open(&pc).await?;
        let read = program.read(0, 100).await?;
        pnp::surprise_remove(&pc.k, pc.pdo).await?;
        assert_eq!(read.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
}

/// The device writes to its buffer in memory until the bus driver takes the bus from it, and that is after `IRP_MN_REMOVE_DEVICE` has come back:
/// the buffer must be there as long. "Removing a Device in a Function Driver".
#[test]
fn the_buffer_outlives_the_removal_below() {
    each(async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().dma_stuck = true);
        let read = program.read(0, 100).await?;
        pc.k.delay(200 * MS).await?;
        program.close().await?;
        assert_eq!(read.wait(&pc.k).await?.status, NtStatus::CANCELLED);
        let device = pc.clone();
        let busy = pc.k.spawn(ThreadSpec::system("the device goes on"), async move |k| {
            while freed(&device) == 0 {
                k.delay(MS / 5).await?;
            }
            device.with_device(|device| *device.faults_mut() = EduFaults::default());
            Ok(())
        });
        assert_eq!(pnp::remove_device(&pc.k, pc.pdo).await?, pnp::Removal::Done);
        pc.k.join(busy).await
    });
}
