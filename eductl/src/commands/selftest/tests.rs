use edu::ioctl::{
    ControlCode, IOCTL_EDU_FACTORIAL, IOCTL_EDU_LIVENESS, IOCTL_EDU_QUERY_INFO, IOCTL_EDU_QUERY_STATISTICS,
    IOCTL_EDU_RAISE_INTERRUPT, IOCTL_EDU_RESET_STATISTICS, IOCTL_EDU_WAIT_INTERRUPT, Statistics, WaitOutput,
};
use zerocopy::IntoBytes;

use super::checks::CHECKS;
use crate::commands::Outcome;
use crate::fake::{Answer, FakeDevice, Submitted, run_json, run_text};
use crate::status::DeviceError;

const ABORTED: DeviceError = DeviceError::Win32(995);
const ERROR_INVALID_PARAMETER: DeviceError = DeviceError::Win32(87);

/// A device with one fault: it answers requests with `code` wrongly for which `answer` has a wrong answer.
fn faulty(code: ControlCode, answer: impl Fn(&Submitted<'_>) -> Option<Answer> + 'static) -> FakeDevice {
    FakeDevice::sound().answering(move |request| if request.code == code { answer(request) } else { None })
}

/// The lines that do not say "ok", of a selftest that failed and left nothing behind.
fn complaints(mut device: FakeDevice) -> Vec<String> {
    let (outcome, text) = run_text(&mut device, &["selftest"]);
    assert_eq!(outcome, Outcome::Failed, "{text}");
    assert_eq!(text.lines().count(), CHECKS.len(), "one line each: {text}");
    assert!(device.is_idle());
    text.lines()
        .filter(|line| !line.starts_with("ok "))
        .map(str::to_owned)
        .collect()
}

/// The one line that does not say "ok".
fn complaint(device: FakeDevice) -> String {
    let mut complaints = complaints(device);
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    complaints.remove(0)
}

#[test]
fn a_device_without_faults_passes() {
    let mut device = FakeDevice::sound();
    let (outcome, text) = run_text(&mut device, &["selftest"]);
    assert_eq!(
        text,
        "ok       device and driver are the right ones\n\
         ok       the device inverts every bit\n\
         ok       factorials of 0 to 33, all at once\n\
         ok       buffers of wrong lengths are refused\n\
         ok       values that make no sense are refused\n\
         ok       an unknown request is refused\n\
         ok       a wait can be cancelled\n\
         ok       what is raised arrives\n\
         ok       one interrupt ends every wait for it\n\
         ok       what is written into the buffer is read back\n\
         ok       the buffer ends where it must\n\
         ok       data comes back from an echo\n\
         ok       echoes of wrong lengths are refused\n\
         ok       the driver counts\n"
    );
    assert_eq!(outcome, Outcome::Succeeded);
    assert!(device.is_idle());
}

#[test]
fn a_device_that_is_none_is_noticed() {
    let device = faulty(IOCTL_EDU_QUERY_INFO, |request| {
        (request.input.is_empty() && request.output_len == 16).then(|| Ok(vec![0; 16]))
    });
    assert_eq!(
        complaint(device),
        "FAILED   device and driver are the right ones: 0x00000000 does not identify an edu device (its lower half \
         would be 0x00ed); the driver speaks version 0 of the request ABI, this eductl version 3"
    );
}

#[test]
fn a_stuck_bit_is_noticed() {
    let device = faulty(IOCTL_EDU_LIVENESS, |request| {
        request
            .number()
            .filter(|_| request.output_len == 4)
            .map(|value| Ok((!value | 1).to_le_bytes().to_vec()))
    });
    assert_eq!(
        complaint(device),
        "FAILED   the device inverts every bit: 0xffffffff: the device answered 0x00000001 instead of 0x00000000"
    );
}

#[test]
fn a_wrong_factorial_is_noticed() {
    let device = faulty(IOCTL_EDU_FACTORIAL, |request| {
        (request.number() == Some(33) && request.output_len == 4).then(|| Ok(vec![0; 4]))
    });
    assert_eq!(
        complaint(device),
        "FAILED   factorials of 0 to 33, all at once: 33!: the device answered 0 instead of 2147483648"
    );
}

#[test]
fn a_length_that_is_not_checked_is_noticed_for_every_request() {
    for (code, name) in [
        (IOCTL_EDU_QUERY_INFO, "QUERY_INFO with 1 bytes"),
        (IOCTL_EDU_LIVENESS, "LIVENESS with 5 bytes"),
        (IOCTL_EDU_FACTORIAL, "FACTORIAL with 5 bytes"),
        (IOCTL_EDU_RAISE_INTERRUPT, "RAISE_INTERRUPT with 5 bytes"),
        (IOCTL_EDU_WAIT_INTERRUPT, "WAIT_INTERRUPT with 5 bytes"),
        (IOCTL_EDU_QUERY_STATISTICS, "QUERY_STATISTICS with 1 bytes"),
        (IOCTL_EDU_RESET_STATISTICS, "RESET_STATISTICS with 1 bytes"),
    ] {
        let device = faulty(code, |request| (request.input.len() % 4 == 1).then(|| Ok(Vec::new())));
        let line = complaint(device);
        assert!(
            line.starts_with(&format!("FAILED   buffers of wrong lengths are refused: {name}")),
            "{line}"
        );
        assert!(line.ends_with(" was not refused"), "{line}");
    }
}

#[test]
fn an_output_that_is_cut_off_is_noticed() {
    let device = faulty(IOCTL_EDU_WAIT_INTERRUPT, |request| {
        (request.output_len == 23).then(|| Ok(vec![0; 23]))
    });
    assert_eq!(
        complaint(device),
        "FAILED   buffers of wrong lengths are refused: WAIT_INTERRUPT with 4 bytes of input and 23 of output was not \
         refused"
    );
}

/// On Windows, as a real handle answers: with Win32's error.
#[test]
fn the_reason_for_a_refusal_matters() {
    let device = faulty(IOCTL_EDU_QUERY_STATISTICS, |request| {
        (request.output_len == size_of::<Statistics>() - 1).then_some(Err(ERROR_INVALID_PARAMETER))
    });
    let line = complaint(device);
    assert!(
        line.contains("was refused for another reason: ERROR_INVALID_PARAMETER (87)"),
        "{line}"
    );
}

#[test]
fn causes_that_are_not_checked_are_noticed() {
    for causes in [0, 0x1, 0x100, 0x8000_0000, u32::MAX, 0x110] {
        let device = faulty(IOCTL_EDU_RAISE_INTERRUPT, move |request| {
            (request.number() == Some(causes)).then(|| Ok(Vec::new()))
        });
        assert_eq!(
            complaint(device),
            format!("FAILED   values that make no sense are refused: a raise of {causes:#010x} was not refused")
        );
    }
}

#[test]
fn a_wait_for_nothing_that_pends_is_noticed_and_cancelled() {
    let device =
        FakeDevice::sound().keeping(|request| request.code == IOCTL_EDU_WAIT_INTERRUPT && request.number() == Some(0));
    assert_eq!(
        complaint(device),
        "FAILED   values that make no sense are refused: a wait for nothing was not refused until it was cancelled"
    );
}

#[test]
fn an_unknown_request_that_is_served_is_noticed() {
    let device = faulty(ControlCode::from_raw(0x0022_7FFC), |_| Some(Ok(Vec::new())));
    assert_eq!(
        complaint(device),
        "FAILED   an unknown request is refused: control code 0x00227ffc was not refused"
    );
}

fn arrival(causes: u32, sequence: u64) -> Vec<u8> {
    WaitOutput {
        causes,
        reserved: 0,
        sequence,
        interrupt_time: 0,
    }
    .as_bytes()
    .to_vec()
}

#[test]
fn an_arrival_of_what_is_never_raised_is_noticed() {
    let device = faulty(IOCTL_EDU_WAIT_INTERRUPT, |request| {
        (request.number() == Some(0x8000_0000)).then(|| Ok(arrival(0x8000_0000, 1)))
    });
    assert_eq!(
        complaint(device),
        "FAILED   a wait can be cancelled: 0x80000000 arrived in a wait for 0x80000000"
    );
}

#[test]
fn a_lost_cause_is_noticed() {
    let device = faulty(IOCTL_EDU_WAIT_INTERRUPT, |request| {
        (request.number() == Some(0xE)).then(|| Ok(arrival(0x2, 100)))
    });
    assert_eq!(
        complaint(device),
        "FAILED   what is raised arrives: 0x00000006 was raised, and a wait for 0x0000000e was told 0x00000002"
    );
}

#[test]
fn interrupts_that_are_not_numbered_are_noticed() {
    let device = faulty(IOCTL_EDU_WAIT_INTERRUPT, |request| {
        (request.number() == Some(0xE)).then(|| Ok(arrival(0x6, 1)))
    });
    assert_eq!(
        complaint(device),
        "FAILED   what is raised arrives: the interrupts' numbers do not grow: Some(1) after Some(1)"
    );
}

#[test]
fn waits_that_are_told_of_different_interrupts_are_noticed() {
    let device = faulty(IOCTL_EDU_WAIT_INTERRUPT, |request| {
        (request.number() == Some(0x30)).then(|| Ok(arrival(0x30, 100)))
    });
    assert_eq!(
        complaint(device),
        "FAILED   one interrupt ends every wait for it: the waits were told of different interrupts"
    );
}

#[test]
fn a_raise_that_fails_leaves_no_wait_behind() {
    let device = faulty(IOCTL_EDU_RAISE_INTERRUPT, |request| {
        (request.number() == Some(0x30)).then_some(Err(DeviceError::NtStatus(0xC000_00B5)))
    });
    assert_eq!(
        complaint(device),
        "FAILED   one interrupt ends every wait for it: raise of 0x00000030: STATUS_IO_TIMEOUT (0xC00000B5): the \
         device did not answer in time"
    );
}

#[test]
fn a_wait_that_is_refused_leaves_no_other_behind() {
    let device = FakeDevice::sound().refusing(|request| {
        (request.code == IOCTL_EDU_WAIT_INTERRUPT && request.number() == Some(0x20))
            .then_some(DeviceError::NtStatus(0xC000_009A))
    });
    let lines = complaints(device);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[1].starts_with(
            "FAILED   one interrupt ends every wait for it: wait for 0x00000020: STATUS_INSUFFICIENT_RESOURCES"
        ),
        "{lines:#?}"
    );
}

#[test]
fn counters_that_stand_still_are_noticed() {
    let device = faulty(IOCTL_EDU_QUERY_STATISTICS, |request| {
        let stuck = Statistics {
            interrupts_claimed: 7,
            ..Statistics::default()
        };
        (request.input.is_empty() && request.output_len == size_of::<Statistics>())
            .then(|| Ok(stuck.as_bytes().to_vec()))
    });
    assert_eq!(
        complaint(device),
        "FAILED   the driver counts: interrupts claimed: 7 after 7, expected at least 3 more"
    );
}

#[test]
fn after_ctrl_c_nothing_more_is_tried() {
    let device = faulty(IOCTL_EDU_FACTORIAL, |request| {
        (request.number() >= Some(20)).then_some(Err(ABORTED))
    });
    let lines = complaints(device);
    assert_eq!(
        lines[0],
        "FAILED   factorials of 0 to 33, all at once: 20!: ERROR_OPERATION_ABORTED (995): the request was cancelled"
    );
    assert_eq!(lines.len(), CHECKS.len() - 2);
    assert!(
        lines[1..].iter().all(|line| line.starts_with("skipped  ")),
        "{lines:#?}"
    );
}

/// A driver that counts more each time it is asked: with `extra`, the test's own requests and those of others.
fn used_by_others(extra: impl Fn(&mut Statistics) + 'static) -> FakeDevice {
    let asked = std::cell::Cell::new(0);
    faulty(IOCTL_EDU_QUERY_STATISTICS, move |request| {
        if !request.input.is_empty() || request.output_len != size_of::<Statistics>() {
            return None;
        }
        // Enough for the check of the counters, which asks twice.
        let mut counted = Statistics::default();
        for _ in 0..asked.get() {
            counted.interrupts_claimed += 3;
            counted.factorials_started += 1;
            for queue in [
                &mut counted.raise,
                &mut counted.compute,
                &mut counted.transfer,
                &mut counted.doorbell,
            ] {
                queue.completed += 1;
                queue.dpcs_run += 1;
            }
        }
        if asked.get() == 3 {
            extra(&mut counted);
        }
        asked.set(asked.get() + 1);
        Some(Ok(counted.as_bytes().to_vec()))
    })
}

#[test]
fn others_who_use_the_device_are_told_of() {
    let mut device = used_by_others(|counted| {
        counted.compute.completed += 1000;
        counted.doorbell.completed += 1000;
    });
    let (outcome, text) = run_text(&mut device, &["selftest"]);
    assert_eq!(outcome, Outcome::Succeeded, "{text}");
    let note = text.lines().last().unwrap();
    // 34 factorials and 1 of the counters' check are the test's own, of which 3 are counted.
    assert!(
        note.starts_with("note     others used the device meanwhile (968 factorials, ") && note.contains(" waits)"),
        "{note}"
    );
}

#[test]
fn counters_that_were_reset_meanwhile_are_told_of() {
    // At the start the driver has counted more than at the end.
    let asked = std::cell::Cell::new(0);
    let mut device = faulty(IOCTL_EDU_QUERY_STATISTICS, move |request| {
        if !request.input.is_empty() || request.output_len != size_of::<Statistics>() {
            return None;
        }
        asked.set(asked.get() + 1);
        let mut counted = Statistics::default();
        counted.raise.completed = 7;
        (asked.get() == 1).then(|| Ok(counted.as_bytes().to_vec()))
    });
    let (_, document) = run_json(&mut device, &["selftest"]);
    assert_eq!(document["others"], "reset_counters");
}

#[test]
fn a_test_that_is_alone_tells_of_nobody() {
    let (_, document) = run_json(&mut FakeDevice::sound(), &["selftest"]);
    assert_eq!(document.get("others"), None);
}

#[test]
fn json_has_an_entry_for_each_check() {
    let mut device = faulty(IOCTL_EDU_FACTORIAL, |request| {
        (request.number() == Some(2) && request.output_len == 4).then_some(Err(ABORTED))
    });
    let (outcome, document) = run_json(&mut device, &["selftest"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(document["command"], "selftest");
    assert_eq!(document["ok"], false);
    let checks = document["checks"].as_array().expect("the checks are a list");
    assert_eq!(checks.len(), CHECKS.len());
    assert_eq!(checks[0]["result"], "ok");
    assert_eq!(checks[0].get("error"), None);
    assert_eq!(checks[2]["result"], "failed");
    assert_eq!(checks[2]["error"]["kind"], "win32");
    assert_eq!(checks[2]["error"]["name"], "ERROR_OPERATION_ABORTED");
    assert_eq!(
        checks[2]["error"]["message"],
        "2!: ERROR_OPERATION_ABORTED (995): the request was cancelled"
    );
    assert_eq!(checks[3]["result"], "skipped");
}
