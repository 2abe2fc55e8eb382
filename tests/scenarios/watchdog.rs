//! The watchdogs: a slow device, a lost interrupt, a device that is stuck, and one that does not answer.

use edu::ioctl::WatchdogStatistics;
use ntsim::{NtStatus, cm, io::pnp};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::customdpc,
    program::Program,
};

/// A millisecond, in nanoseconds.
const MS: u64 = 1_000_000;

/// What a DMA command takes, and some.
const PIECE: u64 = 150 * MS;

/// What the watchdogs are told in these scenarios: `TimeoutMs` and `Retries`.
const TIMEOUT_MS: u32 = 300;
const RETRIES: u32 = 2;

/// `TimeoutMs`, in nanoseconds.
const TIMEOUT: u64 = TIMEOUT_MS as u64 * MS;

/// Sets a parameter before the device is started.
fn set(pc: &Pc, name: &str, value: cm::Value) {
    cm::set_device_value(&pc.k, pc.pdo, name, value);
}

/// A device that has been started with [`TIMEOUT`] and [`RETRIES`].
fn started<F>(seed: u64, script: impl FnOnce(Pc) -> F + 'static) -> Run
where
    F: Future<Output = ntsim::Outcome<()>> + 'static,
{
    Run::of(&customdpc(), Setup::seed(seed), async move |pc: Pc| {
        set(&pc, "TimeoutMs", cm::Value::Dword(TIMEOUT_MS));
        set(&pc, "Retries", cm::Value::Dword(RETRIES));
        pc.start().await?;
        script(pc).await
    })
}

fn counted(timeouts: u64, retries: u64, late: u64) -> WatchdogStatistics {
    WatchdogStatistics {
        timeouts,
        retries,
        late,
    }
}

/// A device that says that it computes is waited for.
#[test]
fn a_slow_factorial_succeeds() {
    let run = started(1, async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().extra_latency = 2 * TIMEOUT + TIMEOUT / 2);
        assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
        assert_eq!(program.statistics().await?.compute_watchdog, counted(2, 0, 0));
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn a_slow_transfer_succeeds() {
    let run = started(1, async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().extra_dma_latency = 2 * TIMEOUT);
        let done = program.write(0, &[7; 100]).await?.wait(&pc.k).await?;
        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 100));
        assert_eq!(program.statistics().await?.transfer_watchdog, counted(2, 0, 0));
        program.close().await
    });
    let _ = run.clean();
}

/// An interrupt that is lost once costs a timeout, and nobody notices.
#[test]
fn a_lost_interrupt_is_retried() {
    for seed in 1..=20 {
        let run = started(seed, async |pc| {
            let program = Program::open(&pc).await?;
            pc.with_device(|device| {
                let faults = device.faults_mut();
                faults.lose_factorial_interrupts = 1;
                faults.lose_dma_interrupts = 1;
                faults.lose_raised_interrupts = 1;
            });
            let factorial = program.factorial(5).await?;
            let next = program.factorial(6).await?;
            let raise = program.raise(0x2).await?;
            let echo = program.echo(&[3; 5000]).await?;
            assert_eq!(factorial.wait().await?, NtStatus::SUCCESS);
            assert_eq!(next.wait().await?, NtStatus::SUCCESS);
            assert_eq!(raise.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            let echo = echo.wait(&pc.k).await?;
            assert_eq!((echo.status, echo.output), (NtStatus::SUCCESS, vec![3; 5000]));
            let counters = program.statistics().await?;
            assert_eq!(counters.compute_watchdog, counted(1, 1, 0));
            assert_eq!(counters.raise_watchdog, counted(1, 1, 0));
            assert_eq!(counters.transfer_watchdog, counted(1, 1, 0));
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Interrupts that are lost always end the request, not the queue.
#[test]
fn an_interrupt_that_is_lost_again_and_again_fails_the_request() {
    for seed in 1..=20 {
        let run = started(seed, async |pc| {
            let program = Program::open(&pc).await?;
            pc.with_device(|device| {
                let faults = device.faults_mut();
                faults.lose_factorial_interrupts = 1 + RETRIES;
                faults.lose_dma_interrupts = 1 + RETRIES;
                faults.lose_raised_interrupts = 1 + RETRIES;
            });
            let (factorial, next) = (program.factorial(5).await?, program.factorial(6).await?);
            let (raise, raise_next) = (program.raise(0x2).await?, program.raise(0x4).await?);
            let (write, read) = (program.write(0, &[3; 100]).await?, program.read(0, 100).await?);
            assert_eq!(factorial.wait().await?, NtStatus::IO_TIMEOUT);
            assert_eq!(next.wait().await?, NtStatus::SUCCESS);
            assert_eq!(raise.wait(&pc.k).await?.status, NtStatus::IO_TIMEOUT);
            assert_eq!(raise_next.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert_eq!(write.wait(&pc.k).await?.status, NtStatus::IO_TIMEOUT);
            assert_eq!(read.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            let counters = program.statistics().await?;
            let expected = counted(1 + u64::from(RETRIES), RETRIES.into(), 0);
            assert_eq!(counters.compute_watchdog, expected);
            assert_eq!(counters.raise_watchdog, expected);
            assert_eq!(counters.transfer_watchdog, expected);
            assert_eq!((counters.compute.failed, counters.compute.completed), (1, 1));
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A device that is stuck fails its request, and gets no other before it has finished. What it finishes then goes to nobody.
#[test]
fn a_stuck_device_is_quarantined() {
    for seed in 1..=20 {
        let run = started(seed, async |pc| {
            let program = Program::open(&pc).await?;
            pc.with_device(|device| {
                device.faults_mut().stuck = true;
                device.faults_mut().dma_stuck = true;
            });
            let (stuck, next) = (program.factorial(5).await?, program.factorial(6).await?);
            let (read, write) = (program.read(0, 100).await?, program.write(0, &[9; 200]).await?);
            assert_eq!(stuck.wait().await?, NtStatus::IO_TIMEOUT);
            assert_eq!(read.wait(&pc.k).await?.status, NtStatus::IO_TIMEOUT);
            pc.k.delay(5 * TIMEOUT).await?;
            assert_eq!((next.request.result(), write.result()), (None, None), "quarantined");
            pc.with_device(|device| {
                device.faults_mut().stuck = false;
                device.faults_mut().dma_stuck = false;
            });
            assert_eq!(next.wait().await?, NtStatus::SUCCESS);
            let write = write.wait(&pc.k).await?;
            assert_eq!((write.status, write.information), (NtStatus::SUCCESS, 200));
            let counters = program.statistics().await?;
            let expected = counted(1 + u64::from(RETRIES), 0, 1);
            assert_eq!(counters.compute_watchdog, expected);
            assert_eq!(counters.transfer_watchdog, expected);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// The interrupt of the stuck computation is lost as well: the watchdog looks at the device as long as that is quarantined.
#[test]
fn a_quarantine_ends_without_an_interrupt() {
    let run = started(1, async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().stuck = true);
        let (stuck, next) = (program.factorial(5).await?, program.factorial(6).await?);
        assert_eq!(stuck.wait().await?, NtStatus::IO_TIMEOUT);
        pc.with_device(|device| {
            device.faults_mut().lose_factorial_interrupts = 1;
            device.faults_mut().stuck = false;
        });
        assert_eq!(next.wait().await?, NtStatus::SUCCESS);
        program.close().await
    });
    let _ = run.clean();
}

/// An interrupt that comes after its request was given up does not finish the next one, whose answer is checked.
#[test]
fn a_late_interrupt_finishes_nobody_elses_request() {
    for seed in 1..=50 {
        let run = started(seed, async move |pc| {
            let program = Program::open(&pc).await?;
            // Between the times that the watchdog looks, and after the last.
            let delay = TIMEOUT * (seed % 5) + TIMEOUT / 2 + seed * MS;
            pc.with_device(|device| device.faults_mut().interrupt_delay = delay);
            let first = program.factorial(5).await?;
            let status = loop {
                if let Some(done) = first.request.result() {
                    break done.status;
                }
                pc.k.delay(MS).await?;
                pc.with_device(|device| device.faults_mut().interrupt_delay = 0);
            };
            let others = [program.factorial(6).await?, program.factorial(7).await?];
            assert!([NtStatus::SUCCESS, NtStatus::IO_TIMEOUT].contains(&status), "{status}");
            for other in &others {
                assert_eq!(other.wait().await?, NtStatus::SUCCESS);
            }
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A cancelled request does not free the engine; the watchdog does, if no interrupt comes.
#[test]
fn a_cancelled_request_whose_interrupt_is_lost_does_not_hold_up_the_queue() {
    let run = started(1, async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| {
            device.faults_mut().extra_latency = 10 * MS;
            device.faults_mut().lose_factorial_interrupts = 1;
        });
        let (cancelled, next) = (program.factorial(5).await?, program.factorial(6).await?);
        pc.k.delay(MS).await?;
        program.cancel(&cancelled).await?;
        assert_eq!(cancelled.wait().await?, NtStatus::CANCELLED);
        assert_eq!(next.wait().await?, NtStatus::SUCCESS);
        assert_eq!(program.statistics().await?.compute_watchdog, counted(1, 0, 0));
        program.close().await
    });
    let _ = run.clean();
}

/// A device that does not answer fails what it had, at the first look.
#[test]
fn a_device_that_is_gone_fails_its_requests() {
    for seed in 1..=20 {
        let run = started(seed, async |pc| {
            let program = Program::open(&pc).await?;
            pc.with_device(|device| {
                let faults = device.faults_mut();
                faults.stuck = true;
                faults.dma_stuck = true;
                faults.lose_raised_interrupts = 1;
            });
            let factorial = program.factorial(5).await?;
            let raise = program.raise(0x2).await?;
            let read = program.read(0, 100).await?;
            pc.with_device(|device| device.faults_mut().dead = true);
            assert_eq!(factorial.wait().await?, NtStatus::DEVICE_REMOVED);
            assert_eq!(raise.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
            assert_eq!(read.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A stop waits as long as the watchdog does, and no longer. What is queued comes when the device runs again, and what was lost is begun again then, and
/// not before.
#[test]
fn stopping_waits_for_the_watchdog() {
    for seed in 1..=10 {
        let run = started(seed, async |pc| {
            let program = Program::open(&pc).await?;
            pc.with_device(|device| {
                let faults = device.faults_mut();
                faults.stuck = true;
                faults.lose_dma_interrupts = 1;
            });
            let (stuck, next) = (program.factorial(5).await?, program.factorial(6).await?);
            let (lost, read) = (program.write(0, &[1; 100]).await?, program.read(0, 100).await?);
            let before = pc.k.now();
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            let waited = pc.k.now() - before;
            assert!(waited <= (2 + u64::from(RETRIES)) * TIMEOUT, "{waited} ns");
            assert_eq!(stuck.wait().await?, NtStatus::IO_TIMEOUT);
            pnp::stop_device(&pc.k, pc.pdo).await?;
            pc.k.delay(5 * TIMEOUT).await?;
            assert_eq!(next.request.result(), None, "held");
            assert_eq!((lost.result(), read.result()), (None, None), "held");
            pc.with_device(|device| device.faults_mut().stuck = false);
            pc.start().await?;
            assert_eq!(next.wait().await?, NtStatus::SUCCESS);
            assert_eq!(lost.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert_eq!(read.wait(&pc.k).await?.output[..], [1; 100]);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Parameters that are missing, of another type, or out of range.
#[test]
fn parameters_are_checked() {
    let timeout_of = |value: Option<cm::Value>, at_least: u64, at_most: u64| {
        let run = Run::of(&customdpc(), Setup::seed(1), async move |pc: Pc| {
            if let Some(value) = value {
                set(&pc, "TimeoutMs", value);
            }
            set(&pc, "Retries", cm::Value::Dword(0));
            pc.start().await?;
            let program = Program::open(&pc).await?;
            pc.with_device(|device| device.faults_mut().lose_factorial_interrupts = 1);
            let lost = program.factorial(5).await?;
            pc.k.delay(at_least * MS - MS / 2).await?;
            assert_eq!(lost.request.result(), None, "before its time is up");
            pc.k.delay((at_most - at_least) * MS + MS).await?;
            assert_eq!(lost.wait().await?, NtStatus::IO_TIMEOUT);
            program.close().await
        });
        let _ = run.clean();
    };
    timeout_of(None, 2_000, 2_000);
    timeout_of(Some(cm::Value::Dword(700)), 700, 700);
    timeout_of(Some(cm::Value::Dword(0)), 1, 1);
    timeout_of(Some(cm::Value::Dword(u32::MAX)), 3_600_000, 3_600_000);
    timeout_of(Some(cm::Value::Sz("700".to_owned())), 2_000, 2_000);
    timeout_of(Some(cm::Value::Qword(700)), 2_000, 2_000);
}

/// `MaxTransferSize` is what one DMA command moves at the most.
#[test]
fn transfers_are_cut_as_the_registry_says() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        set(&pc, "MaxTransferSize", cm::Value::Dword(1000));
        pc.start().await?;
        let program = Program::open(&pc).await?;
        let request = program.write(0, &[5; 2500]).await?;
        pc.k.delay(2 * PIECE - 50 * MS).await?;
        assert_eq!(request.result(), None, "two of three pieces");
        assert_eq!(request.wait(&pc.k).await?.information, 2500);
        let done = program.read(0, 2500).await?.wait(&pc.k).await?;
        assert_eq!(done.output, vec![5; 2500]);
        program.close().await
    });
    let _ = run.clean();
}

/// Found in review: with patience enough a stop, or a sleep, waited for hours, and the system has its own limits. It is not the request that fails then.
#[test]
fn no_stop_waits_as_long_as_a_watchdog_may() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        set(&pc, "TimeoutMs", cm::Value::Dword(3_600_000));
        set(&pc, "Retries", cm::Value::Dword(100));
        pc.start().await?;
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().stuck = true);
        let stuck = program.factorial(5).await?;
        let before = pc.k.now();
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        let took = pc.k.now() - before;
        assert!(took < 11_000 * MS, "{took} ns");
        pnp::stop_device(&pc.k, pc.pdo).await?;
        assert_eq!(stuck.request.result(), None, "it is held");
        pc.start().await?;
        pc.k.delay(MS).await?;
        assert_eq!(stuck.request.result(), None, "the device computes for nobody still");
        pc.with_device(|device| device.faults_mut().stuck = false);
        assert_eq!(stuck.wait().await?, NtStatus::SUCCESS, "computed anew");
        program.close().await
    });
    let _ = run.clean();
}

/// Found in review: a DMA command that was given up before its 100 ms were over interrupted after the stop, when nobody took that back any more; and a
/// start that found it running failed.
#[test]
fn a_stop_waits_for_what_dma_does_for_nobody() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        set(&pc, "TimeoutMs", cm::Value::Dword(1));
        set(&pc, "Retries", cm::Value::Dword(0));
        pc.start().await?;
        let program = Program::open(&pc).await?;
        let given_up = program.write(0, &[1; 10]).await?;
        assert_eq!(given_up.wait(&pc.k).await?.status, NtStatus::IO_TIMEOUT);
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        pc.k.delay(PIECE).await?;
        pc.start().await?;
        assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
        program.close().await
    });
    let _ = run.clean();
}

/// Found on an independent NT kernel: the driver's own look at a device that it has given up counted as an interrupt that was spurious.
#[test]
fn a_stuck_factorial_raises_no_interrupt() {
    let run = started(1, async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().stuck = true);
        assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::IO_TIMEOUT);
        let counters = program.statistics().await?;
        assert_eq!(
            (counters.factorial_interrupts_spurious, counters.compute.dpcs_run),
            (0, 0)
        );
        // The DPC that has ended the request looks at the device once more. If it found it finished, the interrupt for that would count as spurious.
        pc.k.delay(1_000_000).await?;
        pc.with_device(|device| device.faults_mut().stuck = false);
        assert_eq!(program.factorial(6).await?.wait().await?, NtStatus::SUCCESS);
        let counters = program.statistics().await?;
        assert_eq!(
            counters.factorial_interrupts_spurious, 0,
            "both have come, the first one late"
        );
        program.close().await
    });
    let _ = run.clean();
}
