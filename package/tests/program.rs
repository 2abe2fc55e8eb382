//! The program as `cargo xtask package` starts it: what it prints, and how it ends.

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use common::{PROGRAM, flip};
use driver_package::time::SOURCE_DATE_EPOCH;
use tempfile::TempDir;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driver-package"));
    command.args(arguments).env(SOURCE_DATE_EPOCH, "1767225600");
    command
}

fn make(output: &Path, more: &[&str]) -> Command {
    let mut command = program(&["make", "--program", PROGRAM]);
    command.arg("--images").arg(common::images());
    command.arg("--template").arg(common::template());
    command.arg("--output").arg(output).args(more);
    command
}

fn error(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn it_makes_a_package_and_verifies_it() {
    let directory = TempDir::new().unwrap();
    let made = make(directory.path(), &[]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = String::from_utf8(made.stdout).unwrap();
    assert!(
        text.contains("customdpc.cat\n") && text.ends_with("signed by CN=customdpc test certificate\n"),
        "{text}"
    );

    let path = directory.path().to_str().unwrap();
    let right = program(&["verify", path]).output().unwrap();
    assert!(right.status.success());
    flip(&directory.path().join("customdpc.inf"), 3);
    let wrong = program(&["verify", path]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        String::from_utf8(wrong.stdout)
            .unwrap()
            .contains("WRONG  the SHA-1 hash of customdpc.inf")
    );
}

/// The time is in the INF, the catalog and the certificate.
#[test]
fn another_time_gives_another_package() {
    let directory = TempDir::new().unwrap();
    let mut later = make(directory.path(), &[]);
    later.env(SOURCE_DATE_EPOCH, "1767312000");
    assert!(later.status().unwrap().success());
    let inf = fs::read_to_string(directory.path().join("customdpc.inf")).unwrap();
    assert!(inf.contains("DriverVer   = 01/02/2026,"), "{inf}");
}

#[test]
fn without_a_time_it_says_how_to_give_one() {
    let directory = TempDir::new().unwrap();
    let mut command = make(directory.path(), &[]);
    command.env(SOURCE_DATE_EPOCH, "yesterday");
    assert!(error(command).contains("SOURCE_DATE_EPOCH is no number of seconds"));

    // Outside of any repository.
    let template = directory.path().join("customdpc.inx");
    fs::copy(common::template(), &template).unwrap();
    let mut command = program(&["make", "--images", "images", "--output", "output", "--template"]);
    command.arg(template).env_remove(SOURCE_DATE_EPOCH);
    assert!(error(command).contains("set SOURCE_DATE_EPOCH to the source's time"));
}

#[test]
fn the_password_comes_from_the_command_line_or_a_variable() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    common::openssl::self_signed(
        root,
        &["-newkey", "rsa:2048"],
        &["extendedKeyUsage=codeSigning", "basicConstraints=critical,CA:FALSE"],
    );
    common::openssl::pfx(root, "sesame", &[]);
    let pfx = root.join("cert.pfx");
    let sign = ["--sign-with", pfx.to_str().unwrap()];
    let with = |more: &[&str]| make(&root.join("package"), &[&sign[..], more].concat());

    assert!(with(&["--password", "sesame"]).status().unwrap().success());
    let made = with(&[]).env("PFX_PASSWORD", "sesame").output().unwrap();
    assert!(
        String::from_utf8(made.stdout)
            .unwrap()
            .ends_with("signed by CN=somebody\n")
    );
    assert!(error(with(&["--password", "barley"])).contains("the password is wrong"));
}

#[test]
fn it_checks_infs() {
    let directory = TempDir::new().unwrap();
    let inf = directory.path().join("a.inf");
    fs::write(&inf, "[Version]\r\nSignature = \"$WINDOWS NT$\"\r\n").unwrap();
    let checked = program(&["check-inf", inf.to_str().unwrap()]).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(
        text.contains("a.inf: line 1: error 1233: there is no CatalogFile"),
        "{text}"
    );
}
