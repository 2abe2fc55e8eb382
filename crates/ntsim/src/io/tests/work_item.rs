//! Work items.

use iced_x86::code_asm::{r8, r9};

use super::{super::work_item, *};

/// Where the driver's routine keeps what it was called with: the device, the context, the item.
fn seen() -> u64 {
    Program::data().get() + 0x40
}

/// A driver whose function [`HELPER`] is a work item's routine, the function after it frees the item as well.
fn working_driver() -> Program {
    driver_with(invert, |f| {
        f.load(rax, seen());
        f.asm.mov(qword_ptr(rax), rcx).unwrap();
        f.asm.mov(qword_ptr(rax + 8), rdx).unwrap();
        f.asm.mov(qword_ptr(rax + 16), r8).unwrap();
    })
    .import(&["IoFreeWorkItem"])
    .function(|f| {
        f.asm.mov(rcx, r8).unwrap();
        f.call("IoFreeWorkItem");
    })
}

fn work(function: usize) -> work_item::Work {
    work_item::Work {
        routine: Program::address(function),
        queue_type: 1,
        context: 7,
        extended: true,
    }
}

/// Runs `script` with the driver's device and a work item of it.
fn with_item<F>(script: impl FnOnce(Kernel, Va, Va) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    run(&working_driver(), 1, |k, pdo, _| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        let item = work_item::allocate(&k, fdo)?;
        script(k, fdo, item).await
    })
}

/// The first parameter of the bug check for a misused work item.
fn misuse(machine: &Machine) -> u64 {
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.code, Code::WORKER_INVALID);
    crash.bugcheck.parameters[0]
}

#[test]
fn the_routine_runs_later_with_its_arguments() {
    let machine = with_item(|k, fdo, item| async move {
        k.write(Va(seen() + 16), 0_u64)?;
        work_item::queue(&k, item, work(HELPER))?;
        assert_eq!(k.read::<u64>(Va(seen() + 16))?, 0, "not yet");
        k.delay(10_000).await?;
        let arguments = [seen(), seen() + 8, seen() + 16].map(|at| k.read::<u64>(Va(at)));
        assert_eq!(arguments, [Ok(fdo.get()), Ok(7), Ok(item.get())]);
        work_item::queue(&k, item, work(HELPER))?;
        k.delay(10_000).await?;
        work_item::free(&k, item)
    });
    assert_clean(&machine);
}

#[test]
fn the_routine_may_free_its_item() {
    let machine = with_item(|k, _, item| async move {
        work_item::queue(&k, item, work(HELPER + 1))?;
        k.delay(10_000).await?;
        assert!(k.io().borrow().work_items.is_empty());
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn a_queued_item_keeps_its_device_object() {
    let machine = with_item(|k, fdo, item| async move {
        let below = k.io().borrow().devices.below(fdo).expect("it is attached");
        work_item::queue(&k, item, work(HELPER))?;
        device::detach(&k, below)?;
        device::delete(&k, fdo)?;
        assert!(k.io().borrow().devices.exists(fdo), "until the routine has returned");
        k.delay(10_000).await?;
        assert!(!k.io().borrow().devices.exists(fdo));
        work_item::free(&k, item)
    });
    assert_clean(&machine);
}

#[test]
fn an_item_is_queued_once_and_not_freed_meanwhile() {
    let twice = with_item(|k, _, item| async move {
        work_item::queue(&k, item, work(HELPER))?;
        work_item::queue(&k, item, work(HELPER))
    });
    assert_eq!(misuse(&twice), 1);
    let freed = with_item(|k, _, item| async move {
        work_item::queue(&k, item, work(HELPER))?;
        work_item::free(&k, item)
    });
    assert_eq!(misuse(&freed), 2);
}

#[test]
fn items_belong_to_devices_and_go_to_the_delayed_queue() {
    let no_device = with_item(|k, _, item| async move { work_item::allocate(&k, item).map(|_| ()) });
    assert_eq!(misuse(&no_device), 3);
    let other_queue = with_item(|k, _, item| async move {
        let queue_type = 0;
        let work = work_item::Work {
            queue_type,
            ..work(HELPER)
        };
        work_item::queue(&k, item, work)
    });
    assert_eq!(misuse(&other_queue), 6);
}

#[test]
fn an_item_that_was_freed_is_out_of_reach() {
    let machine = with_item(|k, _, item| async move {
        work_item::free(&k, item)?;
        work_item::queue(&k, item, work(HELPER))
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "pool-use-after-free");
}

/// From a routine at `DISPATCH_LEVEL`, through the imports.
#[test]
fn work_is_queued_from_dispatch_level() {
    let program = working_driver()
        .import(&["IoAllocateWorkItem", "IoQueueWorkItem"])
        .function(|f| {
            f.call("IoAllocateWorkItem");
            f.asm.mov(rcx, rax).unwrap();
            f.load(rdx, Program::address(HELPER).get());
            f.asm.mov(r8, 1_u64).unwrap();
            f.asm.mov(r9, 9_u64).unwrap();
            f.call("IoQueueWorkItem");
        });
    let machine = run(&program, 1, |k, pdo, _| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        let old = k.raise_irql(crate::ke::Irql::DISPATCH);
        k.call(Program::address(HELPER + 2), &[fdo.get()]).await?;
        k.lower_irql(old);
        k.delay(10_000).await?;
        assert_eq!(k.read::<u64>(Va(seen() + 8))?, 9);
        let left = super::super::leftovers(&k);
        assert!(
            left.iter().any(|what| what.to_string().contains("work item")),
            "{left:?}"
        );
        Ok(())
    });
    assert_clean(&machine);
}

/// Where a driver keeps a work item of its own.
fn own_item(k: &Kernel) -> Outcome<Va> {
    k.allocate_system(0x58, "driver's memory")
}

#[test]
fn an_item_in_the_drivers_memory_works_alike() {
    let machine = with_item(|k, fdo, item| async move {
        work_item::free(&k, item)?;
        let size = k.call(k.routine_address("IoSizeofWorkItem"), &[]).await?;
        assert_eq!(size, 0x58);
        let own = own_item(&k)?;
        work_item::initialize(&k, fdo, own)?;
        assert!(work_item::try_queue(&k, own, work(HELPER))?);
        assert!(!work_item::try_queue(&k, own, work(HELPER))?, "it is queued already");
        k.delay(10_000).await?;
        assert_eq!(k.read::<u64>(Va(seen() + 16))?, own.get());
        work_item::uninitialize(&k, own)?;
        k.free_system(own)
    });
    assert!(
        machine.kernel().crash().is_none(),
        "{}",
        machine.crash_report(None).unwrap()
    );
}

#[test]
fn an_item_in_the_drivers_memory_is_uninitialized_before_that_is_freed() {
    let freed = with_item(|k, fdo, _| async move {
        let own = own_item(&k)?;
        work_item::initialize(&k, fdo, own)?;
        crate::ex::pool::check_idle(&k, own - 0x10_usize, 0x100)
    });
    assert_eq!(misuse(&freed), 2);
    let queued = with_item(|k, fdo, _| async move {
        let own = own_item(&k)?;
        work_item::initialize(&k, fdo, own)?;
        work_item::queue(&k, own, work(HELPER))?;
        work_item::uninitialize(&k, own)
    });
    assert_eq!(misuse(&queued), 2);
    let never_initialized = with_item(|k, _, _| async move {
        let own = own_item(&k)?;
        work_item::queue(&k, own, work(HELPER))
    });
    assert_eq!(misuse(&never_initialized), 5);
    let allocated = with_item(|k, _, item| async move { work_item::uninitialize(&k, item) });
    assert_eq!(misuse(&allocated), 5);
}
