//! Makes an INF of a template, as [stampinf](https://learn.microsoft.com/windows-hardware/drivers/devtest/stampinf) does.

use anyhow::{Context, Result, bail, ensure};

use super::{parse::without_comment, platform::ARCHITECTURE_VARIABLE, same};
use crate::time::Timestamp;

/// What a build knows.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'s> {
    /// The driver's version: up to four numbers with dots between.
    pub version: &'s str,
    /// Its date.
    pub time: Timestamp,
    /// The catalog's file name.
    pub catalog: &'s str,
}

/// The architecture that everything is built for.
const ARCHITECTURE: &str = "amd64";

/// Fills in date, version, catalog and architecture. The lines of the result end as Windows has it.
///
/// # Errors
/// When the template has no `Version` section, or the version is not one that an INF can have.
pub fn stamp(template: &str, stamp: &Stamp<'_>) -> Result<String> {
    let driver_ver = format!("{},{}", stamp.time, four_numbers(stamp.version)?);
    let mut missing = vec![("DriverVer", driver_ver.as_str()), ("CatalogFile", stamp.catalog)];
    let mut lines = Vec::new();
    // Where the Version section's last entry is, and whether the section goes on.
    let mut version_end = None;
    let mut in_version = false;
    for line in template.lines() {
        let code = without_comment(line);
        let comment = &line[code.len()..];
        let code = code.replace(ARCHITECTURE_VARIABLE, ARCHITECTURE);
        let trimmed = code.trim();
        if trimmed.starts_with('[') {
            in_version = same(trimmed, "[Version]");
        }
        let key = code.split_once('=').map_or("", |(key, _)| key);
        let place = missing
            .iter()
            .position(|(name, _)| in_version && same(name, key.trim()));
        lines.push(match place {
            Some(place) => {
                let (_, value) = missing.remove(place);
                format!("{key}= {value}")
            }
            None => format!("{code}{comment}"),
        });
        if in_version && !trimmed.is_empty() {
            version_end = Some(lines.len());
        }
    }
    let end = version_end.context("the template has no [Version] section")?;
    let additions = missing.iter().map(|(name, value)| format!("{name} = {value}"));
    lines.splice(end..end, additions);
    Ok(lines.iter().flat_map(|line| [line, "\r\n"]).collect())
}

/// `1.2.3` as `1.2.3.0`.
fn four_numbers(version: &str) -> Result<String> {
    let mut numbers = Vec::new();
    for part in version.split('.') {
        let number: u16 = part
            .parse()
            .with_context(|| format!("the version {version:?} has something else than numbers up to 65535"))?;
        numbers.push(number);
    }
    ensure!(numbers.len() <= 4, "the version {version:?} has more than four numbers");
    if numbers.iter().all(|number| *number == 0) {
        bail!("the version of a driver cannot be {version}");
    }
    numbers.resize(4, 0);
    let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
    Ok(numbers.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(template: &str) -> Result<String> {
        let time = Timestamp::new(1_788_134_399)?;
        stamp(
            template,
            &Stamp {
                version: "1.2.3",
                time,
                catalog: "a.cat",
            },
        )
    }

    #[test]
    fn what_a_build_knows_is_filled_in() {
        let template = "; $ARCH$\n[Version]\nDriverVer = ; later\nCatalogFile=b.cat\n\n[Models.NT$ARCH$]\n";
        let expected =
            "; $ARCH$\r\n[Version]\r\nDriverVer = 08/30/2026,1.2.3.0\r\nCatalogFile= a.cat\r\n\r\n[Models.NTamd64]\r\n";
        assert_eq!(stamped(template).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_goes_to_the_end_of_the_version_section() {
        let expected =
            "[Version]\r\nClass = System\r\nDriverVer = 08/30/2026,1.2.3.0\r\nCatalogFile = a.cat\r\n\r\n[Strings]\r\n";
        assert_eq!(stamped("[Version]\nClass = System\n\n[Strings]\n").unwrap(), expected);
    }

    #[test]
    fn a_template_without_a_version_section_is_refused() {
        assert!(stamped("[Strings]\n").unwrap_err().to_string().contains("[Version]"));
    }

    #[test]
    fn versions_get_four_numbers() {
        assert_eq!(four_numbers("0.1.0").unwrap(), "0.1.0.0");
        assert_eq!(four_numbers("1.2.3.4").unwrap(), "1.2.3.4");
        for version in ["0.0.0", "1.2.3.4.5", "1.65536", "1.2-beta", ""] {
            assert!(four_numbers(version).is_err(), "{version}");
        }
    }
}
