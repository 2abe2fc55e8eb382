//! A driver image that passes every check, small enough to doctor byte by byte.

use super::{
    Image, KnownExports, checksum,
    symbols::{ENTRY, Symbols},
};

// Offsets in the file, for tests to change what is there.
const NT_HEADERS: usize = 0x40;
const FILE_HEADER: usize = NT_HEADERS + 4;
const OPTIONAL_HEADER: usize = FILE_HEADER + 20;
const DATA_DIRECTORIES: usize = OPTIONAL_HEADER + 112;
const SECTION_TABLE: usize = DATA_DIRECTORIES + 16 * 8;
pub const MACHINE: usize = FILE_HEADER;
pub const TIMESTAMP: usize = FILE_HEADER + 4;
pub const CHARACTERISTICS: usize = FILE_HEADER + 18;
pub const ENTRY_POINT: usize = OPTIONAL_HEADER + 16;
pub const SECTION_ALIGNMENT: usize = OPTIONAL_HEADER + 32;
pub const CHECKSUM: usize = OPTIONAL_HEADER + 64;
pub const SUBSYSTEM: usize = OPTIONAL_HEADER + 68;
pub const DLL_CHARACTERISTICS: usize = OPTIONAL_HEADER + 70;
pub const LOAD_CONFIG_DIRECTORY: usize = DATA_DIRECTORIES + 10 * 8;
pub const IAT_DIRECTORY: usize = DATA_DIRECTORIES + 12 * 8;
pub const TEXT_CHARACTERISTICS: usize = SECTION_TABLE + 36;
pub const RDATA_NAME: usize = SECTION_TABLE + 40;
pub const RDATA_CHARACTERISTICS: usize = RDATA_NAME + 36;
pub const TEXT: usize = 0x400;
const RDATA: usize = 0x600;
pub const IMPORT_LOOKUP: usize = RDATA + 0x10;
pub const IMPORT_MODULE: usize = RDATA + 0x50;
pub const IMPORT_NAME: usize = RDATA + 0x62;
pub const CODEVIEW_ENTRY_TYPE: usize = RDATA + 0xd0 + 12;
pub const REPRO_ENTRY_TYPE: usize = CODEVIEW_ENTRY_TYPE + 28;
pub const PDB_NAME: usize = RDATA + 0x110 + 24;
const END: usize = 0x800;

pub const TEXT_RVA: u32 = 0x1000;
const RDATA_RVA: u32 = 0x2000;
const GUID: [u8; 16] = *b"a GUID of 16 b.\0";

/// Writes a little-endian number at `offset`.
pub fn put_u32(data: &mut [u8], offset: usize, value: u32) {
    data[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u16(data: &mut [u8], offset: usize, value: u16) {
    data[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
}

fn put_bytes(data: &mut [u8], offset: usize, bytes: &[u8]) {
    data[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// The image: `DriverEntry` in `.text`; one import and the debug directory in `.rdata`.
pub fn image() -> Vec<u8> {
    let mut data = vec![0; END];
    put_headers(&mut data);
    put_imports(&mut data);
    put_debug_directory(&mut data);
    let sum = {
        let image = Image::parse(&data).unwrap();
        pe_checksum::compute(&data, checksum::field_offset(&image))
    };
    put_u32(&mut data, CHECKSUM, sum);
    data
}

/// The PDB that belongs to the image.
pub fn symbols() -> Symbols {
    Symbols {
        guid: GUID,
        functions: [ENTRY.to_owned()].into(),
        driver_entry: Some(TEXT_RVA),
    }
}

/// A Windows that exports what the image imports.
pub fn known_exports() -> KnownExports {
    let mut known = KnownExports::default();
    known.insert("ntoskrnl.exe", "IoDeleteDevice");
    known
}

fn put_headers(data: &mut [u8]) {
    put_bytes(data, 0, b"MZ");
    put_u32(data, 0x3c, 0x40);
    put_bytes(data, NT_HEADERS, b"PE\0\0");
    put_u16(data, MACHINE, 0x8664);
    put_u16(data, FILE_HEADER + 2, 2); // number of sections
    put_u16(data, FILE_HEADER + 16, 112 + 16 * 8); // size of the optional header
    put_u16(data, CHARACTERISTICS, 0x22);
    put_u16(data, OPTIONAL_HEADER, 0x20b);
    put_u32(data, ENTRY_POINT, TEXT_RVA);
    put_u32(data, OPTIONAL_HEADER + 24, 0x8000_0000); // image base
    put_u32(data, SECTION_ALIGNMENT, 0x1000);
    put_u32(data, OPTIONAL_HEADER + 36, 0x200); // file alignment
    put_u32(data, OPTIONAL_HEADER + 56, 0x3000); // size of the image
    put_u32(data, OPTIONAL_HEADER + 60, 0x400); // size of the headers
    put_u16(data, SUBSYSTEM, 1);
    put_u16(data, DLL_CHARACTERISTICS, 0x1e0);
    put_u32(data, OPTIONAL_HEADER + 108, 16); // number of data directories
    for (directory, address, size) in [(1, 0x20, 40), (6, 0xd0, 56), (12, 0, 16)] {
        put_u32(data, DATA_DIRECTORIES + directory * 8, RDATA_RVA + address);
        put_u32(data, DATA_DIRECTORIES + directory * 8 + 4, size);
    }
    for (index, name, address, file, flags) in [
        (0, b".text\0\0\0", TEXT_RVA, 0x400, 0x6800_0020),
        (1, b".rdata\0\0", RDATA_RVA, 0x600, 0x4800_0040),
    ] {
        let header = SECTION_TABLE + index * 40;
        put_bytes(data, header, name);
        put_u32(data, header + 8, 0x200);
        put_u32(data, header + 12, address);
        put_u32(data, header + 16, 0x200);
        put_u32(data, header + 20, file);
        put_u32(data, header + 36, flags);
    }
}

fn put_imports(data: &mut [u8]) {
    put_u32(data, RDATA, RDATA_RVA + 0x60); // address table: the hint and name
    put_u32(data, IMPORT_LOOKUP, RDATA_RVA + 0x60);
    let descriptor = RDATA + 0x20;
    put_u32(data, descriptor, RDATA_RVA + 0x10);
    put_u32(data, descriptor + 12, RDATA_RVA + 0x50);
    put_u32(data, descriptor + 16, RDATA_RVA);
    put_bytes(data, IMPORT_MODULE, b"ntoskrnl.exe\0");
    put_bytes(data, IMPORT_NAME, b"IoDeleteDevice\0");
}

/// Has the image export `DriverEntry`.
pub fn put_exports(data: &mut [u8]) {
    let directory = RDATA + 0x78;
    put_u32(data, DATA_DIRECTORIES, RDATA_RVA + 0x78);
    put_u32(data, DATA_DIRECTORIES + 4, 0x58);
    put_u32(data, directory + 12, RDATA_RVA + 0xc0); // name of the module
    put_u32(data, directory + 16, 1); // first ordinal
    put_u32(data, directory + 20, 1); // number of functions
    put_u32(data, directory + 24, 1); // number of names
    put_u32(data, directory + 28, RDATA_RVA + 0xa0);
    put_u32(data, directory + 32, RDATA_RVA + 0xa4);
    put_u32(data, directory + 36, RDATA_RVA + 0xa8);
    put_u32(data, RDATA + 0xa0, TEXT_RVA);
    put_u32(data, RDATA + 0xa4, RDATA_RVA + 0xb0);
    put_bytes(data, RDATA + 0xb0, b"DriverEntry\0");
    put_bytes(data, RDATA + 0xc0, b"sample.sys\0");
}

fn put_debug_directory(data: &mut [u8]) {
    const CODEVIEW: u32 = 2;
    const REPRO: u32 = 16;
    put_u32(data, CODEVIEW_ENTRY_TYPE, CODEVIEW);
    put_u32(data, CODEVIEW_ENTRY_TYPE + 4, 0x30); // size
    put_u32(data, CODEVIEW_ENTRY_TYPE + 8, RDATA_RVA + 0x110);
    put_u32(data, CODEVIEW_ENTRY_TYPE + 12, 0x600 + 0x110); // file offset
    put_u32(data, REPRO_ENTRY_TYPE, REPRO);
    put_bytes(data, RDATA + 0x110, b"RSDS");
    put_bytes(data, RDATA + 0x114, &GUID);
    put_u32(data, RDATA + 0x124, 1); // age
    put_bytes(data, PDB_NAME, b"sample.pdb\0");
}
