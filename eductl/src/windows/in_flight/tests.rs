use std::io::Write;
use std::os::windows::io::AsHandle;

use edu::ioctl::ControlCode;
use windows_sys::Win32::Foundation::ERROR_OPERATION_ABORTED;

use super::super::test_pipe::{FSCTL_PIPE_LISTEN, FSCTL_PIPE_PEEK, PEEK_HEADER, TestPipe};
use super::InFlight;
use crate::status::DeviceError;

impl TestPipe {
    fn start(&self, code: ControlCode, output_len: usize) -> Result<InFlight, DeviceError> {
        InFlight::start(self.server.as_handle(), code, &[], output_len)
    }

    fn finish(&self, request: InFlight) -> Result<Vec<u8>, DeviceError> {
        request.finish(self.server.as_handle())
    }
}

#[test]
fn a_request_pends_until_it_is_completed() {
    let pipe = TestPipe::new("pends");
    let listen = pipe.start(FSCTL_PIPE_LISTEN, 0).expect("listening starts");
    assert!(!listen.completed().is_set().expect("the event can be looked at"));
    let _client = pipe.connect();
    assert_eq!(pipe.finish(listen), Ok(Vec::new()));
}

#[test]
fn a_cancelled_request_says_so() {
    let pipe = TestPipe::new("cancelled");
    let listen = pipe.start(FSCTL_PIPE_LISTEN, 0).expect("listening starts");
    listen.cancel(pipe.server.as_handle());
    assert_eq!(pipe.finish(listen), Err(DeviceError::Win32(ERROR_OPERATION_ABORTED)));
}

#[test]
fn a_request_that_is_refused_at_once_is_not_under_way() {
    let pipe = TestPipe::new("refused");
    let not_known = pipe.start(ControlCode::from_raw(0x0022_E008), 4);
    assert!(matches!(not_known, Err(DeviceError::Win32(_))));
}

#[test]
fn the_output_is_as_long_as_the_driver_says() {
    let pipe = TestPipe::new("output");
    let listen = pipe.start(FSCTL_PIPE_LISTEN, 0).expect("listening starts");
    let mut client = pipe.connect();
    pipe.finish(listen).expect("the client has come");
    client.write_all(b"hello").expect("the pipe has room");

    let peek = pipe.start(FSCTL_PIPE_PEEK, PEEK_HEADER + 100).expect("peeking starts");
    let answer = pipe.finish(peek).expect("there is something in the pipe");
    assert_eq!(answer[PEEK_HEADER..], *b"hello");
}
