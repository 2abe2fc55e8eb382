//! The storm: eight requests at a time, cancels, a handle closed and the device pulled out, in as many interleavings as there are seeds.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use ntsim::{
    Kernel, NtStatus, Outcome,
    io::pnp,
    sched::{Random, ThreadId, ThreadSpec},
    trace::Counter,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    program::{Computation, Program},
    seeds::{self, Distinct},
    windows::{Engine, Window, Windows},
};

/// The stream of the script's own decisions.
const SCRIPT: u64 = ntsim::kernel::stream::SCRIPT;

type Dice = Rc<RefCell<Random>>;

/// A while that is sometimes nothing and sometimes longer than a factorial takes.
async fn a_while(k: &Kernel, dice: &Dice) -> Outcome<()> {
    let (steps, nanoseconds) = {
        let mut dice = dice.borrow_mut();
        (dice.below(200), if dice.chance(50) { dice.below(40_000) } else { 0 })
    };
    for _ in 0..steps {
        k.yield_now().await?;
    }
    if nanoseconds != 0 {
        k.delay(nanoseconds).await?;
    }
    Ok(())
}

fn spawn<F>(pc: &Pc, name: String, body: F) -> ThreadId
where
    F: Future<Output = Outcome<()>> + 'static,
{
    pc.k.spawn(ThreadSpec::user(name), move |_| body)
}

/// How long the canceller looks away, in nanoseconds: some twenty instructions of the driver.
const POLL: u64 = 20;

/// Cancels requests when they get into the wanted window, for as long as there are any: a window of a few instructions is not hit by
/// chance often enough. A cancel takes its time to get there, so half of them set off a window early.
async fn cancel_in(window: Window, early: bool, program: Program, targets: Rc<Vec<Computation>>) -> Outcome<()> {
    let trigger = match window {
        Window::InterruptToDpc if early => Window::InFlight,
        Window::Completing if early => Window::InterruptToDpc,
        other => other,
    };
    let k = program.pc.k.clone();
    let mut windows = Windows::default();
    let mut read = 0;
    let mut left: Vec<usize> = (0..targets.len()).collect();
    while !left.is_empty() {
        {
            let trace = k.recorded();
            for record in &trace.records()[read..] {
                windows.read(&record.event);
            }
            read = trace.records().len();
        }
        left.retain(|&index| targets[index].request.result().is_none());
        let hit = left.iter().position(|&index| {
            let irp = targets[index].request.irp();
            irp.and_then(|irp| windows.window(irp)) == Some(trigger)
        });
        match hit {
            Some(position) => {
                program.cancel(&targets[left.remove(position)]).await?;
            }
            None => k.delay(POLL).await?,
        }
    }
    Ok(())
}

async fn storm(pc: Pc) -> Outcome<()> {
    let dice: Dice = Rc::new(RefCell::new(Random::new(pc.k.config().seed, SCRIPT)));
    let (kept, closed) = (Program::open(&pc).await?, Program::open(&pc).await?);
    let mut of_kept = Vec::new();
    let mut of_closed = Vec::new();
    for _ in 0..4 {
        let n = dice.borrow_mut().below(34);
        of_kept.push(kept.factorial(u32::try_from(n).expect("below 34")).await?);
        let n = dice.borrow_mut().below(34);
        of_closed.push(closed.factorial(u32::try_from(n).expect("below 34")).await?);
    }
    let (of_kept, of_closed) = (Rc::new(of_kept), Rc::new(of_closed));

    let mut threads = Vec::new();
    let (window, early) = {
        let choices = [
            Window::Queued,
            Window::InFlight,
            Window::InterruptToDpc,
            Window::Completing,
        ];
        let mut dice = dice.borrow_mut();
        (choices[dice.index(choices.len())], dice.chance(50))
    };
    threads.push(spawn(
        &pc,
        format!("cancel, {window:?}"),
        cancel_in(window, early, kept.clone(), of_kept.clone()),
    ));
    threads.push(spawn(&pc, "cancel, at random".to_owned(), {
        let (pc, dice, kept, of_kept) = (pc.clone(), dice.clone(), kept.clone(), of_kept.clone());
        async move {
            for _ in 0..2 {
                a_while(&pc.k, &dice).await?;
                let index = dice.borrow_mut().index(of_kept.len());
                let status = kept.cancel(&of_kept[index]).await?;
                assert!([NtStatus::SUCCESS, NtStatus::NOT_FOUND].contains(&status), "{status}");
            }
            Ok(())
        }
    }));
    threads.push(spawn(&pc, "close".to_owned(), {
        let (pc, dice) = (pc.clone(), dice.clone());
        async move {
            a_while(&pc.k, &dice).await?;
            closed.close().await
        }
    }));
    let pull_out = dice.borrow_mut().chance(70);
    if pull_out {
        let (pc, dice) = (pc.clone(), dice.clone());
        threads.push(pc.k.clone().spawn(ThreadSpec::system("pull out"), async move |_| {
            a_while(&pc.k, &dice).await?;
            a_while(&pc.k, &dice).await?;
            pnp::surprise_remove(&pc.k, pc.pdo).await
        }));
    }

    for computation in of_kept.iter().chain(of_closed.iter()) {
        let status = computation.wait().await?;
        let expected = [NtStatus::SUCCESS, NtStatus::CANCELLED, NtStatus::DEVICE_REMOVED];
        assert!(expected.contains(&status), "{status}");
        assert!(pull_out || status != NtStatus::DEVICE_REMOVED);
    }
    for thread in threads {
        pc.k.join(thread).await?;
    }
    if pull_out {
        assert_eq!(kept.factorial(3).await?.wait().await?, NtStatus::DEVICE_REMOVED);
    }
    kept.close().await
}

/// Seeds of each test, beside what `SEEDS` says.
const SEEDS: u64 = 300;

/// Each window is to be hit this often in a thousand seeds, or the storm does not try what it says it tries.
const HITS: u64 = 20;

#[test]
fn storms_of_factorials_end_with_every_request_completed_once() {
    let seeds = seeds::up_to(SEEDS);
    let runs = *seeds.end();
    let mut distinct = Distinct::default();
    let mut cancels: BTreeMap<(Engine, Window), u64> = BTreeMap::new();
    let mut completed = 0;
    let one = |seed| {
        let run = Run::started(Setup::seed(seed), storm);
        let trace = run.clean();
        let irps = every_irp_completed_once(&run, seed);
        (trace.order_digest(), Windows::of(trace.records()).cancels, irps)
    };
    seeds::each(seeds, one, |(order, hit, irps)| {
        distinct.add(order);
        completed += irps;
        for (window, hits) in hit {
            *cancels.entry(window).or_default() += hits;
        }
    });
    println!(
        "{runs} storms, {} of them distinct, {completed} IRPs completed; cancels by window: {cancels:?}",
        distinct.count()
    );
    assert_eq!(distinct.count() as u64, runs, "every seed interleaves in its own way");
    if runs >= 1000 {
        for window in [
            Window::Queued,
            Window::InFlight,
            Window::InterruptToDpc,
            Window::Completing,
        ] {
            let hits = cancels.get(&(Engine::Factorial, window)).copied().unwrap_or(0);
            assert!(hits >= HITS, "a cancel hit {window:?} {hits} times, not {HITS}");
        }
    }
}

/// How many IRPs there were.
fn every_irp_completed_once(run: &Run, seed: u64) -> u64 {
    let [created, completed] = [Counter::IrpsCreated, Counter::IrpsCompleted].map(|counter| run.count(counter));
    assert_eq!(created, completed, "seed {seed}");
    completed
}

/// Requests of every queue at a time, with all that can end them or hold them.
async fn mixed_storm(pc: Pc) -> Outcome<()> {
    let dice: Dice = Rc::new(RefCell::new(Random::new(pc.k.config().seed, SCRIPT)));
    let (kept, closed) = (Program::open(&pc).await?, Program::open(&pc).await?);
    let mut of_kept = Vec::new();
    let mut of_closed = Vec::new();
    for bit in 1..4 {
        for (program, requests) in [(&kept, &mut of_kept), (&closed, &mut of_closed)] {
            requests.push(program.wait_interrupt(1 << bit).await?);
            requests.push(program.raise(1 << bit).await?);
            requests.push(program.factorial(bit).await?.request);
        }
    }
    let of_kept = Rc::new(of_kept);

    let mut threads = Vec::new();
    threads.push(spawn(&pc, "cancel, at random".to_owned(), {
        let (pc, dice, kept, of_kept) = (pc.clone(), dice.clone(), kept.clone(), of_kept.clone());
        async move {
            for _ in 0..4 {
                a_while(&pc.k, &dice).await?;
                let index = dice.borrow_mut().index(of_kept.len());
                kept.cancel_request(&of_kept[index]).await?;
            }
            Ok(())
        }
    }));
    threads.push(spawn(&pc, "close".to_owned(), {
        let (pc, dice) = (pc.clone(), dice.clone());
        async move {
            a_while(&pc.k, &dice).await?;
            closed.close().await
        }
    }));
    let pull_out = dice.borrow_mut().chance(50);
    threads.push(pc.k.clone().spawn(ThreadSpec::system("PnP"), {
        let (pc, dice) = (pc.clone(), dice.clone());
        async move |_| {
            a_while(&pc.k, &dice).await?;
            if dice.borrow_mut().chance(50) {
                assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
                pnp::stop_device(&pc.k, pc.pdo).await?;
                a_while(&pc.k, &dice).await?;
                pc.start().await?;
            }
            if pull_out {
                a_while(&pc.k, &dice).await?;
                pnp::surprise_remove(&pc.k, pc.pdo).await?;
            }
            Ok(())
        }
    }));
    for thread in threads {
        pc.k.join(thread).await?;
    }
    // A wait whose interrupt has come and gone is for its program to cancel.
    pc.k.delay(1_000_000).await?;
    for request in of_kept.iter() {
        if request.result().is_none() {
            kept.cancel_request(request).await?;
        }
    }
    for request in of_kept.iter().chain(of_closed.iter()) {
        let status = request.wait(&pc.k).await?.status;
        let expected = [NtStatus::SUCCESS, NtStatus::CANCELLED, NtStatus::DEVICE_REMOVED];
        assert!(expected.contains(&status), "{status}");
        assert!(pull_out || status != NtStatus::DEVICE_REMOVED);
    }
    if !pull_out {
        assert_eq!(
            kept.raise(0x2).await?.wait(&pc.k).await?.status,
            NtStatus::SUCCESS,
            "it works on"
        );
        assert_eq!(kept.factorial(7).await?.wait().await?, NtStatus::SUCCESS, "it works on");
    }
    kept.close().await
}

#[test]
fn storms_over_all_queues_end_with_every_request_completed_once() {
    let seeds = seeds::up_to(SEEDS);
    let runs = *seeds.end();
    let (mut distinct, mut completed) = (Distinct::default(), 0);
    let one = |seed| {
        let mut setup = Setup::seed(seed);
        setup.config.processors = 1 + usize::try_from(seed % 4).expect("below 4");
        let run = Run::started(setup, mixed_storm);
        let order = run.clean().order_digest();
        (order, every_irp_completed_once(&run, seed))
    };
    seeds::each(seeds, one, |(order, irps)| {
        distinct.add(order);
        completed += irps;
    });
    println!(
        "{runs} storms over all queues, {} of them distinct, {completed} IRPs completed",
        distinct.count()
    );
    assert_eq!(distinct.count() as u64, runs, "every seed interleaves in its own way");
}
