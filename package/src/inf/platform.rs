//! Decorations: what Windows a section is for.
//!
//! `NT[architecture][.[major][.[minor][.[product type][.[suite mask][.[build]]]]]]`, as described with the
//! [Manufacturer section](https://learn.microsoft.com/windows-hardware/drivers/install/inf-manufacturer-section).

use anyhow::{Context, Result, bail, ensure};

/// The architectures that a decoration may name, in lower case.
const ARCHITECTURES: [&str; 5] = ["amd64", "arm64", "arm", "x86", "ia64"];

/// What stampinf replaces with the architecture.
pub const ARCHITECTURE_VARIABLE: &str = "$ARCH$";

/// The first build that a decoration can ask for.
const FIRST_BUILD: u32 = 14310;

/// What a decoration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// In lower case; none is 32-bit x86.
    pub architecture: Option<String>,
    /// The least version of Windows, major and minor.
    pub version: (u32, u32),
    /// The least build, 0 when the decoration asks for none.
    pub build: u32,
}

impl Platform {
    /// Reads a decoration.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(decoration: &str) -> Result<Self> {
        let mut parts = decoration.split('.');
        let name = parts.next().unwrap_or_default();
        let (start, architecture) = name.split_at_checked(2).context("it must begin with NT")?;
        ensure!(start.eq_ignore_ascii_case("NT"), "it must begin with NT");
        let architecture = architecture.to_ascii_lowercase();
        ensure!(
            architecture.is_empty() || ARCHITECTURES.contains(&architecture.as_str()),
            "{architecture:?} is no architecture"
        );
        let mut numbers = [0; 5];
        for (index, part) in parts.enumerate() {
            let Some(number) = numbers.get_mut(index) else {
                bail!("it has more than five numbers");
            };
            if !part.is_empty() {
                *number = number_of(part)?;
            }
        }
        let [major, minor, _product_type, _suite_mask, build] = numbers;
        ensure!(
            build == 0 || (major, minor) >= (10, 0) && build >= FIRST_BUILD,
            "a build must be {FIRST_BUILD} or later, of version 10.0 or later"
        );
        Ok(Self {
            architecture: (!architecture.is_empty()).then_some(architecture),
            version: (major, minor),
            build,
        })
    }
}

fn number_of(text: &str) -> Result<u32> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.with_context(|| format!("{text:?} is no number"))
}

/// The names of a section for 64-bit x86 Windows, in the order in which Windows looks for them: the decorations of install
/// sections have no version.
#[must_use]
pub fn decorated(name: &str) -> [String; 3] {
    [format!("{name}.NTamd64"), format!("{name}.NT"), name.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decorations_are_read() {
        let platform = Platform::parse("NTamd64.10.0...19041").unwrap();
        assert_eq!(platform.architecture.as_deref(), Some("amd64"));
        assert_eq!((platform.version, platform.build), ((10, 0), 19041));
        assert_eq!(Platform::parse("ntAMD64").unwrap().build, 0);
        assert_eq!(Platform::parse("NT").unwrap().architecture, None);
    }

    #[test]
    fn malformed_decorations_are_refused() {
        let error = |decoration| Platform::parse(decoration).unwrap_err().to_string();
        assert!(error("x64").contains("begin with NT"));
        assert!(error("NTx64").contains("no architecture"));
        assert!(error("NTamd64.10.0...19041.1").contains("more than five"));
        assert!(error("NTamd64.ten").contains("no number"));
        assert!(error("NTamd64.10.0...1904").contains("14310"));
    }
}
