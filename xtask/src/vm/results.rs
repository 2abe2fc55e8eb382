//! What a run leaves: the guest's logs, and a table of what went wrong.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

use super::session::Session;

/// Checks that the archive has arrived as the guest sent it. Without one there is nothing to check.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn check(path: &Path, told: Option<&(u64, String)>) -> Result<Option<u64>, String> {
    let Some((length, sha256)) = told else {
        return Ok(None);
    };
    let contents = fs::read(path).map_err(|error| format!("the guest's logs cannot be read: {error}"))?;
    if contents.len() as u64 != *length {
        return Err(format!(
            "of the guest's logs, {} bytes of {length} arrived",
            contents.len()
        ));
    }
    let hash = <[u8; 32]>::from(Sha256::digest(&contents))
        .map(|byte| format!("{byte:02x}"))
        .concat();
    if !hash.eq_ignore_ascii_case(sha256) {
        return Err("the guest's logs arrived damaged: their hash is another".to_owned());
    }
    Ok(Some(*length))
}

/// The table that a run ends with.
pub fn table(session: &Session, archive: &Result<Option<u64>, String>) -> String {
    let mut lines = Vec::new();
    lines.extend(session.failures().iter().map(|failure| format!("FAILED  {failure}")));
    match archive {
        Ok(Some(length)) => lines.push(format!("ok      logs.zip, {length} bytes")),
        Ok(None) => lines.push("none    logs.zip: the guest sent none".to_owned()),
        Err(what) => lines.push(format!("FAILED  {what}")),
    }
    if session.failures().is_empty() {
        lines.push("ok      nothing failed".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_must_arrive_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs.zip");
        fs::write(&path, "abc").unwrap();
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check(&path, None), Ok(None));
        assert_eq!(check(&path, Some(&(3, hash.to_owned()))), Ok(Some(3)));
        assert_eq!(check(&path, Some(&(3, hash.to_uppercase()))), Ok(Some(3)));
        let short = check(&path, Some(&(4, hash.to_owned()))).unwrap_err();
        assert!(short.contains("3 bytes of 4"), "{short}");
        let damaged = check(&path, Some(&(3, hash.replace('b', "c")))).unwrap_err();
        assert!(damaged.contains("damaged"), "{damaged}");
    }
}
