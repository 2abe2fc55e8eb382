//! Event objects.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{FALSE, HANDLE, TRUE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, SetEvent, WaitForMultipleObjects};

/// A manual-reset event: once set, it stays set.
#[derive(Debug)]
pub(super) struct Event(OwnedHandle);

impl Event {
    /// Creates an event that is not set.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: null attributes and a null name are allowed: an event without a name, which no child process inherits.
        let handle = unsafe { CreateEventW(ptr::null(), TRUE, FALSE, ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above made the handle, and nothing else owns it.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// The handle, for as long as the event lives.
    pub(super) fn handle(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    /// Sets the event.
    pub(super) fn set(&self) -> io::Result<()> {
        // SAFETY: the handle is an event's and open for as long as `self` lives.
        if unsafe { SetEvent(self.handle()) } == FALSE {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Whether the event is set.
    #[cfg(test)]
    pub(super) fn is_set(&self) -> io::Result<bool> {
        use windows_sys::Win32::Foundation::WAIT_TIMEOUT;
        use windows_sys::Win32::System::Threading::WaitForSingleObject;

        // SAFETY: the handle is open for as long as `self` lives.
        match unsafe { WaitForSingleObject(self.handle(), 0) } {
            WAIT_OBJECT_0 => Ok(true),
            WAIT_TIMEOUT => Ok(false),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until one of the two is set; true when it is `first`, which wins when both are.
    pub(super) fn wait_either(first: &Self, second: &Self) -> io::Result<bool> {
        const SECOND: u32 = WAIT_OBJECT_0 + 1;

        let handles = [first.handle(), second.handle()];
        // SAFETY: there are two handles in the array, both open for as long as the borrowed events live.
        let signalled = unsafe { WaitForMultipleObjects(2, handles.as_ptr(), FALSE, INFINITE) };
        match signalled {
            WAIT_OBJECT_0 => Ok(true),
            SECOND => Ok(false),
            // Without a time limit and without mutexes among the handles, only failure is left.
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    #[test]
    fn the_first_of_two_wins_when_both_are_set() {
        let (first, second) = (Event::new().expect("an event"), Event::new().expect("an event"));
        second.set().expect("it can be set");
        assert!(!Event::wait_either(&first, &second).expect("one is set"));
        first.set().expect("it can be set");
        assert!(Event::wait_either(&first, &second).expect("both are set"));
    }
}
