//! A script and its syntax tree.

use std::path::Path;

use tree_sitter::{Node, Parser, Tree};

use crate::Finding;

/// A parsed script.
pub struct Script {
    /// The file's name.
    pub name: String,
    text: String,
    tree: Tree,
}

impl Script {
    /// Parses `text`. Syntax errors are in the tree.
    ///
    /// # Panics
    /// When parser and grammar do not fit together, which depends on their versions alone.
    #[must_use]
    pub fn parse(name: &str, text: &str) -> Self {
        let mut parser = Parser::new();
        parser
            .set_language(&tree_sitter_powershell::LANGUAGE.into())
            .expect("the grammar is of a version that the parser reads");
        let tree = parser.parse(text, None).expect("without a time limit there is a tree");
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            tree,
        }
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a module, not a script to be called.
    #[must_use]
    pub fn is_module(&self) -> bool {
        let extension = Path::new(&self.name).extension();
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case("psm1"))
    }

    pub(crate) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// The text of a node.
    pub(crate) fn text_of(&self, node: Node<'_>) -> &str {
        &self.text[node.byte_range()]
    }

    pub(crate) fn finding(&self, node: Node<'_>, rule: &'static str, what: impl Into<String>) -> Finding {
        Finding {
            script: self.name.clone(),
            line: node.start_position().row + 1,
            rule,
            what: what.into(),
        }
    }

    /// Where the text is no PowerShell.
    pub(crate) fn syntax_errors(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.root().has_error() {
            for node in descendants(self.root()) {
                if node.is_missing() {
                    findings.push(self.finding(node, "syntax", format!("{} is missing", node.kind())));
                } else if node.is_error() {
                    let line = self.text_of(node).lines().next().unwrap_or_default();
                    findings.push(self.finding(node, "syntax", format!("this is no PowerShell: {line}")));
                }
            }
        }
        findings
    }
}

/// A node and all that is in it, in the order of the text.
pub(crate) fn descendants(node: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    let mut pending = vec![node];
    while let Some(node) = pending.pop() {
        found.push(node);
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.children(&mut cursor).collect();
        pending.extend(children.into_iter().rev());
    }
    found
}

/// Those nodes in `node` that are of a kind.
pub(crate) fn all<'t>(node: Node<'t>, kind: &'static str) -> impl Iterator<Item = Node<'t>> {
    descendants(node).into_iter().filter(move |node| node.kind() == kind)
}
