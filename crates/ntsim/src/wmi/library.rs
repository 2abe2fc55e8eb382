//! WMILIB.SYS: `WmiSystemControl`, which reads a WMI request and calls the routine of the driver's that deals with it.

use ntlayout::{io_stack_location as stack, wmilib_context as context, wmireginfo as layout, wnode};

use super::{
    answer::{self, Requests},
    minor, status,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    io::irp::{self, IoStatus},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::unicode_string,
    status::NtStatus,
};

/// `SYSCTL_IRP_DISPOSITION`.
const IRP_PROCESSED: u32 = 0;
const IRP_NOT_COMPLETED: u32 = 1;
const IRP_NOT_WMI: u32 = 2;
const IRP_FORWARD: u32 = 3;

/// `WMIREG_FLAG_INSTANCE_PDO`.
const INSTANCE_PDO: u32 = 0x20;
/// `WNODE_FLAG_STATIC_INSTANCE_NAMES`.
const STATIC_NAMES: u32 = 0x200;
/// `WmiEventControl` and `WmiDataBlockControl` of `WMIENABLEDISABLECONTROL`.
const EVENT_CONTROL: u64 = 0;
const DATA_BLOCK_CONTROL: u64 = 1;

pub(super) fn register(ddi: &mut Registry) {
    ddi.flow(
        "WmiSystemControl",
        4,
        Contract::exactly(Irql::PASSIVE),
        |k, a| async move { system_control(&k, &a).await },
    );
}

/// A request, and the driver's description of itself.
#[derive(Clone, Copy)]
struct Request {
    context: Va,
    device: Va,
    irp: Va,
    minor: u8,
    buffer: Va,
    size: u32,
}

/// `WmiSystemControl(WmiLibInfo, DeviceObject, Irp, IrpDisposition)`.
async fn system_control(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (device, irp, disposition) = (a.va(1), a.va(2), a.va(3));
    let location = irp::current_location(k, irp)?;
    let request = Request {
        context: a.va(0),
        device,
        irp,
        minor: k.read(location + stack::MINOR_FUNCTION)?,
        buffer: k.read(location + stack::WMI_BUFFER)?,
        size: k.read(location + stack::WMI_BUFFER_SIZE)?,
    };
    let provider: Va = k.read(location + stack::WMI_PROVIDER_ID)?;
    if request.minor > minor::EXECUTE_METHOD && request.minor != minor::REGINFO_EX {
        k.write(disposition, IRP_NOT_WMI)?;
        return Ok(NtStatus::INVALID_DEVICE_REQUEST);
    }
    if provider != device {
        k.write(disposition, IRP_FORWARD)?;
        return Ok(NtStatus::SUCCESS);
    }
    // It is set even when the driver's routine pends the request.
    k.write(disposition, IRP_PROCESSED)?;
    let failed = if matches!(request.minor, minor::REGINFO | minor::REGINFO_EX) {
        registration(k, request).await?
    } else {
        match data(k, request).await? {
            Ok(status) => return Ok(status),
            Err(status) => IoStatus { status, information: 0 },
        }
    };
    irp::write_status(k, irp, failed)?;
    k.write(disposition, IRP_NOT_COMPLETED)?;
    Ok(failed.status)
}

/// The driver's block with the GUID of the request: its number, and how many instances it has.
fn find_block(k: &Kernel, request: Request) -> Outcome<Option<(u32, u32)>> {
    let count: u32 = k.read(request.context + context::GUID_COUNT)?;
    let list: Va = k.read(request.context + context::GUID_LIST)?;
    let mut wanted = [0; 16];
    k.read_into(request.buffer + wnode::GUID, &mut wanted)?;
    for index in 0..count {
        let block = list + u64::from(index) * context::BLOCK_SIZE as u64;
        let mut guid = [0; 16];
        k.read_into(k.read(block + context::BLOCK_GUID)?, &mut guid)?;
        if guid == wanted {
            return Ok(Some((index, k.read(block + context::BLOCK_INSTANCE_COUNT)?)));
        }
    }
    Ok(None)
}

/// A request about a block. The inner error is what the request ends with when the driver is not called.
async fn data(k: &Kernel, r: Request) -> Outcome<Result<NtStatus, NtStatus>> {
    if (r.size as usize) < wnode::HEADER_SIZE {
        return Ok(Err(NtStatus::BUFFER_TOO_SMALL));
    }
    let Some((block, instances)) = find_block(k, r)? else {
        return Ok(Err(status::GUID_NOT_FOUND));
    };
    let routine = |field: usize| k.read::<Va>(r.context + field);
    let (device, irp) = (r.device.get(), r.irp.get());
    let block_ = u64::from(block);
    match r.minor {
        minor::ENABLE_EVENTS | minor::DISABLE_EVENTS | minor::ENABLE_COLLECTION | minor::DISABLE_COLLECTION => {
            let function = if r.minor <= minor::DISABLE_EVENTS {
                EVENT_CONTROL
            } else {
                DATA_BLOCK_CONTROL
            };
            let enable = u64::from(matches!(r.minor, minor::ENABLE_EVENTS | minor::ENABLE_COLLECTION));
            let routine = routine(context::WMI_FUNCTION_CONTROL)?;
            if routine.is_null() {
                return Ok(Err(NtStatus::SUCCESS));
            }
            call(k, routine, &[device, irp, block_, function, enable]).await.map(Ok)
        }
        minor::QUERY_ALL_DATA => query_all(k, r, block, instances).await,
        _ => {
            let flags: u32 = k.read(r.buffer + wnode::FLAGS)?;
            let instance: u32 = k.read(r.buffer + wnode::INSTANCE_INDEX)?;
            // Names of instances that change are the driver's own business, which the library does not serve.
            if flags & STATIC_NAMES == 0 || instance >= instances {
                return Ok(Err(status::INSTANCE_NOT_FOUND));
            }
            one_instance(k, r, block_, instance.into()).await
        }
    }
}

async fn call(k: &Kernel, routine: Va, arguments: &[u64]) -> Outcome<NtStatus> {
    let returned = k.call(routine, arguments).label("DpWmi routine").await?;
    Ok(NtStatus((returned & 0xFFFF_FFFF) as u32))
}

/// Room for `needed` bytes from `offset` on in the request's buffer.
fn room(r: Request, offset: u64) -> u64 {
    u64::from(r.size).saturating_sub(offset)
}

async fn query_all(k: &Kernel, r: Request, block: u32, instances: u32) -> Outcome<Result<NtStatus, NtStatus>> {
    let routine: Va = k.read(r.context + context::QUERY_WMI_DATA_BLOCK)?;
    let offset = (wnode::ALL_INSTANCES as u64 + 8 * u64::from(instances)).next_multiple_of(8);
    if !k.has_pool(4 * u64::from(instances)) {
        return Ok(Err(NtStatus::INSUFFICIENT_RESOURCES));
    }
    let lengths = k.allocate_system(4 * (instances as usize).max(1), "InstanceLengthArray")?;
    k.state::<Requests>().borrow_mut().0.insert(
        r.irp,
        answer::AllData {
            lengths,
            instances,
            offset,
        },
    );
    let available = room(r, offset);
    let data = if available == 0 { 0 } else { (r.buffer + offset).get() };
    let lengths = if available == 0 { 0 } else { lengths.get() };
    let arguments = [
        r.device.get(),
        r.irp.get(),
        block.into(),
        0,
        instances.into(),
        lengths,
        available,
        data,
    ];
    call(k, routine, &arguments).await.map(Ok)
}

/// A request about one instance.
async fn one_instance(k: &Kernel, r: Request, block: u64, instance: u64) -> Outcome<Result<NtStatus, NtStatus>> {
    let (device, irp) = (r.device.get(), r.irp.get());
    let routine = |field: usize| k.read::<Va>(r.context + field);
    let number = |field: usize| k.read::<u32>(r.buffer + field).map(u64::from);
    match r.minor {
        minor::QUERY_SINGLE_INSTANCE => {
            let offset = number(wnode::SINGLE_DATA_BLOCK_OFFSET)?;
            let available = room(r, offset);
            let lengths = super::answer::length_variable(k, r.irp)?;
            let data = if available == 0 { 0 } else { (r.buffer + offset).get() };
            let arguments = [device, irp, block, instance, 1, lengths.get(), available, data];
            call(k, routine(context::QUERY_WMI_DATA_BLOCK)?, &arguments)
                .await
                .map(Ok)
        }
        minor::CHANGE_SINGLE_INSTANCE => {
            let routine = routine(context::SET_WMI_DATA_BLOCK)?;
            if routine.is_null() {
                return Ok(Err(status::READ_ONLY));
            }
            let (offset, size) = (
                number(wnode::SINGLE_DATA_BLOCK_OFFSET)?,
                number(wnode::SINGLE_SIZE_DATA_BLOCK)?,
            );
            let data = (r.buffer + offset).get();
            call(k, routine, &[device, irp, block, instance, size, data])
                .await
                .map(Ok)
        }
        minor::CHANGE_SINGLE_ITEM => {
            let routine = routine(context::SET_WMI_DATA_ITEM)?;
            if routine.is_null() {
                return Ok(Err(status::READ_ONLY));
            }
            let (item, size) = (number(wnode::ITEM_ID)?, number(wnode::ITEM_SIZE_DATA)?);
            let data = (r.buffer + number(wnode::ITEM_DATA_BLOCK_OFFSET)?).get();
            call(k, routine, &[device, irp, block, instance, item, size, data])
                .await
                .map(Ok)
        }
        _ => {
            let routine = routine(context::EXECUTE_WMI_METHOD)?;
            if routine.is_null() {
                return Ok(Err(NtStatus::INVALID_DEVICE_REQUEST));
            }
            let offset = number(wnode::ITEM_DATA_BLOCK_OFFSET)?;
            let (method, input) = (number(wnode::ITEM_ID)?, number(wnode::ITEM_SIZE_DATA)?);
            let (output, data) = (room(r, offset), (r.buffer + offset).get());
            let arguments = [device, irp, block, instance, method, input, output, data];
            call(k, routine, &arguments).await.map(Ok)
        }
    }
}

/// `IRP_MN_REGINFO` and `IRP_MN_REGINFO_EX`: calls `DpWmiQueryReginfo` and writes what the driver provides.
async fn registration(k: &Kernel, r: Request) -> Outcome<IoStatus> {
    let variables = k.allocate_system(0x40, "the variables of DpWmiQueryReginfo")?;
    let [flags, name, path, resource, pdo] = [0_u64, 0x08, 0x18, 0x20, 0x30].map(|offset| variables + offset);
    let routine: Va = k.read(r.context + context::QUERY_WMI_REG_INFO)?;
    let arguments = [
        r.device.get(),
        flags.get(),
        name.get(),
        path.get(),
        resource.get(),
        pdo.get(),
    ];
    let answered = call(k, routine, &arguments).await?;
    if !answered.is_success() {
        k.free_system(variables)?;
        return Ok(IoStatus {
            status: answered,
            information: 0,
        });
    }
    let string = |at: Va| {
        if at.is_null() || k.read::<Va>(at + ntlayout::unicode_string::BUFFER)?.is_null() {
            return Ok(Vec::new());
        }
        unicode_string::read(k, at).map(|text| unicode_string::encode(&text))
    };
    let instance_flags: u32 = k.read(flags)?;
    let texts = [string(k.read(path)?)?, string(resource)?, string(name)?];
    let device: Va = k.read(pdo)?;
    // The name was allocated by the driver, for the library to free.
    let name_buffer: Va = k.read(name + ntlayout::unicode_string::BUFFER)?;
    if !name_buffer.is_null() {
        crate::ex::pool::free(k, name_buffer, None)?;
    }
    k.free_system(variables)?;
    write_registration(k, r, instance_flags, &texts, device)
}

fn write_registration(k: &Kernel, r: Request, flags: u32, texts: &[Vec<u8>; 3], pdo: Va) -> Outcome<IoStatus> {
    let count: u32 = k.read(r.context + context::GUID_COUNT)?;
    let list: Va = k.read(r.context + context::GUID_LIST)?;
    let mut size = layout::SIZE + count as usize * layout::BLOCK_SIZE;
    let offsets = [0, 1, 2].map(|index: usize| {
        let at = size;
        // A length comes before each string.
        size += (2 + texts[index].len()).next_multiple_of(2);
        at
    });
    let needed = u32::try_from(size).expect("a driver has few blocks");
    if needed > r.size {
        k.write(r.buffer, needed)?;
        return Ok(IoStatus {
            status: NtStatus::BUFFER_TOO_SMALL,
            information: 4,
        });
    }
    let at = |offset: usize| r.buffer + offset;
    let offset = |index: usize| u32::try_from(offsets[index]).expect("it was checked");
    k.write(at(layout::BUFFER_SIZE), needed)?;
    k.write(at(layout::NEXT), 0_u32)?;
    k.write(at(layout::REGISTRY_PATH), offset(0))?;
    k.write(at(layout::MOF_RESOURCE_NAME), offset(1))?;
    k.write(at(layout::GUID_COUNT), count)?;
    for index in 0..count as usize {
        let (from, to) = (
            list + index * context::BLOCK_SIZE,
            at(layout::BLOCKS + index * layout::BLOCK_SIZE),
        );
        let mut guid = [0; 16];
        k.read_into(k.read(from + context::BLOCK_GUID)?, &mut guid)?;
        k.write_bytes(to + layout::BLOCK_GUID, &guid)?;
        let block_flags: u32 = k.read(from + context::BLOCK_FLAGS)?;
        k.write(to + layout::BLOCK_FLAGS, block_flags | flags)?;
        let instances: u32 = k.read(from + context::BLOCK_INSTANCE_COUNT)?;
        k.write(to + layout::BLOCK_INSTANCE_COUNT, instances)?;
        let info = if flags & INSTANCE_PDO != 0 {
            // The system dereferences it for each block.
            crate::ob::reference::reference(k, pdo)?;
            pdo.get()
        } else {
            offset(2).into()
        };
        k.write(to + layout::BLOCK_INSTANCE_INFO, info)?;
    }
    for (text, &offset) in texts.iter().zip(&offsets) {
        let length = u16::try_from(text.len()).expect("a counted string");
        k.write(at(offset), length)?;
        k.write_bytes(at(offset + 2), text)?;
    }
    Ok(IoStatus {
        status: NtStatus::SUCCESS,
        information: needed.into(),
    })
}
