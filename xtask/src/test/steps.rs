//! The steps of `cargo xtask test`, the quick ones first.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{
    dependencies,
    packages::{self, SCENARIOS, SCRIPTS, UI},
    planted_panic, ui,
};
use crate::{
    bench,
    build::{self, Profile},
    cross::{Cross, toml_string},
    lockfiles,
    package::{self, PACKAGE},
    process,
    process::Show,
    provision,
    workspace::Workspace,
};

/// Something that must hold.
pub struct Step {
    /// What is seen of it.
    pub name: &'static str,
    /// Checks it; returns what there is to say about it.
    pub run: fn(&Workspace) -> Result<String>,
}

/// All steps.
pub const ALL: &[Step] = &[
    Step {
        name: "set-up",
        run: |workspace| provision::ensure(workspace).map(|provisioned| provisioned.summary()),
    },
    Step {
        name: "lockfiles agree",
        run: |workspace| lockfiles::check(workspace).map(|()| String::new()),
    },
    Step {
        name: "dependencies and licences",
        run: dependencies::check,
    },
    Step {
        name: "rustfmt",
        run: rustfmt,
    },
    Step {
        name: "clippy, host",
        run: clippy_host,
    },
    Step {
        name: "clippy, drivers",
        run: clippy_drivers,
    },
    Step {
        name: "clippy, eductl for Windows",
        run: clippy_app,
    },
    Step {
        name: "clippy and tests, stand-in for wdk-build",
        run: stand_in,
    },
    Step {
        name: "build and image checks, release",
        run: |workspace| build_and_check(workspace, Profile::Release),
    },
    Step {
        name: "build and image checks, debug",
        run: |workspace| build_and_check(workspace, Profile::Debug),
    },
    Step {
        name: "a planted unwrap fails the build",
        run: planted_panic::is_refused,
    },
    Step {
        name: "costs, by the baseline",
        run: bench::check,
    },
    Step {
        name: "unit and doc tests",
        run: unit_tests,
    },
    Step {
        name: "interleavings of the lock-free parts",
        run: interleavings,
    },
    Step {
        name: "driver package, by three who verify it",
        run: driver_package,
    },
    Step {
        name: "PowerShell scripts",
        run: scripts,
    },
    Step {
        name: "virtual machine, with a stand-in guest",
        run: virtual_machine,
    },
    Step {
        name: "commands of docs/windows.md",
        run: windows_page,
    },
    Step {
        name: "the model against QEMU's edu",
        run: against_qemu,
    },
    Step {
        name: "scenarios on the shipped driver",
        run: |workspace| scenarios(workspace, "line"),
    },
    Step {
        name: "scenarios on the shipped driver, interrupts by messages",
        run: |workspace| scenarios(workspace, "message"),
    },
    Step {
        name: "what must not compile",
        run: ui::run,
    },
    Step {
        name: "doc tests, wdm",
        run: doc_tests_drivers,
    },
    Step {
        name: "documentation, host",
        run: doc_host,
    },
    Step {
        name: "documentation, drivers",
        run: doc_drivers,
    },
];

/// What loom checks, with loom's atomics: they are behind a feature that is off otherwise.
const LOCK_FREE: [&str; 4] = ["--package", "rundown", "--features", "loom"];
const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace.root()).arg(subcommand);
    cargo
}

fn select<'p>(cargo: &mut Command, packages: impl IntoIterator<Item = &'p str>) {
    for package in packages {
        cargo.args(["--package", package]);
    }
}

fn rustfmt(workspace: &Workspace) -> Result<String> {
    process::read(cargo(workspace, "fmt").args(["--all", "--check"]))?;
    let mut stand_in = cargo(workspace, "fmt");
    stand_in
        .arg("--manifest-path")
        .arg(workspace.wdk_build().join("Cargo.toml"))
        .arg("--check");
    process::read(&mut stand_in)?;
    Ok(String::new())
}

fn clippy_host(workspace: &Workspace) -> Result<String> {
    let packages = packages::host(workspace)?;
    let mut clippy = cargo(workspace, "clippy");
    clippy.arg("--all-targets");
    select(&mut clippy, packages.iter().map(|name| name.as_str()).chain([UI]));
    process::read(clippy.args(DENY_WARNINGS))?;
    let mut lock_free = cargo(workspace, "clippy");
    lock_free.args(LOCK_FREE).arg("--all-targets");
    process::read(lock_free.args(DENY_WARNINGS))?;
    Ok(String::new())
}

fn clippy_drivers(workspace: &Workspace) -> Result<String> {
    let packages = packages::drivers(workspace)?;
    let mut clippy = Cross::prepare(workspace)?.cargo("clippy");
    select(&mut clippy, packages.iter().map(String::as_str));
    process::read(clippy.args(DENY_WARNINGS))?;
    Ok(String::new())
}

fn clippy_app(workspace: &Workspace) -> Result<String> {
    let mut clippy = Cross::prepare(workspace)?.cargo_for_app("clippy");
    clippy.args(["--package", "eductl"]);
    process::read(clippy.args(DENY_WARNINGS))?;
    Ok(String::new())
}

/// The stand-in is no member of the workspace and is treated like one: with the versions of the cross lockfile.
fn stand_in(workspace: &Workspace) -> Result<String> {
    let manifest = workspace.wdk_build().join("Cargo.toml");
    let target = workspace.provisioned().join("wdk-build");
    std::fs::create_dir_all(&target).with_context(|| format!("cannot create {}", target.display()))?;
    let lockfile = target.join("Cargo.lock");
    std::fs::copy(workspace.cross_lockfile(), &lockfile).context("cannot copy cross/Cargo.lock")?;
    let with_lockfile = |subcommand| {
        let mut cargo = cargo(workspace, subcommand);
        cargo.env("CARGO_TARGET_DIR", &target).env("RUSTC_BOOTSTRAP", "1");
        cargo.arg("--manifest-path").arg(&manifest);
        cargo.args(["-Z", "lockfile-path", "--config"]);
        cargo.arg(format!("resolver.lockfile-path={}", toml_string(&lockfile)));
        cargo
    };
    process::read(with_lockfile("clippy").arg("--all-targets").args(DENY_WARNINGS))?;
    test_count(&process::read(&mut with_lockfile("test"))?)
}

fn build_and_check(workspace: &Workspace, profile: Profile) -> Result<String> {
    let images = build::build(workspace, profile, Show::OnFailure)?;
    Ok(format!("{} images", images.len()))
}

fn unit_tests(workspace: &Workspace) -> Result<String> {
    let packages = packages::host(workspace)?;
    let mut test = cargo(workspace, "test");
    select(
        &mut test,
        packages
            .iter()
            .map(|name| name.as_str())
            .filter(|name| ![SCENARIOS, PACKAGE, SCRIPTS].contains(name)),
    );
    test_count(&process::read(&mut test)?)
}

fn interleavings(workspace: &Workspace) -> Result<String> {
    let mut test = cargo(workspace, "test");
    test.args(LOCK_FREE).args(["--test", "interleavings"]);
    test_count(&process::read(&mut test)?)
}

/// This project's own check, openssl and signify. The tests need the images that the release build left.
fn driver_package(workspace: &Workspace) -> Result<String> {
    let python = provision::signify(workspace)?;
    package::run(workspace, &package::Options::default(), Show::OnFailure)?;
    let mut test = cargo(workspace, "test");
    test.env("SIGNIFY_PYTHON", python);
    test.args(["--package", PACKAGE, "--", "--include-ignored"]);
    test_count(&process::read(&mut test)?)
}

/// Where there is no PowerShell: by a parser of it, and some rules.
fn scripts(workspace: &Workspace) -> Result<String> {
    test_count(&process::read(cargo(workspace, "test").args(["--package", SCRIPTS]))?)
}

/// The harness for Windows in a virtual machine, with a guest that stands in for it.
fn virtual_machine(workspace: &Workspace) -> Result<String> {
    provision::qemu()?;
    provision::qemu_img()?;
    ignored_tests(workspace, "vm")
}

/// The page that leads to Windows, as far as Linux goes.
fn windows_page(workspace: &Workspace) -> Result<String> {
    provision::qemu()?;
    provision::qemu_img()?;
    // Among what it brings is openssl.
    provision::signify(workspace)?;
    ignored_tests(workspace, "windows_page")
}

/// Those of xtask's own tests that need more than a Rust toolchain.
fn ignored_tests(workspace: &Workspace, name: &str) -> Result<String> {
    let mut test = cargo(workspace, "test");
    test.args(["--package", "xtask", "--test", name, "--", "--include-ignored"]);
    test_count(&process::read(&mut test)?)
}

/// The tests that start QEMU, or run the shipped driver on it, are ignored elsewhere.
fn against_qemu(workspace: &Workspace) -> Result<String> {
    provision::qemu()?;
    build::shipped_driver(workspace, Profile::Release, Show::OnFailure)?;
    let mut test = cargo(workspace, "test");
    test.args([
        "--package",
        "ntsim",
        "--test",
        "qemu",
        "--",
        "--include-ignored",
        "--show-output",
    ]);
    let output = process::read(&mut test)?;
    let compared = output.lines().filter(|line| line.ends_with("no difference"));
    let compared: Vec<&str> = compared.collect();
    Ok(format!("{}; {}", test_count(&output)?, compared.join("; ")))
}

/// Those that do not say how the device interrupts have it do so as `interrupts` says.
fn scenarios(workspace: &Workspace, interrupts: &str) -> Result<String> {
    let mut test = cargo(workspace, "test");
    test.env("INTERRUPTS", interrupts);
    test_count(&process::read(test.args(["--package", SCENARIOS]))?)
}

/// Compiled only: a driver's code runs on no host, so every example is marked `no_run`. There may be none.
fn doc_tests_drivers(workspace: &Workspace) -> Result<String> {
    let mut test = Cross::prepare(workspace)?.cargo("test");
    test.args(["--doc", "--package", "wdm"]);
    Ok(format!("{} tests", count_tests(&process::read(&mut test)?)))
}

fn doc_host(workspace: &Workspace) -> Result<String> {
    let packages = packages::host(workspace)?;
    let mut doc = cargo(workspace, "doc");
    doc.arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings");
    select(&mut doc, packages.iter().map(|name| name.as_str()));
    process::read(&mut doc)?;
    Ok(String::new())
}

fn doc_drivers(workspace: &Workspace) -> Result<String> {
    let cross = Cross::prepare(workspace)?;
    let mut flags = cross.rustdocflags();
    flags.extend(["-D".to_owned(), "warnings".to_owned()]);
    let mut doc = cross.cargo("doc");
    doc.args(["--no-deps", "--package", "wdm", "--package", "customdpc"]);
    doc.env("CARGO_ENCODED_RUSTDOCFLAGS", flags.join("\u{1f}"));
    process::read(&mut doc)?;
    Ok(String::new())
}

/// Adds up what the test harnesses say they ran; none at all is a failure.
fn test_count(output: &str) -> Result<String> {
    let count = count_tests(output);
    if count == 0 {
        bail!("no test ran");
    }
    Ok(format!("{count} tests"))
}

fn count_tests(output: &str) -> u64 {
    output
        .lines()
        .filter_map(|line| {
            line.strip_prefix("test result: ok. ")?
                .split(' ')
                .next()?
                .parse::<u64>()
                .ok()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::count_tests;

    #[test]
    fn tests_of_all_harnesses_are_counted() {
        let output = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\n\
                      test result: ok. 31 passed; 0 failed; 1 ignored\n";
        assert_eq!(count_tests(output), 33);
        assert_eq!(count_tests("error: could not compile"), 0);
    }
}
