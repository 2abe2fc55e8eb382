//! What a driver has left behind when it goes.

use std::fmt;

use ntlayout::device_object;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    hal, io,
    io::driver::{self, LoadedImage},
    kernel::Kernel,
    mm::{Va, pageable},
    ob, ps,
};

/// Something that a driver should have given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    object: Va,
    device: Option<Va>,
    maker: Option<Va>,
    what: String,
}

impl Leftover {
    /// What lies at `object`, in words that name it: `the interrupt X is still connected`.
    #[must_use]
    pub fn new(object: Va, what: impl Into<String>) -> Self {
        Self {
            object,
            device: None,
            maker: None,
            what: what.into(),
        }
    }

    /// The driver did not make it, but it is at this device of the driver's.
    #[must_use]
    pub fn at_device(self, device: Va) -> Self {
        Self {
            device: Some(device),
            ..self
        }
    }

    /// The driver's instruction that made it is known: the one after the call.
    #[must_use]
    pub fn made_by(self, caller: Va) -> Self {
        Self {
            maker: Some(caller),
            ..self
        }
    }

    /// Whether it is the driver's, of several that are loaded.
    fn is_of(&self, k: &Kernel, driver: Va, image: LoadedImage) -> bool {
        match (self.device, self.maker) {
            (Some(device), _) => k.peek(device + device_object::DRIVER_OBJECT) == Some(driver.get()),
            (None, Some(caller)) => image.contains(caller),
            (None, None) => k.is_made_by(self.object, image),
        }
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The driver goes: it must have left nothing behind. `when` says on what occasion.
pub(crate) fn check(k: &Kernel, driver: Va, image: LoadedImage, when: &str) -> Outcome<()> {
    let mut found: Vec<Leftover> = driver::devices(k, driver)?
        .into_iter()
        .map(|device| Leftover::new(device, format!("the device object {device} was never deleted")).at_device(device))
        .collect();
    found.extend(io::leftovers(k));
    found.extend(ob::leftovers(k));
    found.extend(ps::notify::leftovers(k));
    found.extend(hal::leftovers(k));
    found.extend(pageable::leftovers(k));
    if k.driver_images().len() > 1 {
        found.retain(|leftover| leftover.is_of(k, driver, image));
    }
    stop_for(k, &found, when)
}

/// The driver stays, but its devices are gone: nobody completes the requests any more that it still has.
pub(crate) fn check_requests(k: &Kernel, driver: Va, when: &str) -> Outcome<()> {
    let mut found = io::unfinished_requests(k);
    if k.driver_images().len() > 1 {
        let image = driver::image(k, driver);
        found.retain(|leftover| image.is_some_and(|image| leftover.is_of(k, driver, image)));
    }
    stop_for(k, &found, when)
}

fn stop_for(k: &Kernel, found: &[Leftover], when: &str) -> Outcome<()> {
    if found.is_empty() {
        return Ok(());
    }
    let found: Vec<String> = found.iter().map(Leftover::to_string).collect();
    Err(k.bugcheck(left_behind(format!("{when}: {}", found.join("; ")))))
}

/// The bug check for what was left behind.
pub(crate) fn left_behind(what: String) -> BugCheck {
    BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::LEFT_BEHIND.subcode, 0, 0, 0],
        "left-behind",
        what,
    )
}
