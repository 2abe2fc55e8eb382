//! Remove locks.

use iced_x86::code_asm::{r8, r9};

use super::*;

/// `sizeof(IO_REMOVE_LOCK)` of a free build.
const SIZE: u64 = ntlayout::io_remove_lock::SIZE as u64;

fn lock() -> u64 {
    Program::data().get()
}

/// A driver whose first function makes a remove lock and then does `body`.
fn with_lock(body: impl Fn(&mut Function<'_>) + 'static) -> Program {
    let imports = [
        "IoInitializeRemoveLockEx",
        "IoAcquireRemoveLockEx",
        "IoReleaseRemoveLockEx",
        "IoReleaseRemoveLockAndWaitEx",
    ];
    Program::default()
        .import(&imports)
        .function(move |f| {
            f.arguments(&[lock(), 0, 0]);
            f.asm.xor(r9, r9).unwrap();
            f.call("IoInitializeRemoveLockEx");
            body(f);
        })
        .function(|f| {
            f.arguments(&[lock(), 1, SIZE]);
            f.call("IoReleaseRemoveLockEx");
        })
}

fn acquire(f: &mut Function<'_>, tag: u64) {
    f.arguments(&[lock(), tag, 0]);
    f.asm.xor(r8, r8).unwrap();
    f.call("IoAcquireRemoveLockEx");
}

fn release(f: &mut Function<'_>, tag: u64) {
    f.arguments(&[lock(), tag, SIZE]);
    f.call("IoReleaseRemoveLockEx");
}

fn release_and_wait(f: &mut Function<'_>, tag: u64) {
    f.arguments(&[lock(), tag, SIZE]);
    f.call("IoReleaseRemoveLockAndWaitEx");
}

/// Runs the first function; 50 µs later, when `late` says so, the second.
fn run(program: &Program, late: bool) -> (Machine, Option<u64>) {
    let result = Rc::new(RefCell::new(None));
    let seen = result.clone();
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("first"), |k| async move {
        let value = k.call(Program::address(0), &[]).await?;
        *seen.borrow_mut() = Some(value);
        Ok(())
    });
    if late {
        machine.spawn(ThreadSpec::system("second"), |k| async move {
            k.delay(50_000).await?;
            k.call(Program::address(1), &[]).await
        });
    }
    // What it ended with is for the caller to look at.
    let _: RunEnd = machine.run();
    (machine, result.take())
}

#[test]
fn removal_waits_for_those_inside_and_turns_others_away() {
    let program = with_lock(|f| {
        acquire(f, 1);
        acquire(f, 2);
        release_and_wait(f, 2);
        acquire(f, 3);
    });
    let (machine, result) = run(&program, true);
    assert_clean(&machine);
    assert_eq!(result, Some(NtStatus::DELETE_PENDING.0.into()));
    assert!(
        machine.kernel().now() >= 50_000,
        "it waited for the second thread's release"
    );
}

#[test]
fn a_reference_that_is_never_released_hangs_the_removal() {
    let program = with_lock(|f| {
        acquire(f, 1);
        acquire(f, 2);
        release_and_wait(f, 2);
    });
    let (machine, _) = run(&program, false);
    assert_eq!(machine.kernel().crash().expect("it hangs").bugcheck.rule, "hang");
}

#[test]
fn tags_match() {
    let release_with_another = with_lock(|f| {
        acquire(f, 1);
        release(f, 2);
    });
    let (machine, _) = run(&release_with_another, false);
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(
        (crash.bugcheck.parameters[0], crash.bugcheck.rule),
        (0xD5, "remove-lock-misused")
    );
}
