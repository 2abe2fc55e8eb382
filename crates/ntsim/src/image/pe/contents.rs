//! What the sections and directories of a PE file hold.

use object::{
    LittleEndian as LE, pe,
    read::pe::{ImageOptionalHeader as _, ImageThunkData as _, PeFile64},
};

use super::{Import, ImportName, LARGEST, PAGE_SIZE, PdbReference, Protection, Section};

pub(super) fn sections(file: &PeFile64<'_>) -> Result<Vec<Section>, String> {
    let alignment = file.nt_headers().optional_header.section_alignment();
    let size_of_image = file.nt_headers().optional_header.size_of_image();
    let mut next = file.nt_headers().optional_header.size_of_headers();
    file.section_table()
        .iter()
        .map(|header| {
            let raw = header.raw_name();
            let name = String::from_utf8_lossy(raw).into_owned();
            let rva = header.virtual_address.get(LE);
            let virtual_size = header.virtual_size.get(LE);
            let size = if virtual_size == 0 {
                header.size_of_raw_data.get(LE)
            } else {
                virtual_size
            };
            let end = rva
                .checked_add(size)
                .filter(|&end| end <= size_of_image)
                .ok_or_else(|| format!("section {name} at {rva:#x} runs past SizeOfImage {size_of_image:#x}"))?;
            if rva % alignment != 0 || rva < next {
                return Err(format!(
                    "section {name} at {rva:#x} is misaligned or overlaps its predecessor"
                ));
            }
            next = end;
            let characteristics = header.characteristics.get(LE);
            let has = |flag| characteristics & flag == flag;
            Ok(Section {
                name,
                rva,
                size,
                protection: Protection {
                    read: has(pe::IMAGE_SCN_MEM_READ),
                    write: has(pe::IMAGE_SCN_MEM_WRITE),
                    execute: has(pe::IMAGE_SCN_MEM_EXECUTE),
                },
                discardable: has(pe::IMAGE_SCN_MEM_DISCARDABLE),
            })
        })
        .collect()
}

/// Copies headers and sections to where they lie in memory.
pub(super) fn lay_out(file: &PeFile64<'_>, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let optional = &file.nt_headers().optional_header;
    let size = optional.size_of_image();
    if size == 0 || size % PAGE_SIZE != 0 {
        return Err(format!("SizeOfImage {size:#x} is no multiple of the page size"));
    }
    if size > LARGEST {
        return Err(format!("SizeOfImage {size:#x} is more than a driver has"));
    }
    let mut memory = vec![0; size as usize];
    let headers = optional.size_of_headers() as usize;
    if headers > bytes.len() || headers > memory.len() {
        return Err(format!("SizeOfHeaders {headers:#x} runs past the end of the file"));
    }
    memory[..headers].copy_from_slice(&bytes[..headers]);
    for header in file.section_table().iter() {
        let name = String::from_utf8_lossy(header.raw_name());
        let raw_end = u64::from(header.pointer_to_raw_data.get(LE)) + u64::from(header.size_of_raw_data.get(LE));
        if raw_end > bytes.len() as u64 {
            return Err(format!(
                "section {name} ends at {raw_end:#x} in a file of {:#x} bytes",
                bytes.len()
            ));
        }
        let data = header
            .pe_data(bytes)
            .map_err(|error| format!("section {name}: {error}"))?;
        let start = header.virtual_address.get(LE) as usize;
        // `sections` has checked where the section ends; the file's copy of it may be padded beyond that.
        let length = data.len().min(memory.len() - start);
        memory[start..start + length].copy_from_slice(&data[..length]);
    }
    Ok(memory)
}

/// Bytes of a slot of the import address table.
const SLOT: u32 = 8;

pub(super) fn imports(file: &PeFile64<'_>) -> Result<Vec<Import>, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fail = |error: object::read::Error| format!("import table: {error}");
    let size = file.nt_headers().optional_header.size_of_image();
    let mut imports = Vec::new();
    let Some(table) = file.import_table().map_err(fail)? else {
        return Ok(imports);
    };
    let mut descriptors = table.descriptors().map_err(fail)?;
    while let Some(descriptor) = descriptors.next().map_err(fail)? {
        let module = text(table.name(descriptor.name.get(LE)).map_err(fail)?);
        let first_slot = descriptor.first_thunk.get(LE);
        let names = match descriptor.original_first_thunk.get(LE) {
            0 => first_slot,
            lookup => lookup,
        };
        let mut thunks = table.thunks(names).map_err(fail)?;
        let mut slot = first_slot;
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().map_err(fail)? {
            let name = if thunk.is_ordinal() {
                ImportName::Ordinal(thunk.ordinal())
            } else {
                ImportName::Name(text(table.hint_name(thunk.address()).map_err(fail)?.1))
            };
            if slot > size - SLOT {
                return Err(format!("import table: the slot at {slot:#x} lies outside of the image"));
            }
            imports.push(Import {
                module: module.clone(),
                name,
                slot,
            });
            slot += SLOT;
        }
    }
    Ok(imports)
}

pub(super) fn relocations(file: &PeFile64<'_>, size: usize) -> Result<Vec<u32>, String> {
    let fail = |error: object::read::Error| format!("base relocations: {error}");
    let mut rvas = Vec::new();
    let blocks = file
        .data_directories()
        .relocation_blocks(file.data(), &file.section_table())
        .map_err(fail)?;
    let Some(mut blocks) = blocks else {
        return Ok(rvas);
    };
    while let Some(block) = blocks.next().map_err(fail)? {
        for relocation in block {
            match relocation.typ {
                pe::IMAGE_REL_BASED_ABSOLUTE => {}
                pe::IMAGE_REL_BASED_DIR64 if relocation.virtual_address as usize + 8 <= size => {
                    rvas.push(relocation.virtual_address);
                }
                other => {
                    let rva = relocation.virtual_address;
                    return Err(format!("base relocation of type {other:?} at {rva:#x}"));
                }
            }
        }
    }
    rvas.sort_unstable();
    Ok(rvas)
}

pub(super) fn exceptions(file: &PeFile64<'_>, size: usize) -> Result<std::ops::Range<usize>, String> {
    let Some(directory) = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION) else {
        return Ok(0..0);
    };
    let (rva, length) = directory.address_range();
    let (start, end) = (rva as usize, rva as usize + length as usize);
    if end > size {
        return Err(format!("exception directory at {rva:#x} runs past SizeOfImage"));
    }
    Ok(start..end)
}

pub(super) fn pdb(file: &PeFile64<'_>) -> Result<Option<PdbReference>, String> {
    use object::Object as _;
    let info = file.pdb_info().map_err(|error| format!("debug directory: {error}"))?;
    Ok(info.map(|info| PdbReference {
        path: String::from_utf8_lossy(info.path()).into_owned(),
        guid: info.guid(),
        age: info.age(),
    }))
}
