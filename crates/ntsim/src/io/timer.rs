//! Device timers: `IoInitializeTimer`, `IoStartTimer`, `IoStopTimer`.
//!
//! A device's `IoTimer` routine is called once a second, in a DPC, while the timer is started. It goes with the device.

use std::collections::BTreeMap;

use ntlayout::{device_object, kdpc, ktimer};

use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::{
        Irql, dpc,
        timer::{self, TimerType},
    },
    kernel::Kernel,
    mm::Va,
    sched::VirtualTime,
    status::NtStatus,
    verifier::SyncObject,
};

/// The timers of devices.
#[derive(Debug, Default)]
struct Timers(BTreeMap<Va, IoTimer>);

#[derive(Clone, Copy, Debug)]
struct IoTimer {
    timer: Va,
    routine: Va,
    context: u64,
}

const SECOND: VirtualTime = 1_000_000_000;
/// Where the timer's DPC lies, behind the `KTIMER`.
const DPC: usize = ktimer::SIZE;

fn of(k: &Kernel, device: Va) -> Option<IoTimer> {
    k.state::<Timers>().borrow().0.get(&device).copied()
}

fn initialize(k: &Kernel, device: Va, routine: Va, context: u64) -> Outcome<NtStatus> {
    let timer = if let Some(known) = of(k, device) {
        known.timer
    } else {
        let timer = k.allocate_system(DPC + kdpc::SIZE, "IO_TIMER")?;
        timer::initialize(k, timer, TimerType::Notification)?;
        dpc::initialize(k, timer + DPC, k.routine_address("IopTimerDispatch"), device)?;
        k.write(device + device_object::TIMER, timer)?;
        timer
    };
    let known = IoTimer {
        timer,
        routine,
        context,
    };
    k.state::<Timers>().borrow_mut().0.insert(device, known);
    Ok(NtStatus::SUCCESS)
}

/// The device's timer, as the device object says.
///
/// # Errors
/// When there is none: the system follows the null pointer.
fn timer_of(k: &Kernel, device: Va) -> Outcome<Va> {
    let timer: Va = k.read(device + device_object::TIMER)?;
    k.read::<u64>(timer)?;
    Ok(timer)
}

fn start(k: &Kernel, device: Va) -> Outcome<()> {
    let timer = timer_of(k, device)?;
    // The system's own second is running already: the first call comes within one.
    let first = k.random().borrow_mut().below(SECOND + 1);
    timer::set_exactly(k, timer, k.now() + first, SECOND, timer + DPC).map(|_| ())
}

fn stop(k: &Kernel, device: Va) -> Outcome<()> {
    let timer = timer_of(k, device)?;
    timer::cancel(k, timer)?;
    Ok(())
}

async fn dispatch(k: &Kernel, device: Va) -> Outcome<()> {
    let Some(known) = of(k, device) else {
        return Ok(());
    };
    // The system holds a lock of its own around the routines, so that one call comes after the other on whichever processors.
    let lock = SyncObject::SpinLock(known.timer.get());
    k.sync_acquire(lock);
    k.call(known.routine, &[device.get(), known.context])
        .label("IoTimer")
        .await?;
    k.sync_release(lock);
    Ok(())
}

/// A device is deleted: its timer stops and goes.
///
/// # Errors
/// When the machine has stopped.
pub(super) fn device_deleted(k: &Kernel, device: Va) -> Outcome<()> {
    let known = k.state::<Timers>().borrow_mut().0.remove(&device);
    let Some(known) = known else {
        return Ok(());
    };
    timer::cancel(k, known.timer)?;
    dpc::remove(k, known.timer + DPC)?;
    k.free_system(known.timer)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("IoInitializeTimer", 3, Contract::exactly(Irql::PASSIVE), |k, a| {
        initialize(k, a.va(0), a.va(1), a.u64(2))
    });
    let dispatch_level = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoStartTimer", 1, dispatch_level, |k, a| start(k, a.va(0)));
    ddi.function("IoStopTimer", 1, dispatch_level, |k, a| stop(k, a.va(0)));
    // The routine of the timers' DPCs: no export of the kernel.
    ddi.flow("IopTimerDispatch", 4, Contract::ANY, |k, a| async move {
        dispatch(&k, a.va(1)).await
    });
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::{qword_ptr, rdx};

    use super::*;
    use crate::machine::testing::{
        Program,
        script::{crash, export, memory, run},
    };

    /// Counts in what its second argument points to.
    fn counting() -> Program {
        Program::default().function(|f| {
            f.asm.inc(qword_ptr(rdx)).unwrap();
        })
    }

    /// Memory that looks like a device object to these routines.
    fn device(k: &Kernel) -> Outcome<Va> {
        let device = memory(k, device_object::SIZE)?;
        k.fill(device, 0, device_object::SIZE)?;
        Ok(device)
    }

    #[test]
    fn a_started_timer_calls_once_a_second_until_it_is_stopped() {
        for seed in 0..5 {
            run(&counting(), seed, |k| async move {
                let (device, counter) = (device(&k)?, memory(&k, 8)?);
                k.write(counter, 0_u64)?;
                let arguments = [device.get(), Program::address(0).get(), counter.get()];
                assert_eq!(export(&k, "IoInitializeTimer", &arguments).await?, 0);
                k.delay(3 * SECOND).await?;
                assert_eq!(k.read::<u64>(counter)?, 0, "it is not started");
                export(&k, "IoStartTimer", &[device.get()]).await?;
                k.delay(5 * SECOND + SECOND / 2).await?;
                export(&k, "IoStopTimer", &[device.get()]).await?;
                export(&k, "KeFlushQueuedDpcs", &[]).await?;
                let count: u64 = k.read(counter)?;
                assert!((5..=6).contains(&count), "{count}");
                k.delay(3 * SECOND).await?;
                assert_eq!(k.read::<u64>(counter)?, count);
                export(&k, "IoStartTimer", &[device.get()]).await?;
                device_deleted(&k, device)
            });
        }
    }

    #[test]
    fn a_timer_that_was_not_initialized_is_a_null_pointer() {
        let bugcheck = crash(|k| async move {
            let device = device(&k)?;
            export(&k, "IoStartTimer", &[device.get()]).await.map(|_| ())
        });
        assert_eq!(bugcheck.rule, "unmapped-memory");
    }
}
