//! Connecting to interrupts, and what comes of them.

use iced_x86::code_asm::{al, dword_ptr, r8, rsi};
use ntlayout::{
    io_connect_interrupt_parameters as parameters, io_disconnect_interrupt_parameters as disconnection,
    io_interrupt_message_info as info, io_interrupt_message_info_entry as entry,
};

use super::*;
use crate::{
    bus::{InterruptMode, Slot},
    ke::{self, Irql},
};

const FULLY_SPECIFIED: u32 = 1;
const LINE_BASED: u32 = 2;
const MESSAGE_BASED: u32 = 3;

const MESSAGE: Placement = Placement {
    interrupts: InterruptMode::Message,
    shares_line_of: None,
};

/// The service routine that claims nothing.
const DISOWN: usize = HELPER;
/// The one that claims everything.
const CLAIM: usize = HELPER + 1;

/// Where the service routines keep what they were called with, how often, and their driver its interrupt.
const OBJECT: u64 = 0x40;
const CONTEXT: u64 = 0x48;
const MESSAGE_ID: u64 = 0x50;
const CALLS: u64 = 0x58;
const CONNECTION: u64 = 0x60;

fn at(field: u64) -> Va {
    Program::data() + field
}

fn service_routine(f: &mut Function<'_>, claims: bool) {
    f.load(rsi, Program::data().get());
    f.asm.mov(qword_ptr(rsi + OBJECT), rcx).unwrap();
    f.asm.mov(qword_ptr(rsi + CONTEXT), rdx).unwrap();
    f.asm.mov(qword_ptr(rsi + MESSAGE_ID), r8).unwrap();
    f.asm.inc(dword_ptr(rsi + CALLS)).unwrap();
    f.asm.mov(al, i32::from(claims)).unwrap();
}

fn interrupted_driver() -> Program {
    driver_with(invert, |f| service_routine(f, false)).function(|f| service_routine(f, true))
}

/// Asks for a connection of the device's interrupt, whatever it is, to `routine`.
async fn connect_ex(k: &Kernel, version: u32, pdo: Va, routine: usize) -> Outcome<(NtStatus, u32)> {
    let at_parameters = k.allocate_system(parameters::SIZE, "parameters")?;
    let fields = [
        (parameters::PHYSICAL_DEVICE_OBJECT, pdo),
        (parameters::INTERRUPT_OBJECT, at(CONNECTION)),
        (parameters::SERVICE_ROUTINE, Program::address(routine)),
        (parameters::SERVICE_CONTEXT, Va(7)),
    ];
    k.write(at_parameters + parameters::VERSION, version)?;
    for (offset, value) in fields {
        k.write(at_parameters + offset, value)?;
    }
    if version == MESSAGE_BASED {
        let fall_back = Program::address(CLAIM);
        k.write(at_parameters + parameters::FALL_BACK_SERVICE_ROUTINE, fall_back)?;
    }
    call_connect(k, at_parameters).await
}

/// Calls `IoConnectInterruptEx`: its status, and the version it leaves.
async fn call_connect(k: &Kernel, at_parameters: Va) -> Outcome<(NtStatus, u32)> {
    let status = k
        .call(k.routine_address("IoConnectInterruptEx"), &[at_parameters.get()])
        .await?;
    let version = k.read(at_parameters + parameters::VERSION)?;
    Ok((NtStatus((status & 0xFFFF_FFFF) as u32), version))
}

async fn disconnect_ex(k: &Kernel, version: u32) -> Outcome<()> {
    let at_parameters = k.allocate_system(disconnection::SIZE, "parameters")?;
    let connection: Va = k.read(at(CONNECTION))?;
    k.write(at_parameters + disconnection::VERSION, version)?;
    k.write(at_parameters + disconnection::CONNECTION_CONTEXT, connection)?;
    let routine = k.routine_address("IoDisconnectInterruptEx");
    k.call(routine, &[at_parameters.get()]).await?;
    Ok(())
}

fn slot(k: &Kernel) -> Slot {
    k.bus().borrow().functions()[0].slot()
}

fn raise(k: &Kernel, bits: u32) {
    let slot = slot(k);
    k.bus().borrow_mut().device_mut::<Edu>(slot).unwrap().raise(bits);
}

fn acknowledge(k: &Kernel) {
    let mut bus = k.bus().borrow_mut();
    let slot = bus.functions()[0].slot();
    crate::bus::testing::with_context(0, |cx| {
        let function = bus.function_mut(slot);
        function
            .write(cx, 0, 0x64, crate::bus::Width::Dword, 0xFFFF_FFFF)
            .unwrap();
    });
}

fn calls(k: &Kernel) -> Outcome<u32> {
    k.read(at(CALLS))
}

/// Runs `script` on a device placed so, and must find no rule broken.
fn clean<F>(placement: Placement, script: impl FnOnce(Kernel, Va) -> F + Clone + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    for seed in 1..=20 {
        let script = script.clone();
        let machine = run_placed(&interrupted_driver(), seed, placement, |k, pdo, _| script(k, pdo));
        let crash = machine.crash_report(None);
        assert!(crash.is_none(), "{}", crash.unwrap_or_default());
    }
}

/// The rule that `script` breaks, and what the report says.
fn broken<F>(placement: Placement, script: impl FnOnce(Kernel, Va) -> F + 'static) -> (Code, &'static str, String)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_placed(&interrupted_driver(), 1, placement, |k, pdo, _| script(k, pdo));
    let crash = machine.kernel().crash().expect("a rule is broken");
    let bugcheck = crash.bugcheck.clone();
    (bugcheck.code, bugcheck.rule, bugcheck.message)
}

#[test]
fn a_message_calls_its_routine_once_claimed_or_not() {
    clean(MESSAGE, |k, pdo| async move {
        let connected = connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        assert_eq!(connected, (NtStatus::SUCCESS, MESSAGE_BASED));
        for round in 1..=3 {
            raise(&k, 1);
            k.delay(1000).await?;
            assert_eq!(
                calls(&k)?,
                round,
                "the status is never acknowledged, and nothing repeats"
            );
        }
        let table: Va = k.read(at(CONNECTION))?;
        let first = table + info::MESSAGE_INFO;
        assert_eq!(k.read::<u32>(table + info::MESSAGE_COUNT)?, 1);
        assert_eq!(k.read::<u8>(table + info::UNIFIED_IRQL)?, 6);
        let object: Va = k.read(first + entry::INTERRUPT_OBJECT)?;
        let called_with = [OBJECT, CONTEXT, MESSAGE_ID].map(|field| k.read::<u64>(at(field)));
        assert_eq!(called_with, [Ok(object.get()), Ok(7), Ok(0)]);
        let properties = [entry::VECTOR, entry::MESSAGE_DATA, entry::MODE].map(|field| k.read::<u32>(first + field));
        assert_eq!(properties, [Ok(0x60), Ok(0x60), Ok(1)]);
        assert_eq!(k.read::<u64>(first + entry::TARGET_PROCESSOR_SET)?, 0b11);
        // A claim has no consequences for a message.
        let routine = Program::address(CLAIM);
        assert!(ke::interrupt::synchronize_execution(&k, object, routine, Va::NULL).await?);
        disconnect_ex(&k, MESSAGE_BASED).await
    });
}

/// What the interrupt request register holds is one bit a vector.
#[test]
fn messages_sent_while_one_is_pending_are_one() {
    clean(MESSAGE, |k, pdo| async move {
        connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        raise(&k, 1);
        raise(&k, 2);
        k.delay(1000).await?;
        assert_eq!(calls(&k)?, 1);
        disconnect_ex(&k, MESSAGE_BASED).await
    });
}

#[test]
fn a_message_on_its_way_is_delivered_before_its_routine_is_disconnected() {
    clean(MESSAGE, |k, pdo| async move {
        connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        raise(&k, 1);
        disconnect_ex(&k, MESSAGE_BASED).await?;
        assert_eq!(calls(&k)?, 1);
        assert!(k.io().borrow().interrupts.is_empty());
        Ok(())
    });
}

#[test]
fn a_device_without_messages_falls_back_to_its_line() {
    clean(Placement::default(), |k, pdo| async move {
        let connected = connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        assert_eq!(connected, (NtStatus::SUCCESS, LINE_BASED));
        raise(&k, 1);
        while calls(&k)? == 0 {
            k.delay(10).await?;
        }
        acknowledge(&k);
        assert_eq!(k.read::<Va>(at(OBJECT))?, k.read::<Va>(at(CONNECTION))?);
        disconnect_ex(&k, LINE_BASED).await
    });
}

#[test]
fn a_single_message_can_be_served_like_a_line() {
    clean(MESSAGE, |k, pdo| async move {
        let connected = connect_ex(&k, LINE_BASED, pdo, DISOWN).await?;
        assert_eq!(connected, (NtStatus::SUCCESS, LINE_BASED));
        raise(&k, 1);
        k.delay(1000).await?;
        assert_eq!(calls(&k)?, 1);
        let again = connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        assert_eq!(again.0, NtStatus::INVALID_PARAMETER, "messages are not shared");
        disconnect_ex(&k, LINE_BASED).await
    });
}

/// The parameters of a fully specified connection to vector 0x60.
async fn fully_specified(k: &Kernel, pdo: Va, change: impl FnOnce(Va) -> Outcome<()>) -> Outcome<NtStatus> {
    let at_parameters = k.allocate_system(parameters::SIZE, "parameters")?;
    k.write(at_parameters + parameters::VERSION, FULLY_SPECIFIED)?;
    k.write(at_parameters + parameters::PHYSICAL_DEVICE_OBJECT, pdo)?;
    k.write(at_parameters + parameters::INTERRUPT_OBJECT, at(CONNECTION))?;
    k.write(at_parameters + parameters::SERVICE_ROUTINE, Program::address(DISOWN))?;
    k.write(at_parameters + parameters::SYNCHRONIZE_IRQL, 6_u8)?;
    k.write(at_parameters + parameters::VECTOR, 0x60_u32)?;
    k.write(at_parameters + parameters::IRQL, 6_u8)?;
    k.write(at_parameters + parameters::INTERRUPT_MODE, 1_u32)?;
    k.write(at_parameters + parameters::PROCESSOR_ENABLE_MASK, 0b11_u64)?;
    change(at_parameters)?;
    Ok(call_connect(k, at_parameters).await?.0)
}

#[test]
fn a_description_must_fit_the_assigned_interrupt() {
    clean(MESSAGE, |k, pdo| async move {
        let writer = k.clone();
        let write = move |offset: usize, value: u32| {
            let k = writer.clone();
            move |at_parameters: Va| k.write(at_parameters + offset, value)
        };
        let attempt = |change| fully_specified(&k, pdo, change);
        let level_sensitive = write(parameters::INTERRUPT_MODE, 0);
        assert_eq!(attempt(level_sensitive).await?, NtStatus::INVALID_PARAMETER);
        let other_level = write(parameters::IRQL, 5);
        assert_eq!(attempt(other_level).await?, NtStatus::INVALID_PARAMETER);
        let nobodys = write(parameters::VECTOR, 0x70);
        assert_eq!(attempt(nobodys).await?, NtStatus::NOT_FOUND);
        let nowhere = write(parameters::PROCESSOR_ENABLE_MASK, 0);
        assert_eq!(attempt(nowhere).await?, NtStatus::INVALID_PARAMETER_10);
        let no_version = write(parameters::VERSION, 9);
        assert_eq!(attempt(no_version).await?, NtStatus::INVALID_PARAMETER_1);
        let no_device = write(parameters::PHYSICAL_DEVICE_OBJECT, 0);
        assert_eq!(attempt(no_device).await?, NtStatus::INVALID_PARAMETER);

        assert_eq!(fully_specified(&k, pdo, |_| Ok(())).await?, NtStatus::SUCCESS);
        raise(&k, 1);
        k.delay(1000).await?;
        assert_eq!(calls(&k)?, 1);
        disconnect_ex(&k, FULLY_SPECIFIED).await
    });
}

/// `IoConnectInterrupt` is for lines.
#[test]
fn the_old_routine_does_not_connect_messages() {
    clean(MESSAGE, |k, _| async move {
        let routine = k.routine_address("IoConnectInterrupt");
        let service = Program::address(DISOWN).get();
        let arguments = [at(CONNECTION).get(), service, 0, 0, 0x60, 6, 6, 1, 1, 0b11, 0];
        let status = k.call(routine, &arguments).await?;
        assert_eq!(status, u64::from(NtStatus::INVALID_PARAMETER.0));
        Ok(())
    });
}

#[test]
fn an_interrupt_is_disconnected_as_it_was_connected_and_once() {
    let otherwise = broken(MESSAGE, |k, pdo| async move {
        connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        disconnect_ex(&k, LINE_BASED).await
    });
    assert_eq!(otherwise.1, "interrupt-not-connected");
    assert!(otherwise.2.contains("with CONNECT_MESSAGE_BASED"), "{}", otherwise.2);
    let by_the_old_routine = broken(MESSAGE, |k, pdo| async move {
        connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        let table: Va = k.read(at(CONNECTION))?;
        k.call(k.routine_address("IoDisconnectInterrupt"), &[table.get()])
            .await?;
        Ok(())
    });
    assert_eq!(by_the_old_routine.1, "interrupt-not-connected");
    let twice = broken(Placement::default(), |k, pdo| async move {
        connect_ex(&k, LINE_BASED, pdo, DISOWN).await?;
        disconnect_ex(&k, LINE_BASED).await?;
        disconnect_ex(&k, LINE_BASED).await
    });
    assert_eq!(twice.1, "interrupt-not-connected");
}

#[test]
fn connecting_is_for_passive_level() {
    let (code, rule, _) = broken(MESSAGE, |k, pdo| async move {
        let _ = k.raise_irql(Irql::APC);
        connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        Ok(())
    });
    assert_eq!(
        (code, rule),
        (Code::DRIVER_VERIFIER_DETECTED_VIOLATION, "irql-contract")
    );
}

#[test]
fn a_message_that_nobody_is_connected_to_ends_the_run() {
    let (code, rule, message) = broken(MESSAGE, |k, pdo| async move {
        connect_ex(&k, MESSAGE_BASED, pdo, DISOWN).await?;
        disconnect_ex(&k, MESSAGE_BASED).await?;
        raise(&k, 1);
        k.delay(1000).await
    });
    assert_eq!(
        (code, rule),
        (Code::TRAP_CAUSE_UNKNOWN, "message-without-service-routine")
    );
    assert!(message.contains("edu (device 3)"), "{message}");
}

#[test]
fn a_line_asserted_after_disconnection_ends_the_run_then_or_later() {
    for later in [false, true] {
        let (code, rule, message) = broken(Placement::default(), move |k, pdo| async move {
            connect_ex(&k, LINE_BASED, pdo, CLAIM).await?;
            // Kept from being delivered, the line is still up when its routine goes.
            let old = k.raise_irql(Irql::HIGH);
            if !later {
                raise(&k, 1);
            }
            k.lower_irql(old);
            disconnect_ex(&k, LINE_BASED).await?;
            raise(&k, 1);
            k.delay(1000).await
        });
        assert_eq!(
            (code, rule),
            (Code::HARDWARE_INTERRUPT_STORM, "interrupt-after-disconnect")
        );
        assert!(message.contains("edu (device 3)"), "{message}");
    }
}

/// Nobody is connected to the line yet, so it is masked.
#[test]
fn a_line_that_nobody_was_ever_connected_to_is_masked() {
    clean(Placement::default(), |k, pdo| async move {
        raise(&k, 1);
        k.delay(1000).await?;
        acknowledge(&k);
        connect_ex(&k, LINE_BASED, pdo, DISOWN).await?;
        k.delay(1000).await?;
        assert_eq!(calls(&k)?, 0);
        disconnect_ex(&k, LINE_BASED).await
    });
}

#[test]
fn a_line_that_is_claimed_and_never_falls_is_a_storm() {
    for routine in [CLAIM, DISOWN] {
        let (code, rule, message) = broken(Placement::default(), move |k, pdo| async move {
            connect_ex(&k, LINE_BASED, pdo, routine).await?;
            raise(&k, 1);
            k.delay(1_000_000).await
        });
        assert_eq!((code, rule), (Code::HARDWARE_INTERRUPT_STORM, "interrupt-storm"));
        assert!(message.contains("edu (device 3)"), "{message}");
    }
}
