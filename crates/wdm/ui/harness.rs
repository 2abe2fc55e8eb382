//! What must not compile against `wdm`, and what must.
//!
//! `cases/<name>.rs` must not compile: every line that is wrong carries the code of its error, as `//~ E0382`. Its twin
//! `cases/<name>.ok.rs` is marked `//@ check-pass`, compiles, and differs from it in the annotated lines only: so what is
//! refused is refused for the reason that the case is about.
//!
//! The cases are compiled for the drivers' target, against the `wdm` of the cross build; `cargo xtask test` builds that and
//! passes rustc's arguments.

use std::{
    env, fs,
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

/// How the name of a twin ends.
const TWIN: &str = ".ok.rs";

fn main() -> Result<()> {
    let variable = |name| env::var(name).with_context(|| format!("{name} is not set: run `cargo xtask test`"));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    compare_with_twins(&directory)?;
    run_tests_generic(
        vec![config(&directory, variable(TARGET)?, &variable(ARGUMENTS)?)],
        default_file_filter,
        default_per_file_config,
        status_emitter::Text::quiet(),
    )
}

fn config(directory: &Path, target: String, arguments: &str) -> Config {
    let mut config = Config::rustc(directory);
    config.program = CommandBuilder::rustc();
    config.program.args.extend(arguments.lines().map(Into::into));
    config.target = Some(target);
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
    let mut cases = 0;
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if let Some(stem) = name.strip_suffix(TWIN) {
            ensure!(Path::new(&format!("{stem}.rs")).exists(), "{name} is the twin of nothing");
        } else if let Some(stem) = name.strip_suffix(".rs") {
            compare(&path, Path::new(&format!("{stem}{TWIN}")))?;
            cases += 1;
        }
    }
    ensure!(cases > 0, "{} has no cases", directory.display());
    Ok(())
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
                wrong.contains("//~"),
                "{}: line {} of the code differs from the twin's and is not annotated",
                case.display(),
                number + 1
            );
            differences += 1;
        }
    }
    let annotated = case_lines.iter().filter(|line| line.contains("//~")).count();
    (differences == annotated)
        .then_some(())
        .with_context(|| format!("{}: an annotated line is the same in the twin", case.display()))
}
