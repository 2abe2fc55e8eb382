//! Cancel-safe queues whose driver can refuse an IRP, and the order of the callbacks.

use iced_x86::code_asm::{al, r8, r9};
use ntlayout::io_csq;

use super::*;
use crate::{ddi::testing::status, trace::Event};

/// What `CsqInsertIrpEx` answers, and what its insert context was.
fn answer_of_insert() -> Va {
    Program::data() + 40_u64
}

fn queue() -> Va {
    Program::data() + 64_u64
}

/// What `Irp->Cancel` is when the driver queues the IRP.
fn cancelled_before() -> Va {
    Program::data() + 56_u64
}

const PEEK: usize = HELPER;
const INSERT: usize = 4;
const NOTHING: usize = 5;
const LOCK: usize = 6;
const COMPLETE_CANCELLED: usize = 7;

/// A driver that queues its requests, with the insert context 0x55.
fn queueing() -> Program {
    let control = |f: &mut Function<'_>| {
        let mut queued = f.asm.create_label();
        f.load(rax, cancelled_before().get());
        f.asm.mov(al, byte_ptr(rax)).unwrap();
        f.asm.mov(byte_ptr(rbx + layout::CANCEL), al).unwrap();
        f.load(rcx, queue().get());
        f.asm.mov(rdx, rbx).unwrap();
        f.load(r8, 0_u64);
        f.load(r9, 0x55_u64);
        f.call("IoCsqInsertIrpEx");
        f.asm.test(eax, eax).unwrap();
        f.asm.jns(queued).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), eax).unwrap();
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), 0).unwrap();
        complete(f);
        f.load(rax, answer_of_insert().get());
        f.asm.mov(eax, dword_ptr(rax)).unwrap();
        let mut end = f.asm.create_label();
        f.asm.jmp(end).unwrap();
        f.asm.set_label(&mut queued).unwrap();
        answer(f, NtStatus::PENDING);
        f.asm.set_label(&mut end).unwrap();
        f.asm.nop().unwrap();
    };
    driver_with(control, |f| f.asm.xor(eax, eax).unwrap())
        .import(&["IoCsqInsertIrpEx"])
        .function(|f| {
            f.load(rax, answer_of_insert().get());
            f.asm.mov(qword_ptr(rax + 8), r8).unwrap();
            f.asm.mov(eax, dword_ptr(rax)).unwrap();
        })
        .function(|f| f.asm.nop().unwrap())
        .function(|f| f.asm.mov(byte_ptr(rdx), 0).unwrap())
        .function(|f| {
            f.asm.mov(rbx, rdx).unwrap();
            set_status(f, NtStatus::CANCELLED, 0);
            complete(f);
        })
}

async fn initialize(k: &Kernel) -> Outcome<()> {
    initialize_by(k, "IoCsqInitializeEx", 3).await
}

/// Initialises the queue by a routine that gives it a type.
async fn initialize_by(k: &Kernel, routine: &'static str, kind: u32) -> Outcome<()> {
    let callbacks = [INSERT, NOTHING, PEEK, LOCK, NOTHING, COMPLETE_CANCELLED];
    let mut arguments = vec![queue().get()];
    arguments.extend(callbacks.map(|function| Program::address(function).get()));
    let made = status(k, routine, &arguments).await?;
    assert_eq!(
        (made, k.read::<u32>(queue() + io_csq::TYPE)?),
        (NtStatus::SUCCESS, kind)
    );
    Ok(())
}

#[test]
fn a_queue_that_refuses_an_irp_leaves_it_to_its_driver() {
    let machine = run(&queueing(), 1, |k, _, link| async move {
        initialize(&k).await?;
        k.write(answer_of_insert(), NtStatus::DEVICE_NOT_READY)?;
        let handle = open(&k, &link).await?;
        let request = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        assert_eq!(request.wait(&k).await?.status, NtStatus::DEVICE_NOT_READY);
        assert_eq!(k.read::<u64>(answer_of_insert() + 8_u64)?, 0x55);
        handle.close(&k).await
    });
    assert_clean(&machine);
}

#[test]
fn an_irp_that_was_accepted_can_be_cancelled() {
    for seed in 1..=10 {
        let machine = run(&queueing(), seed, |k, _, link| async move {
            initialize(&k).await?;
            let handle = open(&k, &link).await?;
            let request = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
            assert_eq!(handle.cancel_io(&k, Some(&request)).await?, NtStatus::SUCCESS);
            assert_eq!(request.wait(&k).await?.status, NtStatus::CANCELLED);
            handle.close(&k).await
        });
        assert_clean(&machine);
    }
}

/// The queue's callbacks in the order in which they were called.
fn callbacks(machine: &Machine) -> Vec<&'static str> {
    let trace = machine.kernel().recorded();
    let entered = trace.records().iter().filter_map(|record| match record.event {
        Event::Entered { label, .. } => label.strip_prefix("Csq"),
        _ => None,
    });
    entered.collect()
}

/// The flow of control that "Cancel-Safe IRP Queues" shows for an IRP that was cancelled before: it is inserted, and taken off again.
#[test]
fn an_irp_that_was_cancelled_before_goes_through_the_callbacks() {
    for (routine, kind, insert) in [
        ("IoCsqInitialize", 2, "InsertIrp"),
        ("IoCsqInitializeEx", 3, "InsertIrpEx"),
    ] {
        let machine = run(&queueing(), 1, move |k, _, link| async move {
            initialize_by(&k, routine, kind).await?;
            k.write(cancelled_before(), 1_u8)?;
            let handle = open(&k, &link).await?;
            let request = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
            assert_eq!(request.wait(&k).await?.status, NtStatus::CANCELLED);
            handle.close(&k).await
        });
        assert_clean(&machine);
        let expected = ["AcquireLock", insert, "RemoveIrp", "ReleaseLock", "CompleteCanceledIrp"];
        assert_eq!(callbacks(&machine), expected, "{routine}");
    }
}
