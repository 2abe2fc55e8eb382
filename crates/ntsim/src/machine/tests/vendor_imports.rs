//! How many drivers of strangers import modelled names only.
//!
//! `vendor_imports.txt` has the imports of 220 public x64 drivers that use the kernel and the HAL alone, one driver a line, names only.

use crate::ddi::Registry;

/// The drivers that import modelled names only, of how many.
fn loadable(registry: &Registry) -> (usize, usize) {
    let drivers: Vec<&str> = include_str!("vendor_imports.txt").lines().collect();
    let loadable = drivers.iter().filter(|imports| {
        let mut names = imports.split_whitespace();
        names.all(|name| registry.find(name).is_some())
    });
    (loadable.count(), drivers.len())
}

#[test]
fn most_vendor_drivers_import_modelled_names_only() {
    let (loadable, all) = loadable(&Registry::modelled());
    assert_eq!(all, 220);
    assert!(
        loadable >= 185,
        "{loadable} of {all}: a routine that was modelled is no longer"
    );
}

#[test]
fn without_a_model_no_driver_could_be_loaded() {
    assert_eq!(loadable(&Registry::default()).0, 0);
}
