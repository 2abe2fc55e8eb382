//! The releases of Windows that a catalog can name.

/// A release of Windows for x64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// What it is called.
    pub name: &'static str,
    /// Its build: what an INF's decoration asks for.
    pub build: u32,
    /// What a catalog's `OS` attribute calls it. [Inf2Cat](https://learn.microsoft.com/windows-hardware/drivers/devtest/inf2cat)
    /// takes other names (`10_VB_X64`, `10_CO_X64`, `10_NI_X64`, `10_GE_X64`) and writes these.
    pub attribute: &'static str,
}

/// The releases, the oldest first. Those between share the attribute of the one before them: Windows 10 20H2 to 22H2 are
/// version 2004 with features switched on, as Windows 11 23H2 is 22H2.
const RELEASES: [Release; 4] = [
    Release {
        name: "Windows 10, version 2004",
        build: 19041,
        attribute: "_v100_X64_Vb",
    },
    Release {
        name: "Windows 11, version 21H2",
        build: 22000,
        attribute: "_v100_X64_21H2",
    },
    Release {
        name: "Windows 11, version 22H2",
        build: 22621,
        attribute: "_v100_X64_22H2",
    },
    Release {
        name: "Windows 11, version 24H2",
        build: 26100,
        attribute: "_v100_X64_24H2",
    },
];

/// The releases with the build `minimum` or a later one.
#[must_use]
pub fn releases_from(minimum: u32) -> &'static [Release] {
    let first = RELEASES.partition_point(|release| release.build < minimum);
    &RELEASES[first..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_inf_asks_for_is_left_out() {
        let names = |minimum| releases_from(minimum).iter().map(|it| it.attribute).collect::<Vec<_>>();
        assert_eq!(
            names(19041),
            ["_v100_X64_Vb", "_v100_X64_21H2", "_v100_X64_22H2", "_v100_X64_24H2"]
        );
        assert_eq!(names(22621), ["_v100_X64_22H2", "_v100_X64_24H2"]);
        assert!(names(30000).is_empty());
    }
}
