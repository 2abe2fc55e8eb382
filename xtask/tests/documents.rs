//! The documents for people: their links lead somewhere, and their `cargo xtask` commands are ones that `cargo xtask` takes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is in the workspace")
}

/// Each document with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).expect("there is docs/");
    let mut paths: Vec<PathBuf> = docs.map(|entry| entry.expect("docs/ can be read").path()).collect();
    paths.extend(["README.md", "ARCHITECTURE.md"].map(|name| root().join(name)));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The targets of the links in a document.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// A heading as a link names it: lower case, words joined by hyphens, without punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for (path, text) in documents() {
        for link in links(&text).filter(|link| !link.starts_with("http")) {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            assert!(target.exists(), "{}: {link} is not there", path.display());
            if !place.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(place), "{}: {link} has no such heading", path.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked} links");
}

/// The arguments of each `cargo xtask` command line in a document: those lines are indented.
fn xtask_commands(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with("    "));
    let commands = lines.filter_map(|line| line.split_once("cargo xtask "));
    commands
        .map(|(_, rest)| rest.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn xtask_takes_the_commands() {
    let mut checked = 0;
    for (path, text) in documents() {
        for command in xtask_commands(&text) {
            // What comes after the subcommand and its options is for another program; `--help` has clap look at what is before.
            let own = command.iter().take_while(|word| *word != "--");
            let help = Command::new(env!("CARGO_BIN_EXE_xtask"))
                .args(own)
                .arg("--help")
                .output();
            let help = help.expect("xtask starts");
            assert!(
                help.status.success() || command.first().is_some_and(|first| first == "cargo"),
                "{}: cargo xtask {}: {}",
                path.display(),
                command.join(" "),
                String::from_utf8_lossy(&help.stderr)
            );
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked} commands");
}

/// The options that Windows 10, version 2004, has: the page on the command syntax of pnputil says since when there is each.
const PNPUTIL: [&str; 13] = [
    "/add-driver",
    "/class",
    "/connected",
    "/delete-driver",
    "/disable-device",
    "/enable-device",
    "/enum-devices",
    "/enum-drivers",
    "/enum-interfaces",
    "/force",
    "/install",
    "/problem",
    "/uninstall",
];

/// The options that follow the name of the program in a line.
fn pnputil_options(line: &str) -> impl Iterator<Item = &str> {
    let commands = line.split("pnputil ").skip(1);
    commands
        .flat_map(|command| command.split(['`', '|']).next().unwrap_or_default().split_whitespace())
        .filter(|word| word.starts_with('/'))
}

#[test]
fn pnputil_has_the_options_on_the_oldest_windows() {
    let mut checked = 0;
    for (path, text) in documents() {
        for option in text.lines().flat_map(pnputil_options) {
            assert!(PNPUTIL.contains(&option), "{}: pnputil {option}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked} options");
    let newer: Vec<&str> = pnputil_options("see `pnputil /enum-devices /deviceid X` or /y").collect();
    assert_eq!(newer, ["/enum-devices", "/deviceid"]);
}
