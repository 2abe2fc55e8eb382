//! Whether Windows can satisfy what the image imports. An import that it cannot fails the load with
//! `STATUS_DRIVER_ENTRYPOINT_NOT_FOUND`.

use anyhow::Result;
use object::{Object, read::NameOrOrdinal};

use super::{Check, Finding, Image, KnownExports};

pub fn check(image: &Image<'_>, known: &KnownExports) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (module, import) in all(image)? {
        if !known.contains(&module, &import) {
            findings.push(Finding {
                check: Check::Imports,
                what: format!("no Windows exports {import} from {module}"),
            });
        }
    }
    Ok(findings)
}

/// What the image imports, as module and name. An import by ordinal is `#` and its number: no kernel export is documented
/// by ordinal, so that is never a known one.
pub fn all(image: &Image<'_>) -> Result<Vec<(String, String)>> {
    let mut imports = Vec::new();
    for import in image.file.imports()? {
        let import = import?;
        let name = match import.name() {
            NameOrOrdinal::Name(name) => String::from_utf8_lossy(name).into_owned(),
            NameOrOrdinal::Ordinal(ordinal) => format!("#{ordinal}"),
        };
        imports.push((String::from_utf8_lossy(import.library()).into_owned(), name));
    }
    Ok(imports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    fn unknown(data: &[u8]) -> Vec<String> {
        let findings = check(&Image::parse(data).unwrap(), &sample::known_exports()).unwrap();
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_sample_is_right() {
        assert!(unknown(&sample::image()).is_empty());
    }

    #[test]
    fn an_unknown_name_is_found() {
        let mut data = sample::image();
        data[sample::IMPORT_NAME] = b'X';
        assert_eq!(unknown(&data), ["no Windows exports XoDeleteDevice from ntoskrnl.exe"]);
    }

    #[test]
    fn another_module_is_found() {
        let mut data = sample::image();
        data[sample::IMPORT_MODULE] = b'm';
        assert_eq!(unknown(&data), ["no Windows exports IoDeleteDevice from mtoskrnl.exe"]);
    }

    #[test]
    fn an_ordinal_is_found() {
        let mut data = sample::image();
        data[sample::IMPORT_LOOKUP..sample::IMPORT_LOOKUP + 8].copy_from_slice(&(1_u64 << 63 | 7).to_le_bytes());
        assert_eq!(unknown(&data), ["no Windows exports #7 from ntoskrnl.exe"]);
    }
}
