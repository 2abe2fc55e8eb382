//! `KUSER_SHARED_DATA`: the page that drivers read the time from. On x64 `KeQueryInterruptTime`, `KeQuerySystemTime` and
//! `KeQueryTickCount` are macros over it, so no call shows that they are used.

use super::time;
use crate::{
    kernel::Kernel,
    mm::{PAGE_SIZE, Pa, Protection, Va},
};

/// Where every x64 kernel has the page.
const ADDRESS: Va = Va(0xFFFF_F780_0000_0000);
/// `InterruptTime`.
const INTERRUPT_TIME: u64 = 0x008;
/// `SystemTime`.
const SYSTEM_TIME: u64 = 0x014;
/// `TickCount`.
const TICK_COUNT: u64 = 0x320;

/// The page, and the tick of the clock that its times are of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedData {
    page: Pa,
    ticks: u64,
}

/// Maps the page, for drivers to read.
pub(crate) fn map(k: &Kernel) {
    let page = k.map_ram(ADDRESS, PAGE_SIZE, Protection::READ, "KUSER_SHARED_DATA");
    write_times(k, SharedData { page, ticks: 0 });
}

/// The clock interrupt: brings the page's times up to the last tick.
pub(crate) fn tick(k: &Kernel) {
    let ticks = k.now() / time::TICK;
    let shared = k.ke().borrow().shared_data;
    if let Some(shared) = shared.filter(|shared| shared.ticks != ticks) {
        write_times(k, SharedData { ticks, ..shared });
    }
}

fn write_times(k: &Kernel, shared: SharedData) {
    let interrupt_time = time::units(shared.ticks * time::TICK);
    let times = [
        (INTERRUPT_TIME, interrupt_time),
        (SYSTEM_TIME, time::BOOT_TIME + interrupt_time),
        (TICK_COUNT, shared.ticks),
    ];
    for (field, time) in times {
        k.engine().borrow_mut().write(shared.page + field, &ksystem_time(time));
    }
    k.ke().borrow_mut().shared_data = Some(shared);
}

/// A `KSYSTEM_TIME`: the low part, the high part, and the high part again.
fn ksystem_time(time: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&time.to_le_bytes());
    bytes.copy_within(4..8, 8);
    bytes
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::{qword_ptr, rax};

    use super::*;
    use crate::{
        machine::{Machine, testing::Program},
        sched::{RunEnd, ThreadSpec},
    };

    /// A driver that reads from the page, as the macros do.
    fn reading(field: u64) -> Program {
        Program::default().function(move |f| {
            f.load(rax, (ADDRESS + field).get());
            f.asm.mov(rax, qword_ptr(rax)).unwrap();
        })
    }

    /// What the driver reads from `field` at 0 ms, 1.5 ms and 1 s.
    fn readings(field: u64) -> [u64; 3] {
        let machine = reading(field).machine(1);
        let seen = std::rc::Rc::new(std::cell::RefCell::new([0; 3]));
        let readings = seen.clone();
        machine.spawn(ThreadSpec::system("test"), |k| async move {
            for (index, until) in [0, 1_500_000, 1_000_000_000].into_iter().enumerate() {
                k.delay(until - k.now().min(until)).await?;
                let value = k.call(Program::address(0), &[]).await?;
                seen.borrow_mut()[index] = value;
            }
            Ok(())
        });
        assert_eq!(machine.run(), RunEnd::Idle);
        readings.take()
    }

    #[test]
    fn interrupt_time_counts_from_zero_by_ticks() {
        assert_eq!(readings(INTERRUPT_TIME), [0, 10_000, 10_000_000]);
        assert_eq!(readings(TICK_COUNT), [0, 1, 1000]);
    }

    #[test]
    fn system_time_goes_with_interrupt_time() {
        let [start, ..] = readings(SYSTEM_TIME);
        assert_eq!(readings(SYSTEM_TIME), [start, start + 10_000, start + 10_000_000]);
        assert_eq!(start, time::BOOT_TIME);
    }

    #[test]
    fn both_high_parts_agree() {
        assert_eq!(
            ksystem_time(0x1122_3344_5566_7788),
            [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x44, 0x33, 0x22, 0x11]
        );
    }

    #[test]
    fn drivers_must_not_write_it() {
        let program = Program::default().function(|f| {
            f.load(rax, ADDRESS.get());
            f.asm.mov(qword_ptr(rax), 1).unwrap();
        });
        let machine: Machine = program.machine(1);
        machine.spawn(ThreadSpec::system("test"), |k| async move {
            k.call(Program::address(0), &[]).await
        });
        assert_eq!(machine.run(), RunEnd::Crashed);
        assert_eq!(machine.kernel().crash().unwrap().bugcheck.rule, "write-read-only");
    }
}
