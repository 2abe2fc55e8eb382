//! Which page documents each modelled routine.
//!
//! `documentation.txt` has a line for each: the routine's name, then the page's path below one of the two roots, or `-` and the reason
//! why there is none.

/// Microsoft's reference of the driver interfaces.
const DRIVERS: &str = "https://learn.microsoft.com/windows-hardware/drivers/ddi/";
/// Microsoft's documentation of everything else; paths below it start with a slash.
const LEARN: &str = "https://learn.microsoft.com";

const PAGES: &str = include_str!("documentation.txt");

/// The page that documents the routine called `name`, or in words why there is none.
#[must_use]
pub fn page(name: &str) -> String {
    match entry(name) {
        None => "no page is recorded".to_owned(),
        Some(path) if path.starts_with('-') => path[1..].trim().to_owned(),
        Some(path) if path.starts_with('/') => format!("{LEARN}{path}"),
        Some(path) => format!("{DRIVERS}{path}"),
    }
}

fn entry(name: &str) -> Option<&'static str> {
    PAGES
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find_map(|(routine, path)| (routine == name).then_some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_an_address_or_a_reason() {
        assert_eq!(
            page("IoCreateDevice"),
            "https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocreatedevice"
        );
        assert_eq!(page("NoSuchRoutine"), "no page is recorded");
    }
}
