//! The device does not answer any more, and nobody has told the driver. What its memory reads as depends on the machine: ones, zeroes, or
//! anything.

use edu::ioctl::{Liveness, Request as _};
use ntsim::{
    NtStatus, Outcome,
    bus::Absent,
    io::pnp,
    po::{self, SystemState},
    trace::Counter,
    user::Request,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    program::Program,
    seeds,
};

/// What it reads as.
const ABSENT: [Absent; 3] = [Absent::Ones, Absent::Zeroes, Absent::Garbage];

/// The watchdogs' time.
const TIMEOUT: u64 = 2_000_000_000;

/// What else the driver does, beside waiting.
const SOME: u64 = 100_000_000;

fn each(seeds: u64, script: impl AsyncFn(Pc) -> Outcome<()> + Copy + 'static) {
    for absent in ABSENT {
        for seed in seeds::up_to(seeds) {
            let mut setup = Setup::seed(seed);
            setup.config.bus.absent = absent;
            let run = Run::started(setup, async move |pc: Pc| script(pc).await);
            println!("{absent:?}, seed {seed}");
            let _ = run.clean();
        }
    }
}

/// Pulls the device out. The system does not notice.
fn unplug(pc: &Pc) {
    pc.k.bus().borrow_mut().function_mut(pc.slot).unplug();
}

/// Waits until the system, which the driver has told, has taken the device out.
async fn taken_out(pc: &Pc) -> Outcome<()> {
    while !pc.interfaces().is_empty() {
        pc.k.delay(1_000_000).await?;
    }
    Ok(())
}

async fn liveness(program: &Program, value: u32) -> Outcome<(NtStatus, Vec<u8>)> {
    let done = program.call(Liveness::CODE.raw(), &value.to_le_bytes(), 4).await?;
    Ok((done.status, done.output))
}

/// Found on an independent NT kernel in QEMU: one whose memory reads as zeroes was asked again and again for 8 seconds, as one whose interrupts are lost.
#[test]
fn a_request_in_flight_ends_with_the_first_timeout() {
    each(3, async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().extra_latency = 1_000_000);
        let requests = [
            program.factorial(5).await?.request,
            program.read(0, 100).await?,
            program.raise(0x2).await?,
        ];
        unplug(&pc);
        let before = pc.k.now();
        for request in &requests[..2] {
            assert_eq!(request.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
        }
        let took = pc.k.now() - before;
        assert!(took <= TIMEOUT + SOME, "{took} ns");
        // It may have been raised just before.
        let status = requests[2].wait(&pc.k).await?.status;
        assert!([NtStatus::SUCCESS, NtStatus::DEVICE_REMOVED].contains(&status));
        taken_out(&pc).await?;
        program.close().await
    });
}

#[test]
fn a_request_that_comes_later_ends_with_the_first_timeout() {
    each(3, async |pc| {
        let program = Program::open(&pc).await?;
        unplug(&pc);
        let before = pc.k.now();
        let requests = [
            program.factorial(40).await?.request,
            program.write(0, &[7; 100]).await?,
            program.raise(0x2).await?,
        ];
        for request in &requests {
            assert_eq!(request.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
        }
        let took = pc.k.now() - before;
        assert!(took <= TIMEOUT + SOME, "{took} ns");
        taken_out(&pc).await?;
        program.close().await
    });
}

/// How often registers have been touched.
fn accesses(pc: &Pc) -> u64 {
    let counters = &pc.k.recorded().counters;
    counters.get(Counter::RegisterReads) + counters.get(Counter::RegisterWrites)
}

async fn send(program: &Program, which: u32) -> Outcome<Request> {
    match which {
        0 => Ok(program.factorial(40).await?.request),
        1 => program.write(0, &[7; 100]).await,
        _ => program.raise(0x2).await,
    }
}

/// Each request costs what telling the device costs, and one look when the time is up: nothing is tried again. When the system knows, a request ends at
/// once, and touches nothing.
#[test]
fn requests_to_an_absent_device_touch_few_registers() {
    for (which, most) in [(0, 8), (1, 12), (2, 5)] {
        each(3, async move |pc| {
            let program = Program::open(&pc).await?;
            unplug(&pc);
            let before = accesses(&pc);
            let request = send(&program, which).await?;
            assert_eq!(request.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
            let touched = accesses(&pc) - before;
            assert!(touched <= most, "request {which} touched {touched} registers");
            taken_out(&pc).await?;
            // What the driver does because of that is over then.
            pc.k.delay(TIMEOUT).await?;
            let (before, at) = (accesses(&pc), pc.k.now());
            for which in 0..3 {
                let request = send(&program, which).await?;
                assert_eq!(request.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
            }
            assert_eq!(accesses(&pc), before, "nothing is touched");
            let took = pc.k.now() - at;
            assert!(took <= SOME / 1000, "{took} ns");
            program.close().await
        });
    }
}

/// Found on an independent NT kernel in QEMU: 0 was answered, with success.
#[test]
fn a_liveness_check_fails() {
    each(1, async |pc| {
        let program = Program::open(&pc).await?;
        let values = [0, 7, u32::MAX];
        for value in values {
            let expected = (NtStatus::SUCCESS, (!value).to_le_bytes().to_vec());
            assert_eq!(liveness(&program, value).await?, expected, "the device is there");
        }
        unplug(&pc);
        for value in values {
            assert_eq!(liveness(&program, value).await?, (NtStatus::DEVICE_REMOVED, vec![]));
        }
        program.close().await
    });
}

/// The device goes between any two accesses. From 34! on the right answer is 0.
#[test]
fn no_request_succeeds_with_what_an_absent_device_reads() {
    for n in [5, 40] {
        each(20, async move |pc| {
            let program = Program::open(&pc).await?;
            let computation = program.factorial(n).await?;
            pc.k.delay(1_500 * pc.k.config().seed).await?;
            unplug(&pc);
            // Its answer is checked, if there is one.
            let status = computation.wait().await?;
            if status != NtStatus::SUCCESS {
                assert_eq!(status, NtStatus::DEVICE_REMOVED);
                taken_out(&pc).await?;
            }
            program.close().await
        });
    }
}

/// It was busy for nobody when it went: the system is told, and who waits for it does not wait for ever.
#[test]
fn a_quarantined_device_goes() {
    each(3, async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().stuck = true);
        let stuck = program.factorial(5).await?;
        assert_eq!(stuck.wait().await?, NtStatus::IO_TIMEOUT);
        let waits = program.factorial(6).await?;
        unplug(&pc);
        assert_eq!(waits.wait().await?, NtStatus::DEVICE_REMOVED);
        taken_out(&pc).await?;
        program.close().await
    });
}

/// It goes while the system sleeps, or the device is stopped.
#[test]
fn a_device_that_does_not_come_back_is_not_used() {
    each(3, async |pc| {
        let program = Program::open(&pc).await?;
        assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
        let held = program.factorial(5).await?;
        unplug(&pc);
        po::wake(&pc.k).await?;
        assert_eq!(held.wait().await?, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
    each(3, async |pc| {
        let program = Program::open(&pc).await?;
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        let held = program.factorial(5).await?;
        unplug(&pc);
        assert!(!pnp::start_device(&pc.k, pc.pdo).await?.is_success());
        assert_eq!(held.wait().await?, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
}

/// Surprise removal touches a device that does not answer only to find that out.
#[test]
fn surprise_removal_touches_no_register_of_an_absent_device() {
    each(1, async |pc| {
        let count = |counter| pc.k.recorded().counters.get(counter);
        let before = (count(Counter::RegisterReads), count(Counter::RegisterWrites));
        pnp::surprise_remove(&pc.k, pc.pdo).await?;
        let after = (count(Counter::RegisterReads), count(Counter::RegisterWrites));
        assert_eq!(after, (before.0 + 1, before.1), "the identification is read");
        Ok(())
    });
}

/// Another device interrupts on the line that this one shared. To claim that for a device that is gone would be to claim it for ever: the line stays
/// as it is, and nobody else is asked.
#[test]
fn an_absent_device_claims_no_interrupt() {
    for absent in ABSENT {
        for seed in seeds::up_to(3) {
            let mut setup = Setup::by_line(seed);
            setup.config.bus.absent = absent;
            setup.neighbour = true;
            let run = Run::started(setup, async move |pc: Pc| {
                let program = Program::open(&pc).await?;
                unplug(&pc);
                pc.connect_neighbour()?;
                for _ in 0..20 {
                    pc.raise_neighbour();
                    pc.k.delay(100_000).await?;
                }
                let counted = program.statistics().await?;
                assert_eq!(counted.interrupts_claimed, 0, "{absent:?}");
                program.close().await
            });
            println!("{absent:?}, seed {seed}");
            let _ = run.clean();
        }
    }
}
