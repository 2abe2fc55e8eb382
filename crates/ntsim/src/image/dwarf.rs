//! Function names and source lines from the DWARF sections of an image, which MinGW and clang put into the image itself.

use std::{collections::BTreeMap, rc::Rc};

use addr2line::{Context, Frame};
use gimli::{EndianRcSlice, LittleEndian};
use object::{Object as _, ObjectSection as _, read::pe::PeFile64};

use super::SourceLine;

/// The contents of the `.debug_…` sections, by name. Their names are longer than a section header has room for, so that they stand in
/// the string table of the symbols.
#[derive(Debug, Clone, Default)]
pub(super) struct Sections(BTreeMap<String, Rc<[u8]>>);

impl Sections {
    /// The sections of a file. One whose name or data cannot be read is not there: an image is loaded without them.
    pub(super) fn read(file: &PeFile64<'_>) -> Self {
        let sections = file.sections().filter_map(|section| {
            let name = section.name().ok()?;
            let data = name.starts_with(".debug_").then(|| section.data())?.ok()?;
            Some((name.to_owned(), data.into()))
        });
        Self(sections.collect())
    }

    /// Whether there is anything to look addresses up in.
    pub(super) fn exist(&self) -> bool {
        self.0.contains_key(".debug_info")
    }
}

type Reader = EndianRcSlice<LittleEndian>;

/// What the DWARF sections say about an image's addresses.
pub(super) struct Dwarf {
    context: Context<Reader>,
    /// The address that the image was linked for.
    base: u64,
}

impl Dwarf {
    pub(super) fn load(sections: &Sections, base: u64) -> Result<Self, gimli::Error> {
        let dwarf = gimli::Dwarf::load(|id| {
            let data = sections.0.get(id.name()).cloned().unwrap_or_else(|| Rc::new([]));
            Ok::<_, gimli::Error>(EndianRcSlice::new(data, LittleEndian))
        })?;
        let context = Context::from_dwarf(dwarf)?;
        Ok(Self { context, base })
    }

    /// The source lines at `rva`, the innermost inlined function first; none where no function is known.
    pub(super) fn lookup(&self, rva: u32) -> Result<Vec<SourceLine>, gimli::Error> {
        let address = self.base + u64::from(rva);
        let mut frames = self.context.find_frames(address).skip_all_loads()?;
        let mut lines = Vec::new();
        while let Some(frame) = frames.next()? {
            lines.push(source_line(&frame));
        }
        Ok(lines)
    }
}

fn source_line(frame: &Frame<'_, Reader>) -> SourceLine {
    let function = frame.function.as_ref().and_then(|name| name.demangle().ok());
    let location = frame.location.as_ref();
    SourceLine {
        function: function.map_or_else(|| "?".to_owned(), std::borrow::Cow::into_owned),
        file: location.and_then(|location| location.file).map(str::to_owned),
        line: location.and_then(|location| location.line),
    }
}

#[cfg(test)]
mod tests {
    use gimli::{
        DW_AT_comp_dir, DW_AT_high_pc, DW_AT_low_pc, DW_AT_name, DW_TAG_subprogram, Encoding, Format, LineEncoding,
        write::{Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections as Written},
    };

    use super::*;
    use crate::image::{
        Image, Symbols,
        synthetic::{BASE, ImageBuilder, TEXT},
    };

    /// The sections of one function of four bytes: the first two are line 10, the others line 11.
    fn sections() -> Vec<(String, Vec<u8>)> {
        let encoding = Encoding {
            format: Format::Dwarf32,
            version: 4,
            address_size: 8,
        };
        let start = BASE + u64::from(TEXT);
        let text = |name: &str| LineString::String(name.into());
        let mut dwarf = DwarfUnit::new(encoding);
        let mut program = LineProgram::new(
            encoding,
            LineEncoding::default(),
            text("/source"),
            None,
            text("driver.c"),
            None,
        );
        let directory = program.default_directory();
        let file = program.add_file(text("driver.c"), directory, None);
        program.begin_sequence(Some(Address::Constant(start)));
        for (offset, line) in [(0, 10), (2, 11)] {
            let row = program.row();
            row.address_offset = offset;
            row.file = file;
            row.line = line;
            program.generate_row();
        }
        program.end_sequence(4);
        dwarf.unit.line_program = program;
        let root = dwarf.unit.root();
        let function = dwarf.unit.add(root, DW_TAG_subprogram);
        let directory = AttributeValue::String(b"/source".to_vec());
        dwarf.unit.get_mut(root).set(DW_AT_comp_dir, directory);
        for entry in [root, function] {
            let entry = dwarf.unit.get_mut(entry);
            entry.set(DW_AT_low_pc, AttributeValue::Address(Address::Constant(start)));
            entry.set(DW_AT_high_pc, AttributeValue::Udata(4));
            entry.set(DW_AT_name, AttributeValue::String(b"DriverEntry".to_vec()));
        }
        let mut written = Written::new(EndianVec::new(LittleEndian));
        dwarf.write(&mut written).unwrap();
        let mut sections = Vec::new();
        written
            .for_each(|id, data| {
                if !data.slice().is_empty() {
                    sections.push((id.name().to_owned(), data.slice().to_vec()));
                }
                Ok::<_, gimli::Error>(())
            })
            .unwrap();
        sections
    }

    #[test]
    fn lines_come_from_the_image_itself() {
        let bytes = ImageBuilder::new(&[0x90, 0x90, 0x90, 0xC3]).debug(sections()).build();
        let image = Image::parse("t.sys", &bytes).unwrap();
        let symbols = Symbols::of_image(&image).unwrap();
        let found = symbols.lookup(&[TEXT + 1, TEXT + 3, TEXT + 9]).unwrap();
        assert_eq!(found[0][0].to_string(), "DriverEntry at /source/driver.c:10");
        assert_eq!(found[1][0].to_string(), "DriverEntry at /source/driver.c:11");
        assert!(found[2].is_empty(), "{found:?}");
    }

    #[test]
    fn an_image_without_debug_sections_has_no_symbols_of_its_own() {
        let image = Image::parse("t.sys", &ImageBuilder::new(&[0xC3]).build()).unwrap();
        assert!(Symbols::of_image(&image).is_err());
    }

    #[test]
    fn broken_debug_sections_are_an_error_and_no_panic() {
        for length in 0..40 {
            let mut sections = sections();
            for (_, data) in &mut sections {
                data.truncate(length);
            }
            let bytes = ImageBuilder::new(&[0x90, 0x90, 0x90, 0xC3]).debug(sections).build();
            let image = Image::parse("t.sys", &bytes).unwrap();
            let _ = Symbols::of_image(&image).and_then(|symbols| symbols.lookup(&[TEXT]));
        }
    }
}
