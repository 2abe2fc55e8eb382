//! A QEMU that is not there, dies, or hangs: each is an error that says so, and no wait is endless.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use ntsim::{
    Config,
    bus::{Bus, BusContext, Device, DeviceFault, Dice, Width},
    devices::qemu::{Qemu, QemuEdu, QemuError, QemuOptions},
    machine::{DriverImage, Machine},
};

use crate::driver;

/// Long enough for a QEMU on a busy computer to start, and short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(3);

fn options() -> QemuOptions {
    QemuOptions {
        patience: PATIENCE,
        ..QemuOptions::default()
    }
}

fn qemu() -> Qemu {
    Qemu::start(&options()).unwrap_or_else(|error| panic!("{error}"))
}

fn signal(qemu: &Qemu, signal: &str) {
    let kill = Command::new("kill")
        .args([signal, &qemu.process_id().to_string()])
        .status();
    assert!(kill.expect("kill can be started").success());
}

#[test]
fn a_qemu_that_is_not_installed_is_told_with_the_package() {
    let error = Qemu::start(&QemuOptions {
        program: "qemu-system-none".into(),
        ..options()
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no qemu-system-none"), "{error}");
    assert!(
        error.contains("apt-get install --no-install-recommends qemu-system-x86"),
        "{error}"
    );
}

/// A script in the place of QEMU.
fn script(directory: &Path, text: &str) -> QemuOptions {
    let program = directory.join("qemu");
    fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    QemuOptions {
        program,
        patience: Duration::from_millis(200),
    }
}

#[test]
fn a_program_that_ends_at_once_is_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let ends = script(directory.path(), "echo 'no such machine' >&2; exit 3");
    let error = Qemu::start(&ends).unwrap_err();
    assert!(
        matches!(&error, QemuError::Ended { status, .. } if status.code() == Some(3)),
        "{error}"
    );
    assert!(error.to_string().contains("no such machine"), "{error}");
}

#[test]
fn a_program_that_never_connects_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let hangs = script(directory.path(), "exec sleep 600");
    let error = Qemu::start(&hangs).unwrap_err();
    assert!(matches!(error, QemuError::Silent { .. }), "{error}");
}

#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn a_qemu_that_dies_is_reported_with_its_end() {
    let mut qemu = qemu();
    signal(&qemu, "-KILL");
    let error = qemu.read(0, Width::Dword).unwrap_err();
    assert!(matches!(error, QemuError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("signal: 9"), "{error}");
    assert!(error.to_string().contains("readl 0xfe000000"), "{error}");
}

#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn a_qemu_that_hangs_is_killed() {
    let mut qemu = qemu();
    let process = format!("/proc/{}", qemu.process_id());
    signal(&qemu, "-STOP");
    let error = qemu.read(0, Width::Dword).unwrap_err();
    assert!(matches!(error, QemuError::Silent { .. }), "{error}");
    assert!(!Path::new(&process).exists(), "it is gone");
}

/// As when the program is killed.
#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn a_qemu_ends_with_the_thread_that_has_started_it() {
    let process = std::thread::spawn(|| {
        let qemu = qemu();
        let process = qemu.process_id();
        std::mem::forget(qemu);
        process
    });
    let state = format!("/proc/{}/stat", process.join().unwrap());
    // It has ended, though nobody has waited for it: a zombie.
    let ended = || fs::read_to_string(&state).is_ok_and(|stat| stat.contains(") Z "));
    let deadline = std::time::Instant::now() + PATIENCE;
    while !ended() {
        assert!(std::time::Instant::now() < deadline, "it runs still");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// QEMU 7.2 aborts at a transfer that reaches the last byte of the buffer. Behind ntsim the check comes first; here there is none.
#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn an_abort_is_reported_with_what_qemu_says() {
    let mut qemu = qemu();
    for (offset, value) in [(0x80, 0x20_0000), (0x88, 0x3_0000), (0x90, 16), (0x98, 1)] {
        qemu.write(offset, Width::Dword, value).unwrap();
    }
    let error = qemu.finish_transfer().unwrap_err().to_string();
    assert!(error.contains("EDU"), "{error}");
}

/// The run ends, and the report blames nobody but the host.
#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn a_run_whose_qemu_dies_ends_as_failed_by_the_host() {
    let image = DriverImage::open(&driver()).unwrap();
    let mut machine = Machine::new(Config::default()).unwrap();
    let qemu = qemu();
    signal(&qemu, "-KILL");
    let slot = machine.plug(Box::new(QemuEdu::new(qemu))).unwrap();
    machine.load(&image).unwrap();
    assert!(machine.start("customdpc", slot).is_none(), "the run has ended");
    let report = machine.crash_report(None).unwrap();
    assert!(report.starts_with("*** HOST FAILED"), "{report}");
    assert!(report.contains("signal: 9"), "{report}");
}

#[test]
#[ignore = "runs the shipped driver: cargo xtask test QEMU"]
fn ntsim_without_qemu_says_what_to_install() {
    let mut ntsim = Command::new(env!("CARGO_BIN_EXE_ntsim"));
    ntsim
        .arg("run")
        .arg(driver())
        .args(["--device", "qemu"])
        .env("PATH", "");
    let ran = ntsim.output().expect("ntsim can be started");
    let error = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{error}");
    assert!(error.contains("qemu-system-x86"), "{error}");
}

struct Low;

impl Dice for Low {
    fn below(&mut self, _: u64) -> u64 {
        0
    }
}

/// Where the device cannot report a failure, it asks to be called, and does it then.
#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn a_failure_where_none_can_be_reported_is_reported_next() {
    let mut qemu = QemuEdu::new(qemu());
    signal(qemu.qemu_mut(), "-KILL");
    qemu.reset();
    assert_eq!(qemu.next_event(), Some(0));
    let mut bus = Bus::default();
    bus.plug(Box::new(qemu));
    let mut cx = BusContext { now: 5, dice: &mut Low };
    let failed = bus.advance(&mut cx, &mut Nothing).unwrap_err();
    assert!(matches!(failed, DeviceFault::Host { device: "edu", .. }), "{failed}");
}

/// Memory that is never reached.
struct Nothing;

impl ntsim::bus::Ram for Nothing {
    fn read(&mut self, _: ntsim::bus::Translated, _: &mut [u8]) -> Result<(), String> {
        unreachable!("no transfer was started")
    }

    fn write(&mut self, _: ntsim::bus::Translated, _: &[u8]) -> Result<(), String> {
        unreachable!("no transfer was started")
    }
}
