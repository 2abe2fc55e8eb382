//! Images as they are, and files that are none.

use super::*;
use crate::image::{
    error::STATUS_IMAGE_CHECKSUM_MISMATCH,
    synthetic::{ImageBuilder, seal},
};

#[test]
fn a_driver_is_read_as_it_was_linked() {
    let image = Image::parse("t.sys", &ImageBuilder::new(&[0xC3]).build()).unwrap();
    assert_eq!(image.entry(), 0x1000);
    assert_eq!(image.preferred_base(), 0x1_4000_0000);
    assert_eq!(image.memory()[0x1000], 0xC3);
    let text = image.section_at(0x1000).unwrap();
    assert_eq!(text.name, ".text");
    assert_eq!(
        text.protection,
        Protection {
            read: true,
            write: false,
            execute: true
        }
    );
}

#[test]
fn relocations_move_pointers_by_the_distance_from_the_preferred_base() {
    let bytes = ImageBuilder::new(&[0xC3]).pointer_to(0x1000).build();
    let image = Image::parse("t.sys", &bytes).unwrap();
    let base = 0xFFFF_F800_1234_0000;
    let memory = image.memory_at(base);
    let [rva] = image.relocations() else {
        panic!("one relocation expected");
    };
    let rva = *rva as usize;
    assert_eq!(memory[rva..rva + 8], (base + 0x1000).to_le_bytes());
    let unmoved = image.memory_at(image.preferred_base());
    assert_eq!(unmoved, image.memory());
}

#[test]
fn imports_name_their_module_and_slot() {
    let bytes = ImageBuilder::new(&[0xC3])
        .import("ntoskrnl.exe", "IoCreateDevice")
        .import("ntoskrnl.exe", "IoDeleteDevice")
        .build();
    let image = Image::parse("t.sys", &bytes).unwrap();
    let names: Vec<_> = image.imports().iter().map(|i| i.name.to_string()).collect();
    assert_eq!(names, ["IoCreateDevice", "IoDeleteDevice"]);
    assert_eq!(image.imports()[1].slot, image.imports()[0].slot + 8);
    assert_eq!(image.imports()[0].module, "ntoskrnl.exe");
}

#[test]
fn one_changed_byte_breaks_the_checksum() {
    let mut bytes = ImageBuilder::new(&[0xC3]).build();
    *bytes.last_mut().unwrap() ^= 1;
    let error = Image::parse("t.sys", &bytes).unwrap_err();
    assert!(matches!(error, ImageError::Checksum { .. }), "{error}");
    assert_eq!(error.status(), 0xC000_0221);
}

#[test]
fn foreign_machines_and_subsystems_are_refused() {
    for (machine, name) in [
        (0xAA64, "ARM64"),
        (0x014C, "32-bit x86 (i386)"),
        (0x1234, "another processor"),
    ] {
        let bytes = ImageBuilder::new(&[0xC3]).machine(machine).build();
        let error = Image::parse("t.sys", &bytes).unwrap_err();
        assert!(matches!(error, ImageError::Machine { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let bytes = ImageBuilder::new(&[0xC3]).subsystem(3).build();
    let error = Image::parse("t.sys", &bytes).unwrap_err();
    assert!(matches!(error, ImageError::Subsystem { subsystem: 3, .. }), "{error}");
}

#[test]
fn a_32_bit_image_is_named_as_such_though_its_headers_are_of_another_format() {
    let mut bytes = ImageBuilder::new(&[0xC3]).machine(0x014C).build();
    let headers = u32::from_le_bytes(bytes[0x3C..0x40].try_into().unwrap()) as usize;
    // `IMAGE_NT_OPTIONAL_HDR32_MAGIC`.
    bytes[headers + 24..headers + 26].copy_from_slice(&0x010B_u16.to_le_bytes());
    seal(&mut bytes);
    let error = Image::parse("t.sys", &bytes).unwrap_err();
    assert!(matches!(error, ImageError::Machine { machine: 0x014C, .. }), "{error}");
}

#[test]
fn user_mode_images_are_named_as_such() {
    for (subsystem, name) in [
        (2, "a Windows program"),
        (3, "a console program"),
        (10, "an EFI program"),
    ] {
        let bytes = ImageBuilder::new(&[0xC3]).subsystem(subsystem).build();
        let error = Image::parse("t.sys", &bytes).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = ImageError::Subsystem {
        image: "t.dll".to_owned(),
        subsystem: 2,
        library: true,
    };
    assert!(error.to_string().contains("a user-mode DLL"), "{error}");
}

#[test]
fn what_is_no_image_is_said_to_be_none() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "the file is empty"),
        (b"\x7FELF\x02\x01", "an ELF file"),
        (b"#!/bin/sh\n", "does not begin with MZ"),
        (&[b'M'; 3], "does not begin with MZ"),
        (b"Microsoft C/C++ MSF 7.00\r\n", "a PDB"),
    ];
    for (bytes, what) in cases {
        let error = Image::parse("t.sys", bytes).unwrap_err();
        assert!(matches!(error, ImageError::NotAnImage { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let mut dos = ImageBuilder::new(&[0xC3]).build();
    let headers = u32::from_le_bytes(dos[0x3C..0x40].try_into().unwrap()) as usize;
    dos[headers] = b'N';
    let error = Image::parse("t.sys", &dos).unwrap_err();
    assert!(error.to_string().contains("DOS program"), "{error}");
}

#[test]
fn a_checksum_that_was_never_written_is_told_from_a_damaged_file() {
    let mut bytes = ImageBuilder::new(&[0xC3]).build();
    let headers = u32::from_le_bytes(bytes[0x3C..0x40].try_into().unwrap()) as usize;
    bytes[headers + CHECKSUM_FIELD..][..4].fill(0);
    let error = Image::parse("t.sys", &bytes).unwrap_err();
    assert!(matches!(error, ImageError::NoChecksum { .. }), "{error}");
    assert_eq!(error.status(), STATUS_IMAGE_CHECKSUM_MISMATCH);
}

#[test]
fn headers_that_reach_into_a_section_are_refused() {
    let mut bytes = ImageBuilder::new(&[0xC3]).build();
    let headers = u32::from_le_bytes(bytes[0x3C..0x40].try_into().unwrap()) as usize;
    // `SizeOfHeaders`.
    bytes[headers + 24 + 60..][..4].copy_from_slice(&0x1200_u32.to_le_bytes());
    bytes.resize(0x2000, 0);
    seal(&mut bytes);
    let error = Image::parse("t.sys", &bytes).unwrap_err();
    assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
}

#[test]
fn an_entry_point_outside_the_code_is_refused() {
    let bytes = ImageBuilder::new(&[0xC3]).entry(0x1800).build();
    let error = Image::parse("t.sys", &bytes).unwrap_err();
    assert!(matches!(error, ImageError::Entry { entry: 0x1800, .. }), "{error}");
}

#[test]
fn a_truncated_file_is_an_error_not_a_panic() {
    let bytes = ImageBuilder::new(&[0xC3]).pointer_to(0x1000).build();
    for length in 0..bytes.len() {
        let mut bytes = bytes[..length].to_vec();
        seal(&mut bytes);
        assert!(Image::parse("t.sys", &bytes).is_err(), "{length} bytes");
    }
}
