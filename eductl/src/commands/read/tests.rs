use std::fs;

use serde_json::json;

use crate::commands::Outcome;
use crate::fake::{FakeDevice, Transfer, run_json, run_text};
use crate::status::DeviceError;
use crate::transport::Completed;

#[test]
fn what_was_written_is_shown_with_its_offset() {
    let mut device = FakeDevice::sound().holding(0x10, b"customdpc reads.");
    let (outcome, text) = run_text(&mut device, &["read", "--offset", "0x10", "--length", "16"]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        text,
        "0010:   63 75 73 74  6f 6d 64 70  63 20 72 65  61 64 73 2e   customdpc reads.\n"
    );
}

#[test]
fn without_a_length_it_goes_to_the_end_of_the_buffer() {
    let mut device = FakeDevice::sound().holding(4090, b"12345");
    let (outcome, document) = run_json(&mut device, &["read", "--offset", "4090"]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        document,
        json!({"command": "read", "ok": true, "offset": 4090, "length": 5, "data": "3132333435"})
    );
}

#[test]
fn behind_the_end_there_is_nothing() {
    let (outcome, text) = run_text(&mut FakeDevice::sound(), &["read", "--offset", "4095"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        text,
        "read failed: STATUS_END_OF_FILE (0xC0000011): the device's buffer ends before that offset\n"
    );
}

#[test]
fn more_than_was_asked_for_cannot_be() {
    let mut device = FakeDevice::sound().transferring(|transfer| {
        matches!(transfer, Transfer::Read { .. }).then(|| Ok(Completed::with_output(vec![0; 9])))
    });
    let (outcome, text) = run_text(&mut device, &["read", "--length", "8"]);
    assert_eq!(outcome, Outcome::Failed);
    assert!(text.contains("9 bytes were read, 8 at the most"), "{text}");
}

#[test]
fn it_can_be_saved_in_a_file() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let file = directory.path().join("buffer.bin");
    let mut device = FakeDevice::sound().holding(0, &[1, 2, 3]);
    let name = file.to_str().expect("the name is text");
    let (outcome, text) = run_text(&mut device, &["read", "--length", "3", "--output", name]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(text, format!("3 bytes from offset 0 saved in {name}\n"));
    assert_eq!(fs::read(&file).expect("it was made"), [1, 2, 3]);
}

#[test]
fn a_file_that_cannot_be_written_is_a_failure() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let name = directory.path().to_str().expect("the name is text");
    let (outcome, text) = run_text(&mut FakeDevice::sound(), &["read", "--output", name]);
    assert_eq!(outcome, Outcome::Failed);
    assert!(text.contains("cannot be written"), "{text}");
}

#[test]
fn json_has_the_error() {
    let mut device = FakeDevice::sound().transferring(|_| Some(Err(DeviceError::Win32(1167))));
    let (outcome, document) = run_json(&mut device, &["read"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(document["error"]["name"], "ERROR_DEVICE_NOT_CONNECTED");
    assert_eq!(document["data"], serde_json::Value::Null);
}
