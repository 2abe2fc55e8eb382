//! Which of the devices present is meant.

use std::fmt;

use edu::interface::GUID_DEVINTERFACE_EDU_TEXT;
use edu::pci::HARDWARE_ID;
use thiserror::Error;

/// The path of a device interface, under which the device is opened: UTF-16, as Windows has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfacePath(Vec<u16>);

impl InterfacePath {
    /// The path, without a terminating zero.
    #[must_use]
    pub fn as_wide(&self) -> &[u16] {
        &self.0
    }

    /// Takes apart a list as `CM_Get_Device_Interface_List` fills it in: each path ends with a zero, the list with another.
    #[must_use]
    pub fn split_list(list: &[u16]) -> Vec<Self> {
        list.split(|&unit| unit == 0)
            .take_while(|path| !path.is_empty())
            .map(|path| Self(path.to_vec()))
            .collect()
    }
}

impl fmt::Display for InterfacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf16_lossy(&self.0))
    }
}

/// Why no device could be chosen.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChoiceError {
    /// There is none.
    #[error(
        "no edu device is ready. Check, in this order:\n  \
         - is the device there?       pnputil /enum-devices /connected | findstr \"{}\"\n  \
         - is the driver installed?   pnputil /add-driver customdpc.inf /install\n  \
         - has the device started?    pnputil /enum-devices /problem\n  \
         - is its interface there?    pnputil /enum-interfaces /class {GUID_DEVINTERFACE_EDU_TEXT}",
        instance_id_part()
    )]
    NoDevice,

    /// There are several, and none was chosen.
    #[error("there are {} edu devices; choose one with --device N:{}", .0.len(), listed(.0))]
    Several(Vec<InterfacePath>),

    /// There are some, but not so many.
    #[error("there is no device {wanted}; those present are:{}", listed(.present))]
    NotThatMany {
        /// The number asked for.
        wanted: usize,
        /// The devices that there are.
        present: Vec<InterfacePath>,
    },
}

/// What the instance ID of every edu device has in it; findstr takes a backslash for an escape.
fn instance_id_part() -> &'static str {
    HARDWARE_ID.trim_start_matches(r"PCI\")
}

fn listed(paths: &[InterfacePath]) -> String {
    use fmt::Write;

    paths
        .iter()
        .enumerate()
        .fold(String::new(), |mut text, (number, path)| {
            // Writing to a string does not fail.
            let _ = write!(text, "\n  {number}: {path}");
            text
        })
}

/// Chooses among the devices present: the one that is `wanted`, counted from 0 in the order of their paths, or the only one.
///
/// # Errors
/// There is none, or none that is meant without doubt.
pub fn choose(mut present: Vec<InterfacePath>, wanted: Option<usize>) -> Result<InterfacePath, ChoiceError> {
    // The system promises no order, and a number should mean the same device the next time.
    present.sort();
    match (wanted, present.len()) {
        (_, 0) => Err(ChoiceError::NoDevice),
        (None, 1) => Ok(present.swap_remove(0)),
        (None, _) => Err(ChoiceError::Several(present)),
        (Some(wanted), count) if wanted < count => Ok(present.swap_remove(wanted)),
        (Some(wanted), _) => Err(ChoiceError::NotThatMany { wanted, present }),
    }
}

#[cfg(test)]
mod tests {
    use super::{ChoiceError, InterfacePath, choose};

    fn list(paths: &[&str]) -> Vec<u16> {
        paths
            .iter()
            .flat_map(|path| path.encode_utf16().chain([0]))
            .chain([0])
            .collect()
    }

    fn present(paths: &[&str]) -> Vec<InterfacePath> {
        InterfacePath::split_list(&list(paths))
    }

    /// The commands and options that Windows 10, version 2004, has: the page on the command syntax of pnputil.
    #[test]
    fn the_hints_are_commands_of_the_oldest_windows() {
        const KNOWN: [&str; 7] = [
            "/add-driver",
            "/install",
            "/enum-devices",
            "/connected",
            "/problem",
            "/enum-interfaces",
            "/class",
        ];
        let text = ChoiceError::NoDevice.to_string();
        assert!(text.contains("findstr \"VEN_1234&DEV_11E8\""), "{text}");
        let used: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with('/')).collect();
        assert!(KNOWN.iter().all(|option| used.contains(option)), "{text}");
        assert!(used.iter().all(|option| KNOWN.contains(option)), "{text}");
    }

    #[test]
    fn lists_are_split_at_their_zeros() {
        let paths = present(&[r"\\?\pci#a", r"\\?\pci#b"]);
        assert_eq!(
            paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [r"\\?\pci#a", r"\\?\pci#b"]
        );
    }

    #[test]
    fn empty_lists_have_no_paths() {
        assert!(InterfacePath::split_list(&[]).is_empty());
        assert!(InterfacePath::split_list(&[0]).is_empty());
        assert!(InterfacePath::split_list(&[0, 0]).is_empty());
    }

    /// The list may have shrunk between asking for its size and asking for it.
    #[test]
    fn what_follows_the_end_of_a_list_is_not_looked_at() {
        let mut longer = list(&["a"]);
        longer.extend([u16::from(b'x'), 0]);
        assert_eq!(InterfacePath::split_list(&longer), present(&["a"]));
    }

    #[test]
    fn the_only_device_needs_no_number() {
        assert_eq!(
            choose(present(&["a"]), None).map(|path| path.to_string()),
            Ok("a".to_owned())
        );
    }

    #[test]
    fn numbers_go_by_the_order_of_the_paths() {
        for paths in [["a", "b"], ["b", "a"]] {
            assert_eq!(
                choose(present(&paths), Some(1)).map(|path| path.to_string()),
                Ok("b".to_owned())
            );
        }
    }

    #[test]
    fn without_a_device_the_error_says_what_to_check() {
        let error = choose(Vec::new(), Some(0)).expect_err("there is no device");
        assert_eq!(error, ChoiceError::NoDevice);
        for word in ["pnputil", "/enum-devices /problem", "VEN_1234&DEV_11E8", "{d20d5fbe-"] {
            assert!(error.to_string().contains(word), "{word}");
        }
    }

    #[test]
    fn several_devices_are_listed_with_their_numbers() {
        let error = choose(present(&["b", "a"]), None).expect_err("none was chosen");
        assert_eq!(
            error.to_string(),
            "there are 2 edu devices; choose one with --device N:\n  0: a\n  1: b"
        );
        let error = choose(present(&["b", "a"]), Some(2)).expect_err("there are 0 and 1");
        assert_eq!(
            error.to_string(),
            "there is no device 2; those present are:\n  0: a\n  1: b"
        );
    }
}
