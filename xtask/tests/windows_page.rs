//! The commands of docs/windows.md that are for Linux, each run as it stands there: in a directory that has the files which it names.
//! `cargo xtask test` runs this: it needs what builds, openssl and QEMU bring.

#[path = "vm/guest.rs"]
#[allow(dead_code, reason = "one guest is enough here")]
mod guest;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use guest::OFF;
use tempfile::TempDir;

/// The password of the PFX file.
const PASSWORD: &str = "not a secret";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A command line: variables, then the arguments of `cargo xtask`.
struct CommandLine {
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

/// The page's command lines: those lines are indented.
fn command_lines() -> Vec<CommandLine> {
    let page = fs::read_to_string(root().join("docs/windows.md")).expect("there is the page");
    let lines = page.lines().filter_map(|line| line.strip_prefix("    "));
    lines
        .filter_map(|line| line.split_once("cargo xtask "))
        .map(|(before, after)| CommandLine {
            variables: before
                .split_whitespace()
                .map(|word| {
                    let (name, value) = word.split_once('=').expect("only variables stand before a command");
                    (name.to_owned(), value.to_owned())
                })
                .collect(),
            arguments: after.split_whitespace().map(str::to_owned).collect(),
        })
        .collect()
}

/// What a guest says whose work is done.
fn end() -> Vec<u8> {
    [&b"customdpc-vm begin 1\ncustomdpc-vm end 0\n"[..], &[OFF]].concat()
}

fn openssl(directory: &Path, arguments: &str) {
    let mut openssl = Command::new("openssl");
    let output = openssl.current_dir(directory).args(arguments.split(' ')).output();
    let output = output.expect("openssl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A directory with a certificate for code signing, a disc that stands in for Windows' ISO, and a kit that is not complete.
fn place() -> TempDir {
    let place = TempDir::new().unwrap();
    let directory = place.path();
    openssl(
        directory,
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=page -addext extendedKeyUsage=codeSigning \
         -addext basicConstraints=critical,CA:FALSE",
    );
    fs::write(directory.join("password"), PASSWORD).unwrap();
    openssl(
        directory,
        "pkcs12 -export -inkey key.pem -in cert.pem -out cert.pfx -passout file:password",
    );
    fs::write(directory.join("windows.iso"), guest::disc(&end(), &[])).unwrap();
    let kernel = directory.join("kits/10/Include/10.0.26100.0/km");
    fs::create_dir_all(&kernel).unwrap();
    fs::write(kernel.join("ntifs.h"), "").unwrap();
    // Where the page's paths are below the tree.
    fs::create_dir(directory.join("target")).unwrap();
    std::os::unix::fs::symlink(
        root().canonicalize().unwrap().join("target/package"),
        directory.join("target/package"),
    )
    .unwrap();
    place
}

fn run(line: &CommandLine, place: &Path, more: &[&str]) -> Output {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.current_dir(place).env("PFX_PASSWORD", PASSWORD);
    xtask.envs(line.variables.iter().map(|(name, value)| (name, value)));
    xtask.args(&line.arguments).args(more).output().expect("xtask starts")
}

#[test]
#[ignore = "builds the driver and needs openssl and QEMU"]
fn each_command_does_what_the_page_says() {
    let place = place();
    let mut seen = Vec::new();
    for line in command_lines() {
        let command = line.arguments.join(" ");
        let words: Vec<&str> = line.arguments.iter().map(String::as_str).collect();
        // What QEMU needs for the stand-in and not for a Windows.
        let more: &[&str] = match words.as_slice() {
            ["vm", ..] => &[
                "--firmware",
                "bios",
                "--accelerator",
                "tcg",
                "--memory",
                "256",
                "--results",
                "results",
            ],
            _ => &[],
        };
        // What an installation has made is empty here: another stand-in takes its place.
        if let ["vm", "--image", image] = words.as_slice() {
            fs::write(place.path().join(image), guest::image(&end(), &[])).unwrap();
        }
        let output = run(&line, place.path(), more);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // A kit cannot be had here: the page's command must find this one and name what it lacks.
        if line.variables.iter().any(|(name, _)| name == "WDKContentRoot") {
            assert!(!output.status.success(), "{command}");
            assert!(
                text.contains("10.0.26100.0 is a WDK without its SDK"),
                "{command}: {text}"
            );
        } else {
            assert!(output.status.success(), "{command}: {text}");
        }
        match words.as_slice() {
            ["package", "--sign-with", _] => assert!(text.contains("signed by CN=page"), "{text}"),
            ["package"] => assert!(root().join("target/package/scripts/Install-Driver.ps1").is_file()),
            ["package", "--verify", _] => assert!(text.contains("ok     customdpc.sys is signed"), "{text}"),
            ["vm", ..] => assert!(text.contains("the guest ends with 0"), "{text}"),
            ["build"] => {}
            _ => panic!("the page has a command that this test does not know: {command}"),
        }
        seen.push(words[0].to_owned());
    }
    seen.sort();
    assert_eq!(seen, ["build", "package", "package", "package", "vm", "vm"]);
}
