//! What the version resource says: what Windows shows of the file.

use version_resource::{Kind, ReadError, Version, VersionInfo, dotted};

use super::{Check, Finding};

/// What a shipped file must say about itself.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'e> {
    /// The file's name.
    pub file: &'e str,
    /// Driver or program.
    pub kind: Kind,
    /// The workspace's version.
    pub version: Version,
}

/// Checks the resource of the image whose contents are `data`.
pub fn check(data: &[u8], expected: &Expected<'_>) -> Vec<Finding> {
    findings(VersionInfo::read(data), expected)
        .into_iter()
        .map(|what| Finding {
            check: Check::Version,
            what,
        })
        .collect()
}

fn findings(found: Result<VersionInfo, ReadError>, expected: &Expected<'_>) -> Vec<String> {
    let found = match found {
        Ok(found) => found,
        Err(error) => return vec![error.to_string()],
    };
    let mut findings = Vec::new();
    let version = dotted(expected.version);
    for (name, value) in [
        ("file version", found.file_version),
        ("product version", found.product_version),
    ] {
        if value != expected.version {
            findings.push(format!("the {name} is {}, not {version}", dotted(value)));
        }
    }
    for (name, value) in [
        ("FileVersion", version.as_str()),
        ("ProductVersion", version.as_str()),
        ("OriginalFilename", expected.file),
    ] {
        let said = found.strings.get(name).map_or("", String::as_str);
        if said != value {
            findings.push(format!("{name} is {said:?}, not {value:?}"));
        }
    }
    let kind = (expected.kind.file_type(), expected.kind.file_subtype());
    if (found.file_type, found.file_subtype) != kind {
        findings.push(format!(
            "the type of the file is {} and {}, not {} and {}",
            found.file_type, found.file_subtype, kind.0, kind.1
        ));
    }
    if found.strings.get("FileDescription").is_none_or(String::is_empty) {
        findings.push("FileDescription is empty".to_owned());
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    const EXPECTED: Expected<'_> = Expected {
        file: "a.sys",
        kind: Kind::Driver,
        version: [1, 2, 3, 0],
    };

    fn right() -> VersionInfo {
        let strings = [
            ("FileDescription", "A driver"),
            ("FileVersion", "1.2.3.0"),
            ("ProductVersion", "1.2.3.0"),
            ("OriginalFilename", "a.sys"),
        ];
        VersionInfo {
            file_version: EXPECTED.version,
            product_version: EXPECTED.version,
            file_type: 3,
            file_subtype: 7,
            strings: strings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    fn found(change: impl FnOnce(&mut VersionInfo)) -> Vec<String> {
        let mut info = right();
        change(&mut info);
        findings(Ok(info), &EXPECTED)
    }

    #[test]
    fn what_must_be_there_is() {
        assert!(found(|_| {}).is_empty());
    }

    #[test]
    fn each_wrong_statement_is_found() {
        assert_eq!(
            found(|info| info.file_version[2] = 4),
            ["the file version is 1.2.4.0, not 1.2.3.0"]
        );
        assert_eq!(
            found(|info| info.product_version[3] = 1),
            ["the product version is 1.2.3.1, not 1.2.3.0"]
        );
        assert_eq!(
            found(|info| info.file_type = 1),
            ["the type of the file is 1 and 7, not 3 and 7"]
        );
        for name in ["FileDescription", "FileVersion", "ProductVersion", "OriginalFilename"] {
            let findings = found(|info| drop(info.strings.remove(name)));
            assert_eq!(findings.len(), 1, "{name}");
            assert!(findings[0].starts_with(name), "{findings:?}");
        }
    }

    #[test]
    fn an_image_without_the_resource_is_found() {
        let findings = check(&sample::image(), &EXPECTED);
        assert_eq!(findings[0].what, "the image has no version resource");
    }
}
