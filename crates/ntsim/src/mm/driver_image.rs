//! A loaded driver's image over its life: its discardable sections go after initialisation, the rest at unload.

use super::{Va, pageable};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    io::driver::LoadedImage,
    ke::timer,
    kernel::Kernel,
    mm::pool::Allocation,
    trace::Event,
};

/// Frees the discardable sections (`INIT`), as Windows does when `DriverEntry` has returned.
pub fn discard_initialization(k: &Kernel, image: LoadedImage) {
    for start in sections(k, image, |discardable| discardable) {
        k.unmap(start);
    }
}

/// Unmaps the image. Code that runs there from now on is a driver that left something behind.
///
/// # Errors
/// When the driver has not given back what it holds: pool (Driver Verifier's 0xC4, 0x62), mapped device memory, or a timer that
/// is set.
pub fn unload(k: &Kernel, image: LoadedImage, name: &str) -> Outcome<()> {
    check_leaks(k, image, name)?;
    check_timers(k, image)?;
    for start in std::iter::once(image.base).chain(sections(k, image, |_| true)) {
        k.unmap(start);
    }
    pageable::unloaded(k, image.base);
    k.watch().code.borrow_mut().unloaded(image.base);
    k.trace(Event::Note(format!("{name} unloaded")));
    Ok(())
}

fn sections(k: &Kernel, image: LoadedImage, wanted: impl Fn(bool) -> bool) -> Vec<Va> {
    let code = k.watch().code.borrow();
    let Some(code) = code.based_at(image.base) else {
        return Vec::new();
    };
    code.image
        .sections()
        .iter()
        .filter(|section| wanted(section.discardable))
        .map(|section| code.base + u64::from(section.rva))
        .collect()
}

/// No timer may be set whose DPC would run in the image.
fn check_timers(k: &Kernel, image: LoadedImage) -> Outcome<()> {
    let length = u64::from(image.size);
    match timer::needed_within(k, image.base, length) {
        Some(found) => Err(found.freed(k, image.base, length)),
        None => Ok(()),
    }
}

const LEAKED_POOL: u64 = 0x62;

fn check_leaks(k: &Kernel, image: LoadedImage, name: &str) -> Outcome<()> {
    let mut pool = k.driver_allocations();
    pool.retain(|block| k.is_made_by(block.start, image));
    if let Some(first) = pool.first() {
        k.verify(leaked_pool(&pool, first, name))?;
    }
    let mapped = k.io_space().borrow().mapped();
    if let Some((va, length)) = mapped.iter().find(|(va, _)| k.is_made_by(*va, image)) {
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [VerifierRule::LEAKED_MAPPING.subcode, va.get(), *length, 0],
            "io-space-leak",
            format!("{name} unloads, but {length:#x} bytes of device memory at {va} are still mapped"),
        )));
    }
    super::physical::check_leaks(k, image, name)
}

fn leaked_pool(pool: &[Allocation], first: &Allocation, name: &str) -> BugCheck {
    let bytes: u64 = pool.iter().map(|block| block.size).sum();
    BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [LEAKED_POOL, 0, 0, pool.len() as u64],
        "pool-leak",
        format!(
            "{name} unloads, but has not freed {} pool allocations ({bytes} bytes); the first is the {} bytes at {}, allocated at {}",
            pool.len(),
            first.size,
            first.start,
            first.allocated_at
        ),
    )
}
