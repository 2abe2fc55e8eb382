//! I/O ports: those of devices, and the two by which a PC reaches PCI configuration space.

use super::{Bus, BusContext, Device, DeviceFault, PortRange, Slot, Width};

/// The ports that are given to devices.
const WINDOW: std::ops::RangeInclusive<u16> = 0xC000..=0xFFFF;
/// `CONFIG_ADDRESS` of the PCI specification: it selects a register.
const CONFIGURATION_ADDRESS: u16 = 0xCF8;
/// `CONFIG_DATA`: the register selected.
const CONFIGURATION_DATA: std::ops::RangeInclusive<u16> = 0xCFC..=0xCFF;

impl Bus {
    /// Free ranges of ports for the BARs of `device`: the lowest that are nobody's.
    pub(super) fn ports_for(&self, device: &dyn Device) -> Vec<PortRange> {
        let mut taken: Vec<PortRange> = self
            .functions
            .iter()
            .flat_map(|function| function.resources().ports.iter().copied())
            .collect();
        let others = taken.len();
        for (bar, request) in device.bars().iter().enumerate() {
            if !device.is_port_bar(bar) {
                continue;
            }
            let length = u16::try_from(request.size).expect("a device has fewer than 65536 ports");
            // A BAR is aligned to its size, which is a power of two.
            let range = WINDOW
                .step_by(length.max(1).into())
                .map(|start| PortRange { bar, start, length })
                .find(|range| !taken.iter().any(|other| other.overlaps(range)))
                .expect("there is room among the ports");
            taken.push(range);
        }
        taken.split_off(others)
    }

    /// Whose register is behind `port`: the slot, the BAR's number and the offset in it.
    #[must_use]
    pub fn decode_port(&self, port: u16) -> Option<(Slot, usize, u64)> {
        self.functions.iter().find_map(|function| {
            let mut ports = function.resources().ports.iter();
            let range = ports.find(|range| range.contains(port))?;
            Some((function.slot(), range.bar, u64::from(port - range.start)))
        })
    }

    /// A processor reads `width` at `port`. None when nothing is known to be there.
    ///
    /// # Errors
    /// When the device does not allow such an access.
    pub fn read_port(&mut self, cx: &mut BusContext<'_>, port: u16, width: Width) -> Result<Option<u64>, DeviceFault> {
        if let Some((slot, bar, offset)) = self.decode_port(port) {
            return self.function_mut(slot).read(cx, bar, offset, width).map(Some);
        }
        if port == CONFIGURATION_ADDRESS && width == Width::Dword {
            return Ok(Some(self.configuration_address.into()));
        }
        if CONFIGURATION_DATA.contains(&port) {
            return Ok(Some(self.read_configuration(port - CONFIGURATION_DATA.start(), width)));
        }
        // Ports that are given to devices, but not to one that is there: nobody answers.
        Ok(WINDOW.contains(&port).then_some(width.ones()))
    }

    /// A processor writes the low `width` of `value` at `port`. None when nothing is known to be there.
    ///
    /// # Errors
    /// When the device does not allow such an access.
    pub fn write_port(
        &mut self,
        cx: &mut BusContext<'_>,
        port: u16,
        width: Width,
        value: u64,
    ) -> Result<Option<()>, DeviceFault> {
        if let Some((slot, bar, offset)) = self.decode_port(port) {
            return self.function_mut(slot).write(cx, bar, offset, width, value).map(Some);
        }
        if port == CONFIGURATION_ADDRESS && width == Width::Dword {
            self.configuration_address = (value & 0xFFFF_FFFF) as u32;
            return Ok(Some(()));
        }
        if CONFIGURATION_DATA.contains(&port) {
            self.write_configuration(port - CONFIGURATION_DATA.start(), width, value);
            return Ok(Some(()));
        }
        Ok(WINDOW.contains(&port).then_some(()))
    }

    /// The device and the offset in its configuration space that are selected, `beyond` the start of the data port; none when there is no
    /// device.
    fn selected(&self, beyond: u16) -> Option<(Slot, usize)> {
        const ENABLED: u32 = 1 << 31;
        let address = self.configuration_address;
        let (bus, device, function) = (address >> 16 & 0xFF, address >> 11 & 0x1F, address >> 8 & 7);
        let there = self
            .functions
            .iter()
            .find(|candidate| u32::from(candidate.slot().0) == device)?;
        let selected = bus == 0 && function == 0 && address & ENABLED != 0;
        selected.then(|| (there.slot(), (address & 0xFC) as usize + usize::from(beyond)))
    }

    /// What the selected register of configuration space holds. Where no device is, it reads as ones.
    fn read_configuration(&self, beyond: u16, width: Width) -> u64 {
        let mut bytes = [0xFF; 8];
        let length = usize::try_from(width.bytes()).expect("at most 8");
        if let Some((slot, offset)) = self.selected(beyond) {
            self.function(slot).read_config(offset, &mut bytes[..length]);
        }
        u64::from_le_bytes(bytes) & width.ones()
    }

    /// Writes the selected register of configuration space.
    fn write_configuration(&mut self, beyond: u16, width: Width, value: u64) {
        let length = usize::try_from(width.bytes()).expect("at most 8");
        if let Some((slot, offset)) = self.selected(beyond) {
            self.function_mut(slot)
                .write_config(offset, &value.to_le_bytes()[..length]);
        }
    }
}
