use std::fs;

use edu::ioctl::IOCTL_EDU_DMA_ECHO;
use serde_json::json;

use crate::commands::Outcome;
use crate::fake::{Call, FakeDevice, run_json, run_text};
use crate::status::DeviceError;

/// A file with `bytes` bytes, no two neighbours the same, and its name.
fn file(bytes: usize) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let file = directory.path().join("data.bin");
    let data: Vec<u8> = (0..=u8::MAX).cycle().take(bytes).collect();
    fs::write(&file, data).expect("it can be written");
    let name = file.to_str().expect("the name is text").to_owned();
    (directory, name)
}

#[test]
fn a_file_comes_back() {
    let (_directory, name) = file(5000);
    let mut device = FakeDevice::sound();
    let (outcome, text) = run_text(&mut device, &["echo", &name]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(text, "5000 bytes came back as they were sent\n");
    assert!(device.is_idle());
}

#[test]
fn a_long_one_goes_in_parts_and_says_how_far_it_is() {
    let (_directory, name) = file(2500);
    let mut device = FakeDevice::sound();
    let (outcome, text) = run_text(&mut device, &["echo", "--request-size", "1000", &name]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        text,
        "1000 of 2500 bytes\n2000 of 2500 bytes\n2500 bytes came back as they were sent\n"
    );
    let submitted = device.calls.iter().filter(|call| matches!(call, Call::Submit(_)));
    assert_eq!(submitted.count(), 3);
}

/// There is nothing to send, so nothing is sent.
#[test]
fn an_empty_file_is_back_at_once() {
    let (_directory, name) = file(0);
    let mut device = FakeDevice::sound();
    let (outcome, text) = run_text(&mut device, &["echo", &name]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(text, "0 bytes came back as they were sent\n");
    assert_eq!(device.calls, []);
}

#[test]
fn a_byte_that_comes_back_wrong_is_named() {
    let (_directory, name) = file(2000);
    let mut device = FakeDevice::sound().answering(|request| {
        let mut data = request.input.to_vec();
        if request.input[0] != 0 {
            data[7] ^= 0x80;
        }
        (request.code == IOCTL_EDU_DMA_ECHO).then_some(Ok(data))
    });
    let (outcome, text) = run_text(&mut device, &["echo", "--request-size", "1000", &name]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        text,
        "1000 of 2000 bytes\n\
         failed after 1000 of 2000 bytes: the driver gave an answer that cannot be: byte 1007 came back as 0x6f instead of 0xef\n"
    );
}

#[test]
fn an_echo_of_another_length_is_refused() {
    let (_directory, name) = file(20);
    let mut device = FakeDevice::sound().answering(|_| Some(Ok(vec![0; 19])));
    let (outcome, text) = run_text(&mut device, &["echo", &name]);
    assert_eq!(outcome, Outcome::Failed);
    assert!(text.contains("19 bytes instead of 20"), "{text}");
}

#[test]
fn json_has_how_far_it_came() {
    let (_directory, name) = file(3);
    let mut device = FakeDevice::sound();
    let (outcome, document) = run_json(&mut device, &["echo", &name]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        document,
        json!({"command": "echo", "ok": true, "length": 3, "returned": 3})
    );

    let mut device = FakeDevice::sound().answering(|_| Some(Err(DeviceError::Win32(121))));
    let (outcome, document) = run_json(&mut device, &["echo", &name]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(document["returned"], 0);
    assert_eq!(document["error"]["name"], "ERROR_SEM_TIMEOUT");
}
