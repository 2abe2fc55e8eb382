use edu::ioctl::{
    IOCTL_EDU_QUERY_STATISTICS, IOCTL_EDU_RESET_STATISTICS, LatencyStatistics, QueueStatistics, Statistics,
    WatchdogStatistics,
};
use serde_json::json;
use zerocopy::IntoBytes;

use crate::commands::Outcome;
use crate::fake::{FakeDevice, run_json, run_text};
use crate::status::DeviceError;

const STATUS_DEVICE_REMOVED: DeviceError = DeviceError::NtStatus(0xC000_02B6);

/// A queue whose counters are `first` and the four numbers after it.
const fn queue(first: u64) -> QueueStatistics {
    QueueStatistics {
        dpcs_run: first,
        dpcs_coalesced: first + 1,
        completed: first + 2,
        cancelled: first + 3,
        failed: first + 4,
    }
}

/// A watchdog whose counters are `first` and the two numbers after it.
const fn watchdog(first: u64) -> WatchdogStatistics {
    WatchdogStatistics {
        timeouts: first,
        retries: first + 1,
        late: first + 2,
    }
}

/// Latencies of which the last is `first`, in units of 100 nanoseconds.
const fn latency(first: u64) -> LatencyStatistics {
    LatencyStatistics {
        last: first,
        maximum: first + 1,
        sum: 3 * (first + 2),
        count: 3,
    }
}

/// No two counters are equal, so that none can be shown in another's place.
const COUNTED: Statistics = Statistics {
    interrupts_claimed: 1,
    interrupts_not_ours: 2,
    factorials_started: u64::MAX,
    factorial_interrupts_spurious: 4,
    raise: queue(10),
    compute: queue(20),
    transfer: queue(30),
    doorbell: queue(40),
    raise_watchdog: watchdog(50),
    compute_watchdog: watchdog(60),
    transfer_watchdog: watchdog(70),
    raise_latency: latency(80),
    compute_latency: latency(90),
    transfer_latency: latency(100),
    doorbell_latency: LatencyStatistics {
        last: 0,
        maximum: 0,
        sum: 0,
        count: 0,
    },
};

fn device_that_counted() -> FakeDevice {
    FakeDevice::sound()
        .answering(|request| (request.code == IOCTL_EDU_QUERY_STATISTICS).then(|| Ok(COUNTED.as_bytes().to_vec())))
}

#[test]
fn every_counter_is_shown() {
    let (outcome, text) = run_text(&mut device_that_counted(), &["stats"]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        text,
        "interrupts claimed                               1\n\
         interrupts not ours                              2\n\
         factorials started            18446744073709551615\n\
         spurious factorial interrupts                    4\n\
         \n\
         queue       completed    cancelled       failed     DPCs run    coalesced\n\
         raise              12           13           14           10           11\n\
         compute            22           23           24           20           21\n\
         transfer           32           33           34           30           31\n\
         doorbell           42           43           44           40           41\n\
         \n\
         watchdog     timeouts      retries         late\n\
         raise              50           51           52\n\
         compute            60           61           62\n\
         transfer           70           71           72\n\
         \n\
         DPC µs     interrupts         last         mean      longest\n\
         raise               3          8.0          8.2          8.1\n\
         compute             3          9.0          9.2          9.1\n\
         transfer            3         10.0         10.2         10.1\n\
         doorbell            0          0.0          0.0          0.0\n"
    );
}

#[test]
fn counting_starts_again_when_asked_for() {
    let mut device = FakeDevice::sound();
    let (outcome, _) = run_text(&mut device, &["raise", "2"]);
    assert_eq!(outcome, Outcome::Succeeded);

    let raised = |device: &mut FakeDevice, arguments: &[&str]| {
        let (outcome, document) = run_json(device, arguments);
        assert_eq!(outcome, Outcome::Succeeded);
        document["statistics"]["raise"]["completed"].as_u64()
    };
    assert_eq!(raised(&mut device, &["stats"]), Some(1));
    assert_eq!(
        raised(&mut device, &["stats", "--reset"]),
        Some(1),
        "shown before they are reset"
    );
    assert_eq!(raised(&mut device, &["stats"]), Some(0));
}

#[test]
fn text_says_that_counting_starts_again() {
    let (outcome, text) = run_text(&mut device_that_counted(), &["stats", "--reset"]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert!(text.ends_with("\n\nThe driver counts from 0 again.\n"), "{text}");
}

#[test]
fn counters_that_cannot_be_shown_are_not_reset() {
    let mut device = FakeDevice::sound()
        .answering(|request| (request.code == IOCTL_EDU_QUERY_STATISTICS).then_some(Err(STATUS_DEVICE_REMOVED)));
    let (outcome, text) = run_text(&mut device, &["stats", "--reset"]);
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        text.starts_with("stats failed: STATUS_DEVICE_REMOVED (0xC00002B6)"),
        "{text}"
    );
    assert_eq!(device.calls.len(), 2, "one request, one wait: {:?}", device.calls);
}

#[test]
fn a_reset_that_fails_does_not_hide_the_counters() {
    let mut device = FakeDevice::sound().answering(|request| match request.code {
        IOCTL_EDU_RESET_STATISTICS => Some(Err(STATUS_DEVICE_REMOVED)),
        _ => Some(Ok(COUNTED.as_bytes().to_vec())),
    });
    let (outcome, document) = run_json(&mut device, &["stats", "--reset"]);
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(document["ok"], false);
    assert_eq!(document["reset"], false);
    assert_eq!(document["statistics"]["interrupts_claimed"], 1);
    assert_eq!(document["error"]["name"], "STATUS_DEVICE_REMOVED");
}

#[test]
fn json_has_every_counter() {
    let queue = |first: u64| {
        json!({
            "dpcs_run": first,
            "dpcs_coalesced": first + 1,
            "completed": first + 2,
            "cancelled": first + 3,
            "failed": first + 4,
        })
    };
    let watchdog = |first: u64| json!({ "timeouts": first, "retries": first + 1, "late": first + 2 });
    let latency = |first: u64| json!({ "last": first, "maximum": first + 1, "sum": 3 * (first + 2), "count": 3 });
    let (outcome, document) = run_json(&mut device_that_counted(), &["stats"]);
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        document,
        json!({
            "command": "stats",
            "ok": true,
            "reset": false,
            "statistics": {
                "interrupts_claimed": 1,
                "interrupts_not_ours": 2,
                "factorials_started": u64::MAX,
                "factorial_interrupts_spurious": 4,
                "raise": queue(10),
                "compute": queue(20),
                "transfer": queue(30),
                "doorbell": queue(40),
                "raise_watchdog": watchdog(50),
                "compute_watchdog": watchdog(60),
                "transfer_watchdog": watchdog(70),
                "raise_latency": latency(80),
                "compute_latency": latency(90),
                "transfer_latency": latency(100),
                "doorbell_latency": { "last": 0, "maximum": 0, "sum": 0, "count": 0 },
            },
        })
    );
}
