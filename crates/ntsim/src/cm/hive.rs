//! The registry's keys and values.

use std::collections::BTreeMap;

use super::{Value, path::canonical};
use crate::kernel::Kernel;

/// A value with the name that it was given, whose case does not matter.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: String,
    pub value: Value,
}

/// A key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Tells it from a key of the same path that was deleted.
    pub id: u64,
    /// The last component of its path, as it was given.
    pub name: String,
    /// Its class, which whoever made it gave it.
    pub class: String,
    /// It goes with the system.
    pub volatile: bool,
    /// When it, a value of it, or the set of its subkeys was last changed, in system time.
    pub written: u64,
    /// By name in lower case.
    pub values: BTreeMap<String, Entry>,
}

/// All keys, by [canonical path](canonical).
#[derive(Debug)]
pub(super) struct Hives {
    pub keys: BTreeMap<String, Key>,
    count: u64,
}

/// The keys that every system has, whatever is installed.
const SYSTEM_KEYS: [&str; 7] = [
    "\\REGISTRY\\MACHINE\\HARDWARE\\DESCRIPTION\\System",
    "\\REGISTRY\\MACHINE\\HARDWARE\\DEVICEMAP",
    "\\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
    "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Control\\Class",
    "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Enum",
    "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services",
    "\\REGISTRY\\USER\\.DEFAULT",
];

impl Default for Hives {
    fn default() -> Self {
        let keys = BTreeMap::new();
        let mut hives = Self { keys, count: 0 };
        for path in SYSTEM_KEYS {
            hives.create(path, 0);
        }
        hives
    }
}

impl Hives {
    /// Makes a key, and those above it, when they do not exist.
    pub(super) fn create(&mut self, path: &str, now: u64) {
        let whole = canonical(path);
        let given: Vec<&str> = path.trim_end_matches('\\').split('\\').collect();
        let ends = whole.match_indices('\\').map(|(at, _)| at).skip(1).chain([whole.len()]);
        for (index, end) in ends.enumerate() {
            let (one, parent) = (&whole[..end], super::path::parent(&whole[..end]));
            if self.keys.contains_key(one) {
                continue;
            }
            let canonical_name = one.rsplit('\\').next().unwrap_or_default();
            // A symbolic link's name stays out of the names that it leads to.
            let name = given
                .get(index + 1)
                .filter(|name| name.to_lowercase() == canonical_name)
                .map_or(canonical_name, |name| name);
            self.count += 1;
            let key = Key {
                id: self.count,
                name: name.to_owned(),
                class: String::new(),
                volatile: false,
                written: now,
                values: BTreeMap::new(),
            };
            self.keys.insert(one.to_owned(), key);
            if let Some(parent) = parent.and_then(|parent| self.keys.get_mut(parent)) {
                parent.written = now;
            }
        }
    }

    /// The keys directly below one, in the order of their names.
    pub(super) fn children(&self, canonical: &str) -> impl Iterator<Item = &Key> {
        let prefix = format!("{canonical}\\");
        let below = self.keys.range(prefix.clone()..).take_while({
            let prefix = prefix.clone();
            move |(path, _)| path.starts_with(&prefix)
        });
        below
            .filter(move |(path, _)| !path[prefix.len()..].contains('\\'))
            .map(|(_, key)| key)
    }

    /// The whole path of a key, in the names that the keys were given.
    pub(super) fn full_name(&self, canonical: &str) -> String {
        let ends = canonical.match_indices('\\').map(|(at, _)| at).skip(1);
        let names = ends.chain([canonical.len()]).map(|end| {
            let path = &canonical[..end];
            self.keys.get(path).map_or_else(
                || path.rsplit('\\').next().unwrap_or_default().to_owned(),
                |key| key.name.clone(),
            )
        });
        names.fold(String::new(), |path, name| format!("{path}\\{name}"))
    }
}

/// Works on the registry.
pub(super) fn with<T>(k: &Kernel, work: impl FnOnce(&mut Hives) -> T) -> T {
    let hives = k.state::<Hives>();
    let mut hives = hives.borrow_mut();
    work(&mut hives)
}
