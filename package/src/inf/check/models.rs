//! From the manufacturers to their models, and what each model installs.

use std::collections::BTreeSet;

use super::Checker;
use crate::inf::{
    Entry, Section,
    platform::{ARCHITECTURE_VARIABLE, Platform},
};

impl Checker<'_> {
    pub(super) fn models(&mut self) {
        self.mark_used("Manufacturer");
        let manufacturer = self
            .inf
            .section("Manufacturer")
            .filter(|section| !section.entries.is_empty());
        let Some(manufacturer) = manufacturer else {
            self.error(1, 1297, "the INF is for no device: [Manufacturer] is missing or empty");
            return;
        };
        for entry in &manufacturer.entries {
            let name = entry.value(0);
            if name.is_empty() {
                self.error(entry.line, 1011, "the manufacturer has no section of models");
                continue;
            }
            let decorations: Vec<&str> = entry.values.iter().skip(1).map(String::as_str).collect();
            if decorations.is_empty() {
                let what = format!("[{name}] has no decoration, as NTamd64: it would be for 32-bit x86");
                self.error(entry.line, 2010, what);
                self.models_of(entry, name);
            }
            for decoration in decorations {
                self.decoration(entry, decoration);
                self.models_of(entry, &format!("{name}.{decoration}"));
            }
        }
    }

    fn decoration(&mut self, entry: &Entry, decoration: &str) {
        if decoration.contains(ARCHITECTURE_VARIABLE) {
            let what = format!("{ARCHITECTURE_VARIABLE} is left over from the template: it was not stamped");
            self.error(entry.line, 1274, what);
            return;
        }
        match Platform::parse(decoration) {
            Ok(platform) if platform.architecture.is_none() => {
                let what = format!("the decoration {decoration} names no architecture: it would be for 32-bit x86");
                self.error(entry.line, 2010, what);
            }
            Ok(_) => {}
            Err(error) => self.error(
                entry.line,
                1287,
                format!("the decoration {decoration} is malformed: {error:#}"),
            ),
        }
    }

    fn models_of(&mut self, manufacturer: &Entry, name: &str) {
        let Some(models) = self.referenced(manufacturer.line, "the manufacturer", name) else {
            return;
        };
        if models.entries.is_empty() {
            self.error(models.line, 1297, format!("[{name}] has no models"));
        }
        let mut identifiers = BTreeSet::new();
        for model in &models.entries {
            self.model(models, model);
            // The first one is the hardware's, the others are of what it is compatible with.
            let id = self.inf.expand(model.value(1)).to_ascii_lowercase();
            if !id.is_empty() && !identifiers.insert(id) {
                self.error(model.line, 1294, format!("{} is in [{name}] twice", model.value(1)));
            }
        }
    }

    fn model(&mut self, models: &Section, model: &Entry) {
        if model.key.as_deref().unwrap_or_default().is_empty() {
            self.error(
                model.line,
                1006,
                format!("a model in [{}] has no description", models.name),
            );
        }
        if model.values.iter().skip(1).all(String::is_empty) {
            self.error(model.line, 1006, "the model has no hardware identifier");
        }
        match model.value(0) {
            "" => self.error(model.line, 1271, "the model has no install section"),
            install => self.install(install, model.line),
        }
    }
}
