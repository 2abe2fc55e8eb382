use windows_sys::Win32::Foundation::ERROR_OPERATION_ABORTED;

use super::super::event::Event;
use super::super::test_pipe::{FSCTL_PIPE_LISTEN, TestPipe};
use super::{OverlappedDevice, StopSignal};
use crate::status::DeviceError;
use crate::transport::{Completed, Transport};

const ABORTED: DeviceError = DeviceError::Win32(ERROR_OPERATION_ABORTED);

/// A stop signal for one test, and what sets it.
fn stop_signal() -> (StopSignal, &'static Event) {
    let event = Box::leak(Box::new(Event::new().expect("an event")));
    (StopSignal::of(event), event)
}

impl TestPipe {
    /// A transport with a handle of its own, so that the pipe outlives it.
    fn transport(&self, stop: StopSignal) -> OverlappedDevice {
        OverlappedDevice::over(self.server.try_clone().expect("a second handle"), stop)
    }
}

#[test]
fn the_stop_signal_ends_what_is_waited_for() {
    let (stop, event) = stop_signal();
    let mut device = TestPipe::new("stop").transport(stop);
    let listen = device.submit(FSCTL_PIPE_LISTEN, &[], 0).expect("listening starts");
    event.set().expect("it can be set");
    assert_eq!(device.wait(listen), Err(ABORTED));
}

#[test]
fn what_is_completed_before_the_stop_signal_is_not_lost() {
    let (stop, event) = stop_signal();
    let pipe = TestPipe::new("completed-before-stop");
    let mut device = pipe.transport(stop);
    let listen = device.submit(FSCTL_PIPE_LISTEN, &[], 0).expect("listening starts");
    let _client = pipe.connect();
    event.set().expect("it can be set");
    assert_eq!(device.wait(listen), Ok(Completed::default()));
}

#[test]
fn one_request_is_cancelled_without_the_others() {
    let pipe = TestPipe::new("cancel-one");
    let mut device = pipe.transport(stop_signal().0);
    let first = device.submit(FSCTL_PIPE_LISTEN, &[], 0).expect("listening starts");
    let second = device.submit(FSCTL_PIPE_LISTEN, &[], 0).expect("listening starts");
    device.cancel(&first);
    assert_eq!(device.wait(first), Err(ABORTED));
    let _client = pipe.connect();
    assert_eq!(device.wait(second), Ok(Completed::default()));
}

/// No client ever comes: were the request not cancelled, the drop would wait for ever.
#[test]
fn dropping_the_transport_ends_what_is_under_way() {
    let pipe = TestPipe::new("drop");
    let mut device = pipe.transport(stop_signal().0);
    let _never_waited_for = device.submit(FSCTL_PIPE_LISTEN, &[], 0).expect("listening starts");
    drop(device);
}
