//! Timers, driven by host flows.

use std::{cell::RefCell, rc::Rc};

use super::*;
use crate::{
    ke::wait::{Timeout, for_single_object},
    machine::{Machine, testing::Program},
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
    trace::Counter,
};

const MICROSECOND: VirtualTime = 1000;

/// Where the timer is.
fn timer() -> Va {
    Program::data()
}

/// Where the timer's DPC is.
fn dpc_object() -> Va {
    Program::data() + 0x40_u64
}

/// Runs `script` with an initialized timer and DPC, whose routine does nothing.
fn with_timer<F>(kind: TimerType, seed: u64, script: impl FnOnce(Kernel) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = Program::default().function(|_| {}).machine(seed);
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        initialize(&k, timer(), kind)?;
        dpc::initialize(&k, dpc_object(), Program::address(0), Va::NULL)?;
        script(k).await
    });
    let _: RunEnd = machine.run();
    machine
}

fn once(due: VirtualTime) -> Setting {
    Setting {
        due,
        period: 0,
        dpc: dpc_object(),
    }
}

fn assert_clean(machine: &Machine) {
    let report = machine.crash_report(None);
    assert!(machine.kernel().crash().is_none(), "{}", report.unwrap());
}

fn dpcs_run(machine: &Machine) -> u64 {
    machine.kernel().recorded().counters.get(Counter::DpcsRun)
}

/// The code, its first parameter and the rule that a run ended with.
fn crash_of(machine: &Machine) -> (Code, u64, &'static str) {
    let crash = machine.kernel().crash().expect("a rule is broken");
    (crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

#[test]
fn a_timer_expires_once_at_its_time() {
    let machine = with_timer(TimerType::Notification, 1, |k| async move {
        let due = k.now() + 50 * MICROSECOND;
        assert!(!set(&k, timer(), once(due))?);
        assert!(!is_signalled(&k, timer())?);
        let status = for_single_object(&k, timer(), Timeout::Never).await?;
        assert_eq!(status, NtStatus::SUCCESS);
        assert!(k.now() >= due);
        assert!(is_signalled(&k, timer())?, "until it is set again");
        assert!(!cancel(&k, timer())?, "it is not in the queue any more");
        dpc::flush(&k).await?;
        k.delay(500 * MICROSECOND).await
    });
    assert_clean(&machine);
    assert_eq!(dpcs_run(&machine), 1);
}

#[test]
fn a_cancelled_timer_does_not_expire() {
    let machine = with_timer(TimerType::Notification, 1, |k| async move {
        set(&k, timer(), once(k.now() + 50 * MICROSECOND))?;
        assert!(cancel(&k, timer())?);
        assert!(!cancel(&k, timer())?);
        k.delay(100 * MICROSECOND).await?;
        assert!(!is_signalled(&k, timer())?);
        Ok(())
    });
    assert_clean(&machine);
    assert_eq!(dpcs_run(&machine), 0);
}

#[test]
fn a_timer_that_is_set_again_forgets_the_earlier_time() {
    let machine = with_timer(TimerType::Notification, 1, |k| async move {
        let start = k.now();
        set(&k, timer(), once(start + 50 * MICROSECOND))?;
        assert!(set(&k, timer(), once(start + 200 * MICROSECOND))?);
        let timeout = Timeout::Until(start + 100 * MICROSECOND);
        assert_eq!(for_single_object(&k, timer(), timeout).await?, NtStatus::TIMEOUT);
        for_single_object(&k, timer(), Timeout::Never).await?;
        assert!(k.now() >= start + 200 * MICROSECOND);
        dpc::flush(&k).await
    });
    assert_clean(&machine);
    assert_eq!(dpcs_run(&machine), 1);
}

#[test]
fn a_periodic_timer_expires_until_it_is_cancelled() {
    let machine = with_timer(TimerType::Synchronization, 1, |k| async move {
        let start = k.now();
        let setting = Setting {
            due: start + 500 * MICROSECOND,
            period: 2,
            dpc: dpc_object(),
        };
        set(&k, timer(), setting)?;
        for expected in [500, 2500, 4500] {
            for_single_object(&k, timer(), Timeout::Never).await?;
            assert!(!is_signalled(&k, timer())?, "it resets itself");
            let late = k.now() - (start + expected * MICROSECOND);
            assert!(late < 100 * MICROSECOND, "{late} ns late");
        }
        assert!(cancel(&k, timer())?, "it stays in the queue");
        dpc::flush(&k).await?;
        k.delay(5000 * MICROSECOND).await
    });
    assert_clean(&machine);
    assert_eq!(dpcs_run(&machine), 3);
}

#[test]
fn due_times_are_relative_when_negative() {
    let program = Program::default().import(&["KeSetTimer"]).function(|f| {
        f.arguments(&[timer().get(), (-1000_i64).cast_unsigned(), 0]);
        f.call("KeSetTimer");
    });
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        initialize(&k, timer(), TimerType::Notification)?;
        let start = k.now();
        k.call(Program::address(0), &[]).await?;
        for_single_object(&k, timer(), Timeout::Never).await?;
        let passed = k.now() - start;
        assert!((100 * MICROSECOND..110 * MICROSECOND).contains(&passed), "{passed} ns");
        Ok(())
    });
    assert_eq!(machine.run(), RunEnd::Idle);
}

/// The clock interrupt is handled by some processor: the DPC runs on each of them in some seed.
#[test]
fn the_dpc_runs_on_any_processor() {
    let seen = Rc::new(RefCell::new([0; 2]));
    for seed in 0..20 {
        let machine = with_timer(TimerType::Notification, seed, |k| async move {
            set(&k, timer(), once(k.now() + MICROSECOND))?;
            k.delay(100 * MICROSECOND).await
        });
        assert_clean(&machine);
        let trace = machine.kernel().recorded();
        let mut records = trace.records().iter();
        let ran = records.find(|record| matches!(record.event, Event::DpcStarted { .. }));
        let processor = ran.and_then(|record| record.processor).expect("the DPC ran");
        seen.borrow_mut()[processor] += 1;
    }
    assert!(seen.borrow().iter().all(|&count| count > 0), "{:?}", seen.borrow());
}

#[test]
fn a_timer_nobody_waits_for_does_not_keep_the_machine_running() {
    let machine = with_timer(TimerType::Notification, 1, |k| async move {
        let setting = Setting {
            due: k.now() + MICROSECOND,
            period: 1,
            dpc: Va::NULL,
        };
        set(&k, timer(), setting).map(|_| ())
    });
    assert_clean(&machine);
    assert_eq!(machine.run(), RunEnd::Idle);
}

#[test]
fn memory_that_a_set_timer_needs_must_not_be_freed() {
    let parts = [
        (timer(), 0, "set-timer-freed"),
        (dpc_object(), 1, "timer-dpc-freed"),
        (Program::address(0), 2, "timer-routine-freed"),
    ];
    for (part, kind, rule) in parts {
        let machine = with_timer(TimerType::Notification, 1, move |k| async move {
            crate::ex::pool::check_idle(&k, part, 8)?;
            set(&k, timer(), once(k.now() + MICROSECOND))?;
            crate::ex::pool::check_idle(&k, part, 8)
        });
        assert_eq!(crash_of(&machine), (Code::TIMER_OR_DPC_INVALID, kind, rule));
    }
}

#[test]
fn a_driver_cancels_its_timers_before_it_is_unloaded() {
    let machine = with_timer(TimerType::Notification, 1, |k| async move {
        set(&k, timer(), once(k.now() + MICROSECOND))?;
        crate::mm::driver_image::unload(&k, k.driver_image(), "test")
    });
    assert_eq!(crash_of(&machine).2, "set-timer-freed");
}

#[test]
fn a_timer_is_initialized_before_it_is_set_and_not_after() {
    let machine = with_timer(TimerType::Notification, 1, |k| async move {
        set(&k, dpc_object(), once(k.now())).map(|_| ())
    });
    assert_eq!(crash_of(&machine).2, "timer-not-initialized");
    let machine = with_timer(TimerType::Notification, 1, |k| async move {
        set(&k, timer(), once(k.now() + MICROSECOND))?;
        initialize(&k, timer(), TimerType::Notification)
    });
    assert_eq!(crash_of(&machine).0, Code::TIMER_OR_DPC_INVALID);
}

#[test]
fn timers_expire_in_the_order_of_their_times_and_settings() {
    let machine = with_timer(TimerType::Notification, 1, |k| async move {
        let start = k.now();
        let others = [0x80_u64, 0xC0].map(|offset| timer() + offset);
        for other in others {
            initialize(&k, other, TimerType::Notification)?;
        }
        let (dpc, period) = (Va::NULL, 0);
        for (timer, after) in [(others[1], 20), (timer(), 20), (others[0], 10)] {
            let due = start + after * MICROSECOND;
            set(&k, timer, Setting { due, period, dpc })?;
        }
        // Both times pass in one step.
        k.watch().clock.set(start + 30 * MICROSECOND);
        k.delay(MICROSECOND).await?;
        let expired: Vec<Va> = {
            let trace = k.recorded();
            let records = trace.records().iter();
            let expired = records.filter_map(|record| match record.event {
                Event::TimerExpired { timer } => Some(timer),
                _ => None,
            });
            expired.collect()
        };
        assert_eq!(expired, [others[0], others[1], timer()]);
        Ok(())
    });
    assert_clean(&machine);
}

/// What is written before a timer is set is there for its DPC, on whichever processor that runs.
#[test]
fn the_dpc_sees_what_was_written_before_the_timer_was_set() {
    use iced_x86::code_asm::{dword_ptr, rax};

    let record = Program::data().get() + 0x80;
    for seed in 0..20 {
        let program = Program::default().function(move |f| {
            f.load(rax, record);
            f.asm.inc(dword_ptr(rax)).unwrap();
        });
        let machine = program.machine(seed);
        machine.spawn(ThreadSpec::system("test"), move |k| async move {
            let touch = Program::address(0);
            initialize(&k, timer(), TimerType::Notification)?;
            dpc::initialize(&k, dpc_object(), touch, Va::NULL)?;
            k.call(touch, &[]).await?;
            set(&k, timer(), once(k.now() + MICROSECOND))?;
            k.delay(100 * MICROSECOND).await
        });
        assert_eq!(machine.run(), RunEnd::Idle);
        assert_clean(&machine);
        let value: u32 = machine.kernel().read(Va(record)).unwrap();
        assert_eq!(value, 2);
    }
}
