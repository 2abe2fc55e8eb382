//! The scripts in `windows/`, and what must be found in scripts that are wrong.

use std::{fs, path::Path};

use script_check::{Finding, Script, check};

/// The scripts by name, with their texts.
fn sources() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let entries = fs::read_dir(directory).expect("windows/ can be read");
    let mut sources: Vec<(String, String)> = entries
        .map(|entry| entry.expect("windows/ can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "ps1" || extension == "psm1")
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a script is text"))
        })
        .collect();
    sources.sort();
    sources
}

fn check_all(sources: &[(String, String)]) -> Vec<Finding> {
    let scripts: Vec<Script> = sources.iter().map(|(name, text)| Script::parse(name, text)).collect();
    check(&scripts)
}

#[test]
fn the_scripts_keep_the_rules() {
    let sources = sources();
    assert!(sources.len() >= 8, "{} scripts", sources.len());
    let findings: Vec<String> = check_all(&sources).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// Without the last brace that ends a block. Others may be in strings.
fn without_last_brace(text: &str) -> String {
    let (before, after) = text.rsplit_once("\n}").expect("every script has a block");
    format!("{before}{after}")
}

/// The scheduled task's script is a text in another one.
#[test]
fn the_script_of_the_scheduled_task_can_be_parsed() {
    let sources = sources();
    let (_, text) = sources.iter().find(|(name, _)| name == "Register-VmTest.ps1").unwrap();
    let inner = text
        .split("@'\n")
        .nth(1)
        .and_then(|rest| rest.split("\n'@").next())
        .unwrap();
    assert!(inner.contains("Invoke-VmTest.ps1"));
    let parse = |text: &str| check(&[Script::parse("task.psm1", text)]);
    let rules = |text: &str| parse(text).iter().map(|finding| finding.rule).collect::<Vec<_>>();
    // Of the rules only what a script begins with does not hold for it.
    assert_eq!(rules(inner), ["beginning"; 2], "{:?}", parse(inner));
    assert_eq!(rules(&without_last_brace(inner)), ["syntax"]);
}

/// In each script, each kind of bracket, and a quotation mark: one more, or one less, is no PowerShell any more.
#[test]
fn a_planted_syntax_error_is_found_in_each_script() {
    let sources = sources();
    for (index, (name, text)) in sources.iter().enumerate() {
        for (what, planted) in [
            ("a closing brace less", without_last_brace(text)),
            ("a brace more", format!("{text}}}\n")),
            ("an open parenthesis", format!("{text}Get-Date (\n")),
            ("an open string", format!("{text}\n'open\n")),
            ("a function without a body", format!("{text}function Get-Nothing\n")),
        ] {
            let mut changed = sources.clone();
            changed[index].1 = planted;
            let findings = check_all(&changed);
            assert!(
                findings
                    .iter()
                    .any(|finding| finding.rule == "syntax" && finding.script == *name),
                "{name}: {what}: {findings:?}"
            );
        }
    }
}

/// What is found in a script that is right, with one line added.
fn added(line: &str) -> Vec<&'static str> {
    let right = "#Requires -Version 5.1\n#Requires -RunAsAdministrator\n<#\n.SYNOPSIS\nNothing.\n#>\n[CmdletBinding()]\n\
                 param([int] $Device)\nSet-StrictMode -Version Latest\n$ErrorActionPreference = 'Stop'\n\
                 function Get-Thing {\n    param([string] $Name)\n    $Name\n}\n";
    let script = Script::parse("test.ps1", &format!("{right}{line}\n"));
    check(&[script]).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn each_rule_finds_what_it_is_for() {
    assert_eq!(added("Get-Thing -Name 'a' -ErrorAction Stop"), [""; 0]);
    for (line, rule) in [
        ("dir", "PSAvoidUsingCmdletAliases"),
        ("Write-Host 'a'", "PSAvoidUsingCmdletAliases"),
        ("Invoke-Expression 'dir'", "PSAvoidUsingCmdletAliases"),
        ("Get-Thing -Nmae 'a'", "parameters"),
        ("Write-Output 'gr\u{fc}n'", "PSUseBOMForUnicodeEncodedFile"),
        ("foreach ($device in 1, 2) { $device }", "loop variable"),
        ("$host = 'a'", "PSAvoidAssignmentToAutomaticVariable"),
        ("foreach ($input in 1, 2) { 3 }", "PSAvoidAssignmentToAutomaticVariable"),
        ("function Do-Thing { 1 }", "PSUseApprovedVerbs"),
        (
            "function Set-Thing { 1 }",
            "PSUseShouldProcessForStateChangingFunctions",
        ),
        ("Get-Date && Get-Date", "PSUseCompatibleSyntax"),
    ] {
        assert_eq!(added(line), [rule], "{line}");
    }
}

#[test]
fn a_script_without_the_beginning_is_found() {
    let findings = check(&[Script::parse("test.ps1", "Get-Date\n")]);
    assert_eq!(findings.len(), 6, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.rule == "beginning"));
}
