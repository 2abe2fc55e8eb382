//! Transfers of buffers that are there already, through map registers.

use iced_x86::code_asm::{eax, qword_ptr, r8, rax};
use ntlayout::mdl;

use super::*;
use crate::{
    machine::testing::Program,
    mm::{
        PAGE_SIZE, PoolKind, PoolOwner,
        mdl::{self as memory_lists, Locker, Operation},
    },
    sched::Mode,
    status::NtStatus,
};

const KEEP_OBJECT: usize = 0;
const DEALLOCATE_OBJECT: usize = 1;
const KEEP_REGISTERS: usize = 2;
/// Bytes that have three pages, the first and last in part.
const LENGTH: u64 = 2 * PAGE_SIZE;
/// Where in its page a buffer begins.
const OFFSET: u64 = 0x123;

/// A driver whose functions leave what they are given (map registers or a list) in its data, and return an
/// `IO_ALLOCATION_ACTION`: [`KEEP_OBJECT`] and so on.
fn program() -> Program {
    (1..=3).fold(Program::default(), |program, action| {
        program.function(move |f| {
            f.load(rax, Program::data().get());
            f.asm.mov(qword_ptr(rax), r8).unwrap();
            f.asm.mov(eax, action).unwrap();
        })
    })
}

/// A buffer in pool, and its MDL.
#[derive(Clone, Copy)]
struct Buffer {
    va: Va,
    list: Va,
}

impl Bench {
    /// Calls a routine of the model's that calls the driver.
    async fn flow(&self, routine: &str, arguments: &[u64]) -> Outcome<NtStatus> {
        let (_, ddi) = self.k.registry().find(routine).expect("it is modelled");
        let Handler::Flow(start) = &ddi.handler else {
            panic!("{routine} may call the driver");
        };
        let value = start(self.k.clone(), Args::of(arguments)).await?;
        Ok(NtStatus((value & 0xFFFF_FFFF) as u32))
    }

    /// What the driver's function was given last.
    fn given(&self) -> Outcome<u64> {
        self.k.read(Program::data())
    }

    /// A buffer of [`LENGTH`] bytes whose pages lie in reverse order in physical memory, so that it is in three pieces.
    fn buffer(&self) -> Outcome<Buffer> {
        let memory = self
            .k
            .allocate_pool(PoolKind::NonPagedNx, 3 * PAGE_SIZE, 1, PoolOwner::Driver, "buffer");
        let list = self.k.allocate_system(mdl::SIZE + 3 * 8, "MDL")?;
        self.k.write(list + mdl::MDL_FLAGS, 0x0004_u16)?;
        self.k.write(list + mdl::START_VA, memory)?;
        self.k.write(list + mdl::BYTE_OFFSET, u32::try_from(OFFSET).unwrap())?;
        self.k.write(list + mdl::BYTE_COUNT, u32::try_from(LENGTH).unwrap())?;
        let (physical, _) = self.k.watch().space.borrow().translate(memory, 1).unwrap();
        for page in 0..3 {
            let frame = physical.0 / PAGE_SIZE + 2 - page;
            self.k.write(list + mdl::SIZE + page * 8, frame)?;
        }
        Ok(Buffer {
            va: memory + OFFSET,
            list,
        })
    }

    /// Where in pool the byte at `index` of a buffer lies, whose pages are in reverse order.
    fn place(buffer: Buffer, index: u64) -> Va {
        let within = OFFSET + index;
        buffer.va.page() + (2 - within / PAGE_SIZE) * PAGE_SIZE + within % PAGE_SIZE
    }

    /// An adapter of the edu's that takes transfers of [`LENGTH`] bytes.
    fn packet_adapter(&self, flags: &'static [usize]) -> Outcome<Va> {
        let maximum_length = u32::try_from(LENGTH).unwrap();
        let described = Described {
            maximum_length,
            flags,
            ..EDU
        };
        let (adapter, registers) = self.adapter_for(described)?;
        assert_eq!(registers, 3);
        Ok(adapter)
    }

    /// Has the adapter call back function `action`, and gives the map registers that it was given.
    async fn channel(&self, adapter: Va, registers: u64, action: usize) -> Outcome<u64> {
        let routine = Program::address(action).get();
        let arguments = [adapter.get(), self.pdo.get(), registers, routine, 0];
        let status = self.flow("AllocateAdapterChannel", &arguments).await?;
        assert_eq!(status, NtStatus::SUCCESS);
        self.given()
    }

    /// `MapTransfer`: the logical address and how many bytes were mapped.
    fn map(
        &self,
        adapter: Va,
        buffer: Buffer,
        base: u64,
        at: u64,
        length: u64,
        to_device: bool,
    ) -> Outcome<(u64, u64)> {
        let mapped = self.variable()?;
        self.k.write(mapped, u32::try_from(length).unwrap())?;
        let va = (buffer.va + at).get();
        let arguments = [
            adapter.get(),
            buffer.list.get(),
            base,
            va,
            mapped.get(),
            to_device.into(),
        ];
        let logical = self.call("MapTransfer", &arguments)?;
        Ok((logical, self.k.read::<u32>(mapped)?.into()))
    }

    fn flush(&self, adapter: Va, buffer: Buffer, base: u64, at: u64, length: u64, to_device: bool) -> Outcome<u64> {
        let va = (buffer.va + at).get();
        let arguments = [adapter.get(), buffer.list.get(), base, va, length, to_device.into()];
        self.call("FlushAdapterBuffers", &arguments)
    }

    async fn free_registers(&self, adapter: Va, base: u64, count: u64) -> Outcome<NtStatus> {
        self.flow("FreeMapRegisters", &[adapter.get(), base, count]).await
    }

    fn at_dispatch(&self) -> Irql {
        self.k.raise_irql(Irql::DISPATCH)
    }
}

const MASTER: &[usize] = &[layout::MASTER];
const SCATTER_GATHER: &[usize] = &[layout::MASTER, layout::SCATTER_GATHER];

fn run_packet<T, F>(script: impl FnOnce(Bench) -> F + 'static) -> T
where
    T: 'static,
    F: Future<Output = Outcome<T>> + 'static,
{
    let result = Rc::new(RefCell::new(None));
    let found = result.clone();
    let machine = run_on(program().machine(1), |bench| async move {
        *found.borrow_mut() = Some(script(bench).await?);
        Ok(())
    });
    let report = machine.crash_report(None);
    assert!(machine.kernel().crash().is_none(), "{}", report.unwrap());
    result.take().expect("the script has ended")
}

/// The parameter and rule that `script` ends the run with.
fn violation_of<F>(script: impl FnOnce(Bench) -> F + 'static) -> (u64, &'static str)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_on(program().machine(1), script);
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.code, DMA, "{}", crash.bugcheck);
    (crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

#[test]
fn a_buffer_in_pieces_is_one_for_the_device() {
    run_packet(|bench| async move {
        let adapter = bench.packet_adapter(MASTER)?;
        let buffer = bench.buffer()?;
        for index in 0..LENGTH {
            bench.k.write(Bench::place(buffer, index), (index % 253) as u8)?;
        }
        let passive = bench.at_dispatch();
        let base = bench.channel(adapter, 3, KEEP_REGISTERS).await?;
        let (logical, mapped) = bench.map(adapter, buffer, base, 0, LENGTH, true)?;
        assert_eq!((logical % PAGE_SIZE, mapped), (OFFSET, LENGTH));
        bench.k.lower_irql(passive);
        // Over the boundary between the first two pages.
        bench.device_reads(logical + 0xE00, 0x400).await?;
        assert_eq!(bench.flush(adapter, buffer, base, 0, LENGTH, true)?, 1);
        // The driver looks at what has come back only when it has flushed.
        let (logical, _) = bench.map(adapter, buffer, base, 0x10, 0x400, false)?;
        bench.device_writes(logical, 0x400).await?;
        assert_eq!(bench.k.read::<u8>(Bench::place(buffer, 0x10))?, 0x10);
        bench.flush(adapter, buffer, base, 0x10, 0x400, false)?;
        for index in 0..0x400 {
            let byte: u8 = bench.k.read(Bench::place(buffer, 0x10 + index))?;
            assert_eq!(u64::from(byte), (0xE00 + index) % 253);
        }
        let passive = bench.at_dispatch();
        bench.free_registers(adapter, base, 3).await?;
        bench.k.lower_irql(passive);
        bench.put(adapter).map(drop)
    });
}

#[test]
fn a_scatter_gather_device_is_given_piece_after_piece() {
    let mapped = run_packet(|bench| async move {
        let adapter = bench.packet_adapter(SCATTER_GATHER)?;
        let buffer = bench.buffer()?;
        let _ = bench.at_dispatch();
        let base = bench.channel(adapter, 3, KEEP_REGISTERS).await?;
        let mut at = 0;
        let mut pieces = Vec::new();
        while at < LENGTH {
            let (_, mapped) = bench.map(adapter, buffer, base, at, LENGTH - at, true)?;
            pieces.push(mapped);
            at += mapped;
        }
        bench.flush(adapter, buffer, base, 0, LENGTH, true)?;
        Ok(pieces)
    });
    assert_eq!(mapped, [PAGE_SIZE - OFFSET, PAGE_SIZE, OFFSET]);
}

#[test]
fn a_list_has_an_element_for_each_piece_or_one() {
    let elements = |flags| {
        run_packet(move |bench| async move {
            let adapter = bench.packet_adapter(flags)?;
            let buffer = bench.buffer()?;
            bench.k.write(Bench::place(buffer, 0), 0x5A_u8)?;
            let passive = bench.at_dispatch();
            let routine = Program::address(KEEP_OBJECT).get();
            let mut arguments = [
                adapter.get(),
                bench.pdo.get(),
                buffer.list.get(),
                buffer.va.get(),
                LENGTH,
                routine,
                0,
                1,
            ];
            let status = bench.flow("GetScatterGatherList", &arguments).await?;
            assert_eq!(status, NtStatus::SUCCESS);
            let list = Va(bench.given()?);
            let mut elements = Vec::new();
            for index in 0..bench.k.read::<u32>(list)? {
                let element = list + 16_u64 + u64::from(index) * 24;
                elements.push((bench.k.read::<u64>(element)?, bench.k.read::<u32>(element + 8_u64)?));
            }
            bench.k.lower_irql(passive);
            bench.device_reads(elements[0].0, 1).await?;
            let passive = bench.at_dispatch();
            bench
                .flow("PutScatterGatherList", &[adapter.get(), list.get(), 1])
                .await?;
            arguments[4] = LENGTH + 1;
            let status = bench.flow("GetScatterGatherList", &arguments).await?;
            assert_eq!(status, NtStatus::BUFFER_TOO_SMALL);
            bench.k.lower_irql(passive);
            bench.put(adapter)?;
            Ok(elements
                .into_iter()
                .map(|(_, length)| length.into())
                .collect::<Vec<u64>>())
        })
    };
    assert_eq!(elements(SCATTER_GATHER), [PAGE_SIZE - OFFSET, PAGE_SIZE, OFFSET]);
    assert_eq!(elements(MASTER), [LENGTH]);
}

#[test]
fn a_driver_can_bring_the_lists_memory() {
    run_packet(|bench| async move {
        let adapter = bench.packet_adapter(SCATTER_GATHER)?;
        let buffer = bench.buffer()?;
        let (size, registers) = (bench.variable()?, bench.variable()?);
        let mut arguments = [adapter.get(), 0, buffer.va.get(), LENGTH, size.get(), registers.get()];
        bench.call("CalculateScatterGatherList", &arguments)?;
        let most: u32 = bench.k.read(size)?;
        arguments[1] = buffer.list.get();
        bench.call("CalculateScatterGatherList", &arguments)?;
        let enough: u32 = bench.k.read(size)?;
        assert_eq!((most, enough, bench.k.read::<u32>(registers)?), (88, 88, 3));
        let at = bench.k.allocate_system(88, "list")?;
        let routine = Program::address(KEEP_OBJECT).get();
        let _ = bench.at_dispatch();
        for (length, status) in [(87, NtStatus::BUFFER_TOO_SMALL), (88, NtStatus::SUCCESS)] {
            let (device, list, va) = (bench.pdo.get(), buffer.list.get(), buffer.va.get());
            let arguments = [adapter.get(), device, list, va, LENGTH, routine, 0, 0, at.get(), length];
            assert_eq!(bench.flow("BuildScatterGatherList", &arguments).await?, status);
        }
        assert_eq!(bench.given()?, at.get());
        bench
            .flow("PutScatterGatherList", &[adapter.get(), at.get(), 0])
            .await?;
        // It is the driver's still.
        bench.k.read::<u32>(at).map(drop)
    });
}

#[test]
fn requests_wait_for_the_channel_and_for_registers() {
    run_packet(|bench| async move {
        let adapter = bench.packet_adapter(MASTER)?;
        let _ = bench.at_dispatch();
        let first = bench.channel(adapter, 2, KEEP_REGISTERS).await?;
        // One register is left, and two are wanted.
        assert_eq!(bench.channel(adapter, 2, KEEP_OBJECT).await?, first);
        bench.free_registers(adapter, first, 2).await?;
        let second = bench.given()?;
        assert_ne!(second, first);
        // The channel is kept, and the next one waits for it.
        assert_eq!(bench.channel(adapter, 1, DEALLOCATE_OBJECT).await?, second);
        bench.flow("FreeAdapterChannel", &[adapter.get()]).await?;
        assert_ne!(bench.given()?, second);
        let too_many = [adapter.get(), bench.pdo.get(), 4, Program::address(0).get(), 0];
        let status = bench.flow("AllocateAdapterChannel", &too_many).await?;
        assert_eq!(status, NtStatus::INSUFFICIENT_RESOURCES);
        bench.k.lower_irql(Irql::PASSIVE);
        bench.put(adapter).map(drop)
    });
}

#[test]
fn misused_transfers_end_the_run() {
    type Case = fn(Bench, Va, Buffer, u64) -> std::pin::Pin<Box<dyn Future<Output = Outcome<()>>>>;
    let cases: [((u64, &str), Case); 15] = [
        ((0x21, "dma-zero-length"), |bench, adapter, buffer, base| {
            Box::pin(async move { bench.map(adapter, buffer, base, 0, 0, true).map(drop) })
        }),
        ((0x1B, "dma-outside-mdl"), |bench, adapter, buffer, base| {
            Box::pin(async move { bench.map(adapter, buffer, base, LENGTH, 1, true).map(drop) })
        }),
        ((0x24, "dma-beyond-mdl"), |bench, adapter, buffer, base| {
            Box::pin(async move { bench.map(adapter, buffer, base, 1, LENGTH, true).map(drop) })
        }),
        ((0x0E, "dma-buffer-not-locked"), |bench, adapter, buffer, base| {
            Box::pin(async move {
                bench.k.write(buffer.list + mdl::MDL_FLAGS, 0_u16)?;
                bench.map(adapter, buffer, base, 0, 1, true).map(drop)
            })
        }),
        ((0x15, "map-registers-exceeded"), |bench, adapter, buffer, base| {
            Box::pin(async move { bench.map(adapter, buffer, base, 0, LENGTH, true).map(drop) })
        }),
        ((0x1D, "dma-mapped-twice"), |bench, adapter, buffer, base| {
            Box::pin(async move {
                bench.map(adapter, buffer, base, 0, 2, true)?;
                bench.map(adapter, buffer, base, 1, 2, true).map(drop)
            })
        }),
        ((0x20, "dma-flushed-unmapped"), |bench, adapter, buffer, base| {
            Box::pin(async move { bench.flush(adapter, buffer, base, 0, 1, true).map(drop) })
        }),
        ((0x00, "dma-flushed-too-much"), |bench, adapter, buffer, base| {
            Box::pin(async move {
                bench.map(adapter, buffer, base, 0, 2, true)?;
                bench.flush(adapter, buffer, base, 0, 3, true).map(drop)
            })
        }),
        ((0x10, "map-registers-freed-mapped"), |bench, adapter, buffer, base| {
            Box::pin(async move {
                bench.map(adapter, buffer, base, 0, 2, true)?;
                bench.free_registers(adapter, base, 2).await.map(drop)
            })
        }),
        ((0x05, "map-registers-double-free"), |bench, adapter, _, base| {
            Box::pin(async move {
                bench.free_registers(adapter, base, 2).await?;
                bench.free_registers(adapter, base, 2).await.map(drop)
            })
        }),
        ((0x05, "map-registers-double-free"), |bench, adapter, _, base| {
            Box::pin(async move { bench.free_registers(adapter, base, 3).await.map(drop) })
        }),
        ((0x04, "adapter-channel-double-free"), |bench, adapter, _, _| {
            Box::pin(async move { bench.flow("FreeAdapterChannel", &[adapter.get()]).await.map(drop) })
        }),
        ((0x06, "scatter-gather-list-double-free"), |bench, adapter, _, base| {
            Box::pin(async move {
                bench
                    .flow("PutScatterGatherList", &[adapter.get(), base, 0])
                    .await
                    .map(drop)
            })
        }),
        ((0x09, "map-registers-leak"), |bench, adapter, _, _| {
            Box::pin(async move { bench.put(adapter).map(drop) })
        }),
        ((0x13, "irql-contract"), |bench, adapter, _, base| {
            Box::pin(async move {
                bench.k.lower_irql(Irql::PASSIVE);
                bench.free_registers(adapter, base, 2).await.map(drop)
            })
        }),
    ];
    for (expected, case) in cases {
        let found = violation_of(move |bench| async move {
            let adapter = bench.packet_adapter(MASTER)?;
            let buffer = bench.buffer()?;
            let _ = bench.at_dispatch();
            let base = bench.channel(adapter, 2, KEEP_REGISTERS).await?;
            case(bench, adapter, buffer, base).await
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn a_channel_is_asked_for_once_at_a_time() {
    let queued = violation_of(|bench| async move {
        let adapter = bench.packet_adapter(MASTER)?;
        let _ = bench.at_dispatch();
        for _ in 0..3 {
            bench.channel(adapter, 1, KEEP_OBJECT).await?;
        }
        Ok(())
    });
    assert_eq!(queued, (0x0B, "adapter-channel-allocated-twice"));
    let kept = violation_of(|bench| async move {
        let adapter = bench.packet_adapter(MASTER)?;
        let _ = bench.at_dispatch();
        bench.channel(adapter, 1, KEEP_OBJECT).await?;
        bench.put(adapter).map(drop)
    });
    assert_eq!(kept, (0x08, "adapter-channel-leak"));
}

#[test]
fn a_mapped_buffer_is_for_one_direction_and_must_stay() {
    let backwards = violation_of(|bench| async move {
        let adapter = bench.packet_adapter(MASTER)?;
        let buffer = bench.buffer()?;
        let passive = bench.at_dispatch();
        let base = bench.channel(adapter, 1, KEEP_REGISTERS).await?;
        let (logical, _) = bench.map(adapter, buffer, base, 0, 4, true)?;
        bench.k.lower_irql(passive);
        bench.device_writes(logical, 4).await
    });
    assert_eq!(backwards, (0x26, "dma-wrong-direction"));
    let freed = violation_of(|bench| async move {
        let adapter = bench.packet_adapter(MASTER)?;
        let buffer = bench.buffer()?;
        let _ = bench.at_dispatch();
        let base = bench.channel(adapter, 1, KEEP_REGISTERS).await?;
        bench.map(adapter, buffer, base, 0, 4, false)?;
        bench.k.try_free_pool(buffer.va.page()).unwrap();
        bench.flush(adapter, buffer, base, 0, 4, false).map(drop)
    });
    assert_eq!(freed, (0x26, "dma-into-freed-memory"));
}

impl Bench {
    /// A buffer of a program's, of the pages in part, whose pages are locked.
    fn program_buffer(&self) -> Outcome<Buffer> {
        let va = self.k.allocate_user(OFFSET, LENGTH);
        let list = self.k.allocate_system(mdl::SIZE + 3 * 8, "MDL")?;
        memory_lists::initialize(&self.k, list, va, u32::try_from(LENGTH).unwrap())?;
        let driver = Locker::Driver(Va::NULL);
        let locked = memory_lists::lock(&self.k, list, Mode::User, Operation::Write, driver)?;
        assert_eq!(locked, Ok(()));
        Ok(Buffer { va, list })
    }
}

#[test]
fn a_programs_memory_must_stay_locked_until_it_is_flushed() {
    let transfer = |unlocked: bool| {
        run_on(program().machine(1), move |bench| async move {
            let adapter = bench.packet_adapter(MASTER)?;
            let buffer = bench.program_buffer()?;
            let passive = bench.at_dispatch();
            let base = bench.channel(adapter, 3, KEEP_REGISTERS).await?;
            let (logical, _) = bench.map(adapter, buffer, base, 0, LENGTH, false)?;
            bench.k.lower_irql(passive);
            bench.device_writes(logical, 16).await?;
            if unlocked {
                memory_lists::unlock(&bench.k, buffer.list)?;
            }
            bench.flush(adapter, buffer, base, 0, 16, false)?;
            let here = bench.k.watch().user.borrow().find(buffer.va).unwrap().0;
            let mut bytes = [1; 16];
            bench.k.engine().borrow().read(here, &mut bytes);
            assert_eq!(bytes, [0; 16], "the device's buffer is all 0");
            memory_lists::unlock(&bench.k, buffer.list)
        })
    };
    let machine = transfer(false);
    assert!(
        machine.kernel().crash().is_none(),
        "{}",
        machine.crash_report(None).unwrap()
    );
    let machine = transfer(true);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.rule, "dma-buffer-not-locked");
}

#[test]
fn a_device_must_not_reach_a_programs_memory_that_is_not_locked() {
    let reach = |locked: bool| {
        run(DmaSupport::Low, move |bench| async move {
            let buffer = bench.program_buffer()?;
            let here = memory_lists::frames(&bench.k, buffer.list)?[0];
            if !locked {
                memory_lists::unlock(&bench.k, buffer.list)?;
                bench.k.free_user(buffer.va);
            }
            let loaded = DeviceMemory(&bench.k).load(bench.slot, here, &mut [0; 4]);
            Ok(loaded.is_ok())
        })
    };
    assert!(reach(true));
    assert!(!reach(false));
}
