//! Files: where they come from ([`SourceDisksFiles`](https://learn.microsoft.com/windows-hardware/drivers/install/inf-sourcedisksfiles-section))
//! and where they go ([`DestinationDirs`](https://learn.microsoft.com/windows-hardware/drivers/install/inf-destinationdirs-section)).

use super::{Checker, number};
use crate::inf::{Entry, Section, same};

/// The directory identifier of the driver store, where the files of a Windows driver stay.
const DRIVER_STORE: &str = "13";

impl Checker<'_> {
    /// What a `CopyFiles` names: sections with lists of files, or, after an @, a file.
    pub(super) fn copy_files(&mut self, directive: &Entry) {
        for name in &directive.values {
            if let Some(file) = name.strip_prefix('@') {
                let store = self.destination(directive.line, "DefaultDestDir");
                self.copied_file(directive.line, file, file, store);
            } else if let Some(list) = self.referenced(directive.line, "CopyFiles", name) {
                let store = self.destination(list.line, name);
                for entry in &list.entries {
                    let to = self.inf.expand(entry.value(0));
                    let from = match self.inf.expand(entry.value(1)) {
                        none if none.is_empty() => to.clone(),
                        from => from,
                    };
                    self.copied_file(entry.line, &to, &from, store);
                }
            }
        }
    }

    /// Whether what a list copies goes to the driver store.
    fn destination(&mut self, line: usize, list: &str) -> bool {
        let directories = self.inf.section("DestinationDirs");
        let entry = directories.and_then(|section| section.entry(list).or_else(|| section.entry("DefaultDestDir")));
        let Some(entry) = entry else {
            self.error(line, 1275, format!("[{list}] is not in [DestinationDirs]"));
            return false;
        };
        let directory = self.inf.expand(entry.value(0));
        self.isolated(entry.line, &directory, list);
        directory == DRIVER_STORE
    }

    /// Reports a place outside the driver store.
    pub(super) fn isolated(&mut self, line: usize, directory: &str, what: &str) {
        if directory != DRIVER_STORE {
            let text =
                format!("{what} is not in the driver store (directory identifier {DRIVER_STORE}, here {directory})");
            self.error(line, 1322, text);
        }
    }

    fn copied_file(&mut self, line: usize, to: &str, from: &str, store: bool) {
        if to.is_empty() {
            self.error(line, 1229, "CopyFiles has an entry without a file");
            return;
        }
        if store && !same(to, from) {
            self.error(
                line,
                1100,
                format!("{from} cannot be renamed to {to} in the driver store"),
            );
        }
        let is_listed = self
            .inf
            .section_for_any_architecture("SourceDisksFiles")
            .any(|section| section.entry(from).is_some());
        if !is_listed {
            self.error(line, 1230, format!("{from} is not in [SourceDisksFiles]"));
        }
        self.copied.insert(to.to_ascii_lowercase());
        self.copied.insert(from.to_ascii_lowercase());
    }

    /// The sections that say on which disk the files are.
    pub(super) fn source_disks(&mut self) {
        let inf = self.inf;
        for section in inf.section_for_any_architecture("SourceDisksNames") {
            self.mark_used(&section.name);
        }
        for section in inf.section_for_any_architecture("SourceDisksFiles") {
            self.mark_used(&section.name);
            for entry in &section.entries {
                self.source_file(section, entry);
            }
        }
        self.mark_used("DestinationDirs");
        for entry in inf
            .section("DestinationDirs")
            .map_or(&[][..], |section| &section.entries)
        {
            let list = entry.key.as_deref().unwrap_or_default();
            if !same(list, "DefaultDestDir") && inf.section(list).is_none() {
                let what = format!("[DestinationDirs] refers to [{list}], which is not there");
                self.error(entry.line, 1203, what);
            }
        }
    }

    fn source_file(&mut self, section: &Section, entry: &Entry) {
        let file = entry.key.as_deref().unwrap_or_default().to_ascii_lowercase();
        let disk = self.inf.expand(entry.value(0));
        let is_named = self
            .inf
            .section_for_any_architecture("SourceDisksNames")
            .any(|names| names.entry(&disk).is_some());
        if file.is_empty() || number(&disk).is_none() {
            self.error(
                entry.line,
                1008,
                format!("[{}] has an entry without a file or a disk", section.name),
            );
        } else if !is_named {
            self.error(
                entry.line,
                1273,
                format!("{file} is on disk {disk}, which is not in [SourceDisksNames]"),
            );
        }
        if file.rsplit_once('.').is_some_and(|(_, extension)| extension == "cat") {
            self.error(
                entry.line,
                1213,
                format!("{file} is a catalog: only CatalogFile names it"),
            );
        } else if !self.copied.contains(&file) {
            self.warning(entry.line, 2083, format!("nothing copies {file}"));
        }
    }
}
