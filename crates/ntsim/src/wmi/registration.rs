//! `IoWMIRegistrationControl`: a driver becomes a provider, and a thread of the system's asks it what it provides.

use std::collections::{BTreeMap, BTreeSet};

use ntlayout::{device_object, io_stack_location as stack, wmireginfo as layout};

use super::minor;
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    io::{
        self,
        device_interface::Guid,
        irp::{self, Major},
    },
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::Va,
    ob,
    sched::{Mode, ThreadSpec, WaitQueue},
    status::NtStatus,
    trace::Event,
};

/// `WMIREG_ACTION_REGISTER`, `…_DEREGISTER`, `…_REREGISTER`, `…_UPDATE_GUIDS`, `…_BLOCK_IRPS`.
const REGISTER: u32 = 1;
const DEREGISTER: u32 = 2;
const REREGISTER: u32 = 3;
const UPDATE_GUIDS: u32 = 4;
const BLOCK_IRPS: u32 = 5;
/// `WMIREG_FLAG_CALLBACK`: the provider is a routine instead of a device.
const CALLBACK: u32 = 0x8000_0000;
/// `WMIREGISTER` and `WMIUPDATE`, the data paths of the request.
const PATH_REGISTER: u64 = 0;
const PATH_UPDATE: u64 = 1;
/// What a driver's answer is given room for at first.
const ROOM: u32 = 0x200;
/// The most that a driver's answer can take.
const MOST: u32 = 0x1_0000;

/// A provider.
#[derive(Debug, Default)]
struct Provider {
    /// The blocks that it has registered.
    blocks: Vec<Guid>,
    /// A request is on its way.
    asked: bool,
    /// No more requests are to be sent.
    blocked: bool,
    waiters: WaitQueue,
}

/// By device object.
#[derive(Debug, Default)]
struct Providers(BTreeMap<Va, Provider>);

/// Providers that are routines instead of devices.
#[derive(Debug, Default)]
struct Callbacks(BTreeSet<Va>);

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_IO_PASSIVE_5);
    ddi.flow("IoWMIRegistrationControl", 2, contract, |k, a| async move {
        control(&k, a.va(0), a.u32(1)).await
    });
}

async fn control(k: &Kernel, device: Va, action: u32) -> Outcome<NtStatus> {
    let state = k.state::<Providers>();
    if action & CALLBACK != 0 {
        return Ok(control_callback(k, device, action & 0xFFFF));
    }
    let known = state.borrow().0.contains_key(&device);
    match action {
        REGISTER => {
            state.borrow_mut().0.entry(device).or_default();
            ask_soon(k, device, PATH_REGISTER);
        }
        _ if !known => return Ok(NtStatus::INVALID_PARAMETER),
        REREGISTER => ask_soon(k, device, PATH_REGISTER),
        UPDATE_GUIDS => ask_soon(k, device, PATH_UPDATE),
        BLOCK_IRPS => {
            if let Some(provider) = state.borrow_mut().0.get_mut(&device) {
                provider.blocked = true;
            }
        }
        DEREGISTER => {
            deregister(k, device).await?;
        }
        _ => return Ok(NtStatus::INVALID_PARAMETER),
    }
    Ok(NtStatus::SUCCESS)
}

/// A provider without a device, which the macros of software tracing make: nobody traces, so that its routine is never called.
fn control_callback(k: &Kernel, entry: Va, action: u32) -> NtStatus {
    let state = k.state::<Callbacks>();
    let entries = &mut state.borrow_mut().0;
    let known = match action {
        REGISTER => {
            k.note_made(entry);
            entries.insert(entry);
            true
        }
        DEREGISTER => entries.remove(&entry),
        REREGISTER | UPDATE_GUIDS | BLOCK_IRPS => entries.contains(&entry),
        _ => false,
    };
    if known {
        NtStatus::SUCCESS
    } else {
        NtStatus::INVALID_PARAMETER
    }
}

/// The providers without a device that were not deregistered: their routines would run in an image that is gone.
pub(crate) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let state = k.state::<Callbacks>();
    let state = state.borrow();
    let entries = state.0.iter();
    entries
        .map(|&entry| {
            let what =
                format!("the WMI provider {entry} was never deregistered (WPP_CLEANUP does it for software tracing)");
            Leftover::new(entry, what)
        })
        .collect()
}

/// Waits until the driver has answered what it was asked: it is asked nothing any more afterwards.
async fn deregister(k: &Kernel, device: Va) -> Outcome<()> {
    let state = k.state::<Providers>();
    loop {
        let waiters = {
            let mut state = state.borrow_mut();
            let Some(provider) = state.0.get_mut(&device) else {
                return Ok(());
            };
            provider.blocked = true;
            if !provider.asked {
                state.0.remove(&device);
                return Ok(());
            }
            provider.waiters.clone()
        };
        waiters
            .wait(k, format!("the WMI request to device {device} to end"))
            .await?;
    }
}

/// A device goes that was not deregistered: nobody asks it any more.
pub(crate) fn device_deleted(k: &Kernel, device: Va) {
    k.state::<Providers>().borrow_mut().0.remove(&device);
}

/// Whether somebody provides a block.
pub(super) fn is_provided(k: &Kernel, block: Guid) -> bool {
    let state = k.state::<Providers>();
    let state = state.borrow();
    state.0.values().any(|provider| provider.blocks.contains(&block))
}

/// The blocks that a device provides.
#[cfg(test)]
pub(super) fn blocks(k: &Kernel, device: Va) -> Vec<Guid> {
    let state = k.state::<Providers>();
    let state = state.borrow();
    state
        .0
        .get(&device)
        .map_or_else(Vec::new, |provider| provider.blocks.clone())
}

fn ask_soon(k: &Kernel, device: Va, path: u64) {
    k.spawn(ThreadSpec::system("WMI"), move |k| async move {
        let state = k.state::<Providers>();
        let begun = {
            let mut state = state.borrow_mut();
            let provider = state
                .0
                .get_mut(&device)
                .filter(|provider| !provider.blocked && !provider.asked);
            provider.map(|provider| provider.asked = true).is_some()
        };
        if !begun {
            return Ok(());
        }
        let blocks = ask(&k, device, path).await?;
        let waiters = {
            let mut state = state.borrow_mut();
            state.0.get_mut(&device).map(|provider| {
                provider.asked = false;
                if let Some(blocks) = blocks {
                    provider.blocks = blocks;
                }
                provider.waiters.clone()
            })
        };
        if let Some(waiters) = waiters {
            waiters.wake_all(&k);
        }
        Ok(())
    });
}

/// Sends `IRP_MN_REGINFO_EX`: the blocks that the driver answers with; none when it fails.
async fn ask(k: &Kernel, device: Va, path: u64) -> Outcome<Option<Vec<Guid>>> {
    let mut room = ROOM;
    loop {
        let buffer = k.allocate_system(room as usize, "WMIREGINFO")?;
        let status = send(k, device, path, buffer, room).await?;
        let needed: u32 = k.read(buffer)?;
        let too_small = status == NtStatus::BUFFER_TOO_SMALL || (status.is_success() && needed > room);
        if too_small && needed > room && needed <= MOST {
            k.free_system(buffer)?;
            room = needed;
            continue;
        }
        let blocks = if status.is_success() && !too_small {
            let blocks = read_blocks(k, buffer, room)?;
            for pdo in blocks.iter().filter_map(|&(_, pdo)| pdo) {
                // The driver has referenced it for each block that is named after it.
                ob::reference::dereference(k, pdo).await?;
            }
            Some(blocks.into_iter().map(|(block, _)| block).collect::<Vec<_>>())
        } else {
            None
        };
        k.free_system(buffer)?;
        let count = blocks.as_ref().map_or(0, Vec::len);
        k.trace(Event::Note(format!(
            "device {device} registers {count} WMI blocks: {status}"
        )));
        return Ok(blocks);
    }
}

async fn send(k: &Kernel, device: Va, path: u64, buffer: Va, room: u32) -> Outcome<NtStatus> {
    let top = io::top_of_stack(k, device)?;
    let spec = irp::Spec {
        major: Major::SYSTEM_CONTROL,
        minor: minor::REGINFO_EX,
        stack_size: k.read(top + device_object::STACK_SIZE)?,
        file: None,
        status: Some(NtStatus::NOT_SUPPORTED),
        mode: Mode::Kernel,
        finish: None,
    };
    let record = irp::allocate(k, spec)?;
    let location = irp::next_location(k, record.irp())?;
    k.write(location + stack::WMI_PROVIDER_ID, device)?;
    k.write(location + stack::WMI_DATA_PATH, path)?;
    k.write(location + stack::WMI_BUFFER_SIZE, room)?;
    k.write(location + stack::WMI_BUFFER, buffer)?;
    let answer = io::file::send_and_wait(k, top, &record).await?;
    Ok(answer.status)
}

/// The blocks of a `WMIREGINFO`, those behind it included, and the devices that they are named after.
fn read_blocks(k: &Kernel, buffer: Va, room: u32) -> Outcome<Vec<(Guid, Option<Va>)>> {
    const INSTANCE_PDO: u32 = 0x20;
    let mut blocks = Vec::new();
    let mut offset = 0_u32;
    loop {
        let at = buffer + u64::from(offset);
        let count: u32 = k.read(at + layout::GUID_COUNT)?;
        let fits = (room - offset) as usize / layout::BLOCK_SIZE;
        for index in 0..(count as usize).min(fits) {
            let block = at + layout::BLOCKS + index * layout::BLOCK_SIZE;
            let mut guid = [0; 16];
            k.read_into(block + layout::BLOCK_GUID, &mut guid)?;
            let flags: u32 = k.read(block + layout::BLOCK_FLAGS)?;
            let pdo: Va = k.read(block + layout::BLOCK_INSTANCE_INFO)?;
            blocks.push((Guid(guid), (flags & INSTANCE_PDO != 0).then_some(pdo)));
        }
        let next: u32 = k.read(at + layout::NEXT)?;
        let further = offset
            .checked_add(next)
            .filter(|&further| u64::from(further) + layout::SIZE as u64 <= room.into());
        match further {
            Some(further) if next != 0 => offset = further,
            _ => return Ok(blocks),
        }
    }
}
