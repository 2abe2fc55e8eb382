//! The rule of unlocked sharing: a read-modify-write that is atomic on its own processor only must be ordered, by a lock or
//! otherwise, with every write of the same bytes by another processor.
//!
//! An emulated instruction is never torn, so a lost update never shows in the emulated values; this rule finds the bug from
//! the order of accesses instead. Order is "happens before" over the processors, kept in vector clocks as FastTrack does:
//!
//! - What a processor does is ordered as it does it.
//! - [`release`](SharingRule::release) then [`acquire`](SharingRule::acquire) of the same [`SyncObject`] order what came before
//!   the one with what comes after the other.
//! - An atomic instruction does both on its operand.
//! - A load that reads what another processor stored comes after that store and all before it: x86 keeps stores in order
//!   and loads in order, which is what a release store and an acquire load compile to. The store of an unlocked
//!   read-modify-write orders what came before it, but not itself: reading a counter does not license updating it.
//!
//! - A device knows what a processor did before it wrote one of the device's registers, and what it reads from memory. What it
//!   writes to memory is nobody's earlier data any more; a processor that loads it comes after all that the device knew. A read
//!   of a register orders nothing: that would order every interrupt with all that went before, and hide what is unlocked.
//!
//! Not a violation: a plain load, or plain stores alone, of bytes that another processor writes. Those have no lost update,
//! and on x86 they are how relaxed atomics look.

use std::collections::BTreeMap;
use std::ops::Range;

pub use super::clock::MAX_PROCESSORS;
use super::{
    clock::VectorClock,
    shadow::{Shadow, Write},
};
use crate::image::AccessKind;

/// What processors synchronise by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncObject {
    /// A spin lock, the cancel spin lock and queued spin locks included, by its address.
    SpinLock(u64),
    /// An interrupt's lock: held around its service routine and around `KeSynchronizeExecution`.
    Interrupt(u64),
    /// A DPC object: its insertion comes before its run.
    Dpc(u64),
    /// A dispatcher object (event, semaphore, mutex, timer, thread): its signal comes before the wait it satisfies.
    Dispatcher(u64),
    /// A thread, by its number: what it did on the processor it leaves comes before what it does on the next.
    Thread(u64),
    /// A work item or other routine that the system queues: its insertion comes before its run.
    WorkItem(u64),
    /// An IRP: passing it to a driver or completing it comes before what the receiver does.
    Irp(u64),
    /// A remove lock: what was done under it comes before the wait for it ends.
    RemoveLock(u64),
    /// A device, by its slot: a write of its registers comes before what it then does to memory.
    Device(u64),
}

/// One of the two accesses of a [`Violation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessSite {
    /// The processor that made it.
    pub processor: usize,
    /// The instruction that made it.
    pub pc: u64,
    /// What kind of access it was.
    pub kind: AccessKind,
}

/// Two accesses that nothing orders, the later one as just reported. At least one is an unlocked read-modify-write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The first byte that both touched.
    pub address: u64,
    /// The earlier access.
    pub first: AccessSite,
    /// The later access.
    pub second: AccessSite,
}

/// The rule's state: who knows what, and who last wrote what.
#[derive(Debug)]
pub struct SharingRule {
    processors: Vec<Processor>,
    objects: BTreeMap<SyncObject, VectorClock>,
    memory: Shadow,
    /// Where updates may get lost: the start and end of each range.
    excepted: BTreeMap<u64, u64>,
}

#[derive(Debug, Default)]
struct Processor {
    clock: VectorClock,
    /// Read-modify-writes of several instructions whose load has been seen, the latest last.
    open: Vec<OpenUpdate>,
}

/// The begun half of a read-modify-write of several instructions.
#[derive(Debug)]
struct OpenUpdate {
    load: u64,
    address: u64,
    /// The processor's clock when it loaded, without what the loaded value itself told it.
    clock: VectorClock,
}

/// How many begun read-modify-writes a processor remembers. Code between a load and its store that begins more of them than
/// this hides that one from the rule.
const OPEN_UPDATES: usize = 16;

impl SharingRule {
    /// The rule for a machine of `processors` processors.
    ///
    /// # Panics
    /// When there are none, or more than [`MAX_PROCESSORS`].
    #[must_use]
    pub fn new(processors: usize) -> Self {
        assert!((1..=MAX_PROCESSORS).contains(&processors), "{processors} processors");
        let processors = (0..processors)
            .map(|number| {
                let mut processor = Processor::default();
                // A step that was never taken must not look like one that everybody knows.
                processor.clock.advance(number);
                processor
            })
            .collect();
        Self {
            processors,
            objects: BTreeMap::new(),
            memory: Shadow::default(),
            excepted: BTreeMap::new(),
        }
    }

    /// What `processor` did so far is visible to whoever acquires `object` from now on.
    pub fn release(&mut self, processor: usize, object: SyncObject) {
        let clock = &mut self.processors[processor].clock;
        self.objects.entry(object).or_default().join(clock);
        clock.advance(processor);
    }

    /// `processor` sees what everybody did before they released `object`.
    pub fn acquire(&mut self, processor: usize, object: SyncObject) {
        let processor = &mut self.processors[processor];
        if matches!(object, SyncObject::Thread(_)) {
            // Another thread runs here now: what the one before it began is no concern of this one's.
            processor.open.clear();
        }
        if let Some(known) = self.objects.get(&object) {
            processor.clock.join(known);
        }
    }

    /// Forgets `object`: its memory will be something else.
    pub fn forget(&mut self, object: SyncObject) {
        self.objects.remove(&object);
    }

    /// Forgets who touched `range`: the memory was freed, or is given out anew.
    pub fn free(&mut self, range: Range<u64>) {
        self.excepted
            .retain(|&start, end| *end <= range.start || start >= range.end);
        self.memory.clear(range);
    }

    /// Updates of `range` may get lost without harm.
    pub fn except(&mut self, range: Range<u64>) {
        self.excepted.insert(range.start, range.end);
    }

    fn is_excepted(&self, address: u64) -> bool {
        let below = self.excepted.range(..=address).next_back();
        below.is_some_and(|(_, &end)| address < end)
    }

    /// The processor's latest store to any of `bytes` since they were allocated; none when no processor has stored there, or a device has
    /// since.
    #[must_use]
    pub fn last_store(&mut self, bytes: &Range<u64>) -> Option<AccessSite> {
        let mut last = None;
        self.memory.for_each_cell(bytes, |_, cell, mask| {
            last = cell.last_write(mask).or(last);
        });
        last
    }

    /// The instruction of `site` loads from `bytes` (`write` = false) or stores to them. A read-modify-write in one
    /// instruction is reported twice: its load, then its store. Accesses to device memory are not to be reported.
    ///
    /// Addresses may be virtual or physical, as long as one location always has the same.
    pub fn access(&mut self, site: AccessSite, bytes: Range<u64>, write: bool) -> Option<Violation> {
        if write {
            self.store(site, &bytes)
                .filter(|violation| !self.is_excepted(violation.address))
        } else {
            self.load(site, &bytes);
            None
        }
    }

    /// The device `slot` reads `bytes`.
    pub fn device_read(&mut self, slot: u64, bytes: &Range<u64>) {
        let clock = self.objects.entry(SyncObject::Device(slot)).or_default();
        self.memory
            .for_each_cell(bytes, |_, cell, mask| cell.learn(None, mask, clock));
    }

    /// The device `slot` writes `bytes`.
    pub fn device_write(&mut self, slot: u64, bytes: &Range<u64>) {
        let clock = *self.objects.entry(SyncObject::Device(slot)).or_default();
        self.memory
            .for_each_cell(bytes, |_, cell, mask| cell.overwrite(mask, clock));
    }

    fn load(&mut self, site: AccessSite, bytes: &Range<u64>) {
        let processor = &mut self.processors[site.processor];
        match site.kind {
            // Judged when it stores, by what its processor knew before it loaded.
            AccessKind::Rmw => return,
            AccessKind::RmwLoad => {
                if processor.open.len() == OPEN_UPDATES {
                    processor.open.remove(0);
                }
                processor.open.push(OpenUpdate {
                    load: site.pc,
                    address: bytes.start,
                    clock: processor.clock,
                });
            }
            _ => {}
        }
        let clock = &mut processor.clock;
        self.memory.for_each_cell(bytes, |_, cell, mask| {
            cell.learn(Some(site.processor), mask, clock);
        });
    }

    fn store(&mut self, site: AccessSite, bytes: &Range<u64>) -> Option<Violation> {
        let processor = &mut self.processors[site.processor];
        let update = match site.kind {
            AccessKind::Rmw => Some(processor.clock),
            AccessKind::RmwStore { back } => processor.begun(site.pc - u64::from(back), bytes.start),
            _ => None,
        };
        let known = update.unwrap_or(processor.clock);
        let write = Write {
            mask: 0,
            site,
            step: processor.clock.of(site.processor),
            update: update.is_some(),
        };
        let clock = &mut processor.clock;
        let mut violation = None;
        self.memory.for_each_cell(bytes, |base, cell, mask| {
            let write = Write { mask, ..write };
            if violation.is_none() {
                violation = cell.conflict(&write, &known).map(|first| Violation {
                    address: base + u64::from((first.mask & mask).trailing_zeros()),
                    first: first.site,
                    second: site,
                });
            }
            if site.kind == AccessKind::Rmw {
                cell.learn(Some(site.processor), mask, clock);
            }
            cell.record(write, clock);
        });
        clock.advance(site.processor);
        violation
    }
}

impl Processor {
    /// Takes the begun read-modify-write that loaded at `load` from `address`; gives what the processor knew then.
    fn begun(&mut self, load: u64, address: u64) -> Option<VectorClock> {
        let index = self
            .open
            .iter()
            .rposition(|open| open.load == load && open.address == address)?;
        Some(self.open.remove(index).clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Range<u64> = 0x1000..0x1004;
    const FLAG: Range<u64> = 0x1010..0x1014;
    const LOCK: SyncObject = SyncObject::SpinLock(0x2000);
    const LOAD: u64 = 0x100;
    const STORE: AccessKind = AccessKind::RmwStore { back: 0x10 };

    /// The rule for two processors, with one-line accesses.
    struct Machine(SharingRule);

    impl Machine {
        fn new() -> Self {
            Self(SharingRule::new(2))
        }

        fn load(&mut self, processor: usize, bytes: Range<u64>) {
            let site = AccessSite {
                processor,
                pc: 1,
                kind: AccessKind::Plain,
            };
            assert_eq!(self.0.access(site, bytes, false), None);
        }

        fn store(&mut self, processor: usize, bytes: Range<u64>) -> Option<Violation> {
            let site = AccessSite {
                processor,
                pc: 2,
                kind: AccessKind::Plain,
            };
            self.0.access(site, bytes, true)
        }

        fn update(&mut self, processor: usize, kind: AccessKind, bytes: Range<u64>) -> Option<Violation> {
            let site = AccessSite { processor, pc: 3, kind };
            self.0.access(site, bytes.clone(), false);
            self.0.access(site, bytes, true)
        }

        /// The load of an update of several instructions.
        fn begin(&mut self, processor: usize) {
            let site = AccessSite {
                processor,
                pc: LOAD,
                kind: AccessKind::RmwLoad,
            };
            assert_eq!(self.0.access(site, COUNTER, false), None);
        }

        /// Its store.
        fn end(&mut self, processor: usize) -> Option<Violation> {
            let site = AccessSite {
                processor,
                pc: LOAD + 0x10,
                kind: STORE,
            };
            self.0.access(site, COUNTER, true)
        }

        fn locked<T>(&mut self, processor: usize, body: impl FnOnce(&mut Self) -> T) -> T {
            self.0.acquire(processor, LOCK);
            let value = body(self);
            self.0.release(processor, LOCK);
            value
        }
    }

    use AccessKind::{Atomic, Rmw};

    #[test]
    fn two_unlocked_updates_are_found_in_whatever_order() {
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        let violation = m.update(1, Rmw, COUNTER).expect("unordered");
        assert_eq!(violation.address, COUNTER.start);
        assert_eq!((violation.first.processor, violation.second.processor), (0, 1));
    }

    #[test]
    fn one_processor_alone_may_update_as_it_likes() {
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        m.begin(0);
        assert_eq!(m.end(0), None);
    }

    #[test]
    fn a_common_lock_orders_updates_and_another_lock_does_not() {
        let mut m = Machine::new();
        assert_eq!(m.locked(0, |m| m.update(0, Rmw, COUNTER)), None);
        assert_eq!(m.locked(1, |m| m.update(1, Rmw, COUNTER)), None);
        m.0.acquire(0, SyncObject::SpinLock(0x3000));
        assert!(m.update(0, Rmw, COUNTER).is_some());
    }

    #[test]
    fn an_update_after_the_release_is_not_covered_by_it() {
        let mut m = Machine::new();
        m.locked(0, |_| ());
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        m.0.acquire(1, LOCK);
        assert!(m.update(1, Rmw, COUNTER).is_some());
    }

    #[test]
    fn atomic_updates_agree_with_each_other_but_not_with_an_unlocked_one() {
        let mut m = Machine::new();
        assert_eq!(m.update(0, Atomic, COUNTER), None);
        assert_eq!(m.update(1, Atomic, COUNTER), None);
        assert!(m.update(0, Rmw, COUNTER).is_some());
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        assert!(m.update(1, Atomic, COUNTER).is_some());
    }

    #[test]
    fn an_unlocked_update_and_a_plain_store_conflict_both_ways() {
        let mut m = Machine::new();
        assert_eq!(m.store(0, COUNTER), None);
        assert!(m.update(1, Rmw, COUNTER).is_some());
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        assert!(m.store(1, COUNTER).is_some());
    }

    #[test]
    fn plain_loads_and_stores_alone_are_no_violation() {
        let mut m = Machine::new();
        assert_eq!(m.store(0, COUNTER), None);
        assert_eq!(m.store(1, COUNTER), None);
        assert_eq!(m.update(0, Rmw, FLAG), None);
        m.load(1, FLAG);
    }

    #[test]
    fn neighbouring_bytes_are_no_conflict() {
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, 0x1000..0x1001), None);
        assert_eq!(m.update(1, Rmw, 0x1001..0x1004), None);
        let violation = m.update(1, Rmw, 0x0FFE..0x1001).expect("one byte in common");
        assert_eq!(violation.address, 0x1000);
    }

    #[test]
    fn a_flag_that_is_read_orders_what_was_written_before_it() {
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        assert_eq!(m.store(0, FLAG), None);
        m.load(1, FLAG);
        assert_eq!(m.update(1, Rmw, COUNTER), None);
    }

    #[test]
    fn reading_a_counter_does_not_license_updating_it() {
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        m.load(1, COUNTER);
        assert!(m.update(1, Rmw, COUNTER).is_some());
    }

    #[test]
    fn an_update_of_several_instructions_is_one_update() {
        let mut m = Machine::new();
        m.begin(0);
        assert_eq!(m.end(0), None);
        m.begin(1);
        assert!(m.end(1).is_some());
    }

    #[test]
    fn a_store_that_slips_between_load_and_store_is_found() {
        let mut m = Machine::new();
        m.begin(0);
        assert_eq!(m.store(1, COUNTER), None);
        m.load(0, COUNTER);
        assert!(m.end(0).is_some());
    }

    #[test]
    fn a_lock_taken_after_the_load_does_not_help() {
        let mut m = Machine::new();
        assert_eq!(m.locked(0, |m| m.update(0, Rmw, COUNTER)), None);
        m.begin(1);
        assert!(m.locked(1, |m| m.end(1)).is_some());
    }

    #[test]
    fn a_switched_thread_takes_its_order_along_and_leaves_no_half_update_behind() {
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        m.0.release(0, SyncObject::Thread(7));
        m.0.acquire(1, SyncObject::Thread(7));
        assert_eq!(m.update(1, Rmw, COUNTER), None);
        m.begin(0);
        m.0.acquire(0, SyncObject::Thread(8));
        assert!(m.0.processors[0].open.is_empty());
    }

    #[test]
    fn freed_memory_starts_anew() {
        let mut m = Machine::new();
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        m.0.free(0x0FF0..0x1010);
        assert_eq!(m.update(1, Rmw, COUNTER), None);
    }

    #[test]
    fn what_dpc_insertion_orders_is_ordered_only_once() {
        // A service routine counts, queues the DPC; the DPC counts; the next interrupt comes on the other processor.
        let (dpc, interrupt) = (SyncObject::Dpc(1), SyncObject::Interrupt(2));
        let mut m = Machine::new();
        m.0.acquire(0, interrupt);
        assert_eq!(m.update(0, Rmw, COUNTER), None);
        m.0.release(0, dpc);
        m.0.release(0, interrupt);
        m.0.acquire(1, dpc);
        assert_eq!(m.update(1, Rmw, COUNTER), None);
        m.0.acquire(0, interrupt);
        assert!(m.update(0, Rmw, COUNTER).is_some());
    }

    const DEVICE: SyncObject = SyncObject::Device(3);

    #[test]
    fn what_a_device_writes_is_nobodys_earlier_data() {
        let mut machine = Machine::new();
        machine.store(0, COUNTER);
        machine.0.device_write(3, &COUNTER);
        assert_eq!(machine.update(1, AccessKind::Rmw, COUNTER), None);
    }

    #[test]
    fn data_through_a_device_orders_what_led_to_it() {
        let race = |written: bool, loaded: bool| {
            let mut machine = Machine::new();
            machine.update(0, AccessKind::Rmw, COUNTER);
            if written {
                machine.0.release(0, DEVICE);
            }
            machine.0.device_write(3, &FLAG);
            if loaded {
                machine.load(1, FLAG);
            }
            machine.update(1, AccessKind::Rmw, COUNTER)
        };
        assert_eq!(race(true, true), None);
        assert!(race(true, false).is_some(), "nobody looked at what the device wrote");
        assert!(race(false, true).is_some(), "the device did not know of the update");
    }

    #[test]
    fn a_device_knows_what_it_reads() {
        let mut machine = Machine::new();
        machine.update(0, AccessKind::Rmw, COUNTER);
        machine.store(0, FLAG);
        machine.0.device_read(3, &FLAG);
        machine.0.device_write(3, &(0x3000..0x3004));
        machine.load(1, 0x3000..0x3004);
        assert_eq!(machine.update(1, AccessKind::Rmw, COUNTER), None);
    }
}
