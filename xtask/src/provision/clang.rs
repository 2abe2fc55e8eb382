//! The libclang that bindgen loads, and the headers that belong to it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// A libclang.
#[derive(Debug, Clone)]
pub struct Clang {
    /// Directory of the shared library.
    pub library: PathBuf,
    /// The resource directory: clang's own `stddef.h` and the like are in its `include`.
    pub resources: PathBuf,
}

/// The newest libclang that has its headers beside it. `LIBCLANG_PATH` comes first, then LLVM as Debian installs it.
pub fn locate() -> Option<Clang> {
    let chosen = env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let mut installed: Vec<PathBuf> = subdirectories(Path::new("/usr/lib"))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"llvm-"))
        })
        .map(|path| path.join("lib"))
        .collect();
    installed.sort_by_key(|path| llvm_version(path));
    chosen
        .into_iter()
        .chain(installed.into_iter().rev())
        .find_map(|library| {
            let has_library = fs::read_dir(&library).ok()?.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libclang.so") || name.starts_with("libclang-") && name.contains(".so")
            });
            let resources =
                subdirectories(&library.join("clang")).find(|path| path.join("include/stddef.h").is_file())?;
            has_library.then_some(Clang { library, resources })
        })
}

fn subdirectories(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir())
}

/// The number in `/usr/lib/llvm-14/lib`.
fn llvm_version(library: &Path) -> Option<u32> {
    let name = library.parent()?.file_name()?.to_str()?;
    name.strip_prefix("llvm-")?.parse().ok()
}
