//! The image loader: maps a driver's sections and binds its imports to the model.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use thiserror::Error;

use super::imports::{self, BoundImport, Framework};
use crate::{
    cpu::LoadedCode,
    ddi::Registry,
    image::{CodeMap, Image, ImageError, SymbolError, Symbols},
    io::driver::LoadedImage,
    kernel::Kernel,
    mm::{Pa, Protection, Va, layout, pageable},
    report::AddressBook,
    trace::Event,
};

/// Why a driver image cannot be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the driver image {path} cannot be read: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is a directory.
    #[error("{path} is a directory: name the driver's .sys file in it", path = path.display())]
    Directory {
        /// Which.
        path: PathBuf,
    },
    /// Windows would not load it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It imports more than there are addresses for.
    #[error("{image} imports too much: no address is left for {import}")]
    TooManyImports {
        /// The image.
        image: String,
        /// The first import without an address, as `module!name`.
        import: String,
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
        if path.is_dir() {
            return Err(LoadError::Directory { path: path.to_owned() });
        }
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

    /// What its disassembly says.
    #[must_use]
    pub fn code(&self) -> &CodeMap {
        &self.code
    }

    /// What it imports, in the order of its import table, and what `registry` has of that.
    #[must_use]
    pub fn imports(&self, registry: &Registry) -> Vec<BoundImport> {
        imports::bindings(self.image.imports(), registry)
    }

    /// The framework or port driver that it is written for, when it is no plain WDM driver.
    #[must_use]
    pub fn framework(&self) -> Option<Framework> {
        imports::framework_imported(self.image.imports())
    }

    /// What the addresses of the image mean when it is the first one of a machine.
    #[must_use]
    pub fn address_book(&self) -> AddressBook {
        let mut book = AddressBook::default();
        self.add_to(&mut book, layout::DRIVER);
        book
    }

    /// Adds what the addresses of the image mean when it is loaded at `base`.
    pub(super) fn add_to(&self, book: &mut AddressBook, base: Va) {
        let symbols = self.open_symbols().map_err(|error| error.to_string());
        book.add(base, self.image.clone(), symbols);
    }

    /// The symbols, if there are usable ones. Reading them takes a while: for reports only.
    #[must_use]
    pub fn symbols(&self) -> Option<Symbols> {
        self.open_symbols().ok()
    }

    /// The symbols from its PDB or, without a usable one, from its own DWARF sections. Reading them takes a while: for reports only.
    ///
    /// # Errors
    /// When there are none, or they belong to another build: addresses in reports have no source lines then.
    pub fn open_symbols(&self) -> Result<Symbols, SymbolError> {
        match self.pdb.as_ref().map(|path| Symbols::load(&self.image, path)) {
            Some(Ok(symbols)) => Ok(symbols),
            Some(Err(error)) => Symbols::of_image(&self.image).map_err(|_| error),
            None => Symbols::of_image(&self.image),
        }
    }
}

/// The PDB that the image names, expected in the image's directory.
fn pdb_beside(path: &Path, image: &Image) -> Option<PathBuf> {
    let recorded = image.pdb()?.path.replace('\\', "/");
    Some(path.with_file_name(Path::new(&recorded).file_name()?))
}

/// `int3`: one instruction that ends a translation block.
const BREAKPOINT: u8 = 0xCC;

/// Memory full of breakpoints.
pub(super) fn breakpoints(k: &Kernel, length: u64) -> Pa {
    let physical = k.reserve_ram(length);
    let bytes = vec![BREAKPOINT; usize::try_from(length).expect("there are few exports")];
    k.engine().borrow_mut().write(physical, &bytes);
    physical
}

/// Puts memory behind the exports' addresses, so that they are there to be jumped to. Nothing there ever runs, but the
/// emulator translates it first, so it is short.
pub(super) fn map_exports(k: &Kernel) {
    let length = k.registry().exports_length();
    let physical = breakpoints(k, length);
    let what = "the kernel's exports";
    k.map_physical(layout::EXPORTS, physical, length, Protection::READ_EXECUTE, what);
}

/// Maps the image and binds its imports; where it lies.
pub(super) fn load(k: &Kernel, driver: &DriverImage) -> Result<LoadedImage, LoadError> {
    let image = &driver.image;
    let base = k.watch().code.borrow().next_base();
    let mut memory = image.memory_at(base.get());
    bind_imports(k, image, &mut memory)?;
    super::guard::set_up(k, image, &mut memory);

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
    let loaded = LoadedImage::of(&code);
    k.watch().code.borrow_mut().add(code);
    pageable::loaded(k, image, loaded, physical);
    k.trace(Event::ImageLoaded {
        name: image.name().to_owned(),
        base,
        size: length,
    });
    Ok(loaded)
}

fn bind_imports(k: &Kernel, image: &Image, memory: &mut [u8]) -> Result<(), LoadError> {
    for import in image.imports() {
        let address = imports::bind(k, image.name(), import).ok_or_else(|| LoadError::TooManyImports {
            image: image.name().to_owned(),
            import: format!("{}!{}", import.module, import.name),
        })?;
        write_slot(memory, import.slot, address);
    }
    Ok(())
}

fn write_slot(memory: &mut [u8], slot: u32, address: Va) {
    let start = slot as usize;
    memory[start..start + 8].copy_from_slice(&address.get().to_le_bytes());
}
