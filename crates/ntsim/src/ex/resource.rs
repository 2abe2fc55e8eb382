//! Executive resources (`ERESOURCE`): many readers or one writer, each of whom may acquire again what it holds.
//!
//! A reader that comes later waits behind a writer that waits, unless it holds the resource already or the routine says otherwise.

mod ddi;
mod misuse;

use std::collections::BTreeMap;

use ntlayout::eresource as layout;

pub(super) use ddi::register;

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::Va,
    sched::{ThreadId, WaitQueue},
    verifier::SyncObject,
};

/// All resources that are initialized.
#[derive(Debug, Default)]
struct Resources(BTreeMap<Va, Resource>);

/// An `ERESOURCE_THREAD`: a thread object's address, or what `ExSetResourceOwnerPointer` was given.
type Owner = u64;

#[derive(Debug, Default)]
struct Resource {
    /// The writer, and how often it has acquired the resource.
    exclusive: Option<(Owner, u32)>,
    /// The readers, and how often each has acquired it.
    shared: BTreeMap<Owner, u32>,
    shared_waiters: u32,
    exclusive_waiters: u32,
    contention: u32,
    waiters: WaitQueue,
    /// The instruction after the latest acquisition.
    acquired_at: Va,
}

/// How a resource is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ExAcquireResourceExclusiveLite`.
    Exclusive,
    /// `ExAcquireResourceSharedLite`: behind writers that wait, but for who holds it already.
    Shared,
    /// `ExAcquireSharedStarveExclusive`: before writers that wait.
    StarveExclusive,
    /// `ExAcquireSharedWaitForExclusive`: behind writers that wait, even for who holds it already.
    WaitForExclusive,
}

impl Resource {
    /// Whether `owner` can have it now.
    fn grants(&self, owner: Owner, mode: Mode) -> bool {
        if let Some((holder, _)) = self.exclusive {
            return holder == owner;
        }
        let holds = self.shared.contains_key(&owner);
        match mode {
            Mode::Exclusive => self.shared.is_empty(),
            Mode::StarveExclusive => true,
            Mode::Shared => holds || self.exclusive_waiters == 0,
            Mode::WaitForExclusive => self.exclusive_waiters == 0,
        }
    }

    fn grant(&mut self, owner: Owner, mode: Mode) {
        match &mut self.exclusive {
            Some((_, count)) => *count += 1,
            None if mode == Mode::Exclusive => self.exclusive = Some((owner, 1)),
            None => *self.shared.entry(owner).or_default() += 1,
        }
    }

    /// Gives one acquisition back; says whether there was one.
    fn give_back(&mut self, owner: Owner) -> bool {
        if let Some((holder, count)) = &mut self.exclusive
            && *holder == owner
        {
            *count -= 1;
            if *count == 0 {
                self.exclusive = None;
            }
            return true;
        }
        let Some(count) = self.shared.get_mut(&owner) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.shared.remove(&owner);
        }
        true
    }

    /// How often `owner` holds it.
    fn held_by(&self, owner: Owner) -> u32 {
        match self.exclusive {
            Some((holder, count)) if holder == owner => count,
            _ => self.shared.get(&owner).copied().unwrap_or(0),
        }
    }

    fn holders(&self) -> Vec<Owner> {
        let exclusive = self.exclusive.map(|(owner, _)| owner);
        exclusive.into_iter().chain(self.shared.keys().copied()).collect()
    }
}

/// Who the current thread is to resources.
fn current(k: &Kernel) -> Owner {
    k.current_thread().map_or(0, |thread| k.thread_object(thread).get())
}

/// Works on the resource at `resource`, whose memory is brought up to date afterwards.
///
/// # Errors
/// When none is initialized there, or its memory cannot be accessed.
fn with<T>(k: &Kernel, resource: Va, work: impl FnOnce(&mut Resource) -> T) -> Outcome<T> {
    // Touches the resource: memory that was freed is found as such.
    k.read::<u16>(resource + layout::FLAG)?;
    let resources = k.state::<Resources>();
    let mut resources = resources.borrow_mut();
    let Some(known) = resources.0.get_mut(&resource) else {
        drop(resources);
        return Err(misuse::not_initialized(k, resource));
    };
    let result = work(known);
    write_back(k, resource, known)?;
    Ok(result)
}

fn write_back(k: &Kernel, resource: Va, known: &Resource) -> Outcome<()> {
    const OWNED_EXCLUSIVE: u16 = 0x80;
    let holders = known.holders();
    let count = u32::try_from(holders.len()).unwrap_or(u32::MAX);
    let flag = if known.exclusive.is_some() { OWNED_EXCLUSIVE } else { 0 };
    k.write(
        resource + layout::ACTIVE_COUNT,
        u16::try_from(count).unwrap_or(u16::MAX),
    )?;
    k.write(resource + layout::FLAG, flag)?;
    k.write(resource + layout::OWNER_THREAD, holders.first().copied().unwrap_or(0))?;
    k.write(resource + layout::ACTIVE_ENTRIES, count)?;
    k.write(resource + layout::CONTENTION_COUNT, known.contention)?;
    k.write(resource + layout::NUMBER_OF_SHARED_WAITERS, known.shared_waiters)?;
    k.write(resource + layout::NUMBER_OF_EXCLUSIVE_WAITERS, known.exclusive_waiters)
}

/// `ExInitializeResourceLite`.
///
/// # Errors
/// When it is initialized already, or its memory cannot be written.
pub fn initialize(k: &Kernel, resource: Va) -> Outcome<()> {
    if k.state::<Resources>().borrow().0.contains_key(&resource) {
        return Err(misuse::initialized_again(k, resource));
    }
    k.fill(resource, 0, layout::SIZE)?;
    let list = resource + layout::SYSTEM_RESOURCES_LIST;
    k.write(list, list)?;
    k.write(list + 8_u64, list)?;
    k.state::<Resources>()
        .borrow_mut()
        .0
        .insert(resource, Resource::default());
    Ok(())
}

/// `ExDeleteResourceLite`.
///
/// # Errors
/// When none is initialized there, or somebody holds it.
pub fn delete(k: &Kernel, resource: Va) -> Outcome<()> {
    k.read::<u16>(resource + layout::FLAG)?;
    let known = k.state::<Resources>().borrow_mut().0.remove(&resource);
    let Some(known) = known else {
        return Err(misuse::deleted_uninitialized(k, resource));
    };
    match known.holders().first() {
        Some(&owner) => Err(misuse::deleted_held(k, resource, owner)),
        None => Ok(()),
    }
}

/// Acquires the resource, and waits for it if the caller allows that: says whether it was acquired.
///
/// # Errors
/// When none is initialized there, when the thread waits for itself, or when the current activity may not wait.
pub async fn acquire(k: &Kernel, resource: Va, mode: Mode, wait: bool) -> Outcome<bool> {
    let owner = current(k);
    let caller = k.caller();
    let take = |known: &mut Resource| {
        let granted = known.grants(owner, mode);
        if granted {
            known.grant(owner, mode);
            known.acquired_at = caller;
        }
        granted
    };
    let mut granted = with(k, resource, take)?;
    if !granted && wait {
        let (alone, waiters) = with(k, resource, |known| {
            known.contention = known.contention.wrapping_add(1);
            (known.shared.contains_key(&owner), known.waiters.clone())
        })?;
        if alone && mode != Mode::StarveExclusive {
            misuse::waits_for_itself(k, resource, mode)?;
        }
        count_waiter(k, resource, mode, 1)?;
        while !granted {
            let why = describe(k, resource);
            waiters.wait(k, why).await?;
            // A writer that is its turn does not wait behind itself.
            count_waiter(k, resource, mode, -1)?;
            granted = with(k, resource, take)?;
            if !granted {
                count_waiter(k, resource, mode, 1)?;
            }
        }
    }
    if granted {
        k.sync_acquire(SyncObject::Dispatcher(resource.get()));
    }
    Ok(granted)
}

fn count_waiter(k: &Kernel, resource: Va, mode: Mode, change: i32) -> Outcome<()> {
    with(k, resource, |known| {
        let counter = match mode {
            Mode::Exclusive => &mut known.exclusive_waiters,
            _ => &mut known.shared_waiters,
        };
        *counter = counter.saturating_add_signed(change);
    })
}

/// Gives one acquisition of `owner`'s back.
///
/// # Errors
/// When `owner` holds none.
fn release_for(k: &Kernel, resource: Va, owner: Owner) -> Outcome<()> {
    if !with(k, resource, |known| known.give_back(owner))? {
        return Err(misuse::not_owned(k, resource, owner));
    }
    released(k, resource)
}

/// Others can have what was given back.
fn released(k: &Kernel, resource: Va) -> Outcome<()> {
    k.sync_release(SyncObject::Dispatcher(resource.get()));
    let waiters = with(k, resource, |known| known.waiters.clone())?;
    waiters.wake_all(k);
    Ok(())
}

/// `ExConvertExclusiveToSharedLite`.
fn convert(k: &Kernel, resource: Va) -> Outcome<()> {
    let owner = current(k);
    let converted = with(k, resource, |known| match known.exclusive {
        Some((holder, count)) if holder == owner => {
            known.exclusive = None;
            known.shared.insert(owner, count);
            true
        }
        _ => false,
    })?;
    if !converted {
        return Err(misuse::not_owned(k, resource, owner));
    }
    released(k, resource)
}

/// `ExSetResourceOwnerPointer`: what the current thread holds belongs to `pointer` from now on.
fn set_owner(k: &Kernel, resource: Va, pointer: Owner) -> Outcome<()> {
    let owner = current(k);
    let moved = with(k, resource, |known| {
        match &mut known.exclusive {
            Some((holder, _)) if *holder == owner => *holder = pointer,
            _ => match known.shared.remove(&owner) {
                Some(count) => *known.shared.entry(pointer).or_default() += count,
                None => return false,
            },
        }
        true
    })?;
    if moved {
        Ok(())
    } else {
        Err(misuse::not_owned(k, resource, owner))
    }
}

fn owner_name(k: &Kernel, owner: Owner) -> String {
    match crate::ke::thread::find(k, Va(owner)) {
        Some(thread) => format!("thread {}", k.thread_name(thread)),
        None => format!("the owner {owner:#x}"),
    }
}

fn describe(k: &Kernel, resource: Va) -> String {
    let resources = k.state::<Resources>();
    let resources = resources.borrow();
    let Some(known) = resources.0.get(&resource) else {
        return format!("the ERESOURCE at {resource}");
    };
    let how = if known.exclusive.is_some() {
        "exclusively"
    } else {
        "shared"
    };
    let holders: Vec<String> = known.holders().into_iter().map(|owner| owner_name(k, owner)).collect();
    format!(
        "the ERESOURCE at {resource}, held {how} by {} (latest acquisition at {})",
        holders.join(" and "),
        known.acquired_at
    )
}

/// A thread must not end while it holds a resource.
///
/// # Errors
/// When it does.
pub(crate) fn thread_ends(k: &Kernel, thread: ThreadId) -> Outcome<()> {
    let owner = k.thread_object(thread).get();
    let held = {
        let resources = k.state::<Resources>();
        let resources = resources.borrow();
        resources
            .0
            .iter()
            .find(|(_, known)| known.held_by(owner) > 0)
            .map(|(&at, _)| at)
    };
    match held {
        Some(resource) => misuse::held_at_end(k, resource, thread),
        None => Ok(()),
    }
}

/// Memory that is being freed must hold no resource that was not deleted.
///
/// # Errors
/// When it does.
pub(super) fn memory_freed(k: &Kernel, start: Va, length: u64) -> Outcome<()> {
    let inside = {
        let resources = k.state::<Resources>();
        let resources = resources.borrow();
        resources.0.keys().copied().find(|&resource| resource - start < length)
    };
    match inside {
        Some(resource) => Err(misuse::freed(k, resource, start, length)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
