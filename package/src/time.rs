//! The package's time: that of its source, not of the clock, so that the same source gives the same package.

use std::{env, fmt, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use der::{DateTime, asn1::UtcTime};

/// The variable that [reproducible-builds.org](https://reproducible-builds.org/specs/source-date-epoch/) has for the time of the
/// source, in seconds since 1970.
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A time in seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From seconds since 1970.
    ///
    /// # Errors
    /// When the year is later than 2049: a catalog's time has two digits for it.
    pub fn new(seconds: u64) -> Result<Self> {
        let timestamp = Self(seconds);
        timestamp.utc().context("the time is later than the year 2049")?;
        Ok(timestamp)
    }

    /// [`SOURCE_DATE_EPOCH`], or else the time of the commit that `source` is at.
    ///
    /// # Errors
    /// When neither is known.
    pub fn of_source(source: &Path) -> Result<Self> {
        if let Ok(seconds) = env::var(SOURCE_DATE_EPOCH) {
            let seconds = seconds.trim().parse();
            return Self::new(seconds.with_context(|| format!("{SOURCE_DATE_EPOCH} is no number of seconds"))?);
        }
        let mut git = Command::new("git");
        git.arg("-C").arg(source).args(["log", "-1", "--format=%ct"]);
        match git.output() {
            Ok(output) if output.status.success() => {
                let seconds = String::from_utf8_lossy(&output.stdout).trim().parse();
                Self::new(seconds.context("git tells no time of the last commit")?)
            }
            _ => bail!("git knows no commit here: set {SOURCE_DATE_EPOCH} to the source's time, in seconds since 1970"),
        }
    }

    /// As ASN.1 has it.
    ///
    /// # Errors
    /// When the year is later than 2049.
    pub fn utc(self) -> Result<UtcTime> {
        Ok(UtcTime::from_unix_duration(Duration::from_secs(self.0))?)
    }
}

/// The date as an INF's `DriverVer` has it: month, day and year.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = DateTime::from_unix_duration(Duration::from_secs(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{:02}/{:02}/{:04}", date.month(), date.day(), date.year())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_driver_ver_has_it() {
        assert_eq!(Timestamp::new(0).unwrap().to_string(), "01/01/1970");
        assert_eq!(Timestamp::new(1_788_134_399).unwrap().to_string(), "08/30/2026");
    }

    #[test]
    fn a_time_that_no_catalog_can_have_is_refused() {
        let error = Timestamp::new(2_524_608_000).unwrap_err();
        assert!(error.to_string().contains("2049"));
    }
}
