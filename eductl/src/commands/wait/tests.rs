use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

use edu::ioctl::WaitOutput;
use serde_json::json;
use zerocopy::IntoBytes;

use crate::commands::Outcome;
use crate::fake::{BrokenPipe, Call, FakeDevice, parse, run_json, run_text};
use crate::status::DeviceError;

const ABORTED: DeviceError = DeviceError::Win32(995);

fn arrival(causes: u32, sequence: u64, interrupt_time: u64) -> WaitOutput {
    WaitOutput {
        causes,
        reserved: 0,
        sequence,
        interrupt_time,
    }
}

/// A device that interrupts like this; after that, the user presses Ctrl-C.
fn device_with(arrivals: impl IntoIterator<Item = WaitOutput>) -> FakeDevice {
    let arrivals = RefCell::new(arrivals.into_iter().collect::<VecDeque<_>>());
    FakeDevice::sound().answering(move |_| {
        let next = arrivals.borrow_mut().pop_front();
        Some(next.map_or(Err(ABORTED), |arrival| Ok(arrival.as_bytes().to_vec())))
    })
}

#[test]
fn each_arrival_is_shown() {
    let mut device = device_with([arrival(0x10, 7, 123_456_789), arrival(0x30, 9, 123_456_790)]);
    let (outcome, text) = run_text(&mut device, &["wait", "0x30", "--count", "2"]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        text,
        "interrupt 7: 0x00000010 at 12.3456789 s\n\
         interrupt 9: 0x00000030 at 12.3456790 s\n"
    );
}

#[test]
fn the_next_wait_starts_when_the_one_before_has_ended() {
    let mut device = device_with([arrival(2, 1, 0), arrival(2, 2, 0)]);
    let _ = run_text(&mut device, &["wait", "--count", "2"]);
    assert_eq!(
        device.calls,
        [Call::Submit(0), Call::Wait(0), Call::Submit(1), Call::Wait(1)]
    );
}

#[test]
fn ctrl_c_ends_it_after_what_has_come() {
    let mut device = device_with([arrival(2, 1, 0)]);
    let (outcome, text) = run_text(&mut device, &["wait", "--count", "3"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        text,
        "interrupt 1: 0x00000002 at 0.0000000 s\n\
         wait failed: ERROR_OPERATION_ABORTED (995): the request was cancelled\n"
    );
    assert_eq!(device.calls.len(), 4, "it does not wait again");
}

#[test]
fn answers_that_cannot_be_are_noticed() {
    let garbage = WaitOutput {
        reserved: 0xDEAD,
        ..arrival(2, 1, 0)
    };
    for (arrivals, complaint) in [
        (vec![arrival(0, 1, 0)], "no cause has arrived"),
        (vec![arrival(0x12, 1, 0)], "of 0x00000002, 0x00000012 have arrived"),
        (vec![garbage], "what is always 0 is 0x0000dead"),
        (vec![arrival(2, 0, 0)], "interrupt 0 came after interrupt 0"),
        (
            vec![arrival(2, 5, 0), arrival(2, 5, 0)],
            "interrupt 5 came after interrupt 5",
        ),
        (
            vec![arrival(2, 5, 20_000_000), arrival(2, 6, 10_000_000)],
            "the interrupt at 1.0000000 s came after the one at 2.0000000 s",
        ),
    ] {
        let (outcome, text) = run_text(&mut device_with(arrivals), &["wait", "2", "--count", "2"]);
        assert_eq!(outcome, Outcome::Failed);
        assert!(
            text.ends_with(&format!(
                "wait failed: the driver gave an answer that cannot be: {complaint}\n"
            )),
            "{text}"
        );
    }
}

#[test]
fn an_answer_of_another_length_is_refused() {
    let mut device = FakeDevice::sound().answering(|_| Some(Ok(vec![0; 20])));
    let (outcome, text) = run_text(&mut device, &["wait"]);
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        text.starts_with("wait failed: the driver answered 20 bytes instead of 24"),
        "{text}"
    );
}

#[test]
fn json_has_every_arrival_and_what_ended_it() {
    let mut device = device_with([arrival(0x10, 7, 123_456_789)]);
    let (outcome, document) = run_json(&mut device, &["wait", "0x10", "--count", "2"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        document,
        json!({
            "command": "wait",
            "ok": false,
            "mask": 0x10,
            "arrivals": [{"causes": 0x10, "sequence": 7, "interrupt_time_100ns": 123_456_789}],
            "error": {
                "kind": "win32",
                "code": 995,
                "name": "ERROR_OPERATION_ABORTED",
                "message": "ERROR_OPERATION_ABORTED (995): the request was cancelled",
            },
        })
    );
}

#[test]
fn when_nobody_reads_any_more_the_next_wait_is_cancelled() {
    let mut device = device_with([arrival(2, 1, 0)]);
    let result = crate::run(
        &parse(&["wait", "--count", "2"]),
        &mut device,
        &mut BrokenPipe { lines_left: 0 },
    );
    assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
    assert_eq!(device.calls[2..], [Call::Submit(1), Call::Cancel(1), Call::Wait(1)]);
    assert!(device.is_idle());
}
