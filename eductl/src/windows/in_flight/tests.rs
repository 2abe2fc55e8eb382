use std::io::{Read, Write};
use std::os::windows::io::AsHandle;

use edu::ioctl::ControlCode;
use windows_sys::Win32::Foundation::ERROR_OPERATION_ABORTED;

use super::super::test_pipe::{FSCTL_PIPE_LISTEN, FSCTL_PIPE_PEEK, PEEK_HEADER, TestPipe};
use super::InFlight;
use crate::status::DeviceError;
use crate::transport::Completed;

impl TestPipe {
    fn start(&self, code: ControlCode, output_len: usize) -> Result<InFlight, DeviceError> {
        InFlight::device_control(self.server.as_handle(), code, &[], output_len)
    }

    fn finish(&self, request: InFlight) -> Result<Completed, DeviceError> {
        request.finish(self.server.as_handle())
    }
}

#[test]
fn a_request_pends_until_it_is_completed() {
    let pipe = TestPipe::new("pends");
    let listen = pipe.start(FSCTL_PIPE_LISTEN, 0).expect("listening starts");
    assert!(!listen.completed().is_set().expect("the event can be looked at"));
    let _client = pipe.connect();
    assert_eq!(pipe.finish(listen), Ok(Completed::default()));
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
    assert_eq!(answer.output[PEEK_HEADER..], *b"hello");
}

/// A pipe has no offsets: it takes no notice of them.
#[test]
fn what_is_written_can_be_read() {
    let pipe = TestPipe::new("read-write");
    let listen = pipe.start(FSCTL_PIPE_LISTEN, 0).expect("listening starts");
    let mut client = pipe.connect();
    pipe.finish(listen).expect("the client has come");

    let read = InFlight::read(pipe.server.as_handle(), 0, 100).expect("reading starts");
    client.write_all(b"to the server").expect("the pipe has room");
    assert_eq!(pipe.finish(read), Ok(Completed::with_output(b"to the server".to_vec())));

    let write = InFlight::write(pipe.server.as_handle(), 0, b"to the client").expect("writing starts");
    assert_eq!(pipe.finish(write), Ok(Completed::written(13)));
    let mut got = [0; 13];
    client.read_exact(&mut got).expect("it is there");
    assert_eq!(got, *b"to the client");
}

#[test]
fn an_offset_is_given_in_two_halves() {
    let position = super::position(0x1234_5678_9ABC_DEF0);
    assert_eq!((position.Offset, position.OffsetHigh), (0x9ABC_DEF0, 0x1234_5678));
}
