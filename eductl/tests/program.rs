//! The program itself, on a system without Windows drivers: nothing can be sent, and it says so.
#![cfg(not(windows))]

use std::process::{Command, Output};

use serde_json::Value;

fn eductl(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_eductl"));
    program.args(arguments).output().expect("eductl starts")
}

#[test]
fn with_json_every_failure_is_one_document() {
    for (arguments, kind) in [
        (&["--json", "info"] as &[&str], "unsupported"),
        (&["info", "--json", "--no-such-option"], "usage"),
        (&["--json"], "usage"),
    ] {
        let output = eductl(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {:?}", String::from_utf8_lossy(&output.stdout)));
        assert_eq!(document["ok"], false);
        assert_eq!(document["error"]["kind"], kind);
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn without_json_a_failure_is_text_on_standard_error() {
    for arguments in [&["info"] as &[&str], &["--no-such-option"]] {
        let output = eductl(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_text_and_no_failure() {
    for arguments in [&["--help"] as &[&str], &["--json", "--version"]] {
        let output = eductl(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("eductl"),
            "{arguments:?}"
        );
    }
}
