//! The version that driver, INF and app carry.

/// This workspace's version as a Windows file version: major, minor, build (the crate's patch number), revision (0).
pub const VERSION: [u16; 4] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
    0,
];

/// One component of the package's version; a component above 65535 does not fit a file version and ends the build.
const fn number(component: &str) -> u16 {
    match u16::from_str_radix(component, 10) {
        Ok(number) => number,
        Err(_) => panic!("a component of the package's version does not fit 16 bits"),
    }
}

// `number` runs at compile time only.
const _: () = assert!(number("65535") == u16::MAX);
