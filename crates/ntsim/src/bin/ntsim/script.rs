//! Scripts: actions in a file, one a line. Empty lines and lines that start with `#` are skipped.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::action::Action;

/// Reads the actions of the script at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<Action>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the script {}", path.display()))?;
    parse(&text).map_err(|(line, error)| error.context(format!("{}:{line}", path.display())))
}

/// The actions of a script's text, or the number of the line that is wrong.
fn parse(text: &str) -> Result<Vec<Action>, (usize, anyhow::Error)> {
    let lines = text.lines().zip(1_usize..);
    lines
        .map(|(line, number)| (line.trim(), number))
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            line.parse()
                .map_err(|error: crate::action::ActionError| (number, error.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_a_list_of_actions() {
        let actions = parse("# a wait that is cancelled\n\nopen interface\n  cancel\n").unwrap();
        assert_eq!(actions.len(), 2);
        assert_eq!(actions[1], Action::Cancel);
    }

    #[test]
    fn the_wrong_line_is_named() {
        let (line, error) = parse("open interface\n# fine\njump\n").unwrap_err();
        assert_eq!(line, 3);
        assert!(error.to_string().contains("jump"));
    }
}
