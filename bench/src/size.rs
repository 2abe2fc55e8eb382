//! How large an image is, and what of it is whose.

use std::{collections::BTreeMap, fs, path::Path, rc::Rc};

use anyhow::{Context, Result};
use ntsim::{
    image::{CodeAt, SourceLine, SymbolError},
    machine::DriverImage,
};
use serde::{Deserialize, Serialize};

use crate::images;

/// Bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// The image's file name.
    pub name: String,
    /// The file.
    pub file: u64,
    /// Each section as it is in memory.
    pub sections: BTreeMap<String, u64>,
    /// The instructions by the crate that the source line is in, inlined or not; none without symbols.
    pub crates: BTreeMap<String, u64>,
}

/// The longest instruction, bytes.
const LONGEST: u32 = 15;

/// What has no source line: routines written in assembly language, jumps that the linker has made.
const NO_CRATE: &str = "(no source line)";

impl Size {
    /// Measures the image in the file at `path`.
    ///
    /// # Errors
    /// When the file or its symbols cannot be read. An image without symbols is no error.
    pub fn measure(path: &Path) -> Result<Self> {
        let image = images::open(path)?;
        let file = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let sections = image.image().sections().iter();
        Ok(Self {
            name: image.image().name().to_owned(),
            file: file.len(),
            sections: sections
                .map(|section| (section.name.clone(), u64::from(section.size)))
                .collect(),
            crates: crates(&image)?,
        })
    }
}

fn crates(image: &Rc<DriverImage>) -> Result<BTreeMap<String, u64>> {
    let symbols = match image.open_symbols() {
        Ok(symbols) => symbols,
        Err(SymbolError::None { .. } | SymbolError::Io { .. }) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    // An instruction ends where the next one starts, but for those before something that is none.
    let starts = image.code().code().zip(0_u32..);
    let starts: Vec<u32> = starts
        .filter(|(at, _)| *at != CodeAt::Unknown)
        .map(|(_, rva)| rva)
        .collect();
    let ends = starts.iter().skip(1).copied();
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for ((&start, end), lines) in starts.iter().zip(ends).zip(symbols.lookup(&starts)?) {
        *sizes.entry(crate_of(&lines)).or_default() += u64::from((end - start).min(LONGEST));
    }
    Ok(sizes)
}

/// The crate of the innermost function: the first part of its path.
fn crate_of(lines: &[SourceLine]) -> String {
    let function = lines.first().map(|line| line.function.as_str());
    let path = function.and_then(|function| function.split_once("::"));
    path.map_or(NO_CRATE, |(name, _)| name.trim_start_matches(['<', '&']))
        .to_owned()
}
