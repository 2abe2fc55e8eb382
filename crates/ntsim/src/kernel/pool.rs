//! Pool allocations, the driver's and the system's.

use super::Kernel;
use crate::{
    bugcheck::Outcome,
    mm::{
        PoolKind, PoolOwner, Protection, Va, layout,
        pool::{Allocation, FreeError, POOL_BASE},
    },
    trace::Counter,
};

/// Pool's physical memory grows by this much at a time.
const POOL_CHUNK: u64 = 1 << 20;

impl Kernel {
    /// Allocates zeroed pool for the system itself.
    ///
    /// # Errors
    /// When the machine has stopped.
    pub fn allocate_system(&self, size: usize, what: &'static str) -> Outcome<Va> {
        self.running()?;
        Ok(self.allocate_pool(PoolKind::NonPagedNx, size as u64, 0, PoolOwner::System, what))
    }

    /// Allocates zeroed pool for the system itself that starts a page. It ends where it was asked to, not at the page's end.
    #[must_use]
    pub fn allocate_pages(&self, size: u64, what: &'static str) -> Va {
        self.watch().pool.borrow_mut().skip_to_page();
        self.allocate_pool(PoolKind::NonPagedNx, size, 0, PoolOwner::System, what)
    }

    /// Whether there is room for `size` bytes of pool.
    #[must_use]
    pub fn has_pool(&self, size: u64) -> bool {
        /// More would be taken from the host.
        const MOST: u64 = 1 << 28;
        let used = self.watch().pool.borrow().end() - POOL_BASE;
        size < MOST && used + size < MOST
    }

    /// Allocates zeroed pool.
    #[must_use]
    pub fn allocate_pool(&self, kind: PoolKind, size: u64, tag: u32, owner: PoolOwner, what: &'static str) -> Va {
        self.count(Counter::PoolAllocations);
        let caller = self.caller();
        let size = if self.has_pool(size) {
            size
        } else {
            // The machine has stopped: what is given back is not used any more.
            let _ = self.not_modelled(format!(
                "{size} bytes of pool ({what}), which is more than this machine has, are not modelled"
            ));
            1
        };
        let (start, end) = {
            let mut pool = self.watch().pool.borrow_mut();
            let start = pool.allocate(kind, size, tag, owner, what, caller);
            (start, pool.end())
        };
        self.back_pool(end - POOL_BASE);
        self.note_made(start);
        start
    }

    fn back_pool(&self, needed: u64) {
        if self.0.pool_mapped.get() == 0 {
            self.watch().set_pool_window(layout::POOL_PHYSICAL, layout::POOL_LENGTH);
            self.map_physical(
                POOL_BASE,
                layout::POOL_PHYSICAL,
                layout::POOL_LENGTH,
                Protection::READ_WRITE,
                "pool",
            );
        }
        while self.0.pool_mapped.get() < needed {
            let mapped = self.0.pool_mapped.get();
            self.engine()
                .borrow_mut()
                .map_ram(layout::POOL_PHYSICAL + mapped, POOL_CHUNK)
                .expect("fresh RAM can be mapped");
            self.0.pool_mapped.set(mapped + POOL_CHUNK);
        }
    }

    /// Frees the pool allocation that starts at `start`.
    ///
    /// # Errors
    /// Why it cannot be freed; the caller knows which bug check that is.
    pub fn try_free_pool(&self, start: Va) -> Result<Allocation, FreeError> {
        let caller = self.caller();
        let freed = self.watch().pool.borrow_mut().free(start, caller)?;
        if freed.owner == PoolOwner::Driver {
            self.note_freed(start);
        }
        let physical = layout::POOL_PHYSICAL.0 + (start - POOL_BASE);
        self.watch().sharing.borrow_mut().free(physical..physical + freed.size);
        Ok(freed)
    }

    /// Frees a structure of the system's own.
    ///
    /// # Errors
    /// When it is not allocated (a driver freed it): `BAD_POOL_CALLER` has been raised.
    pub fn free_system(&self, start: Va) -> Outcome<()> {
        match self.try_free_pool(start) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.bugcheck(crate::ex::pool::bad_free(self, start, &error))),
        }
    }

    /// What the driver has allocated and not freed.
    #[must_use]
    pub fn driver_allocations(&self) -> Vec<Allocation> {
        self.watch()
            .pool
            .borrow()
            .outstanding(PoolOwner::Driver)
            .cloned()
            .collect()
    }
}
