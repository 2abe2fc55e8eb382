use std::io;

use serde_json::json;

use crate::commands::Outcome;
use crate::fake::{BrokenPipe, Call, FakeDevice, parse, run_json, run_text};
use crate::status::DeviceError;

const STATUS_CANCELLED: DeviceError = DeviceError::NtStatus(0xC000_0120);
const STATUS_INSUFFICIENT_RESOURCES: DeviceError = DeviceError::NtStatus(0xC000_009A);

#[test]
fn results_come_in_the_order_of_the_arguments() {
    let (outcome, text) = run_text(&mut FakeDevice::sound(), &["factorial", "5", "0", "13", "5", "34"]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        text,
        "5! mod 2^32 = 120\n\
         0! mod 2^32 = 1\n\
         13! mod 2^32 = 1932053504\n\
         5! mod 2^32 = 120\n\
         34! mod 2^32 = 0\n"
    );
}

#[test]
fn all_are_submitted_before_the_first_is_waited_for() {
    let mut device = FakeDevice::sound();
    let _ = run_text(&mut device, &["factorial", "1", "2", "3"]);
    assert_eq!(
        device.calls,
        [
            Call::Submit(0),
            Call::Submit(1),
            Call::Submit(2),
            Call::Wait(0),
            Call::Wait(1),
            Call::Wait(2)
        ]
    );
}

#[test]
fn one_that_fails_does_not_hide_the_others() {
    let mut device =
        FakeDevice::sound().answering(|request| (request.number() == Some(10)).then_some(Err(STATUS_CANCELLED)));
    let (outcome, text) = run_text(&mut device, &["factorial", "5", "10", "3"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        text,
        "5! mod 2^32 = 120\n\
         10! failed: STATUS_CANCELLED (0xC0000120): the request was cancelled\n\
         3! mod 2^32 = 6\n"
    );
}

#[test]
fn one_that_is_refused_at_once_does_not_hide_the_others() {
    let mut device =
        FakeDevice::sound().refusing(|request| (request.number() == Some(5)).then_some(STATUS_INSUFFICIENT_RESOURCES));
    let (outcome, text) = run_text(&mut device, &["factorial", "5", "3"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(text.lines().count(), 2);
    assert!(
        text.starts_with("5! failed: STATUS_INSUFFICIENT_RESOURCES (0xC000009A)"),
        "{text}"
    );
    assert!(text.ends_with("3! mod 2^32 = 6\n"), "{text}");
    assert!(device.is_idle());
}

#[test]
fn an_answer_of_another_length_is_refused() {
    for length in [0, 3] {
        let mut device = FakeDevice::sound().answering(move |_| Some(Ok(vec![0; length])));
        let (outcome, text) = run_text(&mut device, &["factorial", "5"]);
        assert_eq!(outcome, Outcome::Failed);
        assert!(
            text.starts_with(&format!("5! failed: the driver answered {length} bytes instead of 4")),
            "{text}"
        );
    }
}

#[test]
fn a_wrong_product_is_noticed() {
    let mut device = FakeDevice::sound().answering(|_| Some(Ok(119_u32.to_le_bytes().to_vec())));
    let (outcome, text) = run_text(&mut device, &["factorial", "5"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(text, "5! failed: the device answered 119 instead of 120\n");
}

#[test]
fn json_is_one_document_with_an_entry_for_each() {
    let mut device =
        FakeDevice::sound().answering(|request| (request.number() == Some(10)).then_some(Err(STATUS_CANCELLED)));
    let (outcome, document) = run_json(&mut device, &["factorial", "5", "10"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        document,
        json!({
            "command": "factorial",
            "ok": false,
            "results": [
                {"n": 5, "result": 120},
                {"n": 10, "error": {
                    "kind": "ntstatus",
                    "code": 0xC000_0120_u32,
                    "name": "STATUS_CANCELLED",
                    "message": "STATUS_CANCELLED (0xC0000120): the request was cancelled",
                }},
            ],
        })
    );
}

#[test]
fn when_nobody_reads_any_more_the_rest_is_cancelled_and_waited_for() {
    let mut device = FakeDevice::sound();
    let result = crate::run(
        &parse(&["factorial", "1", "2", "3", "4"]),
        &mut device,
        &mut BrokenPipe { lines_left: 1 },
    );
    assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
    assert_eq!(
        device.calls[4..],
        [
            Call::Wait(0),
            Call::Wait(1),
            Call::Cancel(2),
            Call::Cancel(3),
            Call::Wait(2),
            Call::Wait(3)
        ]
    );
    assert!(device.is_idle());
}
