//! Device objects and their stacks.

use super::*;

/// What a test does to the bus driver's and its driver's device object.
type Case = fn(&Kernel, Va, Va) -> Outcome<()>;

#[test]
fn a_device_that_stays_after_remove_is_a_violation() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        pnp::remove_device(&k, pdo).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(
        (crash.bugcheck.parameters[0], crash.bugcheck.rule),
        (0x21D, "not-detached-at-remove")
    );
}

#[test]
fn device_stacks_are_taken_down_in_order() {
    let cases: [(&str, Case); 3] = [
        ("device-deleted-while-attached", |k, _, fdo| device::delete(k, fdo)),
        ("detach-without-attachment", |k, pdo, _| {
            device::detach(k, pdo)?;
            device::detach(k, pdo)
        }),
        ("device-deleted-twice", |k, pdo, fdo| {
            device::detach(k, pdo)?;
            device::delete(k, fdo)?;
            device::delete(k, fdo)
        }),
    ];
    for (rule, case) in cases {
        let machine = run(&driver(invert), 1, move |k, pdo, _| async move {
            let fdo = device::top_of_stack(&k, pdo)?;
            case(&k, pdo, fdo)
        });
        let crash = machine.kernel().crash().expect("a rule is broken");
        assert_eq!(crash.bugcheck.rule, rule);
    }
}

#[test]
fn a_reference_keeps_a_deleted_device_object() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let attached = k.routine_address("IoGetAttachedDeviceReference");
        let fdo = Va(k.call(attached, &[pdo.get()]).await?);
        assert_eq!(fdo, device::top_of_stack(&k, pdo)?);
        let left = crate::ob::leftovers(&k);
        assert!(left[0].to_string().contains("referenced 1 times"), "{left:?}");
        device::detach(&k, pdo)?;
        device::delete(&k, fdo)?;
        assert!(k.io().borrow().devices.exists(fdo));
        let dereference = k.routine_address("ObfDereferenceObject");
        assert_eq!(k.call(dereference, &[fdo.get()]).await?, 0);
        assert!(!k.io().borrow().devices.exists(fdo));
        // One too many.
        k.call(dereference, &[pdo.get()]).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(
        (crash.bugcheck.code, crash.bugcheck.rule),
        (Code::REFERENCE_BY_POINTER, "bad-reference")
    );
}
