//! The program `ntsim`, as its users start it. The drivers come from `cargo xtask build`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use edu::ioctl::{IOCTL_EDU_FACTORIAL, IOCTL_EDU_WAIT_INTERRUPT, WaitOutput};

fn driver(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("target/driver/release").join(format!("{name}.sys"));
    assert!(
        path.exists(),
        "{} is missing; `cargo xtask build` builds it",
        path.display()
    );
    path
}

/// What a command printed, and its exit code.
struct Ran {
    out: String,
    error: String,
    code: Option<i32>,
}

fn ntsim(arguments: &[&str]) -> Ran {
    let ran = Command::new(env!("CARGO_BIN_EXE_ntsim")).args(arguments).output();
    let Output { status, stdout, stderr } = ran.expect("ntsim can be started");
    Ran {
        out: String::from_utf8(stdout).expect("text"),
        error: String::from_utf8(stderr).expect("text"),
        code: status.code(),
    }
}

/// `ntsim run` of a driver on an edu device.
fn run(name: &str, arguments: &[&str]) -> Ran {
    let driver = driver(name);
    let path = driver.to_str().expect("an ordinary path");
    ntsim(&[&["run", path, "--device", "edu"], arguments].concat())
}

fn factorial_of_five() -> String {
    format!("{:#x}:05000000:4", IOCTL_EDU_FACTORIAL.raw())
}

#[test]
fn actions_are_carried_out_in_their_order() {
    let factorial = factorial_of_five();
    let ran = run(
        "customdpc",
        &[
            "--open",
            "interface",
            "--ioctl",
            &factorial,
            "--stop",
            "--ioctl",
            &factorial,
            "--sleep",
            "S3",
            "--close",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.error);
    let answer = format!("ioctl {factorial}: STATUS_SUCCESS, information 4: 78000000");
    let place = |what: &str| {
        ran.out
            .find(what)
            .unwrap_or_else(|| panic!("{what} is missing: {}", ran.out))
    };
    assert_eq!(ran.out.matches(&answer).count(), 2, "{}", ran.out);
    assert!(place("open interface:0: opened") < place(&answer));
    assert!(place(&answer) < place("IRP_MN_STOP_DEVICE sent"));
    assert!(place("IRP_MN_STOP_DEVICE sent") < place("the system is in S3"));
    assert!(ran.out.contains("clean unload"));
}

#[test]
fn a_request_that_waits_is_cancelled() {
    let wait = format!(
        "{:#x}:04000000:{}",
        IOCTL_EDU_WAIT_INTERRUPT.raw(),
        size_of::<WaitOutput>()
    );
    let ran = run(
        "customdpc",
        &["--open", "interface", "--ioctl", &wait, "--cancel", "--close"],
    );
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.error);
    assert!(
        ran.out
            .contains(&format!("ioctl {wait}: under way still, after 1000 ms")),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains(&format!("ioctl {wait}: STATUS_CANCELLED")),
        "{}",
        ran.out
    );
}

#[test]
fn a_script_has_the_same_actions() {
    let script = std::env::temp_dir().join(format!("ntsim-script-{}", std::process::id()));
    let text = format!(
        "# 5!\nopen interface\n\nioctl {}\nclose\nsurprise\n",
        factorial_of_five()
    );
    fs::write(&script, text).expect("a temporary file can be written");
    let ran = run("customdpc", &["--script", script.to_str().expect("an ordinary path")]);
    fs::remove_file(&script).expect("it was written");
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.error);
    assert!(
        ran.out.contains("STATUS_SUCCESS, information 4: 78000000"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("IRP_MN_SURPRISE_REMOVAL sent"), "{}", ran.out);
}

#[test]
fn an_action_that_cannot_be_carried_out_is_told_by_the_exit_code() {
    let ran = run("customdpc", &["--open", r"\\.\NoSuchDevice", "--read", "4"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.error);
    assert!(
        ran.out.contains(r"open \\.\NoSuchDevice: STATUS_OBJECT_NAME_NOT_FOUND"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("read 4@0x0: no device is open"), "{}", ran.out);
}

#[test]
fn a_broken_rule_is_reported_with_the_command_that_repeats_it() {
    let factorial = factorial_of_five();
    let ran = run(
        "frees-pool-twice",
        &["--seed", "3", "--open", "interface", "--ioctl", &factorial],
    );
    assert_eq!(ran.code, Some(3), "{}{}", ran.out, ran.error);
    assert!(ran.out.contains("rule pool-double-free"), "{}", ran.out);
    let again = ran
        .out
        .lines()
        .find(|line| line.starts_with("again: "))
        .expect("a replay line");
    for part in [
        "run",
        "frees-pool-twice.sys",
        "--device edu",
        "--seed 3",
        "--open interface",
        &factorial,
    ] {
        assert!(again.contains(part), "{part} is missing: {again}");
    }
}

#[test]
fn failure_paths_are_run_one_by_one() {
    let ran = run(
        "customdpc",
        &["--fail-each", "--open", "interface", "--ioctl", &factorial_of_five()],
    );
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.error);
    assert!(ran.out.contains("a rule was broken in 0 of the runs"), "{}", ran.out);
    assert!(!ran.out.starts_with("0 calls"), "{}", ran.out);
}

#[test]
fn help_for_eductl_is_help_and_is_printed_once() {
    let ran = run("customdpc", &["--", "factorial", "--help"]);
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert_eq!(ran.out.matches("Usage:").count(), 1, "{}", ran.out);
    let wrong = run("customdpc", &["--", "factorial", "many"]);
    assert_eq!(wrong.code, Some(2));
    assert_eq!(wrong.error.matches("invalid value").count(), 1, "{}", wrong.error);
}

#[test]
fn imports_and_routines_are_listed() {
    let path = driver("customdpc");
    let imports = ntsim(&["imports", path.to_str().expect("an ordinary path")]);
    assert_eq!(imports.code, Some(0), "{}", imports.out);
    assert!(
        imports.out.contains("modelled      ntoskrnl.exe!IoConnectInterrupt"),
        "{}",
        imports.out
    );
    let ddis = ntsim(&["ddis"]);
    let line = ddis
        .out
        .lines()
        .find(|line| line.starts_with("IoCreateDevice "))
        .expect("it is modelled");
    assert!(line.contains("IRQL") || line.contains("LEVEL"), "{line}");
    assert!(line.contains("/nf-wdm-iocreatedevice"), "{line}");
}

#[test]
fn what_is_no_driver_is_named() {
    let directory = ntsim(&["run", env!("CARGO_MANIFEST_DIR")]);
    assert_eq!(directory.code, Some(2));
    assert!(directory.error.contains("directory"), "{}", directory.error);
    let text = ntsim(&["run", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    assert_eq!(text.code, Some(2));
    assert!(text.error.contains("Cargo.toml"), "{}", text.error);
}

#[test]
fn a_rule_that_does_not_exist_cannot_be_allowed() {
    let ran = run("customdpc", &["--allow", "no-such-rule"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.error.contains("there is no rule \"no-such-rule\""), "{}", ran.error);
}
