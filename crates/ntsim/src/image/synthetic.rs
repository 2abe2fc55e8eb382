//! Builds small driver images for tests: code, imports, one relocated pointer, unwind information.

use object::pe;
use object::write::pe::{NtHeaders, SectionRange, Writer};

/// Where `.text` lies.
pub(crate) const TEXT: u32 = 0x1000;
/// Where `.data` lies.
pub(crate) const DATA: u32 = 0x2000;
/// Where the export table lies, behind the data.
const EXPORTS: u32 = DATA + 0x100;
/// Where `.idata` lies.
const IDATA: u32 = 0x3000;
/// Where `.pdata` lies, its unwind information behind its entries.
const PDATA: u32 = 0x4000;
/// Where it is linked for.
pub(crate) const BASE: u64 = 0x1_4000_0000;

/// A driver image in the making; [`build`](Self::build) gives the file.
pub(crate) struct ImageBuilder {
    code: Vec<u8>,
    entry: u32,
    machine: u16,
    subsystem: u16,
    pointer: Option<u32>,
    imports: Vec<(String, Vec<String>)>,
    functions: Vec<(u32, u32, Vec<u8>)>,
    export: Option<(String, u32)>,
    renamed: Vec<([u8; 8], [u8; 8])>,
    debug: Vec<(String, Vec<u8>)>,
    guards: Option<(Guards, u64, Vec<u32>)>,
}

/// Where a guarded image has its cookie and the pointers to the routines of Control Flow Guard: RVAs in `.data`.
#[derive(Clone, Copy)]
pub(crate) struct Guards {
    pub(crate) cookie: u32,
    pub(crate) check: u32,
    pub(crate) dispatch: u32,
}

impl ImageBuilder {
    /// An image whose `.text` section is `code`; it starts at its first byte.
    pub(crate) fn new(code: &[u8]) -> Self {
        Self {
            code: code.to_vec(),
            entry: TEXT,
            machine: pe::IMAGE_FILE_MACHINE_AMD64.0,
            subsystem: pe::IMAGE_SUBSYSTEM_NATIVE.0,
            pointer: None,
            imports: Vec::new(),
            functions: Vec::new(),
            export: None,
            renamed: Vec::new(),
            debug: Vec::new(),
            guards: None,
        }
    }

    pub(crate) fn entry(mut self, rva: u32) -> Self {
        self.entry = rva;
        self
    }

    pub(crate) fn machine(mut self, machine: u16) -> Self {
        self.machine = machine;
        self
    }

    pub(crate) fn subsystem(mut self, subsystem: u16) -> Self {
        self.subsystem = subsystem;
        self
    }

    /// Puts a pointer to `rva` at the start of `.data`.
    pub(crate) fn pointer_to(mut self, rva: u32) -> Self {
        self.pointer = Some(rva);
        self
    }

    pub(crate) fn import(mut self, module: &str, name: &str) -> Self {
        match self.imports.iter_mut().find(|(known, _)| known == module) {
            Some((_, names)) => names.push(name.to_owned()),
            None => self.imports.push((module.to_owned(), vec![name.to_owned()])),
        }
        self
    }

    /// Gives a section another name.
    pub(crate) fn rename(mut self, section: &str, name: &str) -> Self {
        let padded = |name: &str| {
            let mut field = [0; 8];
            field[..name.len()].copy_from_slice(name.as_bytes());
            field
        };
        self.renamed.push((padded(section), padded(name)));
        self
    }

    /// Adds discardable sections, whose names may be longer than a section header has room for.
    pub(crate) fn debug(mut self, sections: Vec<(String, Vec<u8>)>) -> Self {
        self.debug = sections;
        self
    }

    /// Exports what lies at `rva`.
    pub(crate) fn export(mut self, name: &str, rva: u32) -> Self {
        self.export = Some((name.to_owned(), rva));
        self
    }

    /// Adds a `RUNTIME_FUNCTION` with this `UNWIND_INFO`.
    pub(crate) fn function(mut self, begin: u32, end: u32, unwind_info: &[u8]) -> Self {
        self.functions.push((begin, end, unwind_info.to_vec()));
        self
    }

    /// Adds a load configuration: a cookie, and the functions that may be called indirectly.
    pub(crate) fn guarded(mut self, guards: Guards, cookie: u64, targets: &[u32]) -> Self {
        self.guards = Some((guards, cookie, targets.to_vec()));
        self
    }

    /// The load configuration and its table, in `.data`.
    fn load_config(&self, data: &mut Vec<u8>) {
        const DIRECTORY: usize = 0x100;
        const TABLE: usize = 0x200;
        const TABLE_PRESENT: u32 = 0x400;
        let Some((guards, cookie, targets)) = &self.guards else {
            return;
        };
        data.resize(0x400, 0);
        let mut put = |at: usize, bytes: &[u8]| data[at..at + bytes.len()].copy_from_slice(bytes);
        let va = |rva: u32| (BASE + u64::from(rva)).to_le_bytes();
        put(DIRECTORY, &0x94_u32.to_le_bytes());
        put(DIRECTORY + 0x58, &va(guards.cookie));
        put(DIRECTORY + 0x70, &va(guards.check));
        put(DIRECTORY + 0x78, &va(guards.dispatch));
        put(DIRECTORY + 0x80, &va(DATA + u32::try_from(TABLE).unwrap()));
        put(DIRECTORY + 0x88, &(targets.len() as u64).to_le_bytes());
        put(DIRECTORY + 0x90, &TABLE_PRESENT.to_le_bytes());
        put((guards.cookie - DATA) as usize, &cookie.to_le_bytes());
        for (index, target) in targets.iter().enumerate() {
            put(TABLE + 4 * index, &target.to_le_bytes());
        }
    }

    pub(crate) fn build(self) -> Vec<u8> {
        let idata = self.import_section();
        let pdata = self.exception_section();
        let mut data = vec![0; 0x100];
        let exports = self.export_table();
        data.extend_from_slice(&exports);
        self.load_config(&mut data);
        let mut buffer = Vec::new();
        let mut writer = Writer::new(true, 0x1000, 0x200, &mut buffer);
        writer.reserve_dos_header_and_stub();
        writer.reserve_nt_headers(16);
        let debug_count = u16::try_from(self.debug.len()).unwrap();
        writer.reserve_section_headers(4 + u16::from(self.pointer.is_some()) + debug_count);
        let text_range = writer.reserve_text_section(length(&self.code));
        let data_range = writer.reserve_data_section(length(&data), length(&data));
        let idata_range = writer.reserve_idata_section(length(&idata));
        let pdata_range = writer.reserve_pdata_section(length(&pdata));
        let ranges = [&text_range, &data_range, &idata_range, &pdata_range];
        assert_eq!(ranges.map(|range| range.virtual_address), [TEXT, DATA, IDATA, PDATA]);
        if let Some(rva) = self.pointer {
            data[..8].copy_from_slice(&(BASE + u64::from(rva)).to_le_bytes());
            writer.add_reloc(DATA, pe::IMAGE_REL_BASED_DIR64);
            writer.reserve_reloc_section();
        }
        let (debug, strings) = self.reserve_debug(&mut writer);
        writer.set_data_directory(
            pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION,
            PDATA,
            12 * u32::try_from(self.functions.len()).unwrap(),
        );
        if !exports.is_empty() {
            writer.set_data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT, EXPORTS, length(&exports));
        }
        if self.guards.is_some() {
            writer.set_data_directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG, DATA + 0x100, 0x94);
        }
        writer.write_dos_header_and_stub().unwrap();
        writer.write_nt_headers(NtHeaders {
            machine: pe::Machine(self.machine),
            time_date_stamp: 0,
            characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE | pe::IMAGE_FILE_LARGE_ADDRESS_AWARE,
            major_linker_version: 14,
            minor_linker_version: 0,
            address_of_entry_point: self.entry,
            image_base: BASE,
            major_operating_system_version: 10,
            minor_operating_system_version: 0,
            major_image_version: 0,
            minor_image_version: 0,
            major_subsystem_version: 10,
            minor_subsystem_version: 0,
            subsystem: pe::Subsystem(self.subsystem),
            dll_characteristics: pe::DllFlags(0x160),
            size_of_stack_reserve: 0x10_0000,
            size_of_stack_commit: 0x1000,
            size_of_heap_reserve: 0x10_0000,
            size_of_heap_commit: 0x1000,
        });
        writer.write_section_headers();
        writer.write_section(text_range.file_offset, &self.code);
        writer.write_section(data_range.file_offset, &data);
        writer.write_section(idata_range.file_offset, &idata);
        writer.write_section(pdata_range.file_offset, &pdata);
        writer.write_reloc_section();
        for (range, (_, data)) in debug.iter().zip(&self.debug) {
            writer.write_section(range.file_offset, data);
        }
        if debug_count > 0 {
            // Without symbols, the string table is all of the symbol table.
            let table = length(&buffer);
            buffer.extend_from_slice(&strings);
            let headers = u32::from_le_bytes(buffer[0x3C..0x40].try_into().unwrap()) as usize;
            buffer[headers + 12..headers + 16].copy_from_slice(&table.to_le_bytes());
        }
        for (section, name) in &self.renamed {
            let at = buffer.windows(8).position(|field| field == section);
            buffer[at.expect("there is such a section")..][..8].copy_from_slice(name);
        }
        seal(&mut buffer);
        buffer
    }

    /// Descriptors, then per module: its name, its hint/name entries, its lookup table and its address table.
    fn import_section(&self) -> Vec<u8> {
        let mut section = vec![0; 20 * (self.imports.len() + 1)];
        for (index, (module, names)) in self.imports.iter().enumerate() {
            let module_name = IDATA + length(&section);
            section.extend_from_slice(module.as_bytes());
            section.push(0);
            let mut table = Vec::new();
            for name in names {
                table.extend_from_slice(&u64::from(IDATA + length(&section)).to_le_bytes());
                section.extend_from_slice(&[0, 0]);
                section.extend_from_slice(name.as_bytes());
                section.push(0);
            }
            table.extend_from_slice(&[0; 8]);
            section.resize(section.len().next_multiple_of(8), 0);
            let lookup = IDATA + length(&section);
            section.extend_from_slice(&table);
            let addresses = IDATA + length(&section);
            section.extend_from_slice(&table);
            let fields = [lookup, 0, 0, module_name, addresses];
            for (field, value) in fields.iter().enumerate() {
                section[20 * index + 4 * field..][..4].copy_from_slice(&value.to_le_bytes());
            }
        }
        section
    }

    /// Reserves the debug sections; and their names as a string table.
    fn reserve_debug(&self, writer: &mut Writer<'_>) -> (Vec<SectionRange>, Vec<u8>) {
        let mut strings = vec![0; 4];
        let mut ranges = Vec::new();
        for (name, data) in &self.debug {
            let mut field = [0; 8];
            let reference = format!("/{}", strings.len());
            field[..reference.len()].copy_from_slice(reference.as_bytes());
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
            let flags = pe::IMAGE_SCN_CNT_INITIALIZED_DATA | pe::IMAGE_SCN_MEM_DISCARDABLE | pe::IMAGE_SCN_MEM_READ;
            ranges.push(writer.reserve_section(field, flags, length(data), length(data)));
        }
        let total = length(&strings);
        strings[..4].copy_from_slice(&total.to_le_bytes());
        (ranges, strings)
    }

    /// The directory, then the tables of addresses, names and ordinals, one entry each, and the name.
    fn export_table(&self) -> Vec<u8> {
        const DIRECTORY: u32 = 40;
        let Some((name, rva)) = &self.export else {
            return Vec::new();
        };
        let (addresses, names, ordinals) = (EXPORTS + DIRECTORY, EXPORTS + DIRECTORY + 4, EXPORTS + DIRECTORY + 8);
        let text = EXPORTS + DIRECTORY + 12;
        let fields = [0, 0, 0, text, 1, 1, 1, addresses, names, ordinals, *rva, text, 0];
        let mut table: Vec<u8> = fields.iter().flat_map(|field: &u32| field.to_le_bytes()).collect();
        table.extend_from_slice(name.as_bytes());
        table.push(0);
        table
    }

    fn exception_section(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        let mut unwind = Vec::new();
        let base = PDATA + 12 * u32::try_from(self.functions.len()).unwrap();
        for (begin, end, info) in &self.functions {
            for value in [*begin, *end, base + length(&unwind)] {
                entries.extend_from_slice(&value.to_le_bytes());
            }
            unwind.extend_from_slice(info);
            unwind.resize(unwind.len().next_multiple_of(4), 0);
        }
        entries.extend_from_slice(&unwind);
        // A section of no bytes at all would have no place in the address space.
        entries.push(0);
        entries
    }
}

/// Writes the checksum that the loader asks for, where the file is long enough to have the field.
pub(crate) fn seal(file: &mut [u8]) {
    let Some(header) = file.get(0x3C..0x40) else {
        return;
    };
    let header: [u8; 4] = header.try_into().unwrap();
    let field = u32::from_le_bytes(header) as usize + super::pe::CHECKSUM_FIELD;
    let sum = super::pe::checksum(file, field);
    if let Some(bytes) = file.get_mut(field..field + 4) {
        bytes.copy_from_slice(&sum.to_le_bytes());
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}
