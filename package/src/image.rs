//! Where in a PE image are the places that its signature leaves out, and its Authenticode hash.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use object::{
    LittleEndian as LE, pe,
    read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64},
};
use sha2::Digest;

/// Certificates begin at a multiple of this, and their length is one.
pub const CERTIFICATE_ALIGNMENT: usize = 8;

/// A PE image for x64.
pub struct Image<'d> {
    data: &'d [u8],
    /// Offset of the checksum.
    checksum: usize,
    /// Offset of the entry of the data directory that says where the certificates are.
    directory_entry: usize,
    /// The certificates; empty at the end of the file when there are none.
    certificates: Range<usize>,
}

/// The length of an entry of the data directory: address and size.
const DIRECTORY_ENTRY: usize = 8;

impl<'d> Image<'d> {
    /// Finds the places.
    ///
    /// # Errors
    /// When `data` is no PE image for x64, or its certificates are not at its end.
    pub fn parse(data: &'d [u8]) -> Result<Self> {
        // The optional header's fields before the data directory.
        const BEFORE_DIRECTORY: usize = 112;
        let file = PeFile64::parse(data).context("this is no PE image for x64")?;
        let nt_headers = file.dos_header().e_lfanew.get(LE);
        let optional_header = nt_headers as usize + 4 + size_of::<pe::ImageFileHeader>();
        ensure!(
            file.nt_headers().optional_header().number_of_rva_and_sizes() as usize > pe::IMAGE_DIRECTORY_ENTRY_SECURITY,
            "the image has no room for certificates in its headers"
        );
        let directory_entry = optional_header + BEFORE_DIRECTORY + pe::IMAGE_DIRECTORY_ENTRY_SECURITY * DIRECTORY_ENTRY;
        let certificates = match file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY) {
            // For this one entry the address is an offset in the file.
            Some(entry) => {
                let start = entry.virtual_address.get(LE) as usize;
                start..start + entry.size.get(LE) as usize
            }
            None => data.len()..data.len(),
        };
        ensure!(
            certificates.end == data.len() && certificates.start >= directory_entry + DIRECTORY_ENTRY,
            "the image's certificates are not at its end"
        );
        Ok(Self {
            data,
            checksum: pe_checksum::field_offset(nt_headers),
            directory_entry,
            certificates,
        })
    }

    /// The hash of everything but the checksum, the directory's entry and the certificates.
    #[must_use]
    pub fn digest<D: Digest>(&self) -> Vec<u8> {
        let mut digest = D::new();
        let after_entry = self.directory_entry + DIRECTORY_ENTRY;
        digest.update(&self.data[..self.checksum]);
        digest.update(&self.data[self.checksum_range().end..self.directory_entry]);
        digest.update(&self.data[after_entry..self.certificates.start]);
        digest.finalize().to_vec()
    }

    /// Whether it carries certificates.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Where the checksum is.
    #[must_use]
    pub fn checksum_range(&self) -> Range<usize> {
        self.checksum..self.checksum + pe_checksum::LENGTH
    }

    /// The file's length without certificates.
    #[must_use]
    pub fn unsigned_length(&self) -> usize {
        self.certificates.start
    }

    /// Whether the checksum in the header is that of the file.
    #[must_use]
    pub fn has_right_checksum(&self) -> bool {
        let field = &self.data[self.checksum_range()];
        field == pe_checksum::compute(self.data, self.checksum).to_le_bytes()
    }

    /// The PKCS #7 signature among its certificates.
    ///
    /// # Errors
    /// When there is none, or more than one certificate.
    pub fn signature(&self) -> Result<&'d [u8]> {
        let certificates = &self.data[self.certificates.clone()];
        let Some((header, rest)) = certificates.split_at_checked(CertificateHeader::LENGTH) else {
            bail!("the image is not signed");
        };
        let header = CertificateHeader::read(header);
        ensure!(
            header.revision == CertificateHeader::REVISION_2 && header.kind == CertificateHeader::PKCS_SIGNED_DATA,
            "the image's certificate is of an unknown kind"
        );
        ensure!(
            header.length as usize == certificates.len(),
            "the image has more than one certificate"
        );
        Ok(rest)
    }
}

/// `WIN_CERTIFICATE` without the certificate itself.
struct CertificateHeader {
    /// Of header, certificate and what fills it up to the alignment.
    length: u32,
    revision: u16,
    kind: u16,
}

impl CertificateHeader {
    const LENGTH: usize = 8;
    const REVISION_2: u16 = 0x200;
    const PKCS_SIGNED_DATA: u16 = 2;

    fn read(bytes: &[u8]) -> Self {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self {
            length: u32::from(word(0)) | u32::from(word(2)) << 16,
            revision: word(4),
            kind: word(6),
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.length.to_le_bytes());
        to.extend_from_slice(&self.revision.to_le_bytes());
        to.extend_from_slice(&self.kind.to_le_bytes());
    }
}

/// Fills an unsigned image up to where certificates may begin. The hash covers the filling.
pub fn pad(image: &mut Vec<u8>) {
    image.resize(image.len().next_multiple_of(CERTIFICATE_ALIGNMENT), 0);
}

/// Puts a PKCS #7 signature into an unsigned, [padded](pad) image, and sets its checksum.
///
/// # Errors
/// When it is no image, is signed already, or grows too large.
pub fn embed(image: &mut Vec<u8>, signature: &[u8]) -> Result<()> {
    let (checksum, directory_entry) = {
        let parsed = Image::parse(image)?;
        ensure!(!parsed.is_signed(), "the image is signed already");
        (parsed.checksum, parsed.directory_entry)
    };
    let start = image.len();
    ensure!(start.is_multiple_of(CERTIFICATE_ALIGNMENT), "the image is not padded");
    let length = (CertificateHeader::LENGTH + signature.len()).next_multiple_of(CERTIFICATE_ALIGNMENT);
    let header = CertificateHeader {
        length: u32::try_from(length).context("the signature is too large")?,
        revision: CertificateHeader::REVISION_2,
        kind: CertificateHeader::PKCS_SIGNED_DATA,
    };
    header.write(image);
    image.extend_from_slice(signature);
    image.resize(start + length, 0);

    let start = u32::try_from(start).context("the image is too large")?;
    image[directory_entry..][..4].copy_from_slice(&start.to_le_bytes());
    image[directory_entry + 4..][..4].copy_from_slice(&header.length.to_le_bytes());
    let sum = pe_checksum::compute(image, checksum);
    image[checksum..][..pe_checksum::LENGTH].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}
