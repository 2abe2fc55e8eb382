//! The configuration manager: the registry.
//!
//! Scenarios set values before drivers look: [`set_device_value`], [`set_driver_value`], [`set_value`].

mod key;
mod path;
mod query;
pub mod value;

use std::collections::BTreeMap;

pub(crate) use key::key_for_query;
pub use key::open;
pub(crate) use path::canonical;
pub use value::Value;

use crate::{ddi::Registry, io::pnp, kernel::Kernel, mm::Va};

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    key::register(ddi);
    query::register(ddi);
}

/// A value with the name that it was given, whose case does not matter.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    value: Value,
}

/// A key's values, by name in lower case.
type Values = BTreeMap<String, Entry>;

/// All keys, by [canonical path](path::canonical).
#[derive(Debug)]
pub(crate) struct Hives {
    keys: BTreeMap<String, Values>,
}

/// The keys that every system has, whatever is installed.
const SYSTEM_KEYS: [&str; 6] = [
    "\\registry\\machine\\hardware\\description\\system",
    "\\registry\\machine\\software\\microsoft\\windows nt\\currentversion",
    "\\registry\\machine\\system\\controlset001\\control\\class",
    "\\registry\\machine\\system\\controlset001\\enum",
    "\\registry\\machine\\system\\controlset001\\services",
    "\\registry\\user\\.default",
];

impl Default for Hives {
    fn default() -> Self {
        let keys = BTreeMap::new();
        let mut hives = Self { keys };
        for path in SYSTEM_KEYS {
            hives.create(path);
        }
        hives
    }
}

impl Hives {
    /// Makes a key, and those above it.
    fn create(&mut self, path: &str) {
        let ends = path.match_indices('\\').map(|(at, _)| at).skip(1);
        for end in ends.chain([path.len()]) {
            self.keys.entry(path[..end].to_owned()).or_default();
        }
    }
}

/// Makes a key, and those above it, as set-up does. `path` is absolute.
pub fn create_key(k: &Kernel, path: &str) {
    let path = canonical(path);
    k.state::<Hives>().borrow_mut().create(&path);
}

/// Sets a value of the key at an absolute path, which is made when it does not exist.
pub fn set_value(k: &Kernel, path: &str, name: &str, value: Value) {
    let path = canonical(path);
    let hives = k.state::<Hives>();
    let mut hives = hives.borrow_mut();
    hives.create(&path);
    let entry = Entry {
        name: name.to_owned(),
        value,
    };
    let values = hives.keys.entry(path).or_default();
    values.insert(name.to_lowercase(), entry);
}

/// A value of the key at an absolute path.
#[must_use]
pub fn value(k: &Kernel, path: &str, name: &str) -> Option<Value> {
    find(k, &canonical(path), name).map(|entry| entry.value)
}

fn find(k: &Kernel, canonical: &str, name: &str) -> Option<Entry> {
    let hives = k.state::<Hives>();
    let hives = hives.borrow();
    hives.keys.get(canonical)?.get(&name.to_lowercase()).cloned()
}

/// A key's values with their names, in the order of those.
pub(crate) fn values(k: &Kernel, canonical: &str) -> Vec<(String, Value)> {
    let hives = k.state::<Hives>();
    let hives = hives.borrow();
    let values = hives.keys.get(canonical).into_iter().flat_map(Values::values);
    values.map(|entry| (entry.name.clone(), entry.value.clone())).collect()
}

/// Deletes a value; says whether there was one.
pub(crate) fn delete(k: &Kernel, canonical: &str, name: &str) -> bool {
    let hives = k.state::<Hives>();
    let mut hives = hives.borrow_mut();
    let values = hives.keys.get_mut(canonical);
    values.is_some_and(|values| values.remove(&name.to_lowercase()).is_some())
}

/// Whether there is such a key.
pub(crate) fn exists(k: &Kernel, canonical: &str) -> bool {
    k.state::<Hives>().borrow().keys.contains_key(canonical)
}

/// Sets a value of a device's hardware key (`PLUGPLAY_REGKEY_DEVICE`, an INF's `DDInstall.HW` section).
///
/// # Panics
/// When `pdo` is no physical device object.
pub fn set_device_value(k: &Kernel, pdo: Va, name: &str, value: Value) {
    let path = pnp::hardware_key(k, pdo).expect("a physical device object");
    set_value(k, &path, name, value);
}

/// Sets a value of the `Parameters` key of the service called `driver`.
pub fn set_driver_value(k: &Kernel, driver: &str, name: &str, value: Value) {
    let path = format!("{}{driver}\\Parameters", crate::io::driver::SERVICES);
    set_value(k, &path, name, value);
}

#[cfg(test)]
mod tests;
