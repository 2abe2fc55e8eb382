//! The device is at work already when the driver starts it: somebody has left it so.

use ntsim::{
    NtStatus,
    bus::{
        BusContext, Dice, InterruptMode, Width,
        iommu::{Mapping, Placement},
    },
    mm::{layout::POOL_PHYSICAL, pool::POOL_BASE},
    trace::Event,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::customdpc,
    program::Program,
    seeds,
};

/// What does not depend on chance.
struct Lowest;

impl Dice for Lowest {
    fn below(&mut self, _bound: u64) -> u64 {
        0
    }
}

/// A write to a register: where, and what.
type Write = (u64, Width, u64);

/// Writes registers of the device, as another driver before this one.
fn program_device(pc: &Pc, writes: &[Write]) {
    let now = pc.k.now();
    let mut bus = pc.k.bus().borrow_mut();
    let device = bus.function_mut(pc.slot).device_mut();
    let mut cx = BusContext { now, dice: &mut Lowest };
    for &(offset, width, value) in writes {
        device
            .write(&mut cx, 0, offset, width, value)
            .expect("the device takes it");
    }
}

/// Sixteen bytes from memory that the device can reach into its buffer, with an interrupt at the end.
fn dma(pc: &Pc) -> Vec<Write> {
    let mapping = Mapping {
        slot: pc.slot,
        physical: POOL_PHYSICAL.0 + (pc.pdo - POOL_BASE),
        length: 16,
        only: None,
        what: "memory of another driver",
    };
    let placement = Placement {
        within: 0x800_0000..0x900_0000,
        from_top: false,
    };
    let address = pc.k.bus().borrow_mut().iommu_mut().map(mapping, &placement);
    let address = address.expect("there is room");
    vec![
        (0x80, Width::Qword, address),
        (0x88, Width::Qword, 0x4_0000),
        (0x90, Width::Qword, 16),
        (0x98, Width::Qword, 5),
    ]
}

/// A factorial that takes 0.1 ms and some, with an interrupt at the end.
fn factorial(_pc: &Pc) -> Vec<Write> {
    vec![(0x20, Width::Dword, 0x80), (0x08, Width::Dword, 100_000)]
}

fn started_after(work: fn(&Pc) -> Vec<Write>, delay: u64) {
    for processors in [1, 2, 4] {
        for seed in seeds::up_to(10) {
            let mut setup = Setup::seed(seed);
            setup.config.processors = processors;
            setup.interrupts = InterruptMode::Line;
            let run = Run::of(&customdpc(), setup, async move |pc: Pc| {
                program_device(&pc, &work(&pc));
                pc.k.delay(delay).await?;
                pc.start().await?;
                let program = Program::open(&pc).await?;
                assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
                program.close().await
            });
            let trace = run.clean();
            let unclaimed = |event: &Event| matches!(event, Event::InterruptServiced { claimed: false, .. });
            let unclaimed = trace.records().iter().filter(|record| unclaimed(&record.event));
            assert_eq!(
                unclaimed.count(),
                0,
                "the device interrupts before the driver wants it to"
            );
        }
    }
}

/// Found in review: the end of the command raised the interrupt after the driver had made the device silent, and nobody took that back.
#[test]
fn a_dma_command_ends_while_the_device_is_started() {
    started_after(dma, 50_000_000);
}

#[test]
fn a_factorial_ends_while_the_device_is_started() {
    for delay in [0, 50_000, 90_000] {
        started_after(factorial, delay);
    }
}
