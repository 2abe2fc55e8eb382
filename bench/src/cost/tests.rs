use ntsim::mm::Pa;

use super::*;

const DPC: &str = "DPC";

/// `count` instructions of a routine on processor 0, after `events_before` events.
fn slice(activity: ActivityKind, label: &'static str, irql: Irql, count: usize, events_before: usize) -> Slice {
    Slice {
        events_before,
        processor: 0,
        activity,
        label,
        routine: Va(0x1000),
        irql,
        locks: Vec::new(),
        executed: (0..count).map(|index| Va(0x1000) + index).collect(),
        stack: 0,
        raised: 0,
    }
}

fn record(event: Event) -> Record {
    Record {
        time: 0,
        processor: Some(0),
        activity: None,
        event,
    }
}

fn called(routine: &'static str) -> Record {
    record(Event::Called {
        routine,
        arguments: Vec::new(),
        irql: Irql::DISPATCH,
    })
}

fn window(slices: Vec<Slice>, records: &[Record]) -> Window {
    Window::new(slices, records, 0)
}

fn interrupt() -> ActivityKind {
    ActivityKind::Interrupt {
        source: ntsim::ke::interrupt::Source::Line(11),
    }
}

#[test]
fn instructions_and_calls_belong_to_the_routine_that_ran() {
    let slices = vec![
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 3, 0),
        slice(ActivityKind::Dpc, "StartIo", Irql::DISPATCH, 5, 1),
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 2, 2),
    ];
    let records = [called("IoStartNextPacket"), called("KeSetTimer")];
    let cost = window(slices, &records).cost();
    assert_eq!((cost.instructions, cost.calls), (10, 2));
    let of = |label: &str| (cost.routines[label].instructions, cost.routines[label].calls);
    assert_eq!(of(DPC), (5, 1));
    assert_eq!(of("StartIo"), (5, 1));
    assert_eq!(cost.calls_by_name["KeSetTimer"], 1);
}

#[test]
fn a_lock_is_taken_when_its_routine_goes_on_with_it() {
    let lock = Va(0x8000);
    let with_lock = |mut slice: Slice| {
        slice.locks.push(lock);
        slice
    };
    let slices = vec![
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 3, 0),
        with_lock(slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 4, 1)),
        with_lock(slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 4, 1)),
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 1, 2),
    ];
    let records = [called("IoAcquireCancelSpinLock"), called("IoReleaseCancelSpinLock")];
    let cost = window(slices, &records).cost();
    assert_eq!(cost.locks_taken, 1);
    let expected = LockCost {
        taken: 1,
        instructions: 8,
    };
    assert_eq!(
        cost.locks,
        BTreeMap::from([("system cancel lock".to_owned(), expected)])
    );
}

/// The kernel has acquired it before the service routine's first instruction.
#[test]
fn the_lock_of_a_service_routine_is_held_and_not_taken() {
    let isr = |count, events_before| {
        let mut slice = slice(interrupt(), "ISR", Irql(8), count, events_before);
        slice.locks.push(Va(0x9000));
        slice
    };
    let entered = record(Event::Entered {
        label: "ISR",
        routine: Va(0x1000),
        irql: Irql(8),
    });
    let left = record(Event::Left { label: "ISR", value: 1 });
    let cost = window(
        vec![isr(7, 1), isr(6, 3)],
        &[entered.clone(), left.clone(), entered, left],
    )
    .cost();
    assert_eq!(cost.locks_taken, 0);
    assert_eq!(cost.locks["interrupt spin lock"].instructions, 13);
    assert_eq!(cost.routines["ISR"].entered, 2);
    assert_eq!(cost.device_irql, 7, "two runs of the service routine are not one");
}

#[test]
fn the_longest_stay_is_at_its_own_level() {
    let mut slices = vec![
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 3, 0),
        slice(ActivityKind::Dpc, "SynchCritSection", Irql(8), 4, 0),
        slice(ActivityKind::Dpc, "SynchCritSection", Irql(8), 5, 0),
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 6, 0),
        slice(ActivityKind::Dpc, DPC, Irql::PASSIVE, 100, 0),
    ];
    let mut raised = 0;
    for slice in &mut slices[..4] {
        raised += slice.executed.len() as u64;
        slice.raised = raised;
    }
    let cost = window(slices, &[]).cost();
    assert_eq!((cost.dispatch_level, cost.device_irql), (18, 9));
}

#[test]
fn registers_and_allocations_are_counted() {
    let (address, width, value) = (Pa(0x10), 4, 0);
    let records = [
        record(Event::RegisterRead { address, width, value }),
        record(Event::RegisterWritten { address, width, value }),
        record(Event::RegisterWritten { address, width, value }),
        called("ExAllocatePool2"),
    ];
    let cost = window(vec![slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 1, 0)], &records).cost();
    assert_eq!((cost.register_reads, cost.register_writes, cost.allocations), (1, 2, 1));
    assert_eq!(cost.routines[DPC].register_accesses, 3);
}

#[test]
fn routines_that_are_called_alike_are_told_apart() {
    let mut slices = vec![
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 1, 0),
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 2, 0),
        slice(ActivityKind::Dpc, DPC, Irql::DISPATCH, 4, 0),
    ];
    slices[1].routine = Va(0x2000);
    let cost = window(slices, &[]).cost();
    let instructions = |name: &str| cost.routines[name].instructions;
    assert_eq!((instructions("DPC"), instructions("DPC 2")), (5, 2));
}
