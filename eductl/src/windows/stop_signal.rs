//! Ctrl-C: cancels what is under way instead of ending the process in the middle of it.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::{FALSE, TRUE};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::core::BOOL;

use super::OpenError;
use super::event::Event;

/// Set by the first Ctrl-C. The system calls the handler on a thread of its own, with no argument to find it by.
static STOP: OnceLock<Event> = OnceLock::new();

/// Whether the first Ctrl-C has been.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Tells whether the user wants to stop.
#[derive(Clone, Copy, Debug)]
pub struct StopSignal(&'static Event);

impl StopSignal {
    /// Takes Ctrl-C and Ctrl-Break over: the first one sets the signal, the second one ends the process as usual.
    ///
    /// # Errors
    /// [`OpenError::StopSignal`]: the system has no event or no handler to spare.
    pub fn on_ctrl_c() -> Result<Self, OpenError> {
        if let Some(event) = STOP.get() {
            return Ok(Self(event));
        }
        let event = Event::new().map_err(OpenError::StopSignal)?;
        let signal = Self(STOP.get_or_init(|| event));
        // SAFETY: the handler is a function, which lives as long as the process, and touches nothing but the statics above.
        if unsafe { SetConsoleCtrlHandler(Some(on_control), TRUE) } == FALSE {
            return Err(OpenError::StopSignal(io::Error::last_os_error()));
        }
        Ok(signal)
    }

    /// A signal that a test sets by itself.
    #[cfg(test)]
    pub(super) fn of(event: &'static Event) -> Self {
        Self(event)
    }

    /// The event that is set when the user wants to stop.
    pub(super) fn event(self) -> &'static Event {
        self.0
    }
}

/// The handler. FALSE passes the event on to the next handler, in the end to the one that ends the process.
extern "system" fn on_control(control: u32) -> BOOL {
    if !matches!(control, CTRL_C_EVENT | CTRL_BREAK_EVENT) || STOPPED.swap(true, Ordering::Relaxed) {
        return FALSE;
    }
    match STOP.get().map(Event::set) {
        Some(Ok(())) => TRUE,
        Some(Err(_)) | None => FALSE,
    }
}
