//! The devices, with one interface for all.

use ntsim::{
    bus::{
        Absent, Bus, BusContext, Device, DevicePower, Dice, InterruptMode, Placement, Ram, Slot, Translated, Width,
        iommu,
    },
    devices::qemu::Qemu,
};

use crate::operation::MEMORY;

/// Where the registers of the command and of the messages lie in configuration space.
const COMMAND: usize = 0x04;
const MESSAGE_CONTROL: usize = 0x42;

const STATUS: u64 = 0x20;

/// What is seen of a device's interrupts during an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interrupts {
    /// The levels that the line has changed to.
    pub(crate) edges: Vec<bool>,
    /// Whether a message was sent.
    pub(crate) message: bool,
}

/// A device that operations are made on.
pub(crate) trait Subject {
    fn read(&mut self, offset: u64, width: Width) -> u64;
    fn write(&mut self, offset: u64, width: Width, value: u64);
    fn finish_transfer(&mut self);
    fn wait(&mut self, time: u64);
    fn fill(&mut self, at: u64, bytes: &[u8]);
    fn memory(&mut self) -> Vec<u8>;
    fn command(&mut self, command: u16);
    fn messages(&mut self, enabled: bool);
    fn read_config(&mut self, offset: u8) -> u32;
    /// Resets it. It decodes nothing, is no bus master and interrupts by its pin.
    fn reset(&mut self);
    fn interrupts(&mut self) -> Interrupts;
}

/// QEMU itself. A factorial is computed by the end of the operation.
pub(crate) struct Real(pub(crate) Qemu);

/// The value, from a QEMU that works.
fn sound<T>(result: Result<T, ntsim::devices::qemu::QemuError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

impl Subject for Real {
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        sound(self.0.read(offset, width))
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        sound(self.0.write_and_compute(offset, width, value & width.ones()));
    }

    fn finish_transfer(&mut self) {
        if sound(self.0.transfers()) {
            sound(self.0.finish_transfer());
        }
    }

    fn wait(&mut self, _: u64) {
        unreachable!("its time is not the test's");
    }

    fn fill(&mut self, at: u64, bytes: &[u8]) {
        sound(self.0.write_memory(at, bytes));
    }

    fn memory(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(MEMORY.end - MEMORY.start).unwrap()];
        sound(self.0.read_memory(MEMORY.start, &mut bytes));
        bytes
    }

    fn command(&mut self, command: u16) {
        sound(self.0.set_command(command.into()));
    }

    fn messages(&mut self, enabled: bool) {
        sound(self.0.set_message_signalled(enabled));
    }

    fn read_config(&mut self, offset: u8) -> u32 {
        u32::try_from(sound(self.0.read_config(offset, Width::Dword))).unwrap()
    }

    fn reset(&mut self) {
        sound(self.0.reset());
        self.command(0);
    }

    fn interrupts(&mut self) -> Interrupts {
        Interrupts {
            edges: self.0.take_edges(),
            message: sound(self.0.take_message()),
        }
    }
}

/// A device on a bus of ntsim's.
pub(crate) struct OnBus {
    bus: Bus,
    slot: Slot,
    base: u64,
    memory: Memory,
    now: u64,
    level: bool,
    /// A factorial ends with the operation that starts it.
    settles: bool,
}

/// Always the lowest number.
struct Low;

impl Dice for Low {
    fn below(&mut self, _: u64) -> u64 {
        0
    }
}

/// The memory behind the IOMMU, from physical address 0 on.
struct Memory(Vec<u8>);

impl Memory {
    fn range(access: Translated, length: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(access.physical).unwrap();
        start..start + length
    }
}

impl Ram for Memory {
    fn read(&mut self, from: Translated, buffer: &mut [u8]) -> Result<(), String> {
        buffer.copy_from_slice(&self.0[Self::range(from, buffer.len())]);
        Ok(())
    }

    fn write(&mut self, to: Translated, bytes: &[u8]) -> Result<(), String> {
        self.0[Self::range(to, bytes.len())].copy_from_slice(bytes);
        Ok(())
    }
}

impl OnBus {
    /// A device that decodes nothing yet, is no bus master and interrupts by its pin.
    pub(crate) fn new(device: Box<dyn Device>, settles: bool) -> Self {
        let mut bus = Bus::new(Absent::Zeroes);
        let placement = Placement {
            interrupts: InterruptMode::Message,
            ..Placement::default()
        };
        let slot = bus.plug_with(device, placement);
        let base = bus.function(slot).resources().memory[0].start;
        let length = MEMORY.end - MEMORY.start;
        let mapping = iommu::Mapping {
            slot,
            physical: 0,
            length,
            only: None,
            what: "memory",
        };
        let place = iommu::Placement {
            within: MEMORY.start..1 << 28,
            from_top: false,
        };
        assert_eq!(bus.iommu_mut().map(mapping, &place), Some(MEMORY.start));
        let memory = Memory(vec![0; usize::try_from(length).unwrap()]);
        let mut subject = Self {
            bus,
            slot,
            base,
            memory,
            now: 0,
            level: false,
            settles,
        };
        subject.messages(false);
        subject
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Bus, &mut BusContext<'_>) -> T) -> T {
        let mut cx = BusContext {
            now: self.now,
            dice: &mut Low,
        };
        work(&mut self.bus, &mut cx)
    }

    /// Lets it do what is due by `time`, each thing at its time.
    fn advance(&mut self, time: u64) {
        while let Some(due) = self.bus.next_event().filter(|&due| due <= time) {
            self.now = self.now.max(due);
            let mut cx = BusContext {
                now: self.now,
                dice: &mut Low,
            };
            let advanced = self.bus.advance(&mut cx, &mut self.memory);
            advanced.unwrap_or_else(|fault| panic!("{fault}"));
        }
        self.now = self.now.max(time);
    }

    /// What the device itself holds, whether it decodes or not.
    fn inner(&mut self, offset: u64) -> u64 {
        let (slot, now) = (self.slot, self.now);
        let mut cx = BusContext { now, dice: &mut Low };
        let device = self.bus.function_mut(slot).device_mut();
        device.read(&mut cx, 0, offset, Width::Dword).unwrap()
    }
}

impl Subject for OnBus {
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        let address = self.base + offset;
        self.with(|bus, cx| bus.read(cx, address, width)).unwrap()
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let address = self.base + offset;
        self.with(|bus, cx| bus.write(cx, address, width, value)).unwrap();
        while self.settles && self.inner(STATUS) & 1 != 0 {
            let due = self.bus.next_event().expect("a computation ends");
            self.advance(due);
        }
        if self.settles {
            // The interrupt comes after the COMPUTING bit has fallen, and at the same time here.
            self.advance(self.now);
        }
    }

    fn finish_transfer(&mut self) {
        if let Some(end) = self.bus.next_event().filter(|_| self.inner(0x98) & 1 != 0) {
            self.advance(end);
        }
    }

    fn wait(&mut self, time: u64) {
        self.advance(self.now + time);
    }

    fn fill(&mut self, at: u64, bytes: &[u8]) {
        let start = usize::try_from(at - MEMORY.start).unwrap();
        self.memory.0[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn memory(&mut self) -> Vec<u8> {
        self.memory.0.clone()
    }

    fn command(&mut self, command: u16) {
        let function = self.bus.function_mut(self.slot);
        function.write_config(COMMAND, &command.to_le_bytes());
    }

    fn messages(&mut self, enabled: bool) {
        let function = self.bus.function_mut(self.slot);
        let mut control = [0; 2];
        function.read_config(MESSAGE_CONTROL, &mut control);
        control[0] = control[0] & !1 | u8::from(enabled);
        function.write_config(MESSAGE_CONTROL, &control);
    }

    fn read_config(&mut self, offset: u8) -> u32 {
        let mut bytes = [0; 4];
        self.bus.function(self.slot).read_config(offset.into(), &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn reset(&mut self) {
        let function = self.bus.function_mut(self.slot);
        let saved = function.config().clone();
        function.set_power(DevicePower::D3);
        function.set_power(DevicePower::D0);
        function.restore(saved);
        self.messages(false);
        self.command(0);
    }

    fn interrupts(&mut self) -> Interrupts {
        let level = self.bus.function(self.slot).line_asserted();
        let edges = if level == self.level { vec![] } else { vec![level] };
        self.level = level;
        let pending = self.bus.messages_pending().clone();
        for &vector in &pending {
            self.bus.take_message(vector);
        }
        Interrupts {
            edges,
            message: !pending.is_empty(),
        }
    }
}
