//! The shipped driver on QEMU's device: `eductl selftest` prints what it prints with the model.

use std::process::Command;

use crate::driver;

/// What eductl prints in a run with the device. A run tells what eductl has printed when it is over, indented.
fn printed(device: &str, interrupts: &str, command: &[&str]) -> String {
    let mut ntsim = Command::new(env!("CARGO_BIN_EXE_ntsim"));
    ntsim.arg("run").arg(driver()).args(["--device", device]);
    let ran = ntsim.args(["--interrupts", interrupts, "--"]).args(command).output();
    let ran = ran.expect("ntsim can be started");
    let out = String::from_utf8(ran.stdout).expect("text");
    let error = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{device}, {interrupts}: {out}{error}");
    out
}

/// The whole run: its last line has the digest of all that has happened.
#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn a_run_with_qemus_device_can_be_repeated() {
    let run = || printed("qemu", "line", &["selftest"]);
    let first = run();
    assert!(first.contains("trace "), "{first}");
    assert_eq!(first, run());
}

#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn selftest_prints_the_same_with_the_model_and_with_qemus_device() {
    for interrupts in ["line", "message"] {
        let results = |device| -> Vec<String> {
            let out = printed(device, interrupts, &["selftest"]);
            let lines = out.lines().filter(|line| line.contains("ok       "));
            lines.map(str::to_owned).collect()
        };
        let (model, qemu) = (results("edu"), results("qemu"));
        assert!(model.len() > 10, "{model:?}");
        assert_eq!(model, qemu, "{interrupts}");
    }
}
