//! The configuration manager: the registry.
//!
//! Scenarios set values before drivers look: [`set_device_value`], [`set_driver_value`], [`set_value`].

mod enumerate;
mod hive;
mod information;
mod key;
mod notify;
mod path;
mod query;
pub mod value;

pub use key::open;
pub(crate) use key::{key_for_query, make_last, write_value};
pub(crate) use notify::handle_closed;
pub(crate) use path::canonical;
pub use value::Value;

use hive::Entry;

use crate::{ddi::Registry, io::pnp, ke::time, kernel::Kernel, mm::Va};

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    enumerate::register(ddi);
    information::register(ddi);
    key::register(ddi);
    notify::register(ddi);
    query::register(ddi);
}

/// Makes a key, and those above it, as set-up does. `path` is absolute.
pub fn create_key(k: &Kernel, path: &str) {
    let now = time::system_time(k);
    hive::with(k, |hives| hives.create(path, now));
}

/// Sets a value of the key at an absolute path, which is made when it does not exist.
pub fn set_value(k: &Kernel, path: &str, name: &str, value: Value) {
    let now = time::system_time(k);
    hive::with(k, |hives| {
        hives.create(path, now);
        if let Some(key) = hives.keys.get_mut(&canonical(path)) {
            let name = name.to_owned();
            key.written = now;
            key.values.insert(name.to_lowercase(), Entry { name, value });
        }
    });
}

/// A value of the key at an absolute path.
#[must_use]
pub fn value(k: &Kernel, path: &str, name: &str) -> Option<Value> {
    find(k, &canonical(path), name).map(|entry| entry.value)
}

fn find(k: &Kernel, canonical: &str, name: &str) -> Option<Entry> {
    hive::with(k, |hives| {
        hives.keys.get(canonical)?.values.get(&name.to_lowercase()).cloned()
    })
}

/// A key's values with their names, in the order of those.
pub(crate) fn values(k: &Kernel, canonical: &str) -> Vec<(String, Value)> {
    hive::with(k, |hives| {
        let values = hives
            .keys
            .get(canonical)
            .into_iter()
            .flat_map(|key| key.values.values());
        values.map(|entry| (entry.name.clone(), entry.value.clone())).collect()
    })
}

/// Deletes a value; says whether there was one.
pub(crate) fn delete(k: &Kernel, canonical: &str, name: &str) -> bool {
    let now = time::system_time(k);
    hive::with(k, |hives| {
        let key = hives.keys.get_mut(canonical);
        key.is_some_and(|key| {
            let deleted = key.values.remove(&name.to_lowercase()).is_some();
            if deleted {
                key.written = now;
            }
            deleted
        })
    })
}

/// Whether there is such a key.
pub(crate) fn exists(k: &Kernel, canonical: &str) -> bool {
    hive::with(k, |hives| hives.keys.contains_key(canonical))
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
