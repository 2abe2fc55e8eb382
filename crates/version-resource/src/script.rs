//! The resource script that a resource compiler makes the resource of.

use crate::{Version, dotted};

/// What is said about a file.
#[derive(Debug, Clone, Copy)]
pub struct Description<'d> {
    /// The file's name, as it is shipped.
    pub file: &'d str,
    /// What the file is, for people.
    pub text: &'d str,
    /// Driver or program.
    pub kind: Kind,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A driver without one of the documented subtypes.
    Driver,
    /// A program.
    Program,
}

impl Kind {
    /// `dwFileType` of `VS_FIXEDFILEINFO`: `VFT_DRV` or `VFT_APP`.
    #[must_use]
    pub const fn file_type(self) -> u32 {
        match self {
            Self::Driver => 3,
            Self::Program => 1,
        }
    }

    /// `dwFileSubtype`: `VFT2_DRV_SYSTEM` for a driver, nothing for a program.
    #[must_use]
    pub const fn file_subtype(self) -> u32 {
        match self {
            Self::Driver => 7,
            Self::Program => 0,
        }
    }
}

/// `VOS_NT_WINDOWS32`: the file is for Windows NT.
const FILE_OS: u32 = 0x0004_0004;

/// English (United States) in UTF-16 (code page 1200): as a number each, and as the name of the block of strings.
const TRANSLATION: [u16; 2] = [0x0409, 1200];

/// What the product is called.
const PRODUCT: &str = "customdpc";

/// The resource script for a file under `license`. It includes no header, so that it means the same to every resource compiler.
#[must_use]
pub fn script(description: &Description<'_>, version: Version, license: &str) -> String {
    let [major, minor, build, revision] = version;
    let numbers = format!("{major},{minor},{build},{revision}");
    let [language, code_page] = TRANSLATION;
    let version = dotted(version);
    let strings = [
        ("CompanyName", PRODUCT),
        ("FileDescription", description.text),
        ("FileVersion", &version),
        ("InternalName", description.file),
        ("LegalCopyright", license),
        ("OriginalFilename", description.file),
        ("ProductName", PRODUCT),
        ("ProductVersion", &version),
    ]
    .map(|(name, value)| format!("      VALUE \"{name}\", \"{}\"\n", value.replace('"', "\"\"")))
    .concat();
    format!(
        "#pragma code_page(65001)\n\
         1 VERSIONINFO\n\
         FILEVERSION {numbers}\n\
         PRODUCTVERSION {numbers}\n\
         FILEFLAGSMASK 0x3f\n\
         FILEFLAGS 0\n\
         FILEOS {FILE_OS:#x}\n\
         FILETYPE {}\n\
         FILESUBTYPE {}\n\
         BEGIN\n\
         \x20 BLOCK \"StringFileInfo\"\n\
         \x20 BEGIN\n\
         \x20   BLOCK \"{language:04x}{code_page:04x}\"\n\
         \x20   BEGIN\n\
         {strings}\
         \x20   END\n\
         \x20 END\n\
         \x20 BLOCK \"VarFileInfo\"\n\
         \x20 BEGIN\n\
         \x20   VALUE \"Translation\", {language:#x}, {code_page}\n\
         \x20 END\n\
         END\n",
        description.kind.file_type(),
        description.kind.file_subtype()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_the_version_twice_as_numbers_and_twice_as_text() {
        let description = Description {
            file: "a.sys",
            text: "Driver for \"a\"",
            kind: Kind::Driver,
        };
        let script = script(&description, [1, 2, 3, 4], "MIT");
        assert!(script.contains("\nFILEVERSION 1,2,3,4\nPRODUCTVERSION 1,2,3,4\n"));
        assert!(script.contains("\nFILETYPE 3\nFILESUBTYPE 7\n"));
        assert_eq!(script.matches("\"1.2.3.4\"").count(), 2);
        assert!(script.contains("VALUE \"FileDescription\", \"Driver for \"\"a\"\"\""));
        assert!(script.contains("BLOCK \"040904b0\""));
    }
}
