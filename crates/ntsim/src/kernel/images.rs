//! The driver images of the machine.

use super::Kernel;
use crate::{cpu::LoadedCode, io::driver::LoadedImage, mm::Va};

impl LoadedImage {
    pub(crate) fn of(code: &LoadedCode) -> Self {
        Self {
            base: code.base,
            size: code.image.size(),
            entry: code.base + u64::from(code.image.entry()),
        }
    }

    /// Whether `va` lies in the image.
    #[must_use]
    pub fn contains(&self, va: Va) -> bool {
        va - self.base < u64::from(self.size)
    }
}

impl Kernel {
    /// The driver images that are loaded, in the order of loading.
    #[must_use]
    pub fn driver_images(&self) -> Vec<LoadedImage> {
        let code = self.watch().code.borrow();
        code.iter().filter(|code| !code.unloaded).map(LoadedImage::of).collect()
    }

    /// The loaded image whose file is called `name`, with or without `.sys`; the one that was loaded last when several are.
    #[must_use]
    pub fn driver_image_called(&self, name: &str) -> Option<LoadedImage> {
        let code = self.watch().code.borrow();
        code.iter()
            .filter(|code| !code.unloaded)
            .filter(|code| code.stem().eq_ignore_ascii_case(name) || code.image.name().eq_ignore_ascii_case(name))
            .last()
            .map(LoadedImage::of)
    }

    /// The loaded driver image: the first one, when there are several.
    ///
    /// # Panics
    /// When none is loaded.
    #[must_use]
    pub fn driver_image(&self) -> LoadedImage {
        let images = self.driver_images();
        *images.first().expect("a driver image was loaded")
    }

    /// The loaded image that `va` lies in.
    #[must_use]
    pub fn driver_image_at(&self, va: Va) -> Option<LoadedImage> {
        let code = self.watch().code.borrow();
        code.at(va).filter(|code| !code.unloaded).map(LoadedImage::of)
    }
}
