//! The device queue and StartIo.

use iced_x86::code_asm::{al, cl, ecx, r8, r9, rsi};
use ntlayout::{device_object, kdevice_queue};

use super::{
    super::{
        cancel, completion, irp,
        start_io::{self, Deferral, Deferred, Waiting},
    },
    *,
};
use crate::{
    ke::{Irql, dpc},
    kernel::Config,
    sched::ThreadId,
    trace::{Counter, Event},
    user::Request,
};

/// The function that serves as StartIo.
const START_IO: usize = HELPER;
/// The function that serves as cancel routine.
const CANCEL: usize = 4;
/// The function that asks for the next packet.
const NEXT: usize = 5;

/// Where the driver keeps the depth of StartIo calls, and the greatest it has seen.
fn depth() -> u64 {
    Program::data().get() + 0x40
}

/// Where the driver keeps the IRQL that StartIo was called at.
fn start_io_irql() -> u64 {
    Program::data().get() + 0x48
}

/// A driver that gives every request to StartIo, with a cancel routine; StartIo keeps count of its depth and does `body` with the device in
/// `rsi` and the IRP in `rbx`.
fn starting_driver(body: impl Fn(&mut Function<'_>) + 'static) -> Program {
    driver_with_start_io(move |f| {
        f.asm.mov(rsi, rcx).unwrap();
        f.asm.mov(rbx, rdx).unwrap();
        f.load(rax, depth());
        f.asm.inc(byte_ptr(rax)).unwrap();
        let mut shallow = f.asm.create_label();
        f.asm.movzx(ecx, byte_ptr(rax)).unwrap();
        f.asm.cmp(byte_ptr(rax + 1), cl).unwrap();
        f.asm.jae(shallow).unwrap();
        f.asm.mov(byte_ptr(rax + 1), cl).unwrap();
        f.asm.set_label(&mut shallow).unwrap();
        f.call("KeGetCurrentIrql");
        f.load(rcx, start_io_irql());
        f.asm.mov(byte_ptr(rcx), al).unwrap();
        body(f);
        f.load(rax, depth());
        f.asm.dec(byte_ptr(rax)).unwrap();
    })
}

/// A driver that gives every request to StartIo, which is `start_io`, with a cancel routine.
fn driver_with_start_io(start_io: impl Fn(&mut Function<'_>) + 'static) -> Program {
    driver_with(
        |f| {
            mark_pending(f);
            f.asm.mov(rdx, rbx).unwrap();
            f.asm.xor(r8, r8).unwrap();
            f.load(r9, Program::address(CANCEL).get());
            f.call("IoStartPacket");
            answer(f, NtStatus::PENDING);
        },
        start_io,
    )
    .import(&[
        "IoStartPacket",
        "IoStartNextPacket",
        "KeGetCurrentIrql",
        "KeLowerIrql",
        "KeRemoveEntryDeviceQueue",
    ])
    .function(|f| {
        // CANCEL: tells the current packet from one that waits, as "Cancel Routines in Drivers with StartIo Routines" shows.
        let (mut waits, mut ended) = (f.asm.create_label(), f.asm.create_label());
        f.asm.mov(rsi, rcx).unwrap();
        f.asm.mov(rbx, rdx).unwrap();
        f.asm.cmp(qword_ptr(rsi + device_object::CURRENT_IRP), rbx).unwrap();
        f.asm.jne(waits).unwrap();
        f.asm.mov(ecx, u32::from(Irql::DISPATCH.0)).unwrap();
        f.call("IoReleaseCancelSpinLock");
        f.asm.mov(rcx, rsi).unwrap();
        f.asm.mov(edx, 1).unwrap();
        f.call("IoStartNextPacket");
        f.asm.movzx(ecx, byte_ptr(rbx + layout::CANCEL_IRQL)).unwrap();
        f.call("KeLowerIrql");
        f.asm.jmp(ended).unwrap();
        f.asm.set_label(&mut waits).unwrap();
        f.asm.lea(rcx, qword_ptr(rsi + device_object::DEVICE_QUEUE)).unwrap();
        f.asm.lea(rdx, qword_ptr(rbx + layout::DEVICE_QUEUE_ENTRY)).unwrap();
        f.call("KeRemoveEntryDeviceQueue");
        f.asm.movzx(ecx, byte_ptr(rbx + layout::CANCEL_IRQL)).unwrap();
        f.call("IoReleaseCancelSpinLock");
        f.asm.set_label(&mut ended).unwrap();
        set_status(f, NtStatus::CANCELLED, 0);
        complete(f);
    })
    .function(|f| {
        // NEXT
        f.asm.mov(edx, 1).unwrap();
        f.call("IoStartNextPacket");
    })
}

/// Sets StartIo; the device it belongs to.
fn set_start_io(k: &Kernel, pdo: Va) -> Outcome<Va> {
    let fdo = device::top_of_stack(k, pdo)?;
    let driver: Va = k.read(fdo + device_object::DRIVER_OBJECT)?;
    k.write(driver + driver_object::DRIVER_START_IO, Program::address(START_IO))?;
    Ok(fdo)
}

fn current_irp(k: &Kernel, device: Va) -> Outcome<Va> {
    k.read(device + device_object::CURRENT_IRP)
}

/// Ends the current request as a DPC would, and asks for the next one; false when there is none, or it is being cancelled.
async fn finish_current(k: &Kernel, device: Va) -> Outcome<bool> {
    let old = cancel::acquire(k).await?;
    let irp = current_irp(k, device)?;
    let mine = !irp.is_null() && !irp::exchange_cancel_routine(k, irp, Va::NULL)?.is_null();
    cancel::release(k, Irql::DISPATCH)?;
    if mine {
        irp::write_status(k, irp, SUCCESS)?;
        completion::complete(k, irp).await?;
        k.call(Program::address(NEXT), &[device.get()]).await?;
    }
    k.lower_irql(old);
    k.yield_now().await?;
    Ok(mine)
}

const SUCCESS: irp::IoStatus = irp::IoStatus {
    status: NtStatus::SUCCESS,
    information: 0,
};

/// Runs `script` with a device whose StartIo is `program`'s, and a handle to it.
fn with_device<F>(program: &Program, seed: u64, script: impl FnOnce(Kernel, Va, Handle) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    with_device_on(program.machine(seed), script)
}

/// The same on a machine of its own.
fn with_device_on<F>(machine: Machine, script: impl FnOnce(Kernel, Va, Handle) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    run_on(machine, Placement::default(), |k, pdo, link| async move {
        let fdo = set_start_io(&k, pdo)?;
        let handle = open(&k, &link).await?;
        script(k, fdo, handle).await
    })
}

fn assert_clean(machine: &Machine) {
    let report = machine.crash_report(None);
    assert!(machine.kernel().crash().is_none(), "{}", report.unwrap());
}

fn started(machine: &Machine) -> usize {
    started_on(machine.kernel())
}

/// How often StartIo was called.
fn started_on(k: &Kernel) -> usize {
    let trace = k.recorded();
    let records = trace.records().iter();
    records
        .filter(|record| matches!(record.event, Event::IrpStarted { .. }))
        .count()
}

#[test]
fn packets_are_started_one_after_the_other_in_order_at_dispatch_level() {
    let machine = with_device(&starting_driver(|_| {}), 1, |k, fdo, handle| async move {
        let mut requests = Vec::new();
        for _ in 0..3 {
            requests.push(handle.device_io_control(&k, BUFFERED, &[], 0).await?);
        }
        for request in &requests {
            assert_eq!(request.result(), None);
            assert!(finish_current(&k, fdo).await?);
            assert_eq!(request.wait(&k).await?.status, NtStatus::SUCCESS);
        }
        assert_eq!(current_irp(&k, fdo)?, Va::NULL);
        assert_eq!(k.read::<u8>(Va(start_io_irql()))?, Irql::DISPATCH.0);
        handle.close(&k).await
    });
    assert_clean(&machine);
    assert_eq!(started(&machine), 3);
}

#[test]
fn a_waiting_packet_is_cancelled_and_never_started() {
    let machine = with_device(&starting_driver(|_| {}), 1, |k, fdo, handle| async move {
        let first = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        let second = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        let third = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        handle.cancel_io(&k, Some(&second)).await?;
        assert_eq!(second.wait(&k).await?.status, NtStatus::CANCELLED);
        finish_current(&k, fdo).await?;
        finish_current(&k, fdo).await?;
        assert_eq!(first.wait(&k).await?.status, NtStatus::SUCCESS);
        assert_eq!(third.wait(&k).await?.status, NtStatus::SUCCESS);
        handle.close(&k).await
    });
    assert_clean(&machine);
    assert_eq!(started(&machine), 2);
}

/// `IoStartPacket` itself calls the cancel routine of a packet that was cancelled before it had one.
#[test]
fn a_packet_cancelled_before_it_waits_is_cancelled_by_io_start_packet() {
    let program = starting_driver(|_| {}).function(|f| {
        f.asm.mov(rbx, rdx).unwrap();
        mark_pending(f);
        f.asm.mov(byte_ptr(rbx + layout::CANCEL), 1).unwrap();
        f.asm.mov(rdx, rbx).unwrap();
        f.asm.xor(r8, r8).unwrap();
        f.load(r9, Program::address(CANCEL).get());
        f.call("IoStartPacket");
        answer(f, NtStatus::PENDING);
    });
    let machine = with_device(&program, 1, |k, fdo, handle| async move {
        let first = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        let driver: Va = k.read(fdo + device_object::DRIVER_OBJECT)?;
        let entry = driver + driver_object::MAJOR_FUNCTION + usize::from(Major::DEVICE_CONTROL.0) * 8;
        k.write(entry, Program::address(NEXT + 1))?;
        let second = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        assert_eq!(second.wait(&k).await?.status, NtStatus::CANCELLED);
        finish_current(&k, fdo).await?;
        assert_eq!(first.wait(&k).await?.status, NtStatus::SUCCESS);
        handle.close(&k).await
    });
    assert_clean(&machine);
    assert_eq!(started(&machine), 1);
}

#[test]
fn a_packet_that_cannot_be_cancelled_once_started_has_lost_its_cancel_routine() {
    for non_cancelable in [false, true] {
        let machine = with_device(&starting_driver(|_| {}), 1, move |k, fdo, handle| async move {
            start_io::set_attributes(&k, fdo, false, non_cancelable);
            let first = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
            let second = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
            for request in [first, second] {
                let irp = current_irp(&k, fdo)?;
                let routine: Va = k.read(irp + layout::CANCEL_ROUTINE)?;
                assert_eq!(routine.is_null(), non_cancelable);
                k.write(irp + layout::CANCEL_ROUTINE, Program::address(CANCEL))?;
                assert!(finish_current(&k, fdo).await?);
                request.wait(&k).await?;
            }
            handle.close(&k).await
        });
        assert_clean(&machine);
    }
}

/// StartIo that refuses every request: completes it and asks for the next one.
fn refuse(f: &mut Function<'_>) {
    f.asm.mov(qword_ptr(rbx + layout::CANCEL_ROUTINE), 0).unwrap();
    set_status(f, NtStatus::UNSUCCESSFUL, 0);
    complete(f);
    f.asm.mov(rcx, rsi).unwrap();
    f.asm.mov(edx, 1).unwrap();
    f.call("IoStartNextPacket");
}

/// Every reading of what deferral means, with a seed that has it.
fn readings() -> Vec<(Deferral, u64)> {
    let mut readings = Vec::new();
    for waiting in [Waiting::Every, Waiting::NextPackets, Waiting::AmongNextPackets] {
        for deferred in [Deferred::Packet, Deferred::Call] {
            let reading = Deferral { waiting, deferred };
            readings.push((reading, seeds_of(reading).next().expect("there is one")));
        }
    }
    readings
}

/// The seeds that have a reading.
fn seeds_of(reading: Deferral) -> impl Iterator<Item = u64> {
    (0..).filter(move |&seed| Deferral::of(seed) == reading)
}

/// How deep StartIo was nested while five requests that waited were refused.
fn depth_of_refusals(deferred: bool, seed: u64) -> u8 {
    let deepest = Rc::new(RefCell::new(0));
    let result = deepest.clone();
    let machine = with_device(&starting_driver(refuse), seed, move |k, fdo, handle| async move {
        start_io::set_attributes(&k, fdo, deferred, false);
        // The device is busy, so that the requests wait.
        let queue = fdo + device_object::DEVICE_QUEUE;
        k.write(queue + kdevice_queue::BUSY, 1_u8)?;
        let mut requests = Vec::new();
        for _ in 0..5 {
            requests.push(handle.device_io_control(&k, BUFFERED, &[], 0).await?);
        }
        let old = k.raise_irql(Irql::DISPATCH);
        k.call(Program::address(NEXT), &[fdo.get()]).await?;
        k.lower_irql(old);
        for request in requests {
            assert_eq!(request.wait(&k).await?.status, NtStatus::UNSUCCESSFUL);
        }
        *deepest.borrow_mut() = k.read(Va(depth() + 1))?;
        handle.close(&k).await
    });
    assert_clean(&machine);
    assert_eq!(started(&machine), 5);
    *result.borrow()
}

#[test]
fn start_io_recurs_unless_it_is_deferred() {
    assert_eq!(depth_of_refusals(false, 1), 5);
    for (reading, seed) in readings() {
        assert_eq!(depth_of_refusals(true, seed), 1, "{reading:?}");
    }
}

/// How deep StartIo was nested, and how often it was called, when it was called by `IoStartPacket` and then refuses four requests that wait.
fn depth_below_start_packet(seed: u64) -> (u8, usize) {
    let deepest = Rc::new(RefCell::new(0));
    let result = deepest.clone();
    // The first call waits until the others are in the queue.
    let program = starting_driver(|f| {
        await_go(f);
        refuse(f);
    });
    let machine = with_device(&program, seed, move |k, fdo, handle| async move {
        start_io::set_attributes(&k, fdo, true, false);
        let first = send_from_a_thread(&k, &handle);
        while current_irp(&k, fdo)?.is_null() {
            k.delay(100).await?;
        }
        let mut requests = Vec::new();
        for _ in 0..4 {
            requests.push(handle.device_io_control(&k, BUFFERED, &[], 0).await?);
        }
        k.write(Va(go()), 1_u8)?;
        requests.push(first.sent(&k).await?);
        for request in requests {
            assert_eq!(request.wait(&k).await?.status, NtStatus::UNSUCCESSFUL);
        }
        *deepest.borrow_mut() = k.read(Va(depth() + 1))?;
        handle.close(&k).await
    });
    assert_clean(&machine);
    (*result.borrow(), started(&machine))
}

/// Where the driver looks for leave to go on.
fn go() -> u64 {
    Program::data().get() + 0x50
}

/// Waits for leave to go on.
fn await_go(f: &mut Function<'_>) {
    let mut waiting = f.asm.create_label();
    f.load(rax, go());
    f.asm.set_label(&mut waiting).unwrap();
    f.asm.cmp(byte_ptr(rax), 0).unwrap();
    f.asm.je(waiting).unwrap();
}

/// A request that is being sent by a thread of its own.
struct Sender {
    thread: ThreadId,
    request: Rc<RefCell<Option<Request>>>,
}

fn send_from_a_thread(k: &Kernel, handle: &Handle) -> Sender {
    let (request, handle) = (Rc::new(RefCell::new(None)), handle.clone());
    let sent = request.clone();
    let thread = k.spawn(ThreadSpec::system("sender"), |k| async move {
        let request = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        *sent.borrow_mut() = Some(request);
        Ok(())
    });
    Sender { thread, request }
}

impl Sender {
    /// The request, when its dispatch routine has returned.
    async fn sent(self, k: &Kernel) -> Outcome<Request> {
        k.join(self.thread).await?;
        Ok(self.request.take().expect("it was sent"))
    }
}

/// Another packet is given to `IoStartPacket` while StartIo is at work, for one that is finished already.
#[test]
fn a_packet_that_comes_while_start_io_runs_waits_or_is_started_at_once() {
    for (reading, seed) in readings() {
        let Deferral { waiting, deferred } = reading;
        let at_once = match waiting {
            Waiting::Every => false,
            // If the packet that was asked for is still to be taken, the device is busy.
            Waiting::NextPackets => deferred == Deferred::Call,
            Waiting::AmongNextPackets => true,
        };
        let machine = driver_with_start_io(await_go).machine_of(Config {
            seed,
            // Two of them may be busy in StartIo.
            processors: 3,
            ..Config::default()
        });
        let machine = with_device_on(machine, move |k, fdo, handle| async move {
            start_io::set_attributes(&k, fdo, true, false);
            let first = send_from_a_thread(&k, &handle);
            while started_on(&k) == 0 {
                k.delay(100).await?;
            }
            assert!(finish_current(&k, fdo).await?);
            let second = send_from_a_thread(&k, &handle);
            k.delay(10_000).await?;
            assert_eq!(started_on(&k), if at_once { 2 } else { 1 }, "{reading:?}");
            k.write(Va(go()), 1_u8)?;
            let (first, second) = (first.sent(&k).await?, second.sent(&k).await?);
            assert_eq!(first.wait(&k).await?.status, NtStatus::SUCCESS);
            while current_irp(&k, fdo)?.is_null() || started_on(&k) < 2 {
                k.delay(100).await?;
            }
            assert!(finish_current(&k, fdo).await?);
            assert_eq!(second.wait(&k).await?.status, NtStatus::SUCCESS);
            handle.close(&k).await
        });
        assert_clean(&machine);
        assert_eq!(started(&machine), 2, "{reading:?}");
    }
}

#[test]
fn start_io_called_by_io_start_packet_recurs_once_at_most() {
    for (reading, seed) in readings() {
        let deepest = if reading.waiting == Waiting::AmongNextPackets {
            2
        } else {
            1
        };
        assert_eq!(depth_below_start_packet(seed), (deepest, 5), "{reading:?}");
    }
}

#[test]
fn the_next_packet_is_asked_for_at_dispatch_level() {
    let machine = with_device(&starting_driver(|_| {}), 1, |k, fdo, _| async move {
        k.call(Program::address(NEXT), &[fdo.get()]).await.map(|_| ())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(
        (crash.bugcheck.parameters[0], crash.bugcheck.rule),
        (0x2_0003, "irql-contract")
    );
}

#[test]
fn the_next_packet_is_asked_for_by_who_has_a_packet() {
    let machine = with_device(&starting_driver(|_| {}), 1, |k, fdo, _| async move {
        let _ = k.raise_irql(Irql::DISPATCH);
        k.call(Program::address(NEXT), &[fdo.get()]).await.map(|_| ())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "device-queue-misused");
}

#[test]
fn a_packet_that_waits_is_not_completed() {
    let machine = with_device(&starting_driver(|_| {}), 1, |k, _, handle| async move {
        handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        let held = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        let irp = held.irp().expect("it was sent");
        irp::exchange_cancel_routine(&k, irp, Va::NULL)?;
        irp::write_status(&k, irp, SUCCESS)?;
        completion::complete(&k, irp).await
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "queued-entry-freed");
}

/// Cancel against start and completion, in many interleavings: each request ends once, and the queue goes on.
#[test]
fn cancel_and_start_race_without_loss() {
    let mut outcomes = [0; 3];
    // The calls of StartIo, which counts its depth without a lock, do not overlap.
    let every = |deferred| Deferral {
        waiting: Waiting::Every,
        deferred,
    };
    let seeds = [Deferred::Packet, Deferred::Call].map(|deferred| seeds_of(every(deferred)).take(30));
    for seed in seeds.into_iter().flatten() {
        let machine = with_device(&starting_driver(|_| {}), seed, |k, fdo, handle| async move {
            start_io::set_attributes(&k, fdo, true, false);
            let mut requests = Vec::new();
            for _ in 0..3 {
                requests.push(handle.device_io_control(&k, BUFFERED, &[], 0).await?);
            }
            let requests = Rc::new(requests);
            let mine = requests.clone();
            let worker = k.spawn(ThreadSpec::system("DPC"), move |k| async move {
                while mine.iter().any(|request| request.result().is_none()) {
                    k.delay(100).await?;
                    finish_current(&k, fdo).await?;
                }
                Ok(())
            });
            let pause = k.random().borrow_mut().below(400);
            k.delay(pause).await?;
            handle.cancel_io(&k, Some(&requests[1])).await?;
            k.join(worker).await?;
            assert_eq!(current_irp(&k, fdo)?, Va::NULL);
            assert_eq!(
                k.read::<u8>(fdo + device_object::DEVICE_QUEUE + kdevice_queue::BUSY)?,
                0
            );
            handle.close(&k).await
        });
        assert_clean(&machine);
        let cancelled = machine.kernel().recorded().counters.get(Counter::IrpsCancelled);
        outcomes[match (cancelled, started(&machine)) {
            (0, 3) => 0,
            (1, 2) => 1,
            (1, 3) => 2,
            other => panic!("cancelled and started: {other:?}"),
        }] += 1;
    }
    let all = outcomes.iter().all(|&count| count > 0);
    assert!(
        all,
        "completed, cancelled while it waits, cancelled when started: {outcomes:?}"
    );
}

/// `IoInitializeDpcRequest` and `IoRequestDpc` are inline over the KDPC in the device object.
#[test]
fn a_device_object_with_its_dpc_queued_must_not_go() {
    let machine = with_device(&starting_driver(|_| {}), 1, |k, fdo, handle| async move {
        handle.close(&k).await?;
        let object = fdo + device_object::DPC;
        dpc::initialize(&k, object, Program::address(NEXT), fdo)?;
        let below = k.io().borrow().devices.below(fdo).expect("it is attached");
        let _ = k.raise_irql(Irql::DISPATCH);
        dpc::insert(&k, object, 0, 0)?;
        device::detach(&k, below)?;
        device::delete(&k, fdo)
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(
        (crash.bugcheck.code, crash.bugcheck.rule),
        (Code::TIMER_OR_DPC_INVALID, "queued-dpc-freed")
    );
}
