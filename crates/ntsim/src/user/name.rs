//! Names as programs give them.

/// The path in the object manager's namespace that a program's name for a device leads to; none when it is no name of a device.
///
/// `\\\\.\\NAME` and `\\\\?\\NAME` are names below `\\??`, which is where symbolic links for programs are: of devices, of device
/// interfaces, and `GLOBALROOT`, from which every path can be given (`\\\\.\\GLOBALROOT\\Device\\NAME`). `\\??\\NAME`, as the system itself
/// writes links, and other absolute paths are taken as they are.
#[must_use]
pub fn nt_path(name: &str) -> Option<String> {
    let below = ["\\\\.\\", "\\\\?\\"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    match below {
        Some("") => None,
        Some(rest) => Some(format!("\\??\\{}", rest.replace('/', "\\"))),
        None if name.starts_with("\\\\") => None,
        None => name.starts_with('\\').then(|| name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices_are_below_the_dos_devices() {
        assert_eq!(nt_path("\\\\.\\Edu0").as_deref(), Some("\\??\\Edu0"));
        assert_eq!(nt_path("\\\\?\\pci#x#{y}").as_deref(), Some("\\??\\pci#x#{y}"));
        assert_eq!(
            nt_path("\\\\.\\GLOBALROOT/Device/Edu").as_deref(),
            Some("\\??\\GLOBALROOT\\Device\\Edu")
        );
        assert_eq!(nt_path("\\??\\pci#x").as_deref(), Some("\\??\\pci#x"));
        assert_eq!(nt_path("\\Device\\Edu").as_deref(), Some("\\Device\\Edu"));
    }

    #[test]
    fn what_names_no_device_is_refused() {
        for name in ["", "Edu0", "\\\\.\\", "\\\\server\\share"] {
            assert_eq!(nt_path(name), None, "{name}");
        }
    }
}
