//! The functions that scripts define, and their parameters.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use crate::script::{Script, all};

/// The names of parameters, in lower case: PowerShell does not tell upper from lower case.
pub(crate) type Parameters = BTreeSet<String>;

/// Functions by their names in lower case.
pub(crate) type Functions = BTreeMap<String, Parameters>;

/// The functions of all modules among the scripts.
pub(crate) fn of_modules(scripts: &[Script]) -> Functions {
    let modules = scripts.iter().filter(|script| script.is_module());
    modules.flat_map(of).collect()
}

/// The functions that a script defines.
pub(crate) fn of(script: &Script) -> Functions {
    let functions = all(script.root(), "function_statement");
    functions
        .filter_map(|function| {
            let name = name(script, function)?.to_lowercase();
            Some((name, parameters(script, function)))
        })
        .collect()
}

/// A function's name.
pub(crate) fn name<'s>(script: &'s Script, function: Node<'_>) -> Option<&'s str> {
    let name = all(function, "function_name").next()?;
    Some(script.text_of(name))
}

/// The parameters of the first block of parameters in a node: its own.
pub(crate) fn parameters(script: &Script, node: Node<'_>) -> Parameters {
    let Some(block) = all(node, "param_block").next() else {
        return Parameters::new();
    };
    all(block, "script_parameter")
        .filter_map(|parameter| {
            let mut cursor = parameter.walk();
            let variable = parameter.children(&mut cursor).find(|node| node.kind() == "variable")?;
            Some(script.text_of(variable).trim_start_matches('$').to_lowercase())
        })
        .collect()
}

/// Whether the function or script has `SupportsShouldProcess`.
pub(crate) fn supports_should_process(script: &Script, node: Node<'_>) -> bool {
    let block = all(node, "param_block").next();
    block.is_some_and(|block| script.text_of(block).contains("SupportsShouldProcess"))
}
