//! Makes a driver of what cargo builds: a library for C programs is the only kind of package without a `main` that it links.
//!
//! The kernel looks at no such flag. Tools do, and take the file for a library that exports something.

use anyhow::{Context, Result};
use object::{LittleEndian as LE, pe, read::pe::ImageNtHeaders};

use super::Image;

/// Where the file's characteristics are, from the PE signature on: behind it and the other fields of the file header.
const CHARACTERISTICS: usize = 4 + 18;

/// Takes the flag DLL from an image. Its checksum must be computed anew.
///
/// # Errors
///
/// When it is no image.
pub fn clear_flag(data: &mut [u8]) -> Result<()> {
    let image = Image::parse(data)?;
    let at = image.file.dos_header().e_lfanew.get(LE) as usize + CHARACTERISTICS;
    let flags = image.headers().file_header().characteristics.get(LE).0 & !pe::IMAGE_FILE_DLL.0;
    let field = data.get_mut(at..at + 2).context("the file ends within its headers")?;
    field.copy_from_slice(&flags.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    #[test]
    fn the_flag_is_taken_and_nothing_else() {
        let driver = sample::image();
        let mut library = driver.clone();
        library[sample::CHARACTERISTICS + 1] |= 0x20;
        assert_ne!(library, driver);
        clear_flag(&mut library).unwrap();
        assert_eq!(library, driver);
    }
}
