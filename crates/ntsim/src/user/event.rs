//! Events of programs, which they give drivers handles of.

use ntlayout::kevent;

use crate::{
    bugcheck::Outcome,
    ke::event::{self, EventType},
    kernel::Kernel,
    mm::Va,
    ob::{
        handle::{self, Handle},
        object::{self, Type},
    },
};

/// `EVENT_ALL_ACCESS`.
const EVENT_ALL_ACCESS: u32 = 0x001F_0003;

/// An event that a program has created: `CreateEvent`.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    object: Va,
    number: Handle,
}

impl Event {
    /// Creates an event that is not signalled, and stays signalled once it is when `manual_reset`.
    ///
    /// # Errors
    /// When the machine has stopped.
    pub fn new(k: &Kernel, manual_reset: bool) -> Outcome<Self> {
        let object = object::create(k, Type::Event, kevent::SIZE)?;
        let kind = if manual_reset {
            EventType::Notification
        } else {
            EventType::Synchronization
        };
        event::initialize(k, object, kind, false)?;
        let number = handle::open_for_program(k, object, EVENT_ALL_ACCESS);
        Ok(Self { object, number })
    }

    /// The handle's value, as the program gives it to a driver.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.number.0
    }

    /// Whether it is signalled.
    ///
    /// # Errors
    /// When the machine has stopped.
    pub fn is_set(&self, k: &Kernel) -> Outcome<bool> {
        Ok(event::state(k, self.object)? != 0)
    }

    /// `SetEvent`.
    ///
    /// # Errors
    /// When the machine has stopped.
    pub fn set(&self, k: &Kernel) -> Outcome<()> {
        event::set(k, self.object).map(|_| ())
    }

    /// `ResetEvent`.
    ///
    /// # Errors
    /// When the machine has stopped.
    pub fn reset(&self, k: &Kernel) -> Outcome<()> {
        event::reset(k, self.object).map(|_| ())
    }

    /// `CloseHandle`. A driver that has referenced the event keeps it.
    ///
    /// # Errors
    /// When the machine has stopped.
    pub async fn close(self, k: &Kernel) -> Outcome<()> {
        handle::close_for_program(k, self.number).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ob::{
            testing::{call, memory, value},
            types,
        },
        sched::ThreadSpec,
        status::NtStatus,
    };

    #[test]
    fn a_driver_sets_an_event_that_a_program_has_given_it() {
        let machine = crate::machine::Machine::new(crate::kernel::Config::default()).unwrap();
        machine.spawn(ThreadSpec::user("program"), |k| async move {
            let event = Event::new(&k, true)?;
            let variable = memory(&k, 8)?;
            let kind = types::object_of(&k, Type::Event)?;
            let arguments = [event.value(), 2, kind.get(), 1, variable.get(), 0];
            let referenced = call(&k, "ObReferenceObjectByHandle", &arguments).await?;
            assert_eq!(referenced, NtStatus::SUCCESS);
            let object: u64 = k.read(variable)?;
            value(&k, "KeSetEvent", &[object, 0, 0]).await?;
            assert!(event.is_set(&k)?);
            event.reset(&k)?;
            assert!(!event.is_set(&k)?);
            event.set(&k)?;
            event.close(&k).await?;
            assert_eq!(
                object::type_of(&k, Va(object)),
                Some(Type::Event),
                "the driver has a reference"
            );
            value(&k, "ObfDereferenceObject", &[object]).await?;
            assert_eq!(object::type_of(&k, Va(object)), None);
            Ok(())
        });
        let _ = machine.run();
        let report = machine.crash_report(None);
        assert!(report.is_none(), "{}", report.unwrap_or_default());
    }
}
