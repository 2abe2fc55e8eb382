//! Waiting: `KeWaitForSingleObject`, `KeWaitForMultipleObjects`, `KeWaitForMutexObject`, `KeDelayExecutionThread`.
//!
//! A wait is satisfied by whoever signals its object, in the order in which waits began; the thread finds the result when it runs again.

mod irql;
pub mod object;

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use object::ObjectType;

use ntlayout::{dispatcher_header as header, kwait_block};

use super::Irql;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    sched::{ThreadId, VirtualTime},
    status::NtStatus,
    verifier::{SyncObject, lock_order},
};

/// Which waits there are for which object, in the order they began.
#[derive(Debug, Default)]
pub struct Waits {
    waiters: BTreeMap<Va, VecDeque<Rc<Waiting>>>,
}

/// A thread's wait.
#[derive(Debug)]
struct Waiting {
    thread: Option<ThreadId>,
    objects: Vec<Va>,
    kind: WaitType,
    /// How it was satisfied.
    result: Cell<Option<NtStatus>>,
}

/// `WAIT_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitType {
    /// `WaitAll`: until all objects are signalled at once.
    All = 0,
    /// `WaitAny`: until one is.
    Any = 1,
}

/// How long a wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Until the object is signalled.
    Never,
    /// Not at all: looks at the object only.
    Poll,
    /// Until a point of virtual time.
    Until(VirtualTime),
}

impl Timeout {
    /// From the `PLARGE_INTEGER` that wait routines take: none, relative when negative, absolute otherwise.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(k: &Kernel, pointer: Va) -> Outcome<Self> {
        if pointer.is_null() {
            return Ok(Self::Never);
        }
        let value: i64 = k.read(pointer)?;
        Ok(match value {
            0 => Self::Poll,
            _ => Self::Until(super::time::due(k, value)),
        })
    }
}

impl Waiting {
    /// Satisfies the wait if its objects allow it: its status then.
    fn try_satisfy(&self, k: &Kernel) -> Outcome<Option<NtStatus>> {
        match self.kind {
            WaitType::Any => {
                for (index, &object) in self.objects.iter().enumerate() {
                    if object::is_signalled(k, object, self.thread)? {
                        let abandoned = object::satisfy(k, object, self.thread)?;
                        return Ok(Some(wait_status(index, abandoned)));
                    }
                }
                Ok(None)
            }
            WaitType::All => {
                for &object in &self.objects {
                    if !object::is_signalled(k, object, self.thread)? {
                        return Ok(None);
                    }
                }
                let mut abandoned = None;
                for (index, &object) in self.objects.iter().enumerate() {
                    if object::satisfy(k, object, self.thread)? {
                        abandoned.get_or_insert(index);
                    }
                }
                Ok(Some(wait_status(abandoned.unwrap_or(0), abandoned.is_some())))
            }
        }
    }

    /// Tells the order of locks about the mutexes that the wait has acquired. Who waits with a timeout does so in no deadlock.
    fn note_order(&self, k: &Kernel, status: NtStatus, timeout: Timeout) -> Outcome<()> {
        let index = (status.0 & 0x3F) as usize;
        for (at, &object) in self.objects.iter().enumerate() {
            let taken = self.kind == WaitType::All || at == index;
            if !taken || ObjectType::of(k, object)? != ObjectType::Mutant {
                continue;
            }
            let state: i32 = k.read(object + header::SIGNAL_STATE)?;
            // Further acquisitions by the owner are no acquisitions of the lock.
            match (state, timeout) {
                (0, Timeout::Never) => lock_order::acquires(k, object)?,
                (0, _) => lock_order::tried(k, object),
                _ => {}
            }
        }
        Ok(())
    }

    /// What was done before the objects were signalled is visible to the waiter.
    fn acquire(&self, k: &Kernel, status: NtStatus) {
        let index = (status.0 & 0x3F) as usize;
        for (at, object) in self.objects.iter().enumerate() {
            if self.kind == WaitType::All || at == index {
                k.sync_acquire(SyncObject::Dispatcher(object.get()));
            }
        }
    }
}

/// `STATUS_WAIT_0` or `STATUS_ABANDONED_WAIT_0`, plus the index of the object.
fn wait_status(index: usize, abandoned: bool) -> NtStatus {
    const ABANDONED_WAIT_0: u32 = 0x80;
    let index = u32::try_from(index).unwrap_or(0);
    NtStatus(if abandoned { ABANDONED_WAIT_0 + index } else { index })
}

/// An object has become signalled: lets those proceed whom its type lets proceed.
///
/// # Errors
/// When an object's memory cannot be accessed.
pub(crate) fn signalled(k: &Kernel, object: Va) -> Outcome<()> {
    k.sync_release(SyncObject::Dispatcher(object.get()));
    let waiters: Vec<Rc<Waiting>> = {
        let ke = k.ke().borrow();
        let all = ke.waits.waiters.get(&object);
        all.into_iter().flatten().cloned().collect()
    };
    for waiting in waiters {
        if waiting.result.get().is_some() {
            continue;
        }
        if let Some(status) = waiting.try_satisfy(k)? {
            waiting.result.set(Some(status));
            forget(k, &waiting);
            if let Some(thread) = waiting.thread {
                k.wake(thread);
            }
        }
    }
    Ok(())
}

/// The wait has ended: it is nobody's waiter any more.
fn forget(k: &Kernel, waiting: &Rc<Waiting>) {
    let mut ke = k.ke().borrow_mut();
    for object in &waiting.objects {
        if let Some(waiters) = ke.waits.waiters.get_mut(object) {
            waiters.retain(|other| !Rc::ptr_eq(other, waiting));
            if waiters.is_empty() {
                ke.waits.waiters.remove(object);
            }
        }
    }
}

/// `KeWaitForSingleObject`.
///
/// # Errors
/// When the current activity may not wait, or the object's memory cannot be accessed.
pub async fn for_single_object(k: &Kernel, object: Va, timeout: Timeout) -> Outcome<NtStatus> {
    for_objects(k, vec![object], WaitType::Any, timeout).await
}

/// `KeWaitForMultipleObjects`: the status says which object has ended a wait for any.
///
/// # Errors
/// When the current activity may not wait, or an object's memory cannot be accessed.
pub async fn for_objects(k: &Kernel, objects: Vec<Va>, kind: WaitType, timeout: Timeout) -> Outcome<NtStatus> {
    let waiting = Rc::new(Waiting {
        thread: k.current_thread(),
        objects,
        kind,
        result: Cell::new(None),
    });
    if let Some(status) = waiting.try_satisfy(k)? {
        waiting.acquire(k, status);
        waiting.note_order(k, status, timeout)?;
        return Ok(status);
    }
    let deadline = match timeout {
        Timeout::Poll => return Ok(NtStatus::TIMEOUT),
        Timeout::Never => None,
        Timeout::Until(deadline) => Some(deadline),
    };
    {
        let mut ke = k.ke().borrow_mut();
        for &object in &waiting.objects {
            let waiters = ke.waits.waiters.entry(object).or_default();
            if !waiters.iter().any(|other| Rc::ptr_eq(other, &waiting)) {
                waiters.push_back(waiting.clone());
            }
        }
    }
    let between = if kind == WaitType::Any { " or " } else { " and " };
    let why: Vec<String> = waiting
        .objects
        .iter()
        .map(|&object| object::describe(k, object))
        .collect();
    k.block(why.join(between), deadline).await?;
    if let Some(status) = waiting.result.get() {
        waiting.acquire(k, status);
        waiting.note_order(k, status, timeout)?;
        return Ok(status);
    }
    forget(k, &waiting);
    Ok(NtStatus::TIMEOUT)
}

/// How many threads wait for an object.
#[must_use]
pub fn waiters(k: &Kernel, object: Va) -> usize {
    let ke = k.ke().borrow();
    ke.waits.waiters.get(&object).map_or(0, VecDeque::len)
}

/// Whether a thread waits for an object in a memory range, for the check of memory that is being freed.
#[must_use]
pub fn waited_within(k: &Kernel, start: Va, length: u64) -> Option<Va> {
    let ke = k.ke().borrow();
    let mut waited = ke
        .waits
        .waiters
        .iter()
        .filter(|(_, waiters)| !waiters.is_empty())
        .map(|(&object, _)| object);
    waited.find(|&object| object - start < length)
}

/// `THREAD_WAIT_OBJECTS`: how many objects a thread has wait blocks of its own for.
const THREAD_WAIT_OBJECTS: u32 = 3;
/// `MAXIMUM_WAIT_OBJECTS`.
const MAXIMUM_WAIT_OBJECTS: u32 = 64;

/// The arguments of `KeWaitForMultipleObjects` that say what is waited for.
#[derive(Clone, Copy, Debug)]
struct Multiple {
    count: u32,
    objects: Va,
    blocks: Va,
}

impl Multiple {
    /// The objects, after the wait blocks were filled in.
    fn read(self, k: &Kernel) -> Outcome<Vec<Va>> {
        let limit = if self.blocks.is_null() {
            THREAD_WAIT_OBJECTS
        } else {
            MAXIMUM_WAIT_OBJECTS
        };
        if self.count > limit {
            return Err(k.bugcheck(BugCheck::new(
                Code::MAXIMUM_WAIT_OBJECTS_EXCEEDED,
                [u64::from(self.count), u64::from(limit), self.objects.get(), 0],
                "too-many-wait-objects",
                format!(
                    "KeWaitForMultipleObjects was given {} objects, but takes {THREAD_WAIT_OBJECTS} without a WaitBlockArray and \
                     {MAXIMUM_WAIT_OBJECTS} with one",
                    self.count
                ),
            )));
        }
        let thread = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
        let mut objects = Vec::new();
        for index in 0..u64::from(self.count) {
            let object: Va = k.read(self.objects + index * 8)?;
            if !self.blocks.is_null() {
                let block = self.blocks + index * kwait_block::SIZE as u64;
                k.write(block + kwait_block::THREAD, thread)?;
                k.write(block + kwait_block::OBJECT, object)?;
            }
            objects.push(object);
        }
        Ok(objects)
    }
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    // KeWaitForMutexObject is another name of the first in the headers, and an export of its own.
    for name in ["KeWaitForSingleObject", "KeWaitForMutexObject"] {
        ddi.flow(name, 5, Contract::ANY, move |k, args| async move {
            let (object, pointer) = (args.va(0), args.va(4));
            let timeout = Timeout::read(&k, pointer)?;
            irql::check(&k, name, object, timeout, pointer)?;
            for_single_object(&k, object, timeout).await
        });
    }
    ddi.flow("KeWaitForMultipleObjects", 8, Contract::ANY, |k, args| async move {
        let multiple = Multiple {
            count: args.u32(0),
            objects: args.va(1),
            blocks: args.va(7),
        };
        let kind = match args.u32(2) {
            0 => WaitType::All,
            _ => WaitType::Any,
        };
        let pointer = args.va(6);
        let timeout = Timeout::read(&k, pointer)?;
        irql::check(&k, "KeWaitForMultipleObjects", multiple.objects, timeout, pointer)?;
        let objects = multiple.read(&k)?;
        for_objects(&k, objects, kind, timeout).await
    });
    ddi.flow(
        "KeDelayExecutionThread",
        3,
        Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_KE_APC_LTE_1),
        |k, args| async move {
            let timeout = Timeout::read(&k, args.va(2))?;
            let deadline = match timeout {
                Timeout::Until(deadline) => deadline,
                Timeout::Poll | Timeout::Never => k.now(),
            };
            k.block("a delay to pass", Some(deadline)).await?;
            Ok(NtStatus::SUCCESS)
        },
    );
}

#[cfg(test)]
mod tests;
