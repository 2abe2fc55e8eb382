//! The system sleeps and wakes; the device does as it does, and loses nothing that it was asked for.

use edu::ioctl::{Liveness, Request as _};
use ntsim::{
    NtStatus, Outcome,
    bus::DevicePower,
    io::pnp::{self, DeviceState},
    po::{self, SystemState},
    sched::ThreadSpec,
    trace::{Counter, Event},
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::customdpc,
    program::{Computation, Program, assert_served_or_removed},
    seeds,
};

/// `IRP_MN_SET_POWER`.
const SET_POWER: u64 = 2;

/// How much power the device has.
fn power(pc: &Pc) -> DevicePower {
    pc.k.bus().borrow().function(pc.slot).power()
}

/// How often its registers have been touched.
fn accesses(pc: &Pc) -> u64 {
    let counters = &pc.k.recorded().counters;
    counters.get(Counter::RegisterReads) + counters.get(Counter::RegisterWrites)
}

async fn wait_for_d0(pc: &Pc) -> Outcome<()> {
    while power(pc) != DevicePower::D0 {
        pc.k.delay(100).await?;
    }
    Ok(())
}

#[test]
fn the_device_sleeps_with_the_system() {
    for state in [
        SystemState::S1,
        SystemState::S2,
        SystemState::S3,
        SystemState::Hibernate,
    ] {
        for seed in 1..=10 {
            let run = Run::started(Setup::seed(seed), async move |pc| {
                let program = Program::open(&pc).await?;
                assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
                assert!(po::sleep(&pc.k, state).await?.is_ok(), "nobody refuses");
                assert_ne!(power(&pc), DevicePower::D0);
                po::wake(&pc.k).await?;
                wait_for_d0(&pc).await?;
                assert_eq!(program.factorial(6).await?.wait().await?, NtStatus::SUCCESS);
                let raised = program.raise(0x2).await?;
                assert_eq!(raised.wait(&pc.k).await?.status, NtStatus::SUCCESS);
                program.close().await
            });
            let _ = run.clean();
        }
    }
}

/// What is in flight is finished first; what waits, and what comes meanwhile, is served afterwards. No register is touched in between.
#[test]
fn requests_wait_while_the_device_sleeps() {
    for seed in 1..=50 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let mut under_way = Vec::new();
            for n in 1..=5 {
                under_way.push(program.factorial(n).await?);
            }
            let doorbell = program.wait_interrupt(0x4).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let before = accesses(&pc);
            for n in 6..=8 {
                under_way.push(program.factorial(n).await?);
            }
            let raised = program.raise(0x4).await?;
            let liveness = program.send(Liveness::CODE.raw(), &7_u32.to_le_bytes(), 4).await?;
            pc.k.delay(1_000_000).await?;
            let waiting = under_way.iter().filter(|one| one.request.result().is_none()).count();
            assert!(waiting >= 3, "those that came after it fell asleep wait");
            assert_eq!((raised.result(), liveness.result()), (None, None), "and so do these");
            assert_eq!(accesses(&pc), before, "a register was touched without power");

            po::wake(&pc.k).await?;
            for computation in &under_way {
                assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
            }
            assert_eq!(raised.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert_eq!(liveness.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert_eq!(
                doorbell.wait(&pc.k).await?.status,
                NtStatus::SUCCESS,
                "waits since before"
            );
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A request that waits for the device to wake can be cancelled, and ends with its handle.
#[test]
fn requests_of_a_sleeping_device_can_be_cancelled() {
    for seed in 1..=20 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let [program, other] = [Program::open(&pc).await?, Program::open(&pc).await?];
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let cancelled = program.factorial(5).await?;
            let closed = other.factorial(6).await?;
            program.cancel(&cancelled).await?;
            assert_eq!(cancelled.wait().await?, NtStatus::CANCELLED);
            other.close().await?;
            assert_eq!(closed.wait().await?, NtStatus::CANCELLED);
            po::wake(&pc.k).await?;
            assert_eq!(program.factorial(7).await?.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A device that is taken out while it sleeps ends what waits for it.
#[test]
fn surprise_removal_while_the_device_sleeps() {
    for seed in 1..=50 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let held = program.factorial(5).await?;
            po::wake(&pc.k).await?;
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            assert_served_or_removed(held.wait().await?);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A device that does not answer when it has its power back has failed. It is removed, and nothing is left waiting for it.
#[test]
fn a_device_that_does_not_wake_is_removed() {
    for seed in 1..=20 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let held = program.factorial(5).await?;
            pc.with_device(|device| device.faults_mut().dead = true);
            po::wake(&pc.k).await?;
            assert_eq!(held.wait().await?, NtStatus::DEVICE_REMOVED);
            assert_eq!(pnp::state(&pc.k, pc.pdo), Some(DeviceState::SurpriseRemoved));
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Nobody asks, and nobody needs to: the device could always have slept.
#[test]
fn the_system_shuts_down_and_sleeps_without_asking() {
    for seed in 1..=10 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let computation = program.factorial(5).await?;
            po::sleep_at_once(&pc.k, SystemState::Hibernate).await?;
            po::wake(&pc.k).await?;
            assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Programs do not care: whatever they ask for is answered, however often the system sleeps meanwhile.
#[test]
fn a_program_works_through_many_sleeps() {
    for seed in 1..=30 {
        let run = Run::started(Setup::seed(seed), async move |pc| {
            let user = pc.clone();
            let program = pc.k.spawn(ThreadSpec::user("program"), async move |_| {
                let program = Program::open(&user).await?;
                for round in 0..6 {
                    let computations = [program.factorial(round).await?, program.factorial(round + 1).await?];
                    let raised = program.raise(0x2).await?;
                    for computation in &computations {
                        assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
                    }
                    assert_eq!(raised.wait(&user.k).await?.status, NtStatus::SUCCESS);
                }
                program.close().await
            });
            for turn in 0..4 {
                pc.k.delay(seed * 37 % 900 * turn).await?;
                assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
                po::wake(&pc.k).await?;
            }
            pc.k.join(program).await
        });
        let _ = run.clean();
    }
}

/// The two state machines meet: the device is stopped, the system sleeps and wakes, and only then it is started. It is in D0 by that.
#[test]
fn the_system_sleeps_while_the_device_is_stopped() {
    for seed in 1..=20 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let early = program.factorial(5).await?;
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;
            let late = program.factorial(6).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            po::wake(&pc.k).await?;
            assert_eq!(late.request.result(), None, "the device is stopped still");
            pc.start().await?;
            assert_eq!(early.wait().await?, NtStatus::SUCCESS);
            assert_eq!(late.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A driver above or below may send one to D3 and back that is stopped: its function driver has no hardware then, and reports its power all the same.
#[test]
fn the_power_of_a_stopped_device_is_reported() {
    for seed in seeds::up_to(20) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;
            for to in [DevicePower::D3, DevicePower::D0] {
                send_to(&pc, to).await?;
                assert_eq!(power(&pc), to);
            }
            pc.start().await?;
            assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// `PoRequestPowerIrp` for a state of the device; the time that the drivers take for it goes by.
async fn send_to(pc: &Pc, to: DevicePower) -> Outcome<()> {
    let request = pc.k.routine_address("PoRequestPowerIrp");
    let arguments = [pc.pdo.get(), SET_POWER, u64::from(to.value()), 0, 0, 0];
    assert_eq!(pc.k.call(request, &arguments).await?, u64::from(NtStatus::PENDING.0));
    pc.k.delay(10_000_000).await
}

/// A driver may say again what state a device is to be in ("Sending `IRP_MN_QUERY_POWER` or `IRP_MN_SET_POWER` for Device Power States"): nothing is saved
/// or restored then, and what the device is at goes on.
#[test]
fn a_device_that_is_in_a_state_is_sent_there_again() {
    for seed in seeds::up_to(20) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            pc.with_device(|device| device.faults_mut().extra_latency = 100_000_000);
            let in_flight = program.factorial(5).await?;
            let before = accesses(&pc);
            send_to(&pc, DevicePower::D0).await?;
            assert_eq!(accesses(&pc), before, "it is in D0");
            assert_eq!(in_flight.request.result(), None, "it is not waited for");
            pc.with_device(|device| device.faults_mut().extra_latency = 0);
            assert_eq!(in_flight.wait().await?, NtStatus::SUCCESS);
            send_to(&pc, DevicePower::D3).await?;
            let held = program.factorial(6).await?;
            let before = accesses(&pc);
            send_to(&pc, DevicePower::D3).await?;
            assert_eq!(accesses(&pc), before, "it is asleep");
            send_to(&pc, DevicePower::D0).await?;
            assert_eq!(held.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A stop is pending when the system falls asleep: requests are held for two reasons, and go on when both are gone.
#[test]
fn requests_are_held_as_long_as_there_is_one_reason() {
    for seed in 1..=20 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            let held = program.factorial(6).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            po::wake(&pc.k).await?;
            wait_for_d0(&pc).await?;
            pc.k.delay(1_000_000).await?;
            assert_eq!(held.request.result(), None, "a stop is pending still");
            pnp::cancel_stop_device(&pc.k, pc.pdo).await?;
            assert_eq!(held.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A device that never finishes does not keep the system awake.
#[test]
fn a_stuck_device_is_put_to_sleep() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().stuck = true);
        let stuck = program.factorial(5).await?;
        assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
        assert_eq!(stuck.wait().await?, NtStatus::IO_TIMEOUT);
        pc.with_device(|device| device.faults_mut().stuck = false);
        po::wake(&pc.k).await?;
        assert_eq!(
            program.factorial(6).await?.wait().await?,
            NtStatus::SUCCESS,
            "it has forgotten"
        );
        program.close().await
    });
    let _ = run.clean();
}

/// The device is taken out at any moment of a sleep, the way down and the way up included.
#[test]
fn a_device_is_pulled_out_around_a_sleep() {
    for seed in 1..=60 {
        let run = Run::started(Setup::seed(seed), async move |pc| {
            let program = Program::open(&pc).await?;
            let mut under_way = Vec::new();
            for n in 1..=3 {
                under_way.push(program.factorial(n).await?);
            }
            let other = pc.clone();
            let thief = pc.k.spawn(ThreadSpec::system("thief"), async move |k| {
                k.delay(seed * 61 % 2_000).await?;
                pnp::surprise_remove(&k, other.pdo).await
            });
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            po::wake(&pc.k).await?;
            pc.k.join(thief).await?;
            for computation in &under_way {
                assert_served_or_removed(computation.wait().await?);
            }
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Of a device that was not started the driver knows nothing: the bus driver has its requests.
#[test]
fn the_system_sleeps_before_the_device_is_started() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
        po::wake(&pc.k).await?;
        pc.start().await?;
        let program = Program::open(&pc).await?;
        assert_eq!(program.factorial(6).await?.wait().await?, NtStatus::SUCCESS);
        program.close().await
    });
    let _ = run.clean();
}

/// "Handling a System Set-Power IRP in a Device Power Policy Owner": the system is back before its devices are, and what programs ask for
/// meanwhile waits for the device.
#[test]
fn the_system_does_not_wait_for_the_device_to_wake() {
    let mut earlier = 0;
    for seed in 1..=50 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let asleep = program.factorial(5).await?;
            po::wake(&pc.k).await?;
            if power(&pc) != DevicePower::D0 {
                pc.k.trace(Event::Note(EARLIER.to_owned()));
            }
            let meanwhile = program.factorial(6).await?;
            let raised = program.raise(0x2).await?;
            assert_eq!(asleep.wait().await?, NtStatus::SUCCESS);
            assert_eq!(meanwhile.wait().await?, NtStatus::SUCCESS);
            assert_eq!(raised.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            program.close().await
        });
        let trace = run.clean();
        let is_earlier = |event: &Event| matches!(event, Event::Note(note) if note == EARLIER);
        earlier += usize::from(trace.records().iter().any(|record| is_earlier(&record.event)));
    }
    assert!(earlier > 0, "the system waits for the device");
}

/// What a run says in which the system was back first.
const EARLIER: &str = "the system is back before the device";

/// What is done to a device that the system has told to wake, and that may be on its way still.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Stopped,
    AskedToStop,
    Removed,
    PulledOut,
    TakenForGone,
    SentToSleep,
}

#[test]
fn a_device_that_wakes_up_can_be_stopped_and_removed() {
    use Meanwhile::{AskedToStop, PulledOut, Removed, SentToSleep, Stopped, TakenForGone};
    for meanwhile in [Stopped, AskedToStop, Removed, PulledOut, TakenForGone, SentToSleep] {
        for seed in seeds::up_to(40) {
            let run = Run::started(Setup::seed(seed), async move |pc| {
                let program = Program::open(&pc).await?;
                assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
                let held = program.factorial(5).await?;
                po::wake(&pc.k).await?;
                pc.k.delay(seed * 97 % 3_000).await?;
                let late = program.factorial(6).await?;
                wakes(&pc, meanwhile, &program, [held, late]).await
            });
            println!("{meanwhile:?}, seed {seed}");
            let _ = run.clean();
        }
    }
}

/// Does it, and sees what becomes of the program's requests.
async fn wakes(pc: &Pc, meanwhile: Meanwhile, program: &Program, requests: [Computation; 2]) -> Outcome<()> {
    let served = match meanwhile {
        Meanwhile::Stopped => {
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;
            pc.start().await?;
            true
        }
        Meanwhile::AskedToStop => {
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::cancel_stop_device(&pc.k, pc.pdo).await?;
            true
        }
        Meanwhile::SentToSleep => {
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            po::wake(&pc.k).await?;
            true
        }
        Meanwhile::PulledOut => {
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            false
        }
        Meanwhile::TakenForGone => {
            pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
            false
        }
        Meanwhile::Removed => {
            program.clone().close().await?;
            let status = [NtStatus::SUCCESS, NtStatus::CANCELLED];
            for request in &requests {
                assert!(status.contains(&request.wait().await?), "its handle was closed");
            }
            // The file object goes when its last request has.
            while pnp::remove_device(&pc.k, pc.pdo).await? != pnp::Removal::Done {
                pc.k.delay(100).await?;
            }
            return Ok(());
        }
    };
    for request in &requests {
        let status = request.wait().await?;
        if served {
            assert_eq!(status, NtStatus::SUCCESS);
        } else {
            assert_served_or_removed(status);
        }
    }
    program.clone().close().await
}

/// No driver can fail a system set-power request, whatever fails on the way: here each of the last calls, which include `PoRequestPowerIrp`.
#[test]
fn the_system_gets_its_way_without_memory_for_the_device() {
    let mut failed = 0;
    let night = |seed, call| {
        let mut setup = Setup::seed(seed);
        setup.config.failing_call = call;
        Run::started(setup, async |pc| {
            let program = Program::open(&pc).await?;
            po::sleep_at_once(&pc.k, SystemState::S3).await?;
            po::wake(&pc.k).await?;
            pc.k.delay(1_000_000).await?;
            let after = program.factorial(6).await?;
            assert_served_or_removed(after.wait().await?);
            program.close().await
        })
    };
    for seed in seeds::up_to(4) {
        let undisturbed = night(seed, None);
        let _ = undisturbed.clean();
        let calls = undisturbed.count(Counter::FallibleCalls);
        for call in calls - 8..calls {
            let run = night(seed, Some(call));
            let trace = run.clean();
            let mut statuses = trace.records().iter().filter_map(|record| match record.event {
                Event::IrpCompleted {
                    what: "IRP_MJ_POWER",
                    status,
                    ..
                } => Some(status),
                _ => None,
            });
            assert!(
                statuses.all(|status| status == NtStatus::SUCCESS),
                "a power request fails"
            );
            let note = format!("PoRequestPowerIrp fails, as this run was told: fallible call {call}");
            failed += usize::from(trace.records().iter().any(|record| record.event.to_string() == note));
        }
    }
    assert!(failed > 0, "no run had the request fail");
}

/// The driver is unloaded as soon as the power manager lets the PnP manager go on: what it has been called back for has returned.
#[test]
fn a_device_goes_when_the_system_has_just_woken_up() {
    for processors in [1, 2] {
        for seed in seeds::up_to(50) {
            let mut setup = Setup::seed(seed);
            setup.config.processors = processors;
            let run = Run::started(setup, async |pc| {
                assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
                po::wake(&pc.k).await
            });
            let _ = run.clean();
        }
    }
}
