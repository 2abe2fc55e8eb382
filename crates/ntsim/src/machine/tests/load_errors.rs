//! What a stranger is told about a file that is no driver for this machine.

use std::path::Path;

use crate::machine::{DriverImage, LoadError, testing::Program};

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = DriverImage::open(Path::new("no/such/driver.sys")).unwrap_err();
    assert!(matches!(error, LoadError::File { .. }), "{error}");
    assert!(
        error.to_string().contains("no/such/driver.sys cannot be read"),
        "{error}"
    );
}

#[test]
fn a_directory_is_said_to_be_one() {
    let error = DriverImage::open(&std::env::temp_dir()).unwrap_err();
    assert!(matches!(error, LoadError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("is a directory"), "{error}");
}

#[test]
fn missing_symbols_are_said_once_in_a_report() {
    let program = Program::default()
        .import(&["KeNotInThisModel"])
        .function(|f| f.call("KeNotInThisModel"));
    let machine = program.machine(1);
    let _ = super::run_first(&machine, &[]);
    let report = machine.crash_report(None).unwrap();
    assert_eq!(report.matches("no source lines: test.sys").count(), 1, "{report}");
}
