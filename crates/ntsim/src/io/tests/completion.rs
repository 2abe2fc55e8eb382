//! What a driver must do with an IRP, and must not.

use super::*;

#[test]
fn an_irp_is_completed_once() {
    let program = driver(|f| {
        set_status(f, NtStatus::SUCCESS, 0);
        complete(f);
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    let (code, _, rule) = crash_of(&program);
    assert_eq!(
        (code, rule),
        (Code::MULTIPLE_IRP_COMPLETE_REQUESTS, "irp-completed-twice")
    );
}

#[test]
fn a_completed_irp_is_out_of_reach() {
    let program = driver(|f| {
        set_status(f, NtStatus::SUCCESS, 0);
        complete(f);
        f.asm.mov(eax, dword_ptr(rbx + layout::IO_STATUS)).unwrap();
    });
    assert_eq!(crash_of(&program).0, Code::DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL);
}

#[test]
fn pending_is_marked_and_returned_or_neither() {
    let returned_only = driver(|f| answer(f, NtStatus::PENDING));
    assert_eq!(crash_of(&returned_only), (IO_MANAGER, 0x24C, "returned-pending-only"));
    let marked_only = driver(|f| {
        mark_pending(f);
        set_status(f, NtStatus::SUCCESS, 0);
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    assert_eq!(crash_of(&marked_only), (IO_MANAGER, 0x23E, "marked-pending-only"));
    let both = driver(|f| {
        mark_pending(f);
        set_status(f, NtStatus::SUCCESS, 0);
        complete(f);
        answer(f, NtStatus::PENDING);
    });
    assert_eq!(request(&both, BUFFERED, &[], 0).status, NtStatus::SUCCESS);
}

#[test]
fn a_dispatch_routine_returns_what_it_completed_with() {
    let other_status = driver(|f| {
        set_status(f, NtStatus::SUCCESS, 0);
        complete(f);
        answer(f, NtStatus::UNSUCCESSFUL);
    });
    assert_eq!(crash_of(&other_status), (IO_MANAGER, 0x224, "dispatch-status-differs"));
    let not_completed = driver(|f| answer(f, NtStatus::SUCCESS));
    assert_eq!(
        crash_of(&not_completed),
        (IO_MANAGER, 0x226, "neither-completed-nor-pending")
    );
}

#[test]
fn io_status_is_set_before_completion() {
    let unset = driver(|f| {
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    assert_eq!(crash_of(&unset).2, "io-status-not-set");
    let pending = driver(|f| {
        set_status(f, NtStatus::PENDING, 0);
        complete(f);
        answer(f, NtStatus::PENDING);
    });
    assert_eq!(crash_of(&pending), (IO_MANAGER, 6, "completed-as-pending"));
}

#[test]
fn a_status_is_enough() {
    let program = driver(|f| {
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    let ended = request(&program, BUFFERED, &[], 0);
    assert_eq!((ended.status, ended.information), (NtStatus::SUCCESS, 0));
}

#[test]
fn a_dispatch_routine_returns_a_status() {
    let program = driver(|f| {
        set_status(f, NtStatus::SUCCESS, 0);
        complete(f);
        answer(f, NtStatus(u32::MAX));
    });
    assert_eq!(crash_of(&program), (IO_MANAGER, 0x225, "illegal-status"));
}

#[test]
fn a_cancellable_irp_is_not_completed() {
    let program = driver(|f| {
        f.load(rax, Program::address(HELPER).get());
        f.asm.mov(qword_ptr(rbx + layout::CANCEL_ROUTINE), rax).unwrap();
        set_status(f, NtStatus::SUCCESS, 0);
        complete(f);
    });
    assert_eq!(crash_of(&program), (IO_MANAGER, 7, "completed-with-cancel-routine"));
}
