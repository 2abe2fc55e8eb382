//! What takes too long, and what does not.

use iced_x86::code_asm::{dword_ptr, rax, rcx};

use super::{PERIOD_TICKS, ROUTINE_TICKS};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code},
    ke::{Irql, dpc, fast_mutex},
    machine::{
        Machine,
        testing::{Function, Program},
    },
    mm::Va,
    sched::{RunEnd, ThreadSpec},
    trace::Counter,
};

/// Has a driver's only function run as a DPC, or in a thread at `irql`.
fn run(imports: &[&'static str], at: Option<Irql>, body: impl Fn(&mut Function<'_>) + 'static) -> Machine {
    let program = Program::default().import(imports).function(body);
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        if let Some(irql) = at {
            let old = k.raise_irql(irql);
            k.call(Program::address(0), &[]).await?;
            k.lower_irql(old);
            return Ok(());
        }
        let object = k.allocate_system(ntlayout::kdpc::SIZE, "KDPC")?;
        dpc::initialize(&k, object, Program::address(0), Va::NULL)?;
        dpc::insert(&k, object, 0, 0)?;
        dpc::flush(&k).await
    });
    let _ = machine.run();
    machine
}

fn bugcheck(machine: &Machine) -> Option<BugCheck> {
    machine.kernel().crash().map(|crash| crash.bugcheck.clone())
}

/// Stalls so often for so many microseconds.
fn stall(f: &mut Function<'_>, times: u32, microseconds: u64) {
    let mut again = f.asm.create_label();
    f.load(rax, Program::data().get());
    f.asm.mov(dword_ptr(rax), times.cast_signed()).unwrap();
    f.asm.set_label(&mut again).unwrap();
    f.load(rcx, microseconds);
    f.call("KeStallExecutionProcessor");
    f.load(rax, Program::data().get());
    f.asm.dec(dword_ptr(rax)).unwrap();
    f.asm.jnz(again).unwrap();
}

#[test]
fn a_dpc_may_take_less_than_its_allotment_and_no_more() {
    let half = run(&["KeStallExecutionProcessor"], None, |f| stall(f, 400, 1000));
    assert_eq!(bugcheck(&half), None);
    let found = bugcheck(&run(&["KeStallExecutionProcessor"], None, |f| stall(f, 600, 1000))).expect("it is too long");
    assert_eq!(found.code, Code::DPC_WATCHDOG_VIOLATION);
    assert_eq!(found.parameters[..3], [0, ROUTINE_TICKS + 1, ROUTINE_TICKS]);
}

#[test]
fn a_thread_may_be_at_dispatch_level_for_the_watchdog_period() {
    let stalls = |times, at| run(&["KeStallExecutionProcessor"], Some(at), move |f| stall(f, times, 1000));
    assert_eq!(bugcheck(&stalls(1000, Irql::DISPATCH)), None, "it is no DPC");
    let found = bugcheck(&stalls(8000, Irql::DISPATCH)).expect("it is too long");
    assert_eq!(found.code, Code::DPC_WATCHDOG_VIOLATION);
    assert_eq!(found.parameters[..2], [1, PERIOD_TICKS]);
    assert_eq!(
        bugcheck(&stalls(8000, Irql::PASSIVE)),
        None,
        "below DISPATCH_LEVEL there is no limit"
    );
}

#[test]
fn a_dpc_without_an_end_is_found_in_few_instructions() {
    let machine = run(&[], None, |f| {
        let mut again = f.asm.create_label();
        f.asm.set_label(&mut again).unwrap();
        f.asm.jmp(again).unwrap();
    });
    let found = bugcheck(&machine).expect("it never ends");
    assert_eq!((found.code, found.parameters[0]), (Code::DPC_WATCHDOG_VIOLATION, 0));
    let counters = &machine.kernel().recorded().counters;
    assert!(counters.get(Counter::Instructions) < 15_000_000);
}

#[test]
fn a_driver_can_ask_what_is_left_of_its_time() {
    let asks = |at| {
        let machine = run(&["KeQueryDpcWatchdogInformation"], at, |f| {
            f.arguments(&[Program::data().get()]);
            f.call("KeQueryDpcWatchdogInformation");
        });
        assert_eq!(bugcheck(&machine), None);
        [0_u64, 8].map(|offset| {
            machine
                .kernel()
                .peek(Program::data() + offset)
                .expect("the driver's data")
        })
    };
    let limits = [ROUTINE_TICKS << 32 | ROUTINE_TICKS, PERIOD_TICKS << 32 | PERIOD_TICKS];
    assert_eq!(asks(None), limits);
    let raw = Program::data();
    let untouched = Program::default().function(|_| {}).machine(1);
    let before = [0_u64, 8].map(|offset| untouched.kernel().peek(raw + offset).expect("the driver's data"));
    assert_eq!(asks(Some(Irql::PASSIVE)), before, "it fails below DISPATCH_LEVEL");
}

/// Two threads, two mutexes, opposite orders.
#[test]
fn a_deadlock_of_threads_names_both_and_shows_their_stacks() {
    let acquires = |first: u64, second: u64| {
        move |f: &mut Function<'_>| {
            for mutex in [first, second] {
                f.arguments(&[Program::data().get() + mutex]);
                f.call("ExAcquireFastMutex");
            }
        }
    };
    let program = Program::default()
        .import(&["ExAcquireFastMutex"])
        .function(acquires(0, 0x40))
        .function(acquires(0x40, 0));
    let settings = crate::verifier::Settings::STANDARD.allow("lock-order").unwrap();
    let mut hangs = 0;
    for seed in 1..=20 {
        let machine = program.machine_of(crate::Config {
            seed,
            verifier: settings,
            ..crate::Config::default()
        });
        for offset in [0_u64, 0x40] {
            fast_mutex::initialize(machine.kernel(), Program::data() + offset).unwrap();
        }
        for index in 0..2 {
            machine.spawn(ThreadSpec::system(format!("thread {index}")), move |k| async move {
                k.call(Program::address(index), &[]).may_change_irql().await?;
                Ok(())
            });
        }
        if machine.run() != RunEnd::Crashed {
            continue;
        }
        let crash = machine.kernel().crash().expect("it has crashed");
        if crash.bugcheck.rule != "hang" {
            continue;
        }
        hangs += 1;
        let message = &crash.bugcheck.message;
        assert!(
            message.contains("thread 0 waits for") && message.contains("thread 1 waits for"),
            "{message}"
        );
        assert!(!crash.stack.is_empty(), "one stack is where the machine stopped");
        assert!(
            crash.bugcheck.notes.iter().any(|note| !note.stack.is_empty()),
            "the other is shown beside"
        );
    }
    assert!(hangs > 0, "some seeds deadlock");
}
