//! DPCs of every type, on the driver `queues-dpcs`: what they are handed over, in which order and where they run.

#[path = "../drivers/queues-dpcs/src/protocol.rs"]
mod protocol;

use std::{cell::Cell, collections::BTreeSet, rc::Rc};

use ntsim::{
    NtStatus, Outcome,
    sched::ActivityKind,
    system::{self, StartFailure},
    trace::{Event, Record},
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
    program::Program,
    seeds,
};

use protocol::{
    Arguments, FIRST, HIGH, LOW, MEDIUM, ON_SECOND, QUEUE_AND_REMOVE, QUEUE_BY_IMPORTANCE, QUEUE_SLOW, QUEUE_THREADED,
    QUEUE_TO_SECOND, QUEUE_TWICE, RUNS, SECOND, TELL, THREADED,
};

/// Longer than any DPC waits here, in nanoseconds: one of low importance until the next clock tick.
const A_WHILE: u64 = 50_000_000;

fn on<F>(setup: Setup, script: impl FnOnce(Pc) -> F + 'static) -> Run
where
    F: Future<Output = Outcome<()>> + 'static,
{
    Run::of(&test_driver("queues-dpcs"), setup, async move |pc: Pc| {
        pc.start().await?;
        script(pc).await
    })
}

async fn ask(program: &Program, code: u32, output: usize) -> Outcome<Vec<u8>> {
    let done = program.call(code, &[], output).await?;
    assert_eq!(done.status, NtStatus::SUCCESS);
    Ok(done.output)
}

/// What two calls returned.
async fn returned(program: &Program, code: u32) -> Outcome<[bool; 2]> {
    let output = ask(program, code, 8).await?;
    Ok([output[0] != 0, output[4] != 0])
}

/// Which DPCs have run since the last call, with what.
async fn runs(program: &Program) -> Outcome<Vec<u64>> {
    program.pc.k.delay(A_WHILE).await?;
    let output = ask(program, TELL, RUNS * 8).await?;
    let all = output
        .chunks(8)
        .map(|run| u64::from_le_bytes(run.try_into().expect("eight bytes")));
    Ok(all.take_while(|run| *run != 0).collect())
}

/// `KeInsertQueueDpc` returns FALSE for the second call, and does nothing.
#[test]
fn the_first_arguments_win() {
    let run = on(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(returned(&program, QUEUE_TWICE).await?, [true, false]);
        assert_eq!(runs(&program).await?, [protocol::run(MEDIUM, FIRST)]);
        assert_ne!(FIRST, SECOND);
        program.close().await
    });
    let _ = run.clean();
}

/// One of high importance is put in front of those that wait already.
#[test]
fn importance_is_the_place_in_the_queue() {
    let run = on(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        ask(&program, QUEUE_BY_IMPORTANCE, 0).await?;
        let expected = [HIGH, LOW, MEDIUM].map(|dpc| protocol::run(dpc, FIRST));
        assert_eq!(runs(&program).await?, expected);
        program.close().await
    });
    let _ = run.clean();
}

/// Wherever it is queued.
#[test]
fn a_dpc_runs_on_the_processor_that_is_set_for_it() {
    for seed in seeds::up_to(20) {
        let run = on(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            ask(&program, QUEUE_TO_SECOND, 0).await?;
            assert_eq!(runs(&program).await?, [protocol::run(ON_SECOND, FIRST)]);
            program.close().await
        });
        assert_eq!(processors(run.clean().records()), [1].into());
    }
}

/// Where the driver's DPCs started.
fn processors(records: &[Record]) -> BTreeSet<usize> {
    let started = records
        .iter()
        .filter(|record| matches!(record.event, Event::DpcStarted { .. }));
    started.filter_map(|record| record.processor).collect()
}

/// There is one processor: `KeSetTargetProcessorDpcEx` returns `STATUS_INVALID_PARAMETER`, and AddDevice fails with it.
#[test]
fn a_processor_that_is_not_there_is_refused() {
    const NAME: &str = "queues-dpcs";
    let mut setup = Setup::seed(1);
    setup.config.processors = 1;
    let run = Run::bare(&test_driver(NAME), setup, async |k, slot| {
        let driver = system::load(&k, NAME).await?.expect("it is loaded");
        let added = system::add_device(&k, driver, slot).await?;
        assert_eq!(added, Err(StartFailure::AddDevice(NtStatus::INVALID_PARAMETER)));
        system::unload(&k, driver, NAME).await
    });
    let _ = run.clean();
}

/// In a thread, or where those are disabled as every DPC; the seed decides. Its arguments are the same.
#[test]
fn a_threaded_dpc_runs_in_a_thread_unless_that_is_disabled() {
    let (mut in_thread, mut at_dispatch) = (0, 0);
    for seed in seeds::up_to(40) {
        let run = on(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            ask(&program, QUEUE_THREADED, 0).await?;
            let expected: (u32, Arguments) = (THREADED, FIRST);
            assert_eq!(runs(&program).await?, [protocol::run(expected.0, expected.1)]);
            program.close().await
        });
        let trace = run.clean();
        let started = trace
            .records()
            .iter()
            .find(|record| matches!(record.event, Event::DpcStarted { .. }));
        match started.and_then(|record| record.activity) {
            Some(ActivityKind::Dpc) => at_dispatch += 1,
            Some(_) => in_thread += 1,
            None => panic!("seed {seed}: it has not run"),
        }
    }
    println!("{in_thread} in a thread, {at_dispatch} at DISPATCH_LEVEL");
    assert!(in_thread > 0 && at_dispatch > 0);
}

/// The second call finds it removed.
#[test]
fn a_dpc_that_was_removed_does_not_run() {
    let run = on(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(returned(&program, QUEUE_AND_REMOVE).await?, [true, false]);
        assert_eq!(runs(&program).await?, Vec::<u64>::new());
        program.close().await
    });
    let _ = run.clean();
}

/// Teardown waits for what is queued.
#[test]
fn a_device_is_removed_while_its_dpcs_are_queued() {
    for seed in seeds::up_to(40) {
        let run = on(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            for code in [QUEUE_BY_IMPORTANCE, QUEUE_TO_SECOND, QUEUE_THREADED] {
                ask(&program, code, 0).await?;
            }
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Teardown waits for one that is in its routine as well, to the last instruction: the driver is unloaded at once.
#[test]
fn a_device_is_removed_while_its_threaded_dpc_runs() {
    let mut waited_for = 0;
    for seed in seeds::up_to(40) {
        let removal = Rc::new(Cell::new(0));
        let begins = removal.clone();
        let run = on(Setup::seed(seed), async move |pc| {
            let program = Program::open(&pc).await?;
            let rounds = 500_u32;
            let done = program.call(QUEUE_SLOW, &rounds.to_le_bytes(), 0).await?;
            assert_eq!(done.status, NtStatus::SUCCESS);
            program.close().await?;
            begins.set(pc.k.now());
            Ok(())
        });
        let trace = run.clean();
        let mut ends = trace.records().iter();
        let end = ends.find(|record| matches!(record.event, Event::DpcFinished { .. }));
        waited_for += u32::from(end.is_some_and(|end| end.time > removal.get()));
    }
    println!("{waited_for} were waited for");
    assert!(waited_for > 10);
}
