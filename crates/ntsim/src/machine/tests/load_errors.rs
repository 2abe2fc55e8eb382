//! What a stranger is told about a file that is no driver for this machine.

use std::path::Path;

use crate::{
    image::synthetic::{ImageBuilder, TEXT, seal},
    kernel::Config,
    machine::{DriverImage, LoadError, Machine, testing::Program},
};

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

#[test]
fn a_damaged_image_is_refused_or_loaded_but_never_a_panic() {
    /// Headers and section table, then the import table.
    const DAMAGED: [std::ops::Range<usize>; 2] = [0x3C..0x300, 0x800..0x8A0];
    let whole = ImageBuilder::new(&[0xC3])
        .import("ntoskrnl.exe", "IoCreateDevice")
        .export("Exported", TEXT)
        .pointer_to(TEXT)
        .function(TEXT, TEXT + 1, &[1, 0, 0, 0])
        .build();
    let mut loaded = 0;
    for offset in DAMAGED.into_iter().flatten() {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut bytes = whole.clone();
            bytes[offset] = value;
            seal(&mut bytes);
            let Ok(image) = DriverImage::parse("t.sys", &bytes) else {
                continue;
            };
            let mut machine = Machine::new(Config::default()).unwrap();
            loaded += usize::from(machine.load(&image).is_ok());
        }
    }
    assert!(loaded > 0, "some damage is harmless");
}
