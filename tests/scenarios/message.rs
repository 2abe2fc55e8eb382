//! What is different where the device signals its interrupts by messages.

use edu::ioctl::WaitOutput;
use ntsim::{NtStatus, bus::InterruptMode, io::pnp, trace::Counter};
use scenarios::{
    boot::{Run, Setup},
    program::{Program, arrival},
    seeds,
};

fn setup(seed: u64) -> Setup {
    Setup {
        interrupts: InterruptMode::Message,
        ..Setup::seed(seed)
    }
}

/// Two causes, two messages: the ISR may see both causes with the first, and none with the second. That one claims nothing, and does no harm.
#[test]
fn a_message_can_come_when_its_cause_was_seen_before() {
    let mut without_cause = 0;
    for seed in seeds::up_to(50) {
        let run = Run::started(setup(seed), async move |pc| {
            let program = Program::open(&pc).await?;
            let waits = [
                (program.wait_interrupt(0x2).await?, 0x2),
                (program.wait_interrupt(0x4).await?, 0x4),
            ];
            pc.with_device(|device| device.raise(0x2));
            pc.k.delay(seed % 20).await?;
            pc.with_device(|device| device.raise(0x4));
            for (wait, cause) in waits {
                let WaitOutput { causes, .. } = arrival(&wait.wait(&pc.k).await?);
                assert_eq!(causes, cause);
            }
            assert_eq!(
                program.factorial(5).await?.wait().await?,
                NtStatus::SUCCESS,
                "it works on"
            );
            program.close().await
        });
        let _ = run.clean();
        without_cause += u64::from(run.count(Counter::InterruptsDelivered) > run.count(Counter::InterruptsClaimed));
    }
    assert!(without_cause > 0, "no seed had a message without a cause");
}

/// The connection is made again for each start, and undone by the routine that belongs to it.
#[test]
fn a_restarted_device_has_its_messages_again() {
    for seed in 1..=20 {
        let run = Run::started(setup(seed), async |pc| {
            let program = Program::open(&pc).await?;
            for n in 1..=3 {
                let computation = program.factorial(n).await?;
                assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
                pnp::stop_device(&pc.k, pc.pdo).await?;
                pc.start().await?;
                assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
                let raised = program.raise(0x2).await?;
                assert_eq!(raised.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            }
            program.close().await
        });
        let _ = run.clean();
    }
}
