//! What drivers tell the power manager, and what they want to be told: idle detection, the system's state, power settings, wake-ups, the
//! watchdog's time.

use std::collections::{BTreeMap, BTreeSet};

use super::{PowerManager, watchdog};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    io::{self, device_interface::Guid},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::Va,
    sched::{ThreadId, ThreadSpec, WaitQueue},
    status::NtStatus,
};

/// A driver that wants to know of a power setting.
#[derive(Debug)]
struct SettingCallback {
    running: Option<ThreadId>,
    waiters: WaitQueue,
}

/// What drivers have registered.
#[derive(Debug, Default)]
struct Registrations {
    /// By device object: the idle counter.
    idle: BTreeMap<Va, Va>,
    /// Handles of `PoRegisterSystemState`.
    states: BTreeSet<Va>,
    settings: BTreeMap<Va, SettingCallback>,
    /// IRPs of which drivers have said that they woke the system.
    woke: BTreeSet<Va>,
}

pub(super) fn register(ddi: &mut Registry) {
    let at_most_apc = Contract::at_most(Irql::APC);
    let at_most_dispatch = Contract::at_most(Irql::DISPATCH);
    ddi.function("PoRegisterDeviceForIdleDetection", 4, at_most_apc, |k, a| {
        register_idle(k, a.va(0), a.u32(1), a.u32(2))
    });
    // The policy never lets a device go idle here: the counter is all there is.
    for name in ["PoSetDeviceBusyEx", "PoStartDeviceBusy", "PoEndDeviceBusy"] {
        ddi.function(name, 1, Contract::ANY, |k, a| k.write(a.va(0), 0_u32));
    }
    ddi.function("PoRegisterSystemState", 2, at_most_apc, |k, a| {
        let known = a.va(0);
        if known.is_null() {
            let handle = k.allocate_system(4, "a registration of the system's state")?;
            k.note_made(handle);
            k.state::<Registrations>().borrow_mut().states.insert(handle);
            k.write(handle, a.u32(1))?;
            return Ok(handle);
        }
        check_state(k, known, "PoRegisterSystemState")?;
        k.write(known, a.u32(1))?;
        Ok(known)
    });
    ddi.function("PoUnregisterSystemState", 1, at_most_apc, |k, a| {
        check_state(k, a.va(0), "PoUnregisterSystemState")?;
        k.state::<Registrations>().borrow_mut().states.remove(&a.va(0));
        k.free_system(a.va(0))
    });
    // The system is busy in any case: nobody waits for it to become idle.
    ddi.function("PoSetSystemState", 1, at_most_dispatch, |_, _| Ok(()));
    ddi.function(
        "PoRegisterPowerSettingCallback",
        5,
        Contract::exactly(Irql::PASSIVE),
        register_setting,
    );
    ddi.flow("PoUnregisterPowerSettingCallback", 1, at_most_apc, |k, a| async move {
        unregister_setting(&k, a.va(0)).await
    });
    ddi.function("PoGetSystemWake", 1, at_most_dispatch, |k, a| {
        Ok(k.state::<Registrations>().borrow().woke.contains(&a.va(0)))
    });
    ddi.function("PoSetSystemWake", 1, at_most_dispatch, |k, a| {
        k.state::<Registrations>().borrow_mut().woke.insert(a.va(0));
        Ok(())
    });
    ddi.function("PoSetSystemWakeDevice", 1, at_most_dispatch, |_, _| Ok(()));
    ddi.function("PoQueryWatchdogTime", 2, at_most_dispatch, |k, a| {
        const NANOSECONDS: u64 = 1_000_000_000;
        let bottom = io::bottom_of_stack(k, a.va(0));
        let left = watchdog::remaining(&k.state::<PowerManager>().borrow().watchdog, bottom, k.now());
        let Some(left) = left else {
            return Ok(false);
        };
        k.write(a.va(1), u32::try_from(left / NANOSECONDS).unwrap_or(u32::MAX))?;
        Ok(true)
    });
}

/// The device's idle counter; null when idle detection is switched off.
fn register_idle(k: &Kernel, device: Va, conservation: u32, performance: u32) -> Outcome<Va> {
    let state = k.state::<Registrations>();
    let known = state.borrow().idle.get(&device).copied();
    if conservation == 0 && performance == 0 {
        state.borrow_mut().idle.remove(&device);
        if let Some(counter) = known {
            k.free_system(counter)?;
        }
        return Ok(Va::NULL);
    }
    if let Some(counter) = known {
        return Ok(counter);
    }
    let counter = k.allocate_system(4, "an idle counter")?;
    state.borrow_mut().idle.insert(device, counter);
    Ok(counter)
}

/// A device object goes, and its idle detection with it.
pub(super) fn device_gone(k: &Kernel, device: Va) -> Outcome<()> {
    let counter = k.state::<Registrations>().borrow_mut().idle.remove(&device);
    counter.map_or(Ok(()), |counter| k.free_system(counter))
}

fn check_state(k: &Kernel, handle: Va, routine: &str) -> Outcome<()> {
    if k.state::<Registrations>().borrow().states.contains(&handle) {
        return Ok(());
    }
    Err(not_registered(k, handle, routine))
}

fn not_registered(k: &Kernel, handle: Va, routine: &str) -> crate::bugcheck::Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::POWER_REGISTRATION.subcode, handle.get(), 0, 0],
        "power-registration",
        format!("{routine} was given {handle}, which is no registration, or none any more"),
    ))
}

/// Settings whose values are known here: on AC power, with the display on. Each is a `ULONG`.
const SETTINGS: [(&str, u32); 3] = [
    // GUID_ACDC_POWER_SOURCE: PoAc.
    ("{5d3e9a59-e9d5-4b00-a6bd-ff34ff516548}", 0),
    // GUID_CONSOLE_DISPLAY_STATE: PowerMonitorOn.
    ("{6fe69556-704a-47a0-8f24-c28d936fda47}", 1),
    // GUID_MONITOR_POWER_ON.
    ("{02731015-4510-4526-99e6-e5a17ebd1aea}", 1),
];

/// `PoRegisterPowerSettingCallback(DeviceObject, SettingGuid, Callback, Context, Handle)`: the driver is told the present value soon.
fn register_setting(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (callback, context) = (a.va(2), a.va(3));
    let mut guid = [0; 16];
    k.read_into(a.va(1), &mut guid)?;
    let handle = k.allocate_system(16, "a registration for a power setting")?;
    k.note_made(handle);
    let made = SettingCallback {
        running: None,
        waiters: WaitQueue::default(),
    };
    k.state::<Registrations>().borrow_mut().settings.insert(handle, made);
    k.write(a.va(4), handle)?;
    let text = Guid(guid).to_string();
    if let Some((_, value)) = SETTINGS.into_iter().find(|(known, _)| *known == text) {
        k.spawn(ThreadSpec::system("power settings"), move |k| async move {
            tell(&k, handle, guid, value, callback, context).await
        });
    }
    Ok(NtStatus::SUCCESS)
}

async fn tell(k: &Kernel, handle: Va, guid: [u8; 16], value: u32, callback: Va, context: Va) -> Outcome<()> {
    let state = k.state::<Registrations>();
    let there = state.borrow_mut().settings.get_mut(&handle).map(|entry| {
        entry.running = k.current_thread();
        entry.waiters.clone()
    });
    let Some(waiters) = there else {
        return Ok(());
    };
    let at = k.allocate_system(20, "a power setting")?;
    k.write_bytes(at, &guid)?;
    k.write(at + 16_u64, value)?;
    let arguments = [at.get(), at.get() + 16, 4, context.get()];
    k.call(callback, &arguments).label("power setting callback").await?;
    k.free_system(at)?;
    if let Some(entry) = state.borrow_mut().settings.get_mut(&handle) {
        entry.running = None;
    }
    waiters.wake_all(k);
    Ok(())
}

async fn unregister_setting(k: &Kernel, handle: Va) -> Outcome<NtStatus> {
    let state = k.state::<Registrations>();
    let removed = state.borrow_mut().settings.remove(&handle);
    let Some(removed) = removed else {
        return Err(not_registered(k, handle, "PoUnregisterPowerSettingCallback"));
    };
    if removed.running.is_some() && removed.running != k.current_thread() {
        removed.waiters.wait(k, "a power setting callback to return").await?;
    }
    k.free_system(handle)?;
    Ok(NtStatus::SUCCESS)
}

/// The registrations that are left.
pub(crate) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let state = k.state::<Registrations>();
    let state = state.borrow();
    let settings = state.settings.keys().map(|&handle| {
        let what = format!("the registration {handle} for a power setting was never unregistered");
        Leftover::new(handle, what)
    });
    let states = state.states.iter().map(|&handle| {
        let what = format!("the registration {handle} of the system's state was never unregistered");
        Leftover::new(handle, what)
    });
    settings.chain(states).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ddi::testing::{buffer, bugcheck_of, call, clean, status},
        machine::testing::Program,
        sched::RunEnd,
    };

    #[test]
    fn a_device_has_one_idle_counter() {
        clean(|k| async move {
            let register = async |conservation: u64, performance: u64| {
                let arguments = [0x1000, conservation, performance, 4];
                call(&k, "PoRegisterDeviceForIdleDetection", &arguments).await
            };
            let counter = register(10, 20).await?;
            assert_eq!(register(5, 5).await?, counter);
            k.write(Va(counter), 3_u32)?;
            call(&k, "PoSetDeviceBusyEx", &[counter]).await?;
            assert_eq!(k.read::<u32>(Va(counter))?, 0);
            assert_eq!(register(0, 0).await?, 0);
            register(1, 1).await?;
            device_gone(&k, Va(0x1000))
        });
    }

    #[test]
    fn the_systems_state_is_registered_and_unregistered() {
        clean(|k| async move {
            let handle = call(&k, "PoRegisterSystemState", &[0, 0x8000_0001]).await?;
            assert_eq!(call(&k, "PoRegisterSystemState", &[handle, 1]).await?, handle);
            call(&k, "PoSetSystemState", &[1]).await?;
            assert_eq!(leftovers(&k).len(), 1);
            call(&k, "PoUnregisterSystemState", &[handle]).await?;
            assert_eq!(leftovers(&k), []);
            Ok(())
        });
        let twice = bugcheck_of(|k| async move {
            let handle = call(&k, "PoRegisterSystemState", &[0, 1]).await?;
            for _ in 0..2 {
                call(&k, "PoUnregisterSystemState", &[handle]).await?;
            }
            Ok(())
        });
        assert_eq!(twice.2, "power-registration");
    }

    #[test]
    fn a_driver_is_told_the_present_value_of_a_power_setting() {
        use iced_x86::code_asm::{dword_ptr, eax, edx, r8d, rax, rdx};
        let seen = Program::data();
        let program = Program::default().function(move |f| {
            f.load(rax, seen.get());
            f.asm.mov(edx, dword_ptr(rdx)).unwrap();
            f.asm.mov(dword_ptr(rax), edx).unwrap();
            f.asm.mov(dword_ptr(rax + 4), r8d).unwrap();
            f.asm.xor(eax, eax).unwrap();
        });
        let machine = program.machine(1);
        machine.spawn(ThreadSpec::system("test"), move |k| async move {
            let (guid, variable) = (buffer(&k, 16)?, buffer(&k, 8)?);
            let display = Guid::parse(SETTINGS[1].0).unwrap();
            k.write_bytes(guid, &display.0)?;
            let routine = Program::address(0).get();
            let arguments = [0, guid.get(), routine, 0, variable.get()];
            let made = status(&k, "PoRegisterPowerSettingCallback", &arguments).await?;
            assert_eq!(made, NtStatus::SUCCESS);
            k.delay(1_000_000).await?;
            assert_eq!((k.read::<u32>(seen)?, k.read::<u32>(seen + 4_u64)?), (1, 4));
            assert_eq!(leftovers(&k).len(), 1);
            let handle: u64 = k.read(variable)?;
            let gone = status(&k, "PoUnregisterPowerSettingCallback", &[handle]).await?;
            assert_eq!(gone, NtStatus::SUCCESS);
            assert_eq!(leftovers(&k), []);
            Ok(())
        });
        assert_eq!(machine.run(), RunEnd::Idle, "{:?}", machine.crash_report(None));
    }

    #[test]
    fn who_woke_the_system_and_how_long_the_watchdog_waits() {
        clean(|k| async move {
            assert_eq!(call(&k, "PoGetSystemWake", &[0x100]).await?, 0);
            call(&k, "PoSetSystemWake", &[0x100]).await?;
            assert_eq!(call(&k, "PoGetSystemWake", &[0x100]).await?, 1);
            let seconds = buffer(&k, 4)?;
            assert_eq!(call(&k, "PoQueryWatchdogTime", &[0x200, seconds.get()]).await?, 0);
            watchdog::watch(&k, Va(0x100), Va(0x200));
            assert_eq!(call(&k, "PoQueryWatchdogTime", &[0x200, seconds.get()]).await?, 1);
            assert!((598..=600).contains(&k.read::<u32>(seconds)?));
            watchdog::release(&k, Va(0x100));
            Ok(())
        });
    }
}
