//! What must not compile against `wdm`, and what must.
//!
//! `fail/<name>.rs` must not compile: every line that is wrong carries the code of its error, as `//~ E0382`. Its twin
//! `pass/<name>.rs` is marked `//@ check-pass`, compiles, and differs from it in the annotated lines only: so what is refused
//! is refused for the reason that the case is about. Where rustc reports several errors for one line, `//~^` annotates the others
//! on the lines below, and the twin has empty comments there.
//!
//! An assertion on a constant of generic code is an error at the assertion, in `wdm`. Such a case expects its message by
//! `//@ error-in-other-file:`, and the note that rustc has for the driver's line by `//~ NOTE:`.
//!
//! The cases are compiled for the drivers' target, against the `wdm` of the cross build; `cargo xtask test` builds that and
//! passes rustc's arguments.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use ui_test::{
    CommandBuilder, Config,
    color_eyre::eyre::{Context, ContextCompat, Result, ensure},
    custom_flags::{edition::Edition, rustfix::RustfixMode},
    default_file_filter, default_per_file_config, ignore_output_conflict, run_tests_generic, status_emitter,
};

/// In which `cargo xtask test` passes the target.
const TARGET: &str = "WDM_UI_TARGET";
/// In which it passes rustc's arguments, one a line.
const ARGUMENTS: &str = "WDM_UI_RUSTC_ARGUMENTS";

/// In how many lines a twin differs at the most.
const MOST_DIFFERENCES: usize = 3;

/// The directory of what must not compile.
const FAIL: &str = "fail";
/// The directory of the twins.
const PASS: &str = "pass";

fn main() -> Result<()> {
    let variable = |name| env::var(name).with_context(|| format!("{name} is not set: run `cargo xtask test`"));
    let (target, arguments) = (variable(TARGET)?, variable(ARGUMENTS)?);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    compare_with_twins(directory)?;
    run_tests_generic(
        [FAIL, PASS]
            .map(|part| config(&directory.join(part), &target, &arguments))
            .into(),
        default_file_filter,
        default_per_file_config,
        status_emitter::Text::quiet(),
    )
}

fn config(directory: &Path, target: &str, arguments: &str) -> Config {
    let mut config = Config::rustc(directory);
    config.program = CommandBuilder::rustc();
    config.program.args.extend(arguments.lines().map(Into::into));
    config.target = Some(target.to_owned());
    config.out_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wdm-ui");
    // The annotations say what is expected; the rest of rustc's wording is its own affair.
    config.output_conflict_handling = ignore_output_conflict;
    let defaults = config.comment_defaults.base();
    defaults.set_custom("edition", Edition("2024".to_owned()));
    defaults.set_custom("rustfix", RustfixMode::Disabled);
    config
}

/// Checks that every case has its twin, that every twin has its case, and that they differ where the case is wrong only.
fn compare_with_twins(directory: &Path) -> Result<()> {
    let cases = names(&directory.join(FAIL))?;
    ensure!(!cases.is_empty(), "there are no cases in {}", directory.display());
    ensure!(
        cases == names(&directory.join(PASS))?,
        "a case has no twin, or a twin no case"
    );
    for name in cases {
        compare(&directory.join(FAIL).join(&name), &directory.join(PASS).join(&name))?;
    }
    Ok(())
}

fn names(directory: &Path) -> Result<BTreeSet<OsString>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

fn compare(case: &Path, twin: &Path) -> Result<()> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let (case_text, twin_text) = (read(case)?, read(twin)?);
    ensure!(
        twin_text.lines().any(|line| line.trim() == "//@ check-pass"),
        "{} is not marked `//@ check-pass`",
        twin.display()
    );
    let code = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("//@"));
        lines.map(str::to_owned).collect()
    };
    let (case_lines, twin_lines) = (code(&case_text), code(&twin_text));
    ensure!(
        case_lines.len() == twin_lines.len(),
        "{} and its twin have different numbers of lines",
        case.display()
    );
    let mut differences = 0;
    for (number, (wrong, right)) in case_lines.iter().zip(&twin_lines).enumerate() {
        if wrong != right {
            ensure!(
                is_annotated(wrong),
                "{}: line {} of the code differs from the twin's and is not annotated",
                case.display(),
                number + 1
            );
            differences += 1;
        }
    }
    ensure!(
        (1..=MOST_DIFFERENCES).contains(&differences),
        "{} differs from its twin in {differences} lines",
        case.display()
    );
    let annotated = case_lines.iter().filter(|line| is_annotated(line)).count();
    (differences == annotated)
        .then_some(())
        .with_context(|| format!("{}: an annotated line is the same in the twin", case.display()))
}

/// Whether the line says that it is wrong.
fn is_annotated(line: &str) -> bool {
    line.contains("//~")
}
