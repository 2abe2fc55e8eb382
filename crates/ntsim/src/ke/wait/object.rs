//! The types of dispatcher objects: when each is signalled for a thread, and what a satisfied wait does to it.

use ntlayout::dispatcher_header as header;

use crate::{bugcheck::Outcome, ke::mutex, kernel::Kernel, mm::Va, sched::ThreadId};

/// What `DISPATCHER_HEADER::Type` says: the numbers of `KOBJECTS` that wait routines tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// A notification event, or another object that stays signalled: a process, a thread, a notification timer.
    StaysSignalled,
    /// A synchronization event or timer: releases one wait and is clear again.
    ClearsItself,
    /// A mutex.
    Mutant,
    /// A semaphore.
    Semaphore,
}

/// `MutantObject` of `KOBJECTS`.
pub const MUTANT: u8 = 2;
/// `SemaphoreObject`.
pub const SEMAPHORE: u8 = 5;
/// `ThreadObject`.
pub const THREAD: u8 = 6;
const EVENT_SYNCHRONIZATION: u8 = 1;
const TIMER_SYNCHRONIZATION: u8 = 9;

impl ObjectType {
    /// The type of the object at `object`.
    ///
    /// # Errors
    /// When its memory cannot be read.
    pub fn of(k: &Kernel, object: Va) -> Outcome<Self> {
        let number: u8 = k.read(object + header::TYPE)?;
        // The bit says that the object is being inserted; it is none of the type's.
        Ok(match number & 0x7F {
            EVENT_SYNCHRONIZATION | TIMER_SYNCHRONIZATION => Self::ClearsItself,
            MUTANT => Self::Mutant,
            SEMAPHORE => Self::Semaphore,
            _ => Self::StaysSignalled,
        })
    }
}

/// Writes the header of a dispatcher object of `size` bytes.
///
/// # Errors
/// When its memory cannot be written.
pub(crate) fn initialize(k: &Kernel, object: Va, number: u8, size: usize, state: i32) -> Outcome<()> {
    let words = u8::try_from(size / 4).unwrap_or(u8::MAX);
    k.write(object + header::TYPE, number)?;
    k.write(object + header::SIGNALLING, 0_u8)?;
    k.write(object + header::OBJECT_SIZE, words)?;
    k.write(object + header::SIGNAL_STATE, state)?;
    let list = object + header::WAIT_LIST_HEAD;
    k.write(list, list)?;
    k.write(list + 8_u64, list)
}

/// Whether a wait of `thread` for the object would end at once.
pub(super) fn is_signalled(k: &Kernel, object: Va, thread: Option<ThreadId>) -> Outcome<bool> {
    let state: i32 = k.read(object + header::SIGNAL_STATE)?;
    if state > 0 {
        return Ok(true);
    }
    Ok(ObjectType::of(k, object)? == ObjectType::Mutant && thread.is_some() && mutex::owner(k, object) == thread)
}

/// A wait of `thread` for the object is satisfied: says whether the object is a mutex that its last owner has abandoned.
pub(super) fn satisfy(k: &Kernel, object: Va, thread: Option<ThreadId>) -> Outcome<bool> {
    match ObjectType::of(k, object)? {
        ObjectType::StaysSignalled => {}
        ObjectType::ClearsItself => k.write(object + header::SIGNAL_STATE, 0_i32)?,
        ObjectType::Semaphore => {
            let state: i32 = k.read(object + header::SIGNAL_STATE)?;
            k.write(object + header::SIGNAL_STATE, state - 1)?;
        }
        ObjectType::Mutant => return mutex::acquired(k, object, thread),
    }
    Ok(false)
}

/// What the object is, for a hang's report: a mutex with its owner.
pub(super) fn describe(k: &Kernel, object: Va) -> String {
    let owner = mutex::owner(k, object).map(|owner| k.thread_name(owner));
    match owner {
        Some(owner) => format!("the mutex at {object}, which thread {owner} owns"),
        None => format!("the object at {object}"),
    }
}
