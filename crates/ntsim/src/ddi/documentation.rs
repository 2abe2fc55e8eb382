//! Which page documents each modelled routine.
//!
//! `documentation.txt` has a line for each: the routine's name, then the page's path below one of the two roots, or `-` and the reason
//! why there is none.

/// Microsoft's reference of the driver interfaces.
const DRIVERS: &str = "https://learn.microsoft.com/windows-hardware/drivers/ddi/";
/// Microsoft's documentation of everything else; paths below it start with a slash.
const LEARN: &str = "https://learn.microsoft.com";

/// What stands for a page where the machine itself needs a routine at an address.
const MACHINES_OWN: &str = "- a routine of the machine's own";

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

/// Whether Windows' kernel exports the routine called `name`, or another driver does: some are the machine's own.
#[must_use]
pub fn is_export(name: &str) -> bool {
    entry(name) != Some(MACHINES_OWN)
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
    fn every_modelled_routine_has_an_entry() {
        let registry = crate::ddi::Registry::modelled();
        let without: Vec<&str> = registry.names().filter(|name| entry(name).is_none()).collect();
        assert!(without.is_empty(), "add these to documentation.txt: {without:?}");
    }

    #[test]
    fn entries_are_sorted_and_single() {
        let names: Vec<&str> = PAGES.lines().filter_map(|line| line.split(' ').next()).collect();
        let unsorted = names.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(unsorted, None, "out of order");
    }

    #[test]
    fn a_page_is_an_address_or_a_reason() {
        assert_eq!(
            page("IoCreateDevice"),
            "https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocreatedevice"
        );
        assert_eq!(page("NoSuchRoutine"), "no page is recorded");
    }
}
