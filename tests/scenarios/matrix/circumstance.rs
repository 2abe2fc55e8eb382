//! What happens to a request.

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circumstance {
    /// Nothing.
    Completes,
    /// `CancelIoEx` while another one is before it.
    CancelledWhileQueued,
    /// `CancelIoEx` while the device works for it.
    CancelledInFlight,
    /// `CloseHandle`; another handle stays open.
    HandleClosed,
    /// The device is pulled out.
    SurpriseRemoved,
    /// The system takes the device for gone while it is plugged in and works.
    SurpriseRemovedWhilePresent,
    /// The device is stopped, and a filter above the driver fails the restart that the driver has succeeded in.
    RestartFailedAbove,
    /// The handle is closed, then the device removed in order.
    RemovedAfterClose,
    /// The device is given other resources.
    StoppedAndRestarted,
    /// The same without a stop.
    StartedAgain,
    /// The system sleeps, and wakes up.
    PoweredDownAndUp,
    /// The device takes more than twice as long as the watchdog waits.
    DeviceSlow,
    /// The first interrupt for it is lost.
    InterruptLost,
    /// So are all others.
    InterruptsLost,
    /// The device answers nothing any more, without being pulled out.
    DeviceGone,
}

impl Circumstance {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Completes,
        Self::CancelledWhileQueued,
        Self::CancelledInFlight,
        Self::HandleClosed,
        Self::SurpriseRemoved,
        Self::SurpriseRemovedWhilePresent,
        Self::RestartFailedAbove,
        Self::RemovedAfterClose,
        Self::StoppedAndRestarted,
        Self::StartedAgain,
        Self::PoweredDownAndUp,
        Self::DeviceSlow,
        Self::InterruptLost,
        Self::InterruptsLost,
        Self::DeviceGone,
    ];
}
