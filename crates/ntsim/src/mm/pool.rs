//! Pool: what `ExAllocatePool2` hands out, tracked to the byte.
//!
//! Every allocation has bytes around it that belong to nobody, and freed memory is never handed out again in the same run, so an
//! access is either inside a live allocation or an error with a name.

use std::collections::BTreeMap;

use super::{AddressSpace, PAGE_SIZE, Va};

/// Where pool lies in the guest's address space.
pub const POOL_BASE: Va = Va(0xFFFF_9000_0000_0000);

/// Bytes between allocations that belong to nobody.
const RED_ZONE: u64 = 32;

/// The alignment of an allocation smaller than a page, on x64.
const SMALL_ALIGNMENT: u64 = 16;

/// Which pool an allocation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// `POOL_FLAG_NON_PAGED`: resident, not executable.
    NonPagedNx,
    /// `POOL_FLAG_PAGED`: to be touched below `DISPATCH_LEVEL` only.
    Paged,
}

impl PoolKind {
    /// The `POOL_TYPE` value that bugcheck parameters carry.
    #[must_use]
    pub const fn pool_type(self) -> u64 {
        match self {
            Self::NonPagedNx => 512,
            Self::Paged => 1,
        }
    }
}

/// Who has to free an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolOwner {
    /// The driver: it leaks if the driver unloads first.
    Driver,
    /// The system itself (IRPs, device objects, …).
    System,
}

/// One allocation, live or freed.
#[derive(Clone, Debug)]
pub struct Allocation {
    /// Where it starts.
    pub start: Va,
    /// Its size as asked for, in bytes.
    pub size: u64,
    /// The pool it came from.
    pub kind: PoolKind,
    /// Its tag, as `ExAllocatePool2` was given it.
    pub tag: u32,
    /// Who has to free it.
    pub owner: PoolOwner,
    /// What it is, for system structures.
    pub what: &'static str,
    /// The guest's address of the allocating call, when the driver allocated it.
    pub allocated_at: Va,
    /// The guest's address of the freeing call, once freed.
    pub freed_at: Option<Va>,
}

/// What is wrong with an access to pool.
#[derive(Clone, Debug)]
pub enum PoolFault {
    /// It is inside memory that was freed.
    Freed(Allocation),
    /// It is outside every allocation; the nearest one below, if any.
    Outside(Option<Allocation>),
    /// It is inside paged pool at `DISPATCH_LEVEL` or above.
    Paged(Allocation),
}

/// What the byte-wise shadow says of each pool byte.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Shadow {
    NonPaged = 1,
    Paged = 2,
    Freed = 3,
}

/// The pool's books.
#[derive(Debug, Default)]
pub struct Pool {
    /// One byte per pool byte: 0 = nobody's, else a [`Shadow`].
    shadow: Vec<u8>,
    allocations: BTreeMap<Va, Allocation>,
    next: u64,
    /// How often each page is locked, which so is resident.
    locked: BTreeMap<Va, u32>,
}

/// Why an allocation cannot be freed.
#[derive(Clone, Debug)]
pub enum FreeError {
    /// No allocation starts there.
    NotAllocated,
    /// It was freed before.
    AlreadyFreed(Allocation),
}

impl Pool {
    /// Books `size` bytes and says where they are. The caller maps the memory up to [`Pool::end`].
    ///
    /// # Panics
    /// When pool outgrows the host's address space.
    pub fn allocate(
        &mut self,
        kind: PoolKind,
        size: u64,
        tag: u32,
        owner: PoolOwner,
        what: &'static str,
        allocated_at: Va,
    ) -> Va {
        let alignment = if size >= PAGE_SIZE { PAGE_SIZE } else { SMALL_ALIGNMENT };
        let mut offset = (self.next + RED_ZONE).next_multiple_of(alignment);
        let room_in_page = PAGE_SIZE - offset % PAGE_SIZE;
        if size <= PAGE_SIZE && size > room_in_page {
            offset += room_in_page;
        }
        self.next = offset + size;
        let end = usize::try_from(self.next + RED_ZONE).expect("pool fits the host");
        if self.shadow.len() < end {
            self.shadow.resize(end, 0);
        }
        let shadow = match kind {
            PoolKind::NonPagedNx => Shadow::NonPaged,
            PoolKind::Paged => Shadow::Paged,
        };
        self.mark(offset, size, shadow);
        let start = POOL_BASE + offset;
        self.allocations.insert(
            start,
            Allocation {
                start,
                size,
                kind,
                tag,
                owner,
                what,
                allocated_at,
                freed_at: None,
            },
        );
        start
    }

    /// Has the next allocation start a page.
    pub fn skip_to_page(&mut self) {
        self.next = (self.next + RED_ZONE).next_multiple_of(PAGE_SIZE) - RED_ZONE;
    }

    /// The first address that no allocation has reached yet, rounded up to a page.
    #[must_use]
    pub fn end(&self) -> Va {
        POOL_BASE + AddressSpace::round_up(self.next + RED_ZONE)
    }

    /// Frees the allocation that starts at `start`.
    ///
    /// # Errors
    /// When none does, or it was freed before.
    pub fn free(&mut self, start: Va, freed_at: Va) -> Result<Allocation, FreeError> {
        let allocation = self.allocations.get_mut(&start).ok_or(FreeError::NotAllocated)?;
        if allocation.freed_at.is_some() {
            return Err(FreeError::AlreadyFreed(allocation.clone()));
        }
        allocation.freed_at = Some(freed_at);
        let freed = allocation.clone();
        self.mark(start - POOL_BASE, freed.size, Shadow::Freed);
        Ok(freed)
    }

    fn mark(&mut self, offset: u64, size: u64, shadow: Shadow) {
        let start = usize::try_from(offset).expect("pool fits the host");
        let size = usize::try_from(size).expect("pool fits the host");
        self.shadow[start..start + size].fill(shadow as u8);
    }

    /// Whether `va` is a pool address at all.
    #[must_use]
    pub fn contains(&self, va: Va) -> bool {
        va - POOL_BASE < self.end() - POOL_BASE
    }

    /// Locks the page that `va` lies in: paged pool in it is resident until [`unlock`](Self::unlock).
    pub fn lock(&mut self, va: Va) {
        *self.locked.entry(va.page()).or_default() += 1;
    }

    /// Undoes [`lock`](Self::lock).
    pub fn unlock(&mut self, va: Va) {
        if let Some(count) = self.locked.get_mut(&va.page()) {
            *count -= 1;
            if *count == 0 {
                self.locked.remove(&va.page());
            }
        }
    }

    /// Checks an access to pool.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, va: Va, size: u64, paged_allowed: bool) -> Result<(), PoolFault> {
        let start = usize::try_from(va - POOL_BASE).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        let Some(bytes) = self.shadow.get(start..end) else {
            return Err(PoolFault::Outside(self.below(va).cloned()));
        };
        let resident = paged_allowed || self.locked.contains_key(&va.page());
        let good = |&byte: &u8| byte == Shadow::NonPaged as u8 || (resident && byte == Shadow::Paged as u8);
        match bytes.iter().position(|byte| !good(byte)) {
            None => Ok(()),
            Some(at) => {
                let nearest = self.below(va + at);
                Err(match nearest {
                    Some(hit) if bytes[at] == Shadow::Freed as u8 => PoolFault::Freed(hit.clone()),
                    Some(hit) if bytes[at] == Shadow::Paged as u8 => PoolFault::Paged(hit.clone()),
                    nearest => PoolFault::Outside(nearest.cloned()),
                })
            }
        }
    }

    fn below(&self, va: Va) -> Option<&Allocation> {
        self.allocations.range(..=va).next_back().map(|(_, found)| found)
    }

    /// The allocation, live or freed, that `va` lies in.
    #[must_use]
    pub fn find(&self, va: Va) -> Option<&Allocation> {
        self.below(va).filter(|found| va - found.start < found.size.max(1))
    }

    /// What `owner` has not freed, in the order of addresses.
    pub fn outstanding(&self, owner: PoolOwner) -> impl Iterator<Item = &Allocation> {
        self.allocations
            .values()
            .filter(move |found| found.owner == owner && found.freed_at.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocate(pool: &mut Pool, kind: PoolKind, size: u64) -> Va {
        pool.allocate(kind, size, 1, PoolOwner::Driver, "test", Va::NULL)
    }

    #[test]
    fn the_last_byte_is_in_and_the_next_is_out() {
        let mut pool = Pool::default();
        let block = allocate(&mut pool, PoolKind::NonPagedNx, 13);
        assert!(pool.check(block + 12_u64, 1, true).is_ok());
        assert!(matches!(
            pool.check(block + 12_u64, 2, true),
            Err(PoolFault::Outside(Some(near))) if near.start == block
        ));
        assert!(matches!(
            pool.check(block - 1_u64, 1, true),
            Err(PoolFault::Outside(None))
        ));
    }

    #[test]
    fn freed_memory_stays_freed() {
        let mut pool = Pool::default();
        let block = allocate(&mut pool, PoolKind::NonPagedNx, 64);
        pool.free(block, Va(7)).unwrap();
        assert!(matches!(pool.check(block, 8, true), Err(PoolFault::Freed(_))));
        assert!(matches!(
            pool.free(block, Va(8)),
            Err(FreeError::AlreadyFreed(first)) if first.freed_at == Some(Va(7))
        ));
        assert!(allocate(&mut pool, PoolKind::NonPagedNx, 64) > block);
        assert!(matches!(pool.free(block + 8_u64, Va(9)), Err(FreeError::NotAllocated)));
    }

    #[test]
    fn paged_pool_is_off_limits_at_dispatch() {
        let mut pool = Pool::default();
        let block = allocate(&mut pool, PoolKind::Paged, 16);
        assert!(pool.check(block, 16, true).is_ok());
        assert!(matches!(pool.check(block, 1, false), Err(PoolFault::Paged(_))));
    }

    #[test]
    fn small_blocks_do_not_cross_pages() {
        let mut pool = Pool::default();
        for _ in 0..50 {
            let block = allocate(&mut pool, PoolKind::NonPagedNx, 300);
            assert_eq!(block.page(), (block + 299_u64).page());
        }
    }

    #[test]
    fn page_sized_blocks_are_page_aligned() {
        let mut pool = Pool::default();
        let _ = allocate(&mut pool, PoolKind::NonPagedNx, 5);
        let block = allocate(&mut pool, PoolKind::NonPagedNx, 4096);
        assert_eq!(block.page(), block);
        assert!(pool.end() >= block + 4096_u64);
        assert_eq!(pool.outstanding(PoolOwner::Driver).count(), 2);
    }

    #[test]
    fn a_block_can_be_made_to_start_a_page() {
        let mut pool = Pool::default();
        let _ = allocate(&mut pool, PoolKind::NonPagedNx, 5);
        pool.skip_to_page();
        let block = allocate(&mut pool, PoolKind::NonPagedNx, 7);
        assert_eq!(block.page(), block);
        assert!(pool.check(block + 7_u64, 1, true).is_err());
    }
}
