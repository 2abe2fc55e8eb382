//! `power_up` fails when it has enabled the device's interrupt already: what the device does next must be nobody's storm.

use ntsim::{
    NtStatus, Outcome, cm,
    io::pnp,
    po::{self, SystemState},
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
    program::Program,
    seeds,
};

/// How long the device computes, in nanoseconds: it interrupts when the driver has failed long since.
const LATER: u64 = 50_000_000;
/// `STATUS_DEVICE_HARDWARE_ERROR`.
const DEVICE_HARDWARE_ERROR: NtStatus = NtStatus(0xC000_0483);

/// Has the driver's `power_up` number `number` fail, counted from the next start on.
fn fail(pc: &Pc, number: u32) {
    cm::set_device_value(&pc.k, pc.pdo, "PowerUpThatFails", cm::Value::Dword(number));
}

/// Runs `script` with a device that has not been started.
fn each(script: impl AsyncFn(Pc) -> Outcome<()> + Copy + 'static) {
    for seed in seeds::up_to(5) {
        let image = test_driver("powers-up-half-way");
        let run = Run::of(&image, Setup::seed(seed), async move |pc: Pc| {
            pc.with_device(|device| device.faults_mut().extra_latency = LATER);
            script(pc).await
        });
        println!("seed {seed}");
        let _ = run.clean();
    }
}

/// The device is given up, but removed only when the program has closed it: until then it can interrupt.
async fn is_silent(pc: &Pc, program: Program) -> Outcome<()> {
    pc.k.delay(2 * LATER).await?;
    assert_eq!(pc.interfaces(), [""; 0], "the system knows");
    program.close().await
}

#[test]
fn at_a_restart() {
    each(async |pc| {
        pc.start().await?;
        let program = Program::open(&pc).await?;
        pc.k.delay(2 * LATER).await?;
        fail(&pc, 1);
        let other = pc.k.bus().borrow().other_resources(pc.slot);
        assert_eq!(pnp::rebalance(&pc.k, pc.pdo, other).await?, DEVICE_HARDWARE_ERROR);
        is_silent(&pc, program).await
    });
}

/// The interrupt stays connected while the device sleeps, and afterwards, but the registers cannot be reached.
#[test]
fn after_a_sleep() {
    each(async |pc| {
        fail(&pc, 2);
        pc.start().await?;
        let program = Program::open(&pc).await?;
        pc.k.delay(2 * LATER).await?;
        assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
        po::wake(&pc.k).await?;
        is_silent(&pc, program).await
    });
}
