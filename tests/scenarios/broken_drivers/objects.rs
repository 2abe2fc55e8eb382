//! Kernel objects, pool and memory: where they may lie, and what may be done with them.

use super::{
    twins::{fault, passes},
    *,
};

#[test]
fn an_event_in_paged_pool() {
    passes("event-in-paged-pool");
    let bugcheck = fault("event-in-paged-pool");
    assert_eq!(
        verifier_violation(&bugcheck),
        0xE1,
        "a synchronization object is pageable"
    );
}

#[test]
fn an_event_that_was_never_initialized() {
    passes("signals-raw-event");
    let bugcheck = fault("signals-raw-event");
    assert_eq!(bugcheck.code, BugCheckCode::IRQL_NOT_LESS_OR_EQUAL);
    assert_eq!(
        bugcheck.parameters[..2],
        [0, 2],
        "a null pointer is followed at DISPATCH_LEVEL"
    );
}

#[test]
fn a_wait_in_user_mode_for_what_is_on_the_stack() {
    passes("waits-in-user-mode");
    assert_eq!(verifier_violation(&fault("waits-in-user-mode")), 0x123);
}

#[test]
fn a_work_item_in_paged_pool() {
    passes("work-item-in-paged-pool");
    assert_eq!(verifier_violation(&fault("work-item-in-paged-pool")), 0x131);
}

#[test]
fn a_dpc_for_a_processor_that_is_not_there() {
    passes("targets-absent-processor");
    let bugcheck = fault("targets-absent-processor");
    assert_eq!(bugcheck.code, BugCheckCode::TIMER_OR_DPC_INVALID);
    assert_eq!(bugcheck.parameters[0], 3, "the processor number is not correct");
    assert_eq!(bugcheck.parameters[2..], [70, 2], "the number, and how many there are");
}

#[test]
fn executable_pool() {
    passes("asks-for-executable-pool");
    assert_eq!(verifier_violation(&fault("asks-for-executable-pool")), 0x2000);
}

#[test]
fn a_copy_between_buffers_that_overlap() {
    passes("copies-overlapping");
    assert_eq!(verifier_violation(&fault("copies-overlapping")), 0xF0);
}
