//! What is done in each cell, and what must come of it.

use ntsim::{
    NtStatus, Outcome,
    io::pnp,
    po::{self, SystemState},
    user::Request,
};
use scenarios::{boot::Pc, program::Program};

use super::{
    circumstance::Circumstance,
    request::{Kind, Nature, check_failure},
};

/// How long a slow device takes longer, in nanoseconds: more than twice the watchdog's two seconds.
const SLOWNESS: u64 = 5_000_000_000;

/// Plays the cell on a device that has just been started.
pub async fn play(kind: Kind, circumstance: Circumstance, pc: &Pc) -> Outcome<()> {
    match circumstance {
        Circumstance::Completes => completes(kind, pc).await,
        Circumstance::CancelledWhileQueued => cancelled_while_queued(kind, pc).await,
        Circumstance::CancelledInFlight => cancelled_in_flight(kind, pc).await,
        Circumstance::HandleClosed => handle_closed(kind, pc, After::Stays).await,
        Circumstance::RemovedAfterClose => handle_closed(kind, pc, After::IsRemoved).await,
        Circumstance::SurpriseRemoved => surprise_removed(kind, pc).await,
        Circumstance::SurpriseRemovedWhilePresent => surprise_removed_while_present(kind, pc).await,
        Circumstance::RestartFailedAbove => restart_failed_above(kind, pc).await,
        Circumstance::StoppedAndRestarted => stopped_and_restarted(kind, pc).await,
        Circumstance::StartedAgain => started_again(kind, pc).await,
        Circumstance::PoweredDownAndUp => powered_down_and_up(kind, pc).await,
        Circumstance::DeviceSlow => device_slow(kind, pc).await,
        Circumstance::InterruptLost => interrupt_lost(kind, pc).await,
        Circumstance::InterruptsLost => interrupts_lost(kind, pc).await,
        Circumstance::DeviceGone => device_gone(kind, pc).await,
    }
}

/// A request that nothing happens to, from beginning to end.
async fn completes(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    let request = kind.send(&program).await?;
    if matches!(kind.nature(), Nature::Immediate | Nature::Held) {
        assert!(request.result().is_some(), "it waits for nothing");
    }
    succeeds(kind, &request, pc).await?;
    program.close().await
}

/// It succeeds, if need be with what it waits for.
async fn succeeds(kind: Kind, request: &Request, pc: &Pc) -> Outcome<()> {
    kind.provoke(pc);
    kind.check_answer(&request.wait(&pc.k).await?);
    Ok(())
}

/// Has the device be busy with the next request of this kind, if it waits for the device, until it is [mended](mend) or for a while.
fn keep_in_flight(kind: Kind, pc: &Pc) {
    pc.with_device(|device| {
        let faults = device.faults_mut();
        match kind {
            Kind::Factorial => faults.extra_latency = 1_000_000_000,
            // It is raised again by the watchdog, in vain until the device is mended.
            Kind::Raise => faults.lose_raised_interrupts = u32::MAX,
            // A piece takes 100 ms as it is.
            _ => {}
        }
    });
}

/// The device has no faults from now on.
fn mend(pc: &Pc) {
    pc.with_device(|device| *device.faults_mut() = ntsim::devices::EduFaults::default());
}

fn is_pending(kind: Kind, request: &Request) {
    assert_eq!(request.result(), None, "{kind:?} is pending");
}

/// Cancels a request, which is completed at once.
async fn cancel(kind: Kind, program: &Program, request: &Request) -> Outcome<()> {
    is_pending(kind, request);
    assert_eq!(program.cancel_request(request).await?, NtStatus::SUCCESS);
    check_failure(
        kind,
        &request.result().expect("it is cancelled at once"),
        NtStatus::CANCELLED,
    );
    Ok(())
}

/// It has been completed by the dispatch routine, so that there is nothing to cancel.
async fn is_over_at_once(kind: Kind, program: &Program, request: &Request) -> Outcome<()> {
    kind.check_answer(&request.result().expect("it waits for nothing"));
    assert_eq!(program.cancel_request(request).await?, NtStatus::NOT_FOUND);
    Ok(())
}

async fn cancelled_while_queued(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    match kind.nature() {
        Nature::Device => {
            keep_in_flight(kind, pc);
            let first = kind.send(&program).await?;
            let queued = kind.send(&program).await?;
            is_pending(kind, &first);
            cancel(kind, &program, &queued).await?;
            mend(pc);
            succeeds(kind, &first, pc).await?;
        }
        Nature::Doorbell => {
            let (first, queued) = (kind.send(&program).await?, kind.send(&program).await?);
            cancel(kind, &program, &queued).await?;
            is_pending(kind, &first);
            succeeds(kind, &first, pc).await?;
        }
        Nature::Held => {
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            let queued = kind.send(&program).await?;
            cancel(kind, &program, &queued).await?;
            pnp::cancel_stop_device(&pc.k, pc.pdo).await?;
        }
        Nature::Immediate => {
            let request = kind.send(&program).await?;
            is_over_at_once(kind, &program, &request).await?;
        }
    }
    mend(pc);
    program.close().await?;
    completes(kind, pc).await
}

async fn cancelled_in_flight(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    keep_in_flight(kind, pc);
    let request = kind.send(&program).await?;
    match kind.nature() {
        Nature::Device | Nature::Doorbell => {
            cancel(kind, &program, &request).await?;
            // The device works on, and its late outcome is nobody else's.
            mend(pc);
            let next = kind.send(&program).await?;
            succeeds(kind, &next, pc).await?;
        }
        Nature::Held | Nature::Immediate => is_over_at_once(kind, &program, &request).await?,
    }
    mend(pc);
    program.close().await?;
    completes(kind, pc).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// Another handle stays open, whose requests go on.
    Stays,
    /// The device is removed.
    IsRemoved,
}

async fn handle_closed(kind: Kind, pc: &Pc, after: After) -> Outcome<()> {
    let (closed, kept) = (Program::open(pc).await?, Program::open(pc).await?);
    let held = kind.nature() == Nature::Held;
    if held {
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
    }
    keep_in_flight(kind, pc);
    let of_closed = [kind.send(&closed).await?, kind.send(&closed).await?];
    let of_kept = kind.send(&kept).await?;
    closed.close().await?;
    for request in &of_closed {
        let done = request.result().expect("a closed handle has no requests");
        if kind.nature() == Nature::Immediate {
            kind.check_answer(&done);
        } else {
            check_failure(kind, &done, NtStatus::CANCELLED);
        }
    }
    if held {
        is_pending(kind, &of_kept);
        pnp::cancel_stop_device(&pc.k, pc.pdo).await?;
    }
    mend(pc);
    if after == After::Stays {
        succeeds(kind, &of_kept, pc).await?;
        return kept.close().await;
    }
    kept.close().await?;
    let removal = pnp::remove_device(&pc.k, pc.pdo).await?;
    assert_eq!(removal, pnp::Removal::Done);
    assert_eq!(pc.interfaces(), [""; 0]);
    Ok(())
}

async fn surprise_removed(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    if kind.nature() == Nature::Held {
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
    }
    keep_in_flight(kind, pc);
    let requests = [kind.send(&program).await?, kind.send(&program).await?];
    if kind.nature() != Nature::Immediate {
        is_pending(kind, &requests[0]);
    }
    pnp::surprise_remove(&pc.k, pc.pdo).await?;
    for request in &requests {
        let done = request.wait(&pc.k).await?;
        if kind.nature() == Nature::Immediate {
            kind.check_answer(&done);
        } else {
            check_failure(kind, &done, NtStatus::DEVICE_REMOVED);
        }
    }
    let late = kind.send(&program).await?.wait(&pc.k).await?;
    check_failure(kind, &late, NtStatus::DEVICE_REMOVED);
    program.close().await
}

async fn surprise_removed_while_present(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    if kind.nature() == Nature::Held {
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
    }
    keep_in_flight(kind, pc);
    let requests = [kind.send(&program).await?, kind.send(&program).await?];
    if kind.nature() != Nature::Immediate {
        is_pending(kind, &requests[0]);
    }
    pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
    is_given_up(kind, pc, program, &requests).await
}

/// What was asked for while the device was stopped is begun when the driver has started it.
async fn restart_failed_above(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
    pnp::stop_device(&pc.k, pc.pdo).await?;
    keep_in_flight(kind, pc);
    let requests = [kind.send(&program).await?, kind.send(&program).await?];
    let failure = NtStatus::INSUFFICIENT_RESOURCES;
    assert_eq!(pnp::start_device_failed_above(&pc.k, pc.pdo, failure).await?, failure);
    is_given_up(kind, pc, program, &requests).await
}

/// The device is there, but its driver has let go of it. What it worked on may have been finished first.
async fn is_given_up(kind: Kind, pc: &Pc, program: Program, requests: &[Request]) -> Outcome<()> {
    for request in requests {
        let done = request.wait(&pc.k).await?;
        match done.status {
            NtStatus::SUCCESS => kind.check_answer(&done),
            // Its interrupt is lost each time that it is raised.
            NtStatus::IO_TIMEOUT if kind == Kind::Raise => check_failure(kind, &done, NtStatus::IO_TIMEOUT),
            _ => check_failure(kind, &done, NtStatus::DEVICE_REMOVED),
        }
    }
    mend(pc);
    let late = kind.send(&program).await?.wait(&pc.k).await?;
    check_failure(kind, &late, NtStatus::DEVICE_REMOVED);
    // Whatever the device does of its own accord later must harm nobody.
    pc.k.delay(SLOWNESS).await?;
    program.close().await
}

/// Nothing is lost. What needs no device is answered while it is stopped.
async fn stopped_and_restarted(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    keep_in_flight(kind, pc);
    let before = [kind.send(&program).await?, kind.send(&program).await?];
    let other = pc.k.bus().borrow().other_resources(pc.slot);
    let status = pnp::rebalance(&pc.k, pc.pdo, other).await?;
    assert_eq!(status, NtStatus::SUCCESS);
    mend(pc);
    for request in &before {
        succeeds(kind, request, pc).await?;
    }

    assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
    pnp::stop_device(&pc.k, pc.pdo).await?;
    let meanwhile = kind.send(&program).await?;
    match kind.nature() {
        Nature::Immediate => kind.check_answer(&meanwhile.result().expect("it needs no device")),
        Nature::Device | Nature::Doorbell | Nature::Held => is_pending(kind, &meanwhile),
    }
    pc.start().await?;
    succeeds(kind, &meanwhile, pc).await?;
    program.close().await
}

/// Nothing is lost.
async fn started_again(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    keep_in_flight(kind, pc);
    let requests = [kind.send(&program).await?, kind.send(&program).await?];
    let other = pc.k.bus().borrow().other_resources(pc.slot);
    let status = pnp::start_started_device(&pc.k, pc.pdo, other).await?;
    assert_eq!(status, NtStatus::SUCCESS);
    mend(pc);
    for request in &requests {
        succeeds(kind, request, pc).await?;
    }
    program.close().await?;
    completes(kind, pc).await
}

async fn powered_down_and_up(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    keep_in_flight(kind, pc);
    let before = [kind.send(&program).await?, kind.send(&program).await?];
    let slept = po::sleep(&pc.k, SystemState::S3).await?;
    assert!(slept.is_ok(), "the driver refuses to sleep");
    mend(pc);
    let meanwhile = kind.send(&program).await?;
    if kind.nature() == Nature::Immediate {
        kind.check_answer(&meanwhile.result().expect("it needs no device"));
    } else {
        is_pending(kind, &meanwhile);
    }
    po::wake(&pc.k).await?;
    // The device may be on its way to D0 still, where an interrupt that is raised from outside would be lost.
    completes(Kind::Factorial, pc).await?;
    for request in before.iter().chain([&meanwhile]) {
        succeeds(kind, request, pc).await?;
    }
    program.close().await
}

/// It takes its time, and is waited for.
async fn device_slow(kind: Kind, pc: &Pc) -> Outcome<()> {
    pc.with_device(|device| {
        let faults = device.faults_mut();
        faults.extra_latency = SLOWNESS;
        faults.extra_dma_latency = SLOWNESS;
    });
    completes(kind, pc).await
}

/// The watchdog notices, and it is tried again.
async fn interrupt_lost(kind: Kind, pc: &Pc) -> Outcome<()> {
    pc.with_device(|device| {
        let faults = device.faults_mut();
        faults.lose_factorial_interrupts = 1;
        faults.lose_dma_interrupts = 1;
        faults.lose_raised_interrupts = 1;
    });
    if kind.nature() != Nature::Doorbell {
        return completes(kind, pc).await;
    }
    // Who waits for an interrupt that is lost waits on, for the one that the driver has the device raise again.
    let program = Program::open(pc).await?;
    let wait = kind.send(&program).await?;
    completes(Kind::Raise, pc).await?;
    let done = wait.wait(&pc.k).await?;
    kind.check_answer(&done);
    program.close().await
}

/// It fails, the queue goes on.
async fn interrupts_lost(kind: Kind, pc: &Pc) -> Outcome<()> {
    pc.with_device(|device| {
        let faults = device.faults_mut();
        faults.lose_factorial_interrupts = u32::MAX;
        faults.lose_dma_interrupts = u32::MAX;
        faults.lose_raised_interrupts = u32::MAX;
    });
    let program = Program::open(pc).await?;
    let request = kind.send(&program).await?;
    match kind.nature() {
        Nature::Device => {
            check_failure(kind, &request.wait(&pc.k).await?, NtStatus::IO_TIMEOUT);
        }
        Nature::Doorbell => {
            let raise = Kind::Raise.send(&program).await?;
            check_failure(Kind::Raise, &raise.wait(&pc.k).await?, NtStatus::IO_TIMEOUT);
            cancel(kind, &program, &request).await?;
        }
        Nature::Held | Nature::Immediate => kind.check_answer(&request.wait(&pc.k).await?),
    }
    mend(pc);
    program.close().await?;
    completes(kind, pc).await
}

/// The system is told, and removes the device.
async fn device_gone(kind: Kind, pc: &Pc) -> Outcome<()> {
    let program = Program::open(pc).await?;
    pc.with_device(|device| device.faults_mut().dead = true);
    let request = kind.send(&program).await?;
    if kind.nature() != Nature::Device {
        // Somebody has to notice.
        let noticing = Kind::Factorial.send(&program).await?;
        check_failure(Kind::Factorial, &noticing.wait(&pc.k).await?, NtStatus::DEVICE_REMOVED);
    }
    let done = request.wait(&pc.k).await?;
    if kind.nature() == Nature::Immediate {
        kind.check_answer(&done);
    } else {
        check_failure(kind, &done, NtStatus::DEVICE_REMOVED);
    }
    // The PnP manager asks in a thread of its own.
    while !pc.interfaces().is_empty() {
        pc.k.delay(1_000_000).await?;
    }
    let late = kind.send(&program).await?.wait(&pc.k).await?;
    check_failure(kind, &late, NtStatus::DEVICE_REMOVED);
    program.close().await
}
