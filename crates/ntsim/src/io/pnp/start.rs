//! How a device is started and stopped, and started again with other resources.

use ntlayout::{device_capabilities, io_stack_location as stack};

use super::{
    DeviceState, Minor, capabilities, device_state,
    manager::{begin, end, set_state, state, with_node},
    relations,
    removal::{send_remove, send_surprise_removal},
    send::send,
};
use crate::{
    bugcheck::Outcome, bus::Resources, hal, io::notification, kernel::Kernel, mm::Va, status::NtStatus, trace::Event,
};

/// Starts the device, or starts it again after a stop, with its assigned resources.
///
/// A device that fails to start is removed; one that fails to start again after a stop, as one that has gone.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn start_device(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    begin(k).await?;
    let status = start(k, pdo).await?;
    end(k);
    Ok(status)
}

/// As [`start_device`], with an upper filter that completes `IRP_MN_START_DEVICE` with `failure` after every driver below it has succeeded.
///
/// Those drivers have started the device and hear of its failure by `IRP_MN_REMOVE_DEVICE`, or, after a stop, by `IRP_MN_SURPRISE_REMOVAL`
/// and then `IRP_MN_REMOVE_DEVICE`: "Starting a Device", "Handling an `IRP_MN_SURPRISE_REMOVAL` Request". The device works meanwhile. The
/// status that the request ended with: another one when a driver below has failed it.
///
/// # Errors
/// When a driver breaks a rule.
///
/// # Panics
/// When `failure` is no failure.
pub async fn start_device_failed_above(k: &Kernel, pdo: Va, failure: NtStatus) -> Outcome<NtStatus> {
    /// How long the filter takes at most to find that it cannot work, nanoseconds.
    const LONGEST_LOOK: u64 = 40_000;
    assert!(!failure.is_success(), "{failure} is no failure");
    begin(k).await?;
    let first = prepare(k, pdo).await?;
    let mut status = send_start(k, pdo).await?;
    if status.is_success() {
        let look = k.random().borrow_mut().below(LONGEST_LOOK);
        k.delay(look).await?;
        k.trace(Event::Note(format!("an upper filter fails the start: {failure}")));
        status = failure;
    }
    give_up(k, pdo, first).await?;
    end(k);
    Ok(status)
}

/// What comes before `IRP_MN_START_DEVICE`; whether it is the first one.
async fn prepare(k: &Kernel, pdo: Va) -> Outcome<bool> {
    let first = state(k, pdo) != DeviceState::Stopped;
    if first {
        query_capabilities(k, pdo).await?;
    }
    send(k, pdo, Minor::FILTER_RESOURCE_REQUIREMENTS, |_, _| Ok(())).await?;
    Ok(first)
}

/// The device has not started: it is removed, after a restart as one that has gone.
async fn give_up(k: &Kernel, pdo: Va, first: bool) -> Outcome<()> {
    if first {
        send_remove(k, pdo).await
    } else {
        send_surprise_removal(k, pdo).await
    }
}

pub(super) async fn start(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    let first = prepare(k, pdo).await?;
    let status = send_start(k, pdo).await?;
    k.trace(Event::Note(format!("the device started: {status}")));
    if !status.is_success() {
        give_up(k, pdo, first).await?;
        return Ok(status);
    }
    set_state(k, pdo, DeviceState::Started);
    if first {
        notification::device_changed(k, pdo, true);
        query_capabilities(k, pdo).await?;
        device_state::query(k, pdo).await?;
        relations::refresh(k, pdo).await?;
    }
    Ok(status)
}

async fn send_start(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    let Some(slot) = super::slot(k, pdo) else {
        return send_start_without_slot(k, pdo).await;
    };
    let resources = k.bus().borrow().function(slot).resources().clone();
    send_start_on_bus(k, pdo, &resources).await
}

/// The device is plugged into the bus, and is to have `resources`.
async fn send_start_on_bus(k: &Kernel, pdo: Va, resources: &Resources) -> Outcome<NtStatus> {
    let processors = (1 << k.config().processors) - 1;
    k.trace(Event::Note(format!("resources assigned: {resources}")));
    send_start_with(k, pdo, &resources.raw_list(), &resources.translated_list(processors)).await
}

/// A device that is on no bus of this machine's has the resources that its bus driver has told of, or none at all: null lists.
async fn send_start_without_slot(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    let configuration = with_node(k, pdo, |node| node.boot_configuration.clone());
    if let Some(list) = configuration {
        k.trace(Event::Note(
            "resources assigned: those of the boot configuration".to_owned(),
        ));
        // Physical addresses mean the same on every bus of a PC.
        return send_start_with(k, pdo, &list, &list).await;
    }
    k.trace(Event::Note("resources assigned: none".to_owned()));
    let io_status = send(k, pdo, Minor::START_DEVICE, |_, _| Ok(())).await?;
    Ok(io_status.status)
}

async fn send_start_with(k: &Kernel, pdo: Va, raw: &[u8], translated: &[u8]) -> Outcome<NtStatus> {
    let raw = resource_list(k, raw)?;
    let translated = resource_list(k, translated)?;
    let io_status = send(k, pdo, Minor::START_DEVICE, |k, location| {
        k.write(location + stack::ALLOCATED_RESOURCES, raw)?;
        k.write(location + stack::ALLOCATED_RESOURCES_TRANSLATED, translated)
    })
    .await?;
    // A driver that needs them later has to copy them.
    k.free_system(raw)?;
    k.free_system(translated)?;
    Ok(io_status.status)
}

fn resource_list(k: &Kernel, list: &[u8]) -> Outcome<Va> {
    let va = k.allocate_system(list.len(), "CM_RESOURCE_LIST")?;
    k.write_bytes(va, list)?;
    Ok(va)
}

/// Asks for the device's capabilities: the bits that the structure begins with, after its size and version.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn query_capabilities(k: &Kernel, pdo: Va) -> Outcome<u32> {
    /// Where those bits lie.
    const BITS: usize = 4;
    #[expect(clippy::cast_possible_truncation, reason = "a DEVICE_CAPABILITIES has 64 bytes")]
    const SIZE: u16 = device_capabilities::SIZE as u16;
    let buffer = k.allocate_system(device_capabilities::SIZE, "DEVICE_CAPABILITIES")?;
    k.write(buffer + device_capabilities::SIZE_FIELD, SIZE)?;
    k.write(buffer + device_capabilities::VERSION, capabilities::VERSION)?;
    k.write(buffer + device_capabilities::ADDRESS, capabilities::UNKNOWN)?;
    k.write(buffer + device_capabilities::UI_NUMBER, capabilities::UNKNOWN)?;
    send(k, pdo, Minor::QUERY_CAPABILITIES, |k, location| {
        k.write(location + stack::CAPABILITIES, buffer)
    })
    .await?;
    let bits = k.read(buffer + BITS)?;
    k.free_system(buffer)?;
    Ok(bits)
}

/// Asks the device's drivers whether it can be stopped.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn query_stop_device(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    begin(k).await?;
    let status = query_stop(k, pdo).await?;
    end(k);
    Ok(status)
}

async fn query_stop(k: &Kernel, pdo: Va) -> Outcome<NtStatus> {
    let io_status = send(k, pdo, Minor::QUERY_STOP_DEVICE, |_, _| Ok(())).await?;
    if io_status.status.is_success() {
        set_state(k, pdo, DeviceState::StopPending);
    } else {
        send(k, pdo, Minor::CANCEL_STOP_DEVICE, |_, _| Ok(())).await?;
    }
    Ok(io_status.status)
}

/// Takes [`query_stop_device`] back.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn cancel_stop_device(k: &Kernel, pdo: Va) -> Outcome<()> {
    begin(k).await?;
    send(k, pdo, Minor::CANCEL_STOP_DEVICE, |_, _| Ok(())).await?;
    set_state(k, pdo, DeviceState::Started);
    end(k);
    Ok(())
}

/// Stops the device, after [`query_stop_device`]; [`start_device`] starts it again.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn stop_device(k: &Kernel, pdo: Va) -> Outcome<()> {
    begin(k).await?;
    stop(k, pdo).await?;
    end(k);
    Ok(())
}

async fn stop(k: &Kernel, pdo: Va) -> Outcome<()> {
    send(k, pdo, Minor::STOP_DEVICE, |_, _| Ok(())).await?;
    hal::check_put(k, pdo, "IRP_MN_STOP_DEVICE")?;
    set_state(k, pdo, DeviceState::Stopped);
    Ok(())
}

/// Rebalances the device: asks whether it can be stopped, stops it, gives it `resources` and starts it again. The status of a refused stop, or
/// of the start.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn rebalance(k: &Kernel, pdo: Va, resources: Resources) -> Outcome<NtStatus> {
    begin(k).await?;
    let mut status = query_stop(k, pdo).await?;
    if status.is_success() {
        stop(k, pdo).await?;
        if let Some(slot) = super::slot(k, pdo) {
            k.bus().borrow_mut().assign(slot, resources);
        }
        status = start(k, pdo).await?;
    }
    end(k);
    Ok(status)
}

/// Starts a started device once more, with `resources` and without `IRP_MN_STOP_DEVICE` before: what the PnP manager does when a driver says
/// `PNP_RESOURCE_REQUIREMENTS_CHANGED` of it ([`IRP_MN_START_DEVICE`]). The device has what it had until the bus driver handles the request.
///
/// One that fails is removed as one that has gone.
///
/// [`IRP_MN_START_DEVICE`]: https://learn.microsoft.com/windows-hardware/drivers/kernel/irp-mn-start-device
///
/// # Errors
/// When a driver breaks a rule.
///
/// # Panics
/// When the device is not started, or on no bus.
pub async fn start_started_device(k: &Kernel, pdo: Va, resources: Resources) -> Outcome<NtStatus> {
    begin(k).await?;
    assert_eq!(state(k, pdo), DeviceState::Started, "the device is not started");
    assert!(super::slot(k, pdo).is_some(), "the device is on no bus");
    send(k, pdo, Minor::FILTER_RESOURCE_REQUIREMENTS, |_, _| Ok(())).await?;
    with_node(k, pdo, |node| node.to_be_assigned = Some(resources.clone()));
    let status = send_start_on_bus(k, pdo, &resources).await?;
    k.trace(Event::Note(format!("the started device started again: {status}")));
    with_node(k, pdo, |node| node.to_be_assigned = None);
    if !status.is_success() {
        send_surprise_removal(k, pdo).await?;
    }
    end(k);
    Ok(status)
}
