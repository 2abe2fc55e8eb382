//! Sections that nothing refers to.

use super::Checker;

/// What Windows itself looks for, by the start of the name.
const FOR_WINDOWS: [&str; 7] = [
    "strings",
    "controlflags",
    "signatureattributes",
    "targetcomputers",
    "classinstall32",
    "defaultinstall",
    "defaultuninstall",
];

impl Checker<'_> {
    pub(super) fn unused(&mut self) {
        let inf = self.inf;
        for section in inf.sections() {
            let name = section.name.to_ascii_lowercase();
            if name.starts_with("classinstall32") {
                self.error(section.line, 1285, "the classes of Microsoft cannot be installed again");
            }
            if !self.used.contains(&name) && !FOR_WINDOWS.iter().any(|start| name.starts_with(start)) {
                self.warning(section.line, 2083, format!("nothing refers to [{}]", section.name));
            }
        }
    }
}
