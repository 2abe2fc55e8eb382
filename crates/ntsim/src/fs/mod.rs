//! A small file system in memory, behind the Zw file routines: `\SystemRoot`, `\??\C:`.
//!
//! It is a driver as others are: its device is `\Device\HarddiskVolume1`, and files are opened, read and written by IRPs. It holds the usual
//! directories and nothing else; scenarios put files in ([`write_file`]) and look at what drivers have written ([`read_file`]).
//! Streams, links, security and names of the 8.3 kind are not modelled.

mod create;
mod directory;
mod dispatch;
mod information;
#[cfg(test)]
mod tests;
mod transfer;
mod volume;

use std::collections::BTreeMap;

pub(crate) use volume::mount;

use crate::{ddi::Registry, kernel::Kernel, mm::Va, sched::VirtualTime};

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    dispatch::register(ddi);
    volume::register(ddi);
}

/// `FILE_ATTRIBUTE_READONLY`.
const READ_ONLY: u32 = 0x01;
/// `FILE_ATTRIBUTE_DIRECTORY`.
const DIRECTORY: u32 = 0x10;
/// `FILE_ATTRIBUTE_ARCHIVE`.
const ARCHIVE: u32 = 0x20;
/// `FILE_ATTRIBUTE_NORMAL`.
const NORMAL: u32 = 0x80;
/// The attributes that can be set: read only, hidden, system, archive, temporary, not indexed.
const SETTABLE: u32 = 0x2127;

/// The directories that are there.
const DIRECTORIES: [&str; 9] = [
    "\\Program Files",
    "\\ProgramData",
    "\\Programs",
    "\\Users",
    "\\Windows",
    "\\Windows\\System32",
    "\\Windows\\System32\\config",
    "\\Windows\\System32\\drivers",
    "\\Windows\\Temp",
];

/// A file or a directory.
#[derive(Clone, Debug)]
struct Node {
    /// Its name as it was given, without the directory.
    name: String,
    /// What a file holds; none for a directory.
    data: Option<Vec<u8>>,
    attributes: u32,
    created: VirtualTime,
    written: VirtualTime,
    /// It goes when its last handle is closed.
    deleted: bool,
}

impl Node {
    fn is_directory(&self) -> bool {
        self.data.is_none()
    }

    fn length(&self) -> u64 {
        self.data.as_ref().map_or(0, |data| data.len() as u64)
    }

    /// What a query tells of the attributes.
    fn attributes(&self) -> u32 {
        match self.attributes | if self.is_directory() { DIRECTORY } else { 0 } {
            0 => NORMAL,
            attributes => attributes,
        }
    }
}

/// An open file.
#[derive(Clone, Debug)]
struct Open {
    /// The node's path; none for the volume itself.
    path: Option<String>,
    access: u32,
    share: u32,
    delete_on_close: bool,
    /// The last handle is gone: it counts no more for sharing.
    cleaned_up: bool,
    /// How many entries a directory query has returned, and its pattern.
    position: usize,
    pattern: Option<String>,
}

/// The file system. Nodes are known by their paths in lower case; the root's is empty.
#[derive(Debug, Default)]
struct FileSystem {
    nodes: BTreeMap<String, Node>,
    open: BTreeMap<Va, Open>,
    volume: Option<Va>,
}

impl FileSystem {
    /// Makes the root and the usual directories, once.
    fn prepare(&mut self) {
        if !self.nodes.is_empty() {
            return;
        }
        self.insert("", None, 0);
        for path in DIRECTORIES {
            self.insert(path, None, 0);
        }
    }

    fn insert(&mut self, path: &str, data: Option<Vec<u8>>, now: VirtualTime) {
        let node = Node {
            name: path.rsplit('\\').next().unwrap_or_default().to_owned(),
            attributes: if data.is_some() { ARCHIVE } else { 0 },
            data,
            created: now,
            written: now,
            deleted: false,
        };
        self.nodes.insert(path.to_lowercase(), node);
    }

    /// What is in a directory, in the order of names.
    fn children<'s>(&'s self, path: &'s str) -> impl Iterator<Item = (&'s String, &'s Node)> {
        let below = move |found: &str| {
            found
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('\\'))
                .is_some_and(|rest| !rest.is_empty() && !rest.contains('\\'))
        };
        self.nodes.iter().filter(move |(found, _)| below(found))
    }
}

/// A path of a program's, from the drive on, as the file system has it: from the first `\` on, without one at the end.
fn on_volume(path: &str) -> Option<&str> {
    let (drive, rest) = path.split_at_checked(2)?;
    (drive.eq_ignore_ascii_case("C:") && rest.starts_with('\\')).then(|| rest.trim_end_matches('\\'))
}

fn with<T>(k: &Kernel, work: impl FnOnce(&mut FileSystem) -> T) -> T {
    let state = k.state::<FileSystem>();
    let mut state = state.borrow_mut();
    state.prepare();
    work(&mut state)
}

/// Puts a file at a path from the drive on (`C:\Windows\Temp\x`); missing directories are made. What was there is replaced.
///
/// # Panics
/// When the path does not begin with `C:\`, or leads through a file: the scenario's author has chosen it.
pub fn write_file(k: &Kernel, path: &str, contents: &[u8]) {
    let path = on_volume(path).filter(|path| !path.is_empty()).expect("a path on C:");
    let now = k.now();
    with(k, |fs| {
        make_parents(fs, path, now);
        fs.insert(path, Some(contents.to_vec()), now);
    });
}

/// What the file at a path from the drive on holds; none when there is no such file.
#[must_use]
pub fn read_file(k: &Kernel, path: &str) -> Option<Vec<u8>> {
    let path = on_volume(path)?.to_lowercase();
    with(k, |fs| fs.nodes.get(&path)?.data.clone())
}

/// Makes a directory, and those above it.
///
/// # Panics
/// As [`write_file`].
pub fn create_directory(k: &Kernel, path: &str) {
    let path = on_volume(path).expect("a path on C:");
    let now = k.now();
    with(k, |fs| make_parents(fs, &format!("{path}\\"), now));
}

/// Takes a file, or a directory with all that is in it, away; says whether it was there.
#[must_use]
pub fn remove(k: &Kernel, path: &str) -> bool {
    let Some(path) = on_volume(path).filter(|path| !path.is_empty()) else {
        return false;
    };
    let path = path.to_lowercase();
    let below = format!("{path}\\");
    with(k, |fs| {
        let before = fs.nodes.len();
        fs.nodes.retain(|found, _| *found != path && !found.starts_with(&below));
        fs.nodes.len() != before
    })
}

fn make_parents(fs: &mut FileSystem, path: &str, now: VirtualTime) {
    let ends = path.match_indices('\\').map(|(at, _)| at).skip(1);
    for end in ends {
        let parent = &path[..end];
        match fs.nodes.get(&parent.to_lowercase()) {
            None => fs.insert(parent, None, now),
            Some(found) => assert!(found.is_directory(), "{parent} is a file"),
        }
    }
}
