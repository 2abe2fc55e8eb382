//! Function names and source lines, from the PDB beside the image or the DWARF sections in it.

use std::fs::File;
use std::path::{Path, PathBuf};

use pdb_addr2line::{ContextPdbData, pdb};
use thiserror::Error;

use super::{Image, dwarf::Dwarf};

/// Why a PDB cannot serve.
#[derive(Debug, Error)]
pub enum SymbolError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The PDB.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The file is no PDB, or one with broken streams.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The PDB.
        path: PathBuf,
        /// What the reader answered.
        message: String,
    },
    /// The image names no PDB, and has no DWARF sections.
    #[error(
        "{image} names no PDB and holds no debug information; link it with /DEBUG and keep the PDB beside it, or compile with -g"
    )]
    None {
        /// The image's name.
        image: String,
    },
    /// The image's DWARF sections are broken.
    #[error("the DWARF sections of {image}: {message}")]
    Dwarf {
        /// The image's name.
        image: String,
        /// What the reader answered.
        message: String,
    },
    /// The PDB belongs to another build of the image.
    #[error("{} belongs to another build: {image} was linked with a PDB of another signature", path.display())]
    Mismatch {
        /// The PDB.
        path: PathBuf,
        /// The image's name.
        image: String,
    },
}

/// One line of source that an address stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    /// The function, with its namespace and parameters as the PDB gives them.
    pub function: String,
    /// The source file, as recorded by the compiler.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
}

impl std::fmt::Display for SourceLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.function)?;
        if let Some(file) = &self.file {
            write!(f, " at {file}")?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
        }
        Ok(())
    }
}

/// What is known about an image's addresses.
pub struct Symbols(Source);

enum Source {
    Pdb {
        path: PathBuf,
        data: Box<ContextPdbData<'static, 'static, File>>,
    },
    Dwarf {
        image: String,
        dwarf: Dwarf,
    },
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = match &self.0 {
            Source::Pdb { path, .. } => path.display().to_string(),
            Source::Dwarf { image, .. } => image.clone(),
        };
        f.debug_struct("Symbols").field("from", &from).finish_non_exhaustive()
    }
}

impl Symbols {
    /// Opens the PDB at `path` and checks that it belongs to `image`.
    ///
    /// # Errors
    /// When it cannot be read, is malformed, or belongs to another build.
    pub fn load(image: &Image, path: &Path) -> Result<Self, SymbolError> {
        let malformed = |message: String| SymbolError::Malformed {
            path: path.to_owned(),
            message,
        };
        let file = File::open(path).map_err(|source| SymbolError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut pdb = pdb::PDB::open(file).map_err(|error| malformed(error.to_string()))?;
        let information = pdb.pdb_information().map_err(|error| malformed(error.to_string()))?;
        // The image records the signature as the GUID structure lies in memory; the reader gives its textual order.
        let mut signature = *information.guid.as_bytes();
        signature[0..4].reverse();
        signature[4..6].reverse();
        signature[6..8].reverse();
        if image.pdb().is_some_and(|reference| reference.guid != signature) {
            return Err(SymbolError::Mismatch {
                path: path.to_owned(),
                image: image.name().to_owned(),
            });
        }
        let data = ContextPdbData::try_from_pdb(pdb).map_err(|error| malformed(error.to_string()))?;
        Ok(Self(Source::Pdb {
            path: path.to_owned(),
            data: Box::new(data),
        }))
    }

    /// Reads the DWARF sections of `image`.
    ///
    /// # Errors
    /// When it has none, or they are malformed.
    pub fn of_image(image: &Image) -> Result<Self, SymbolError> {
        let name = image.name().to_owned();
        if !image.dwarf().exist() {
            return Err(SymbolError::None { image: name });
        }
        match Dwarf::load(image.dwarf(), image.preferred_base()) {
            Ok(dwarf) => Ok(Self(Source::Dwarf { image: name, dwarf })),
            Err(error) => Err(SymbolError::Dwarf {
                image: name,
                message: error.to_string(),
            }),
        }
    }

    /// What lies at each of `rvas`: for each address its source lines, the innermost inlined function first; none where
    /// no function is known.
    ///
    /// For a return address ask for the byte before it, which belongs to the call.
    ///
    /// # Errors
    /// When the PDB's streams or the DWARF sections are malformed.
    pub fn lookup(&self, rvas: &[u32]) -> Result<Vec<Vec<SourceLine>>, SymbolError> {
        match &self.0 {
            Source::Pdb { path, data } => lookup_pdb(path, data, rvas),
            Source::Dwarf { image, dwarf } => {
                let found = rvas.iter().map(|&rva| dwarf.lookup(rva));
                found.collect::<Result<_, _>>().map_err(|error| SymbolError::Dwarf {
                    image: image.clone(),
                    message: error.to_string(),
                })
            }
        }
    }
}

fn lookup_pdb(
    path: &Path,
    data: &ContextPdbData<'static, 'static, File>,
    rvas: &[u32],
) -> Result<Vec<Vec<SourceLine>>, SymbolError> {
    let malformed = |error: pdb_addr2line::Error| SymbolError::Malformed {
        path: path.to_owned(),
        message: error.to_string(),
    };
    let context = data.make_context().map_err(malformed)?;
    rvas.iter()
        .map(|&rva| {
            let frames = context.find_frames(rva).map_err(malformed)?;
            let frames = frames.map_or_else(Vec::new, |found| found.frames);
            Ok(frames.into_iter().map(source_line).collect())
        })
        .collect()
}

fn source_line(frame: pdb_addr2line::Frame<'_>) -> SourceLine {
    SourceLine {
        function: frame.function.unwrap_or_else(|| "?".to_owned()),
        file: frame.file.map(std::borrow::Cow::into_owned),
        line: frame.line,
    }
}
