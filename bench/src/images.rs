//! The images that are measured, read once for each thread: a machine stays on one thread with all that it has.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use ntsim::machine::{DriverImage, LoadError};

thread_local! {
    static IMAGES: RefCell<BTreeMap<PathBuf, Rc<DriverImage>>> = RefCell::default();
}

/// The image in the file at `path`.
///
/// # Errors
/// When it cannot be read, or Windows would not load it.
pub fn open(path: &Path) -> Result<Rc<DriverImage>, LoadError> {
    if let Some(image) = IMAGES.with_borrow(|images| images.get(path).cloned()) {
        return Ok(image);
    }
    let image = DriverImage::open(path)?;
    IMAGES.with_borrow_mut(|images| images.insert(path.to_owned(), image.clone()));
    Ok(image)
}
