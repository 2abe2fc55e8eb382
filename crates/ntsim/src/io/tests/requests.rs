//! How requests reach a driver and come back.

use super::{super::irp::IoStatus, *};

#[test]
fn a_buffered_request_goes_round() {
    let completion = request(&driver(invert), BUFFERED, &[1, 2, 3, 4], 4);
    assert_eq!(completion.status, NtStatus::SUCCESS);
    assert_eq!(
        (completion.information, completion.output),
        (4, vec![0xFE, 0xFD, 0xFC, 0xFB])
    );
}

#[test]
fn output_is_what_information_says_leftovers_included() {
    let program = driver(|f| {
        set_status(f, NtStatus::BUFFER_OVERFLOW, 6);
        complete(f);
        answer(f, NtStatus::BUFFER_OVERFLOW);
    });
    let completion = request(&program, BUFFERED, &[1, 2], 8);
    assert_eq!(completion.status, NtStatus::BUFFER_OVERFLOW);
    assert_eq!(
        completion.output,
        [1, 2, 0xA5, 0xA5, 0xA5, 0xA5],
        "a warning copies out"
    );
}

#[test]
fn an_error_copies_nothing_out() {
    let program = driver(|f| {
        set_status(f, NtStatus::INVALID_PARAMETER, 4);
        complete(f);
        answer(f, NtStatus::INVALID_PARAMETER);
    });
    let completion = request(&program, BUFFERED, &[1, 2, 3, 4], 4);
    assert_eq!(
        (completion.status, completion.output),
        (NtStatus::INVALID_PARAMETER, vec![])
    );
}

#[test]
fn more_information_than_room_is_a_violation() {
    let program = driver(|f| {
        set_status(f, NtStatus::SUCCESS, 5);
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    assert_eq!(crash_of(&program), (IO_MANAGER, 0x312, "information-exceeds-buffer"));
}

#[test]
fn close_follows_the_last_request() {
    let program = driver_with(pend_cancellable, |f| {
        release_cancel_lock(f);
        set_status(f, NtStatus::CANCELLED, 0);
        complete(f);
    });
    let machine = run(&program, 1, |k, pdo, link| async move {
        let handle = open(&k, &link).await?;
        let request = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        handle.clone().close(&k).await?;
        let closed = |k: &Kernel| k.io().borrow().files.is_empty();
        assert!(!closed(&k), "a request is still under way");
        let late = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        assert_eq!(late.wait(&k).await?.status, NtStatus::INVALID_HANDLE);
        assert_eq!(pnp::remove_device(&k, pdo).await?, pnp::Removal::HandlesOpen(1));
        handle.cancel_io(&k, Some(&request)).await?;
        while !closed(&k) {
            k.delay(1_000).await?;
        }
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn opens_and_requests_need_access_and_a_device() {
    let machine = run(&driver(invert), 1, |k, pdo, link| async move {
        let unknown = Handle::open(&k, "\\??\\nobody", 0).await?;
        assert_eq!(unknown.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
        let reader = Handle::open(&k, &link, FILE_READ_DATA).await?.unwrap();
        let refused = reader.device_io_control(&k, BUFFERED, &[0; 4], 4).await?;
        assert_eq!(refused.wait(&k).await?.status, NtStatus::ACCESS_DENIED);
        pnp::surprise_remove(&k, pdo).await?;
        let gone = Handle::open(&k, &link, 0).await?;
        assert_eq!(gone.unwrap_err(), NtStatus::NO_SUCH_DEVICE);
        Ok(())
    });
    // The reader's handle is never closed, so the removal never comes.
    let crash = machine.kernel().crash().expect("the PnP manager waits for ever");
    assert_eq!(crash.bugcheck.rule, "hang");
    assert!(
        crash.bugcheck.message.contains("1 file objects"),
        "{}",
        crash.bugcheck.message
    );
}

#[test]
fn a_missing_dispatch_routine_refuses() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let top = device::top_of_stack(&k, pdo)?;
        let stack_size: u8 = k.read(top + ntlayout::device_object::STACK_SIZE)?;
        let record = super::super::irp::allocate(
            &k,
            super::super::irp::Spec {
                major: Major::INTERNAL_DEVICE_CONTROL,
                minor: 0,
                stack_size,
                file: None,
                status: None,
                mode: crate::sched::Mode::Kernel,
                finish: None,
            },
        )?;
        let io_status = super::super::file::send_and_wait(&k, top, &record).await?;
        assert_eq!(io_status.status, NtStatus::INVALID_DEVICE_REQUEST);
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn a_run_depends_on_its_seed_alone() {
    let digest = |seed| {
        let machine = run(&driver(invert), seed, |k, _, link| async move {
            let handle = open(&k, &link).await?;
            let request = handle.device_io_control(&k, BUFFERED, &[0; 4], 4).await?;
            request.wait(&k).await?;
            handle.close(&k).await
        });
        assert_eq!(machine.run(), RunEnd::Idle);
        machine.kernel().recorded().digest()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

/// How a program learns the end of a request whose driver completes it with a status, at once or after it was pended: what the call
/// returned, and what the I/O status block holds.
fn learnt(status: NtStatus, pended: bool) -> (NtStatus, Option<IoStatus>) {
    let program = driver(move |f| {
        if pended {
            mark_pending(f);
        }
        set_status(f, status, 0);
        complete(f);
        answer(f, if pended { NtStatus::PENDING } else { status });
    });
    let seen = Rc::new(RefCell::new(None));
    let learnt = seen.clone();
    let machine = run(&program, 1, move |k, _, link| async move {
        let handle = open(&k, &link).await?;
        let request = handle.device_io_control(&k, BUFFERED, &[], 0).await?;
        assert_eq!(request.wait(&k).await?.status, status);
        *seen.borrow_mut() = Some((request.returned(), request.io_status_block()));
        handle.close(&k).await
    });
    assert_clean(&machine);
    learnt.take().expect("the request has ended")
}

#[test]
fn a_request_that_fails_at_once_leaves_the_status_block_alone() {
    let block = |status| Some(IoStatus { status, information: 0 });
    let (failure, warning) = (NtStatus::INVALID_PARAMETER, NtStatus::BUFFER_OVERFLOW);
    assert_eq!(learnt(failure, false), (failure, None));
    assert_eq!(learnt(failure, true), (NtStatus::PENDING, block(failure)));
    assert_eq!(learnt(warning, false), (warning, block(warning)));
    assert_eq!(
        learnt(NtStatus::SUCCESS, false),
        (NtStatus::SUCCESS, block(NtStatus::SUCCESS))
    );
}
