//! Cancelling, by the driver's own cancel routine and by a cancel-safe queue.

use iced_x86::code_asm::{al, r8};

use super::{
    super::{
        completion, csq,
        irp::{self, IoStatus},
    },
    *,
};
use crate::trace::Counter;

#[test]
fn a_cancelled_request_ends_by_its_cancel_routine() {
    let program = driver_with(pend_cancellable, |f| {
        release_cancel_lock(f);
        set_status(f, NtStatus::CANCELLED, 0);
        complete(f);
    });
    let machine = run(&program, 1, |k, _, link| async move {
        let handle = open(&k, &link).await?;
        let request = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        assert_eq!(request.result(), None);
        assert_eq!(handle.cancel_io(&k, None).await?, NtStatus::SUCCESS);
        assert_eq!(request.wait(&k).await?.status, NtStatus::CANCELLED);
        assert_eq!(handle.cancel_io(&k, Some(&request)).await?, NtStatus::NOT_FOUND);
        handle.close(&k).await
    });
    assert_clean(&machine);
}

#[test]
fn a_cancel_routine_releases_the_cancel_spin_lock() {
    let program = driver_with(pend_cancellable, |_| {});
    let machine = run(&program, 1, |k, _, link| async move {
        let handle = open(&k, &link).await?;
        handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        handle.cancel_io(&k, None).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "cancel-spin-lock-not-released");
}

/// Nobody completes the request: five minutes later the machine stops, and blames the store that marked it pending.
#[test]
fn a_cancelled_request_ends_within_five_minutes() {
    let program = driver(|f| {
        mark_pending(f);
        answer(f, NtStatus::PENDING);
    });
    let machine = run(&program, 1, |k, _, link| async move {
        let handle = open(&k, &link).await?;
        handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        k.delay(400_000_000_000).await?;
        assert_eq!(handle.cancel_io(&k, None).await?, NtStatus::SUCCESS);
        k.delay(299_000_000_000).await?;
        k.running()?;
        k.delay(2_000_000_000).await
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    let [what, _, allowed, _] = crash.bugcheck.parameters;
    assert_eq!((what, allowed), (0x135, 300_000), "{}", crash.bugcheck);
    assert!(crash.time > 699_000_000_000, "{}", crash.time);
    assert!(crash.site().is_some());
}

/// The functions of a queue with room for one IRP.
mod queue {
    pub const INSERT: usize = 3;
    pub const REMOVE: usize = 4;
    pub const PEEK: usize = 5;
    pub const LOCK: usize = 6;
    pub const UNLOCK: usize = 7;
    pub const COMPLETE_CANCELLED: usize = 8;
}

/// Where the queue lies in the driver's data: the `IO_CSQ`, its lock and its IRP.
fn csq() -> u64 {
    Program::data().get() + 0x20
}

fn csq_lock() -> u64 {
    Program::data().get() + 0x80
}

fn csq_irp() -> u64 {
    Program::data().get() + 0x88
}

/// A driver that queues every request in a cancel-safe queue.
fn queueing_driver() -> Program {
    driver_with(
        |f| {
            f.load(rcx, csq());
            f.asm.mov(rdx, rbx).unwrap();
            f.asm.xor(r8, r8).unwrap();
            f.call("IoCsqInsertIrp");
            answer(f, NtStatus::PENDING);
        },
        |f| {
            f.load(rax, csq_irp());
            f.asm.mov(qword_ptr(rax), rdx).unwrap();
        },
    )
    .import(&["IoCsqInsertIrp", "KeAcquireSpinLockRaiseToDpc", "KeReleaseSpinLock"])
    .function(|f| {
        f.load(rax, csq_irp());
        f.asm.mov(qword_ptr(rax), 0).unwrap();
    })
    .function(|f| {
        let mut nothing = f.asm.create_label();
        f.asm.xor(eax, eax).unwrap();
        f.asm.test(rdx, rdx).unwrap();
        f.asm.jne(nothing).unwrap();
        f.load(rax, csq_irp());
        f.asm.mov(rax, qword_ptr(rax)).unwrap();
        f.asm.set_label(&mut nothing).unwrap();
        f.asm.nop().unwrap();
    })
    .function(|f| {
        f.asm.mov(rbx, rdx).unwrap();
        f.load(rcx, csq_lock());
        f.call("KeAcquireSpinLockRaiseToDpc");
        f.asm.mov(byte_ptr(rbx), al).unwrap();
    })
    .function(|f| {
        f.load(rcx, csq_lock());
        f.call("KeReleaseSpinLock");
    })
    .function(|f| {
        f.asm.mov(rbx, rdx).unwrap();
        set_status(f, NtStatus::CANCELLED, 0);
        complete(f);
    })
}

fn initialize_queue(k: &Kernel) -> Outcome<()> {
    use queue::{COMPLETE_CANCELLED, INSERT, LOCK, PEEK, REMOVE, UNLOCK};
    let callbacks = [INSERT, REMOVE, PEEK, LOCK, UNLOCK, COMPLETE_CANCELLED];
    let mut arguments = vec![csq()];
    arguments.extend(callbacks.map(|function| Program::address(function).get()));
    csq::initialize(k, &Args::of(&arguments)).map(|_| ())
}

#[test]
fn a_queued_irp_is_cancelled_or_taken_off_but_never_both() {
    let mut outcomes = [0; 2];
    for seed in 0..40 {
        let taken = Rc::new(RefCell::new(false));
        let was_taken = taken.clone();
        let machine = run(&queueing_driver(), seed, |k, _, link| async move {
            initialize_queue(&k)?;
            let handle = open(&k, &link).await?;
            let request = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
            let worker = k.spawn(ThreadSpec::system("worker"), |k| async move {
                let irp = csq::remove_next(&k, csq::Csq(Va(csq())), 0).await?;
                if !irp.is_null() {
                    *taken.borrow_mut() = true;
                    let io_status = IoStatus {
                        status: NtStatus::SUCCESS,
                        information: 0,
                    };
                    irp::write_status(&k, irp, io_status)?;
                    completion::complete(&k, irp).await?;
                }
                Ok(())
            });
            let pause = k.random().borrow_mut().below(300);
            k.delay(pause).await?;
            handle.cancel_io(&k, None).await?;
            let completion = request.wait(&k).await?;
            k.join(worker).await?;
            let expected = if *was_taken.borrow() {
                NtStatus::SUCCESS
            } else {
                NtStatus::CANCELLED
            };
            assert_eq!(completion.status, expected);
            handle.close(&k).await
        });
        assert_clean(&machine);
        let cancelled = machine.kernel().recorded().counters.get(Counter::IrpsCancelled);
        outcomes[usize::from(cancelled == 1)] += 1;
    }
    assert!(
        outcomes.iter().all(|&count| count > 0),
        "taken, cancelled: {outcomes:?}"
    );
}
