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

/// Passes the IRP in `rbx` down with the stack location that is next now, and answers that it is pending.
fn pass_down(f: &mut Function<'_>) {
    f.asm.mov(rdx, rbx).unwrap();
    f.load(rax, lower_device().get());
    f.asm.mov(rcx, qword_ptr(rax)).unwrap();
    f.call("IofCallDriver");
    answer(f, NtStatus::PENDING);
}

#[test]
fn a_pending_irp_is_passed_down_with_the_drivers_own_location_but_not_with_a_copy_of_its_flags() {
    let skipped = driver(|f| {
        mark_pending(f);
        f.asm.inc(byte_ptr(rbx + layout::CURRENT_LOCATION)).unwrap();
        let location = qword_ptr(rbx + layout::CURRENT_STACK_LOCATION);
        f.asm.add(location, i32::try_from(stack::SIZE).unwrap()).unwrap();
        pass_down(f);
    });
    let ended = request(&skipped, BUFFERED, &[], 0);
    assert_eq!(
        ended.status,
        NtStatus::INVALID_DEVICE_REQUEST,
        "the bus driver's answer"
    );
    let copied = driver(|f| {
        mark_pending(f);
        f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
        let next = i32::try_from(stack::SIZE).unwrap();
        f.asm.or(byte_ptr(rax - next + stack::CONTROL), 1).unwrap();
        pass_down(f);
    });
    assert_eq!(crash_of(&copied), (IO_MANAGER, 0x206, "forwarded-with-control-flags"));
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
