//! `cargo xtask vm` with a guest that stands in for Windows. `cargo xtask test` runs these: they need QEMU.

mod guest;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use guest::{CRASH, FIRST, HANG, OFF, RESTART, SECOND, disc, image};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A package as far as the harness looks at it.
fn package(directory: &Path) {
    fs::create_dir_all(directory.join("scripts")).unwrap();
    for name in ["customdpc.inf", "scripts/Invoke-VmTest.ps1"] {
        fs::write(directory.join(name), "").unwrap();
    }
}

/// What came of a run.
struct Run {
    directory: TempDir,
    output: Output,
}

impl Run {
    /// Runs a guest with these texts.
    fn of(first: &[u8], later: &[u8], options: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        package(&path("package"));
        let contents = image(first, later);
        fs::write(path("image"), &contents).unwrap();
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.args([
            "vm",
            "--firmware",
            "bios",
            "--memory",
            "256",
            "--cpus",
            "1",
            "--seconds",
            "1",
        ]);
        // KVM may be there and not work.
        xtask.args(["--accelerator", "tcg"]);
        for (option, name) in [("--image", "image"), ("--package", "package"), ("--results", "results")] {
            xtask.arg(option).arg(path(name));
        }
        let output = xtask.args(options).output().expect("xtask starts");
        assert!(fs::read(path("image")).unwrap() == contents, "the image is not changed");
        Self { directory, output }
    }

    fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned() + &String::from_utf8_lossy(&self.output.stderr)
    }

    fn assert_says(&self, words: &str) {
        assert!(self.text().contains(words), "{words:?} is not in:\n{}", self.text());
    }

    fn result(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join("results").join(name)).unwrap()
    }
}

/// Statements and orders, one after the other.
fn text(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
#[ignore = "needs QEMU"]
fn a_guest_that_tests_restarts_sends_its_logs_and_powers_off() {
    let logs = b"what the guest has to say";
    let hash = <[u8; 32]>::from(Sha256::digest(logs))
        .map(|byte| format!("{byte:02x}"))
        .concat();
    let archive = format!("customdpc-vm archive {} {hash}\n", logs.len());
    for (code, state) in [(0, "ok"), (1, "failed")] {
        let result = format!("customdpc-vm result {state} test: selftest\n");
        let end = format!("customdpc-vm end {code}\n");
        let run = Run::of(
            &text(&[
                b"customdpc-vm begin 1\ncustomdpc-vm stage prepare\ncustomdpc-vm restart prepare\n",
                &[RESTART],
            ]),
            &text(&[
                b"customdpc-vm resume\ncustomdpc-vm stage test\n",
                result.as_bytes(),
                &[SECOND],
                logs,
                &[FIRST],
                archive.as_bytes(),
                end.as_bytes(),
                &[OFF],
            ]),
            &[],
        );
        assert_eq!(run.code(), Some(code), "{}", run.text());
        run.assert_says("stage prepare");
        run.assert_says("stage test");
        run.assert_says("test: selftest");
        assert_eq!(run.result("logs.zip"), logs);
        let plan: serde_json::Value = serde_json::from_slice(&run.result("disk/plan.json")).unwrap();
        assert_eq!(plan["seconds"], 1);
        assert_eq!(plan["verifier"][0], "Standard");
    }
}

#[test]
#[ignore = "needs QEMU"]
fn a_guest_that_hangs_is_ended_and_its_screen_is_kept() {
    let run = Run::of(
        &text(&[b"customdpc-vm begin 1\ncustomdpc-vm stage test\n", &[HANG]]),
        b"",
        &["--silence", "5"],
    );
    assert_eq!(run.code(), Some(1), "{}", run.text());
    run.assert_says("the guest hangs in \"test\"");
    assert!(run.result("screen.ppm").starts_with(b"P6"));
}

#[test]
#[ignore = "needs QEMU"]
fn a_guest_that_crashes_fails_though_it_comes_to_its_end_afterwards() {
    let run = Run::of(
        &text(&[b"customdpc-vm begin 1\ncustomdpc-vm stage test\n", &[CRASH]]),
        &text(&[b"customdpc-vm resume\ncustomdpc-vm end 0\n", &[OFF]]),
        &[],
    );
    assert_eq!(run.code(), Some(1), "{}", run.text());
    run.assert_says("the guest restarted by itself during \"test\": it crashed");
}

/// Also with a channel for a guest agent that never answers.
#[test]
#[ignore = "needs QEMU"]
fn a_guest_that_restarts_again_and_again_is_given_up() {
    let run = Run::of(&[RESTART], &[RESTART], &["--restarts", "3", "--guest-agent"]);
    assert_eq!(run.code(), Some(1), "{}", run.text());
    run.assert_says("the guest restarted more than 3 times");
}

#[test]
#[ignore = "needs QEMU"]
fn a_guest_that_powers_off_before_its_end_or_talks_nonsense_fails() {
    let run = Run::of(&text(&[b"customdpc-vm begin 1\n", &[OFF]]), b"", &[]);
    assert_eq!(run.code(), Some(1), "{}", run.text());
    run.assert_says("the guest shut down during \"start\", before its end");
    let run = Run::of(&text(&[b"customdpc-vm begin 2\n", &[HANG]]), b"", &[]);
    assert_eq!(run.code(), Some(1), "{}", run.text());
    run.assert_says("the guest speaks version \"2\", not 1");
}

#[test]
#[ignore = "needs QEMU"]
fn logs_that_do_not_arrive_whole_are_a_failure() {
    let end = b"customdpc-vm archive 5 0abc\ncustomdpc-vm end 0\n";
    let run = Run::of(
        &text(&[b"customdpc-vm begin 1\n", &[SECOND], b"abc", &[FIRST], end, &[OFF]]),
        b"",
        &[],
    );
    assert_eq!(run.code(), Some(1), "{}", run.text());
    run.assert_says("3 bytes of 5 arrived");
}

#[test]
#[ignore = "needs QEMU"]
fn an_image_or_a_package_that_is_none_is_named() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    package(&path("package"));
    fs::write(path("image"), "text").unwrap();
    let vm = |image: &str, package: &str| {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.args(["vm", "--firmware", "bios"]);
        for (option, name) in [("--image", image), ("--package", package), ("--results", "results")] {
            xtask.arg(option).arg(path(name));
        }
        let output = xtask.output().expect("xtask starts");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = vm("image", "package");
    assert!(error.contains("is no disk image"), "{error}");
    let error = vm("no-such-image", "package");
    assert!(
        error.contains("cannot read") && error.contains("no-such-image"),
        "{error}"
    );
    let error = vm("image", "no-such-package");
    assert!(error.contains("no-such-package is no package"), "{error}");
}

#[test]
#[ignore = "needs QEMU"]
fn a_directory_that_no_run_has_left_is_not_removed() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    package(&path("package"));
    fs::write(path("image"), image(&[OFF], &[])).unwrap();
    fs::write(path("precious"), "").unwrap();
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["vm", "--firmware", "bios", "--image"]).arg(path("image"));
    xtask
        .arg("--package")
        .arg(path("package"))
        .arg("--results")
        .arg(directory.path());
    let output = xtask.output().expect("xtask starts");
    assert!(!output.status.success() && path("precious").exists());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no earlier run left what is there"));
}

/// The disc stands in for Windows' ISO: it starts, and installs nothing.
#[test]
#[ignore = "needs QEMU"]
fn an_installation_makes_an_image_from_a_disc_and_spares_one_that_is_there() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let install = |image: &str, disc: &str| {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.args([
            "vm",
            "--firmware",
            "bios",
            "--accelerator",
            "tcg",
            "--memory",
            "256",
            "--index",
            "6",
        ]);
        for (option, name) in [("--image", image), ("--answer-file", disc), ("--results", "results")] {
            xtask.arg(option).arg(path(name));
        }
        let output = xtask.output().expect("xtask starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let done = text(&[
        b"customdpc-vm begin 1\ncustomdpc-vm stage installation\ncustomdpc-vm end 0\n",
        &[OFF],
    ]);
    fs::write(path("windows.iso"), disc(&done, &[])).unwrap();

    let (code, text) = install("windows.qcow2", "windows.iso");
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("stage installation") && text.contains("is ready for"),
        "{text}"
    );
    assert!(fs::read(path("windows.qcow2")).unwrap().starts_with(b"QFI\xfb"));
    let answers = fs::read_to_string(path("results/disk/autounattend.xml")).unwrap();
    assert!(answers.contains("<Value>6</Value>"));
    assert!(path("results/disk/scripts/Complete-Installation.ps1").is_file());

    let (code, text) = install("windows.qcow2", "windows.iso");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("windows.qcow2 exists"), "{text}");
    let (code, text) = install("other.qcow2", "no-such.iso");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no-such.iso") && !path("other.qcow2").exists(), "{text}");
}
