//! The image loader: maps a driver's sections and binds its imports to the model.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use thiserror::Error;

use crate::{
    cpu::LoadedCode,
    ddi::{Handler, Registry},
    image::{CodeMap, Image, ImageError, ImportName, Symbols},
    kernel::Kernel,
    mm::{PAGE_SIZE, Protection, Va, layout},
    trace::Event,
};

/// Why a driver image cannot be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {error}; build the driver with `cargo xtask build`", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Windows would not load it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It imports what the model does not have.
    #[error("{image} imports what this machine does not model: {}", names.join(", "))]
    UnknownImports {
        /// The image.
        image: String,
        /// The imports, as `module!name`.
        names: Vec<String>,
    },
}

/// A driver's image, parsed and disassembled once for any number of machines.
#[derive(Debug)]
pub struct DriverImage {
    image: Rc<Image>,
    code: Rc<CodeMap>,
    pdb: Option<PathBuf>,
}

impl DriverImage {
    /// Reads an image file; its PDB is expected beside it.
    ///
    /// # Errors
    /// When it cannot be read, or Windows would not load it.
    pub fn open(path: &Path) -> Result<Rc<Self>, LoadError> {
        let bytes = std::fs::read(path).map_err(|error| LoadError::File {
            path: path.to_owned(),
            error,
        })?;
        let name = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let image = Image::parse(&name, &bytes)?;
        let pdb = pdb_beside(path, &image);
        Ok(Self::new(image, pdb))
    }

    /// Takes an image from memory, without symbols.
    ///
    /// # Errors
    /// When Windows would not load it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Rc<Self>, LoadError> {
        Ok(Self::new(Image::parse(name, bytes)?, None))
    }

    fn new(image: Image, pdb: Option<PathBuf>) -> Rc<Self> {
        let code = CodeMap::scan(&image);
        Rc::new(Self {
            image: Rc::new(image),
            code: Rc::new(code),
            pdb,
        })
    }

    /// What Windows' loader sees of it.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The symbols from its PDB, if there is a usable one. Reading them takes a while: for reports only.
    #[must_use]
    pub fn symbols(&self) -> Option<Symbols> {
        Symbols::load(&self.image, self.pdb.as_ref()?).ok()
    }
}

/// The PDB that the image names, in the image's directory.
fn pdb_beside(path: &Path, image: &Image) -> Option<PathBuf> {
    let recorded = image.pdb()?.path.replace('\\', "/");
    let pdb = path.with_file_name(Path::new(&recorded).file_name()?);
    pdb.exists().then_some(pdb)
}

/// `int3`: one instruction that ends a translation block.
const BREAKPOINT: u8 = 0xCC;

/// Puts memory behind the exports' addresses, so that they are there to be jumped to. Nothing there ever runs, but the
/// emulator translates it first, so it is short.
pub(super) fn map_exports(k: &Kernel) {
    let length = k.registry().exports_length();
    let physical = k.map_ram(
        layout::EXPORTS,
        length,
        Protection::READ_EXECUTE,
        "the kernel's exports",
    );
    let length = usize::try_from(length).expect("there are few exports");
    k.engine().borrow_mut().write(physical, &vec![BREAKPOINT; length]);
}

/// Maps the image and binds its imports.
pub(super) fn load(k: &Kernel, driver: &DriverImage) -> Result<(), LoadError> {
    let image = &driver.image;
    let base = layout::DRIVER;
    let mut memory = image.memory_at(base.get());
    bind_imports(k, image, &mut memory)?;

    let length = u64::from(image.size());
    let physical = k.reserve_ram(length);
    k.engine().borrow_mut().write(physical, &memory);
    let map = |rva: u32, size: u64, protection, what: &str| {
        let what = format!("{} {what}", image.name());
        k.map_physical(
            base + u64::from(rva),
            physical + u64::from(rva),
            size,
            protection,
            &what,
        );
    };
    map(0, u64::from(image.headers_size()), Protection::READ, "headers");
    for section in image.sections() {
        let protection = Protection {
            write: section.protection.write,
            execute: section.protection.execute,
        };
        map(section.rva, u64::from(section.size), protection, &section.name);
    }

    let code = LoadedCode::new(base, image.clone(), driver.code.clone());
    *k.watch().code.borrow_mut() = Some(code);
    k.trace(Event::ImageLoaded {
        name: image.name().to_owned(),
        base,
        size: length,
    });
    Ok(())
}

fn bind_imports(k: &Kernel, image: &Image, memory: &mut [u8]) -> Result<(), LoadError> {
    let mut unknown = Vec::new();
    let mut next_data = layout::EXPORTED_DATA;
    for import in image.imports() {
        let ImportName::Name(name) = &import.name else {
            unknown.push(format!("{}!{}", import.module, import.name));
            continue;
        };
        let Some((index, ddi)) = k.registry().find(name) else {
            unknown.push(format!("{}!{name}", import.module));
            continue;
        };
        let address = match &ddi.handler {
            Handler::Data { size, initialise } => {
                let address = next_data;
                k.map_ram(address, *size, Protection::READ_WRITE, ddi.name);
                next_data = address + crate::mm::AddressSpace::round_up(*size) + PAGE_SIZE;
                // Fails only once the machine has stopped, and it has not started.
                let _ = initialise(k, address);
                address
            }
            _ => Registry::address(index),
        };
        write_slot(memory, import.slot, address);
    }
    if unknown.is_empty() {
        return Ok(());
    }
    Err(LoadError::UnknownImports {
        image: image.name().to_owned(),
        names: unknown,
    })
}

fn write_slot(memory: &mut [u8], slot: u32, address: Va) {
    let start = slot as usize;
    memory[start..start + 8].copy_from_slice(&address.get().to_le_bytes());
}
