//! The rules.

use tree_sitter::Node;

use crate::{
    Finding,
    functions::{self, Functions},
    names::{AUTOMATIC_VARIABLES, CHANGING_VERBS, CMDLETS, COMMON_PARAMETERS, VERBS},
    script::{Script, all},
};

/// All rules on one script.
pub(crate) fn check(script: &Script, modules: &Functions) -> Vec<Finding> {
    let mut known = modules.clone();
    known.extend(functions::of(script));
    let mut findings: Vec<Finding> = encoding(script).into_iter().collect();
    findings.extend(beginning(script));
    findings.extend(commands(script, &known));
    findings.extend(function_names(script));
    findings.extend(assignments(script));
    for node in all(script.root(), "pipeline_chain_tail") {
        findings.push(script.finding(node, "PSUseCompatibleSyntax", "Windows PowerShell 5.1 has no && and ||"));
    }
    findings
}

/// Windows PowerShell takes a file without a byte order mark for one in the system's code page.
fn encoding(script: &Script) -> Option<Finding> {
    let line = script.text().lines().position(|line| !line.is_ascii())?;
    Some(Finding {
        script: script.name.clone(),
        line: line + 1,
        rule: "PSUseBOMForUnicodeEncodedFile",
        what: "the line is not ASCII".to_owned(),
    })
}

/// What every script begins with.
fn beginning(script: &Script) -> Vec<Finding> {
    let mut wanted = vec!["Set-StrictMode -Version Latest", "$ErrorActionPreference = 'Stop'"];
    if !script.is_module() {
        wanted.extend([
            "#Requires -Version 5.1",
            "#Requires -RunAsAdministrator",
            ".SYNOPSIS",
            "[CmdletBinding(",
        ]);
    }
    let missing = wanted.into_iter().filter(|wanted| !script.text().contains(wanted));
    missing
        .map(|wanted| script.finding(script.root(), "beginning", format!("the script has no `{wanted}`")))
        .collect()
}

/// Each command must be a cmdlet under its full name, or a function of the scripts, called with parameters that it has.
fn commands(script: &Script, known: &Functions) -> Vec<Finding> {
    let mut findings = Vec::new();
    for command in all(script.root(), "command") {
        let Some(name) = command.child_by_field_name("command_name") else {
            continue;
        };
        // `& $path`: what is run is not known here.
        if name.kind() != "command_name" {
            continue;
        }
        let text = script.text_of(name);
        // The grammar takes a range of numbers for a command.
        if text.split("..").all(|end| end.parse::<i64>().is_ok()) {
            continue;
        }
        if let Some(parameters) = known.get(&text.to_lowercase()) {
            for parameter in own_parameters(command) {
                let used = script.text_of(parameter).trim_matches(['-', ':']).to_lowercase();
                if !parameters.contains(&used) && !COMMON_PARAMETERS.contains(&used.as_str()) {
                    findings.push(script.finding(parameter, "parameters", format!("{text} has no parameter -{used}")));
                }
            }
        } else if !CMDLETS.contains(&text) {
            let what = format!(
                "{text} is no cmdlet of Windows PowerShell 5.1 that is known here, and no function of the scripts"
            );
            findings.push(script.finding(name, "PSAvoidUsingCmdletAliases", what));
        }
    }
    findings
}

/// The parameters that are written for this command, not for one in its arguments.
fn own_parameters(command: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    if let Some(elements) = command.child_by_field_name("command_elements") {
        let mut cursor = elements.walk();
        found.extend(
            elements
                .children(&mut cursor)
                .filter(|node| node.kind() == "command_parameter"),
        );
    }
    found
}

fn function_names(script: &Script) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in all(script.root(), "function_statement") {
        let Some(name) = functions::name(script, function) else {
            continue;
        };
        let verb = name.split_once('-').map_or("", |(verb, _)| verb);
        if !VERBS.contains(&verb) {
            let what = format!("{name} does not begin with an approved verb");
            findings.push(script.finding(function, "PSUseApprovedVerbs", what));
        }
        if CHANGING_VERBS.contains(&verb) && !functions::supports_should_process(script, function) {
            let what = format!("{name} changes something and has no SupportsShouldProcess");
            findings.push(script.finding(function, "PSUseShouldProcessForStateChangingFunctions", what));
        }
    }
    findings
}

/// A variable that a loop or an assignment sets must not be one of PowerShell's, nor a parameter of the script: that has a type, which
/// the new value is converted to.
fn assignments(script: &Script) -> Vec<Finding> {
    let parameters = match all(script.root(), "param_block").next() {
        Some(block) if block.parent().is_some_and(|parent| parent.kind() == "program") => {
            functions::parameters(script, script.root())
        }
        _ => functions::Parameters::new(),
    };
    let mut findings = Vec::new();
    for loop_ in all(script.root(), "foreach_statement") {
        let mut cursor = loop_.walk();
        let variable = loop_.children(&mut cursor).find(|node| node.kind() == "variable");
        if let Some(variable) = variable {
            let name = variable_name(script, variable);
            if parameters.contains(&name) {
                let what = format!("the loop sets ${name}, a parameter of the script");
                findings.push(script.finding(variable, "loop variable", what));
            }
            findings.extend(automatic(script, variable, &name));
        }
    }
    for target in all(script.root(), "left_assignment_expression") {
        if let Some(variable) = all(target, "variable").next()
            && script.text_of(variable) == script.text_of(target)
        {
            let name = variable_name(script, variable);
            findings.extend(automatic(script, variable, &name));
        }
    }
    findings
}

fn variable_name(script: &Script, variable: Node<'_>) -> String {
    script.text_of(variable).trim_start_matches('$').to_lowercase()
}

fn automatic(script: &Script, variable: Node<'_>, name: &str) -> Option<Finding> {
    AUTOMATIC_VARIABLES.contains(&name).then(|| {
        let what = format!("${name} is set by PowerShell itself");
        script.finding(variable, "PSAvoidAssignmentToAutomaticVariable", what)
    })
}
