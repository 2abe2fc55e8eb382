//! How an INF's text is encoded: UTF-16 with its mark, or else the system's 8-bit code page, of which only ASCII is the same
//! everywhere.

use anyhow::{Context, Result, bail, ensure};

/// The text of an INF file.
///
/// # Errors
/// When it is UTF-8 with a mark, which Windows does not take, malformed UTF-16, or has other characters than ASCII without
/// being UTF-16. The message names the line and `InfVerif`'s code.
pub fn decode(file: &[u8]) -> Result<String> {
    ensure!(
        !file.starts_with(b"\xef\xbb\xbf"),
        "line 1: error 1003: the file is UTF-8; it must be ASCII or UTF-16 LE"
    );
    if let Some(units) = file.strip_prefix(b"\xff\xfe") {
        let (units, rest) = units.as_chunks::<2>();
        ensure!(rest.is_empty(), "error 1003: the file is UTF-16 and has an odd length");
        let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        return String::from_utf16(&units).context("error 1003: the file is no valid UTF-16");
    }
    if let Some(at) = file.iter().position(|byte| !byte.is_ascii()) {
        let line = file[..at].split(|byte| *byte == b'\n').count();
        bail!("line {line}: error 1003: a character that is not ASCII; the file would have to be UTF-16 LE");
    }
    Ok(String::from_utf8_lossy(file).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_and_utf_16_are_read() {
        assert_eq!(decode(b"[Version]\r\n").unwrap(), "[Version]\r\n");
        assert_eq!(decode(b"\xff\xfe[\0\xfc\0]\0").unwrap(), "[\u{fc}]");
    }

    #[test]
    fn other_encodings_are_refused_with_the_line() {
        let error = |file| decode(file).unwrap_err().to_string();
        assert!(error(b"\xef\xbb\xbf[Version]").starts_with("line 1: error 1003"));
        assert!(error("[Version]\nProvider = \"M\u{fc}ller\"".as_bytes()).starts_with("line 2: error 1003"));
        assert!(error(b"\xff\xfe\0\xd8").contains("UTF-16"));
    }
}
