//! What the rest of a package must know of its INF.

use anyhow::{Context, Result};

use super::{Inf, platform::Platform};

/// What an INF says about its package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The driver's version: the second value of `DriverVer`.
    pub driver_version: String,
    /// The catalog's file name.
    pub catalog: String,
    /// The files that it installs.
    pub files: Vec<String>,
    /// The hardware identifiers that it has a driver for.
    pub hardware_ids: Vec<String>,
    /// The least build of Windows that one of its models is for.
    pub minimum_build: u32,
}

impl Facts {
    /// Collects them.
    ///
    /// # Errors
    /// When the INF lacks what [`check`](super::check()) asks for.
    pub fn of(inf: &Inf) -> Result<Self> {
        let version = inf.section("Version").context("the INF has no [Version]")?;
        let catalog = version.entry("CatalogFile").context("the INF names no catalog")?;
        let driver_version = version.entry("DriverVer").context("the INF has no DriverVer")?;
        let files = inf.section_for_any_architecture("SourceDisksFiles");
        let files = files.flat_map(|section| &section.entries);
        let mut facts = Self {
            driver_version: inf.expand(driver_version.value(1)),
            catalog: inf.expand(catalog.value(0)),
            files: files.filter_map(|entry| entry.key.clone()).collect(),
            hardware_ids: Vec::new(),
            minimum_build: u32::MAX,
        };
        for (models, decoration) in inf.models() {
            let platform = Platform::parse(&decoration)?;
            facts.minimum_build = facts.minimum_build.min(platform.build);
            let section = inf
                .section(&models)
                .with_context(|| format!("there is no [{models}]"))?;
            for entry in &section.entries {
                facts
                    .hardware_ids
                    .extend(entry.values.iter().skip(1).map(|id| inf.expand(id)));
            }
        }
        Ok(facts)
    }
}

impl Inf {
    /// The names of the sections of models, and the decoration of each.
    #[must_use]
    pub fn models(&self) -> Vec<(String, String)> {
        let manufacturers = self.section("Manufacturer").map_or(&[][..], |section| &section.entries);
        let mut models = Vec::new();
        for entry in manufacturers {
            let name = entry.value(0);
            let decorations = entry.values.iter().skip(1).filter(|decoration| !decoration.is_empty());
            models.extend(decorations.map(|decoration| (format!("{name}.{decoration}"), decoration.clone())));
        }
        models
    }
}
