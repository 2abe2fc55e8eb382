//! DMA adapters and what devices do through them, driven by host flows: the driver is the test.

use std::{cell::RefCell, future::Future, rc::Rc};

use ntlayout::{device_description as layout, dma_adapter, dma_operations};

use super::*;
use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    bus::Slot,
    ddi::{Args, Handler},
    devices::{Edu, EduProfile},
    io::pnp,
    ke::Irql,
    kernel::Config,
    machine::Machine,
    mm::Pa,
    sched::{RunEnd, ThreadSpec},
};

mod bus_data;
mod bus_master;
mod common_buffer;
mod packet;
mod physical_memory;
mod time;

/// The device's machine, as a script sees it.
#[derive(Clone)]
struct Bench {
    k: Kernel,
    slot: Slot,
    pdo: Va,
}

/// A `DEVICE_DESCRIPTION` of a bus master.
#[derive(Clone, Copy)]
struct Described {
    version: u32,
    width: u32,
    maximum_length: u32,
    flags: &'static [usize],
}

/// The edu's.
const EDU: Described = Described {
    version: 3,
    width: 28,
    maximum_length: 4096,
    flags: &[layout::MASTER],
};

impl Bench {
    /// Calls a routine of the model's as a driver would, but from the host.
    fn call(&self, routine: &str, arguments: &[u64]) -> Outcome<u64> {
        let (_, ddi) = self.k.registry().find(routine).expect("it is modelled");
        match &ddi.handler {
            Handler::Function(function) => function(&self.k, &Args::of(arguments)),
            _ => panic!("{routine} runs in one go"),
        }
    }

    /// A variable of 8 bytes.
    fn variable(&self) -> Outcome<Va> {
        self.k.allocate_system(8, "variable")
    }

    fn adapter_for(&self, described: Described) -> Outcome<(Va, u32)> {
        let description = self.k.allocate_system(layout::SIZE, "DEVICE_DESCRIPTION")?;
        self.k.write(description + layout::VERSION, described.version)?;
        self.k.write(description + layout::DMA_ADDRESS_WIDTH, described.width)?;
        self.k
            .write(description + layout::MAXIMUM_LENGTH, described.maximum_length)?;
        for &flag in described.flags {
            self.k.write(description + flag, 1_u8)?;
        }
        let registers = self.variable()?;
        let adapter = get_adapter(&self.k, self.pdo, description, registers)?;
        Ok((adapter, self.k.read(registers)?))
    }

    /// The edu's adapter.
    fn adapter(&self) -> Outcome<Va> {
        let (adapter, _) = self.adapter_for(EDU)?;
        assert!(!adapter.is_null());
        Ok(adapter)
    }

    /// A common buffer's address, and the device's for it.
    fn common_buffer(&self, adapter: Va, length: u32) -> Outcome<(Va, u64)> {
        let logical = self.variable()?;
        let arguments = [adapter.get(), length.into(), logical.get(), 1];
        let va = Va(self.call("AllocateCommonBuffer", &arguments)?);
        Ok((va, self.k.read(logical)?))
    }

    fn free(&self, adapter: Va, length: u64, logical: u64, va: Va) -> Outcome<u64> {
        self.call("FreeCommonBuffer", &[adapter.get(), length, logical, va.get(), 1])
    }

    fn put(&self, adapter: Va) -> Outcome<u64> {
        self.call("PutDmaAdapter", &[adapter.get()])
    }

    fn register(&self, offset: u64) -> Pa {
        let bus = self.k.bus().borrow();
        Pa(bus.function(self.slot).resources().memory[0].start + offset)
    }

    fn write_register(&self, offset: u64, value: u64) {
        let register = self.register(offset);
        let hardware = &self.k.watch().hardware;
        hardware.borrow_mut().write(register, 8, value, self.k.now()).unwrap();
    }

    /// Has the device copy, and waits until it has.
    async fn copy(&self, source: u64, destination: u64, count: u64, command: u64) -> Outcome<()> {
        self.k.bus().borrow_mut().function_mut(self.slot).set_enabled(true);
        self.start_copy(source, destination, count, command);
        self.k.delay(100_000_001).await
    }

    fn start_copy(&self, source: u64, destination: u64, count: u64, command: u64) {
        for (offset, value) in [(0x80, source), (0x88, destination), (0x90, count), (0x98, command)] {
            self.write_register(offset, value);
        }
    }

    /// Has the device read memory.
    async fn device_reads(&self, logical: u64, count: u64) -> Outcome<()> {
        self.copy(logical, 0x4_0000, count, 1).await
    }

    /// Has the device write memory.
    async fn device_writes(&self, logical: u64, count: u64) -> Outcome<()> {
        self.copy(0x4_0000, logical, count, 3).await
    }
}

/// Runs `script` on a machine with an edu that gives DMA adapters as `dma` says.
fn run_with<F>(dma: DmaSupport, script: impl FnOnce(Bench) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = Machine::new(Config {
        dma,
        ..Config::default()
    });
    run_on(machine.unwrap(), script)
}

/// Runs `script` on a machine, plugging an edu into it.
fn run_on<F>(mut machine: Machine, script: impl FnOnce(Bench) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let slot = machine.plug(Box::new(Edu::new(EduProfile::default()))).unwrap();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        let pdo = pnp::enumerate(&k, slot)?;
        script(Bench { k, slot, pdo }).await
    });
    let _: RunEnd = machine.run();
    machine
}

/// Runs `script`, which breaks no rule, and gives what it found.
fn run<T, F>(dma: DmaSupport, script: impl FnOnce(Bench) -> F + 'static) -> T
where
    T: 'static,
    F: Future<Output = Outcome<T>> + 'static,
{
    let result = Rc::new(RefCell::new(None));
    let found = result.clone();
    let machine = run_with(dma, |bench| async move {
        *found.borrow_mut() = Some(script(bench).await?);
        Ok(())
    });
    let report = machine.crash_report(None);
    assert!(machine.kernel().crash().is_none(), "{}", report.unwrap());
    result.take().expect("the script has ended")
}

/// What `script` ends the run with: the code, its first parameter, and the rule.
fn crash_of<F>(script: impl FnOnce(Bench) -> F + 'static) -> (Code, u64, &'static str)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_with(DmaSupport::default(), script);
    let crash = machine.kernel().crash().expect("a rule is broken");
    let bugcheck = &crash.bugcheck;
    (bugcheck.code, bugcheck.parameters[0], bugcheck.rule)
}

const DMA: Code = Code::DRIVER_VERIFIER_DMA_VIOLATION;

#[test]
fn the_table_has_the_members_of_its_version() {
    let sizes = run(DmaSupport::Low, |bench| async move {
        let mut sizes = Vec::new();
        for version in 0..4 {
            let (adapter, _) = bench.adapter_for(Described { version, ..EDU })?;
            assert_eq!(bench.k.read::<u16>(adapter + dma_adapter::VERSION)?, 1);
            let table: Va = bench.k.read(adapter + dma_adapter::DMA_OPERATIONS)?;
            let size: u32 = bench.k.read(table)?;
            for member in (8..u64::from(size)).step_by(8) {
                assert!(bench.k.read::<Va>(table + member)?.is_system());
            }
            let put: Va = bench.k.read(table + dma_operations::PUT_DMA_ADAPTER)?;
            assert_eq!(put, bench.k.routine_address("PutDmaAdapter"));
            sizes.push(size);
        }
        Ok(sizes)
    });
    assert_eq!(sizes, [104, 104, 128, 320]);
}

#[test]
fn there_are_adapters_for_bus_masters_only() {
    let refused = run(DmaSupport::Low, |bench| async move {
        let cases = [
            Described { version: 4, ..EDU },
            Described { flags: &[], ..EDU },
            Described { width: 0, ..EDU },
            Described { width: 65, ..EDU },
            Described {
                flags: &[layout::MASTER, layout::RESERVED_1],
                ..EDU
            },
        ];
        cases
            .into_iter()
            .map(|described| Ok(bench.adapter_for(described)?.0))
            .collect()
    });
    let refused: Vec<Va> = refused;
    assert_eq!(refused, [Va::NULL; 5]);
    assert!(run(DmaSupport::NoAdapters, |bench| async move {
        Ok(bench.adapter_for(EDU)?.0.is_null())
    }));
}

/// `DmaAddressWidth` counts in version 3 only.
#[test]
fn an_adapter_drives_24_address_bits_or_more() {
    let none: Vec<bool> = run(DmaSupport::Low, |bench| async move {
        let cases = [(3, 1), (3, 23), (3, 24), (3, 64), (2, 23), (1, 0), (0, 0)];
        cases
            .into_iter()
            .map(|(version, width)| {
                let described = Described { version, width, ..EDU };
                Ok(bench.adapter_for(described)?.0.is_null())
            })
            .collect()
    });
    assert_eq!(none, [true, true, false, false, false, false, false]);
}

#[test]
fn map_registers_are_for_the_longest_transfer_at_any_offset() {
    let registers = run(DmaSupport::Low, |bench| async move {
        let mut registers = Vec::new();
        for maximum_length in [1, 4096, 4097, u32::MAX] {
            let described = Described { maximum_length, ..EDU };
            registers.push(bench.adapter_for(described)?.1);
        }
        Ok(registers)
    });
    assert_eq!(registers, [2, 2, 3, 64]);
}

#[test]
fn an_adapter_tells_what_it_can() {
    let fields = run(DmaSupport::Low, |bench| async move {
        let adapter = bench.adapter()?;
        assert_eq!(bench.call("GetDmaAlignment", &[adapter.get()])?, 1);
        let info = bench.k.allocate_system(24, "DMA_ADAPTER_INFO")?;
        bench.call("GetDmaAdapterInfo", &[adapter.get(), info.get()])?;
        assert_eq!(bench.k.read::<u32>(info + 12_u64)?, 0, "the version was not given");
        bench.k.write(info, 1_u32)?;
        bench.call("GetDmaAdapterInfo", &[adapter.get(), info.get()])?;
        [4_u64, 8, 12, 16, 20]
            .into_iter()
            .map(|field| bench.k.read::<u32>(info + field))
            .collect::<Outcome<Vec<u32>>>()
    });
    assert_eq!(fields, [0, 1, 28, 0, 1]);
}

#[test]
fn misused_adapters_end_the_run() {
    let twice = crash_of(|bench| async move {
        let adapter = bench.adapter()?;
        bench.put(adapter)?;
        bench.put(adapter)?;
        Ok(())
    });
    assert_eq!(twice, (DMA, 0x18, "dma-adapter-use-after-put"));
    let null = crash_of(|bench| async move { bench.put(Va::NULL).map(drop) });
    assert_eq!(null, (DMA, 0x19, "dma-adapter-null"));
    let irql = crash_of(|bench| async move {
        let adapter = bench.adapter()?;
        let _ = bench.k.raise_irql(Irql::DISPATCH);
        bench.common_buffer(adapter, 8).map(drop)
    });
    assert_eq!(irql, (DMA, 0x13, "irql-contract"));
    let getting = crash_of(|bench| async move {
        let _ = bench.k.raise_irql(Irql::DISPATCH);
        let (_, ddi) = bench.k.registry().find("IoGetDmaAdapter").unwrap();
        assert!(!ddi.contract.allows(bench.k.irql()));
        bench.call("JoinDmaDomain", &[]).map(drop)
    });
    assert_eq!(getting.2, "not-modelled");
    let nobody = crash_of(|mut bench| async move {
        bench.pdo = bench.variable()?;
        bench.adapter().map(drop)
    });
    assert_eq!(nobody, (Code::DRIVER_VERIFIER_IOMANAGER_VIOLATION, 0x24D, "not-a-pdo"));
}

#[test]
fn an_adapter_that_is_not_put_is_a_leak() {
    let leak = crash_of(|bench| async move {
        bench.adapter()?;
        assert_eq!(leftovers(&bench.k).len(), 1);
        check_put(&bench.k, Va::NULL, "nothing")?;
        check_put(&bench.k, bench.pdo, "IRP_MN_STOP_DEVICE")
    });
    assert_eq!(leak, (DMA, 0x11, "dma-adapter-leak"));
    run(DmaSupport::Low, |bench| async move {
        let adapter = bench.adapter()?;
        bench.put(adapter)?;
        assert!(leftovers(&bench.k).is_empty());
        check_put(&bench.k, bench.pdo, "IRP_MN_STOP_DEVICE")
    });
}
