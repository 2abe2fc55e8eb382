//! Gives an image and its PDB an identity that depends on what was built alone.
//!
//! The linker identifies an image by a hash of its PDB, and the PDB names the object files and the linker's command line with
//! the paths of the machine. Everything else is the same wherever the tree lies, so the hash is taken anew, over the image.

use anyhow::{Context, Result, ensure};
use object::{LittleEndian as LE, pe};
use sha2::{Digest, Sha256};

use super::{Image, checksum};

/// What the linker fills of a PDB's GUID; the rest says that it is the linker's.
const GUID_HASH: usize = 8;

/// Sets the identity of an image and its PDB, in both.
///
/// # Errors
///
/// When the image is malformed, or the PDB is not the one that was linked with it.
pub fn settle(image: &mut [u8], pdb: &mut [u8]) -> Result<()> {
    let places = Places::find(&Image::parse(image)?)?;
    let guid: [u8; 16] = image[places.guid..][..16].try_into()?;
    let in_pdb = only_occurrence(pdb, &guid).context("the PDB does not have the image's GUID in one place")?;

    for &timestamp in &places.timestamps {
        image[timestamp..][..4].fill(0);
    }
    image[places.guid..][..GUID_HASH].fill(0);
    image[places.checksum..][..4].fill(0);
    let hash = Sha256::digest(&*image);

    let (identity, timestamp) = (&hash[..GUID_HASH], &hash[GUID_HASH..][..4]);
    image[places.guid..][..GUID_HASH].copy_from_slice(identity);
    pdb[in_pdb..][..GUID_HASH].copy_from_slice(identity);
    for place in places.timestamps {
        image[place..][..4].copy_from_slice(timestamp);
    }
    let sum = pe_checksum::compute(image, places.checksum);
    image[places.checksum..][..4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Where in the file the identity is.
struct Places {
    guid: usize,
    timestamps: Vec<usize>,
    checksum: usize,
}

impl Places {
    fn find(image: &Image<'_>) -> Result<Self> {
        const FILE_HEADER_TIMESTAMP: usize = 4 + 4;
        const ENTRY_TIMESTAMP: usize = 4;
        let nt_headers = image.file.dos_header().e_lfanew.get(LE) as usize;
        let entries = image.debug_directory().context("the image has no debug directory")?;
        let directory = image
            .data_directory(pe::IMAGE_DIRECTORY_ENTRY_DEBUG)
            .and_then(|directory| image.file_offset(directory.virtual_address.get(LE)))
            .context("the debug directory is in no section")?;

        let mut timestamps = vec![nt_headers + FILE_HEADER_TIMESTAMP];
        let mut guid = None;
        for (index, entry) in entries.iter().enumerate() {
            timestamps.push(directory + index * size_of::<pe::ImageDebugDirectory>() + ENTRY_TIMESTAMP);
            if entry.typ.get(LE) == pe::IMAGE_DEBUG_TYPE_CODEVIEW {
                let record = entry.pointer_to_raw_data.get(LE) as usize;
                ensure!(
                    image.data.get(record..record + 4) == Some(b"RSDS"),
                    "the image's reference to its PDB is of an unknown kind"
                );
                guid = Some(record + 4);
            }
        }
        Ok(Self {
            guid: guid.context("the image names no PDB")?,
            timestamps,
            checksum: checksum::field_offset(image),
        })
    }
}

fn only_occurrence(data: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut occurrences = (0..data.len().saturating_sub(wanted.len())).filter(|&at| data[at..].starts_with(wanted));
    let first = occurrences.next()?;
    occurrences.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    /// A PDB of which only the GUID counts, at a place that depends on the machine's paths.
    fn pdb(path: &str, guid: &[u8; 16]) -> Vec<u8> {
        let mut data = path.as_bytes().to_vec();
        data.extend_from_slice(guid);
        data.extend_from_slice(b"and so on");
        data
    }

    /// The image as linked on another machine.
    fn image_with(guid: [u8; 16], timestamp: u32) -> Vec<u8> {
        let mut data = sample::image();
        let at = only_occurrence(&data, &sample::symbols().guid).unwrap();
        data[at..at + 16].copy_from_slice(&guid);
        sample::put_u32(&mut data, sample::TIMESTAMP, timestamp);
        data
    }

    #[test]
    fn the_same_code_gets_the_same_identity_and_a_valid_checksum() {
        let settled = [
            (*b"machine1LLD PDB.", 1, "/home/a"),
            (*b"machine2LLD PDB.", 2, "/somewhere/else"),
        ]
        .map(|(guid, timestamp, path)| {
            let (mut image, mut pdb) = (image_with(guid, timestamp), pdb(path, &guid));
            settle(&mut image, &mut pdb).unwrap();
            let parsed = Image::parse(&image).unwrap();
            assert_eq!(checksum::check(&parsed), None);
            let guid = &image[Places::find(&parsed).unwrap().guid..][..16];
            assert!(only_occurrence(&pdb, guid).is_some(), "the PDB belongs to the image");
            image
        });
        assert_eq!(settled[0], settled[1]);
    }

    #[test]
    fn other_code_gets_another_identity() {
        let guid = *b"machine1LLD PDB.";
        let (mut one, mut other) = (image_with(guid, 1), image_with(guid, 1));
        other[sample::TEXT] ^= 1;
        settle(&mut one, &mut pdb("", &guid)).unwrap();
        settle(&mut other, &mut pdb("", &guid)).unwrap();
        let at = Places::find(&Image::parse(&one).unwrap()).unwrap().guid;
        assert_ne!(one[at..at + 16], other[at..at + 16]);
    }

    #[test]
    fn the_pdb_of_another_image_is_refused() {
        let error = settle(
            &mut image_with(*b"machine1LLD PDB.", 1),
            &mut pdb("", b"machine2LLD PDB."),
        );
        assert!(error.unwrap_err().to_string().contains("GUID"));
    }
}
