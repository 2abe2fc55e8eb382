//! Where in a driver things were made and freed: the call stacks that reports show beside what is wrong with them.

use std::{collections::BTreeMap, rc::Rc};

use super::Kernel;
use crate::{
    io::driver::LoadedImage,
    mm::Va,
    report::{self, StackEntry},
};

/// A call stack of a driver's, innermost first. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site(Rc<[StackEntry]>);

impl Site {
    /// The call stack.
    #[must_use]
    pub fn stack(&self) -> &[StackEntry] {
        &self.0
    }

    /// The driver's innermost instruction: where its call returns to.
    #[must_use]
    pub fn address(&self) -> Option<Va> {
        self.0.iter().find_map(|entry| match entry {
            StackEntry::Guest { address, .. } => Some(*address),
            StackEntry::Kernel(_) => None,
        })
    }
}

/// By the address of what was made or freed. Neither pool nor any other range of addresses is used twice in a run.
#[derive(Debug, Default)]
struct Sites {
    made: BTreeMap<Va, Site>,
    freed: BTreeMap<Va, Site>,
    /// The call alone, since this is for what happens often.
    used: BTreeMap<Va, Va>,
}

/// How deep the call stacks go that are kept.
const DEEPEST: usize = 12;

impl Kernel {
    /// The driver's call stack, when the calling code serves a driver's call.
    #[must_use]
    pub fn site(&self) -> Option<Site> {
        let serves_a_driver = self.with_activity(|activity| activity.guest().is_some())?;
        serves_a_driver.then(|| Site(report::call_stack_of(self, false, DEEPEST).into()))
    }

    /// Notes that the driver's current call makes what lies at `object`, for reports. Pool is noted by itself.
    pub fn note_made(&self, object: Va) {
        if let Some(site) = self.site() {
            self.state::<Sites>().borrow_mut().made.insert(object, site);
        }
    }

    /// Notes that the driver's current call frees what lies at `object`, for reports. Pool is noted by itself.
    pub fn note_freed(&self, object: Va) {
        if let Some(site) = self.site() {
            self.state::<Sites>().borrow_mut().freed.insert(object, site);
        }
    }

    /// Notes that the driver's current call uses what lies at `object` (sets the timer, acquires the lock), for reports.
    pub fn note_used(&self, object: Va) {
        let caller = self.caller();
        if !caller.is_null() {
            self.state::<Sites>().borrow_mut().used.insert(object, caller);
        }
    }

    /// The driver's last call that was noted to use what lies at `object`: where it returns to.
    #[must_use]
    pub fn used_at(&self, object: Va) -> Option<Va> {
        self.state::<Sites>().borrow().used.get(&object).copied()
    }

    /// Where a driver has made what lies at `object`.
    #[must_use]
    pub fn made_at(&self, object: Va) -> Option<Site> {
        self.state::<Sites>().borrow().made.get(&object).cloned()
    }

    /// Where a driver has freed what lay at `object`.
    #[must_use]
    pub fn freed_at(&self, object: Va) -> Option<Site> {
        self.state::<Sites>().borrow().freed.get(&object).cloned()
    }

    /// Whether the driver in `image` has made what lies at `object`. What nobody is known to have made is everybody's.
    #[must_use]
    pub fn is_made_by(&self, object: Va, image: LoadedImage) -> bool {
        let maker = self.made_at(object).and_then(|site| site.address());
        maker.is_none_or(|address| image.contains(address))
    }
}
