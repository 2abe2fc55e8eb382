//! Whatever a driver passes to a kernel routine, the machine answers as Windows would: it may stop, but the host does not panic.

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use super::{Handler, Registry};
use crate::{
    bugcheck::Outcome,
    ke::Irql,
    kernel::{Config, Kernel},
    machine::{DriverImage, Machine, testing::Program},
    mm::{PoolKind, PoolOwner, Va},
    sched::{Random, ThreadSpec},
    trace::Counter,
};

/// How many scheduler steps one call may take: most waits end before.
const STEPS: u64 = 2_000;
/// The arguments that each call has: more than any routine takes.
const ARGUMENTS: usize = 14;

/// What routines are given that is in order: objects that were initialized, and handles.
struct Objects(Vec<u64>);

impl Objects {
    async fn new(k: &Kernel) -> Outcome<Self> {
        let call = async |name, arguments: &[u64]| k.call(k.routine_address(name), arguments).label("fuzz").await;
        let memory = k.allocate_pool(PoolKind::NonPagedNx, 0x1000, 0x7A7A_7546, PoolOwner::Driver, "pool");
        let at = |index: u64| (memory + 0x400_u64 + 0x80 * index).get();
        let (name, text, variable) = (Va(at(0)), Va(at(0)) + 0x20_u64, Va(at(1)));
        let bytes: Vec<u8> = "\\Device\\Fuzz".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = u16::try_from(bytes.len()).unwrap();
        k.write_bytes(text, &bytes)?;
        k.write(name, length)?;
        k.write(name + 2_u64, length)?;
        k.write(name + 8_u64, text)?;
        let attributes = Va(at(2));
        k.write(attributes, 0x30_u64)?;
        k.write(attributes + 0x10_u64, name)?;
        k.write(attributes + 0x18_u64, 0x240_u64)?;
        let list = Va(at(3));
        k.write(list, list)?;
        k.write(list + 8_u64, list)?;
        let code = Program::address(0).get();
        call("KeInitializeEvent", &[at(4), 0, 0]).await?;
        call("KeInitializeTimerEx", &[at(5), 0]).await?;
        call("KeInitializeDpc", &[at(6), code, 0]).await?;
        call("KeInitializeMutex", &[at(7), 0]).await?;
        call("KeInitializeSemaphore", &[at(8), 0, 5]).await?;
        call("ExInitializeResourceLite", &[at(9)]).await?;
        call("RtlInitializeBitMap", &[at(11), memory.get(), 0x200]).await?;
        call("KeInitializeDeviceQueue", &[at(12)]).await?;
        call("IoInitializeRemoveLockEx", &[at(13), 0x31, 0, 0, 0x20]).await?;
        call(
            "IoCreateDevice",
            &[memory.get(), 0x40, name.get(), 0x22, 0, 0, variable.get()],
        )
        .await?;
        let device: u64 = k.read(variable)?;
        let irp = call("IoAllocateIrp", &[3, 0]).await?;
        let mdl = call("IoAllocateMdl", &[memory.get(), 0x400, 0, 0, 0]).await?;
        call("MmBuildMdlForNonPagedPool", &[mdl]).await?;
        let item = call("IoAllocateWorkItem", &[device]).await?;
        call("ZwCreateEvent", &[variable.get(), 0x1F_0003, 0, 0, 0]).await?;
        let mut all = vec![device, device, irp, mdl, item, text.get(), k.read(variable)?];
        all.extend([0, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13].map(at));
        Ok(Self(all))
    }
}

/// Addresses that mean something to the system.
struct Places {
    objects: Rc<Objects>,
    pool: Va,
    freed: Va,
    thread: Va,
    data: Va,
    code: Va,
}

impl Places {
    fn new(k: &Kernel, random: &mut Random, objects: &Rc<Objects>) -> Self {
        let pool = k.allocate_pool(PoolKind::NonPagedNx, 0x400, 0x7A7A_7546, PoolOwner::Driver, "pool");
        for index in 0..0x80_u64 {
            let value = match random.below(4) {
                0 => 0,
                1 => random.below(0x100),
                2 => (pool + random.below(0x400)).get(),
                _ => random.below(u64::MAX),
            };
            let _ = k.write(pool + 8 * index, value);
        }
        let freed = k.allocate_pool(PoolKind::NonPagedNx, 0x100, 0, PoolOwner::Driver, "pool");
        let _ = k.try_free_pool(freed);
        let thread = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
        Self {
            objects: objects.clone(),
            pool,
            freed,
            thread,
            data: Program::data(),
            code: Program::address(0),
        }
    }

    fn argument(&self, random: &mut Random) -> u64 {
        match random.below(23) {
            0..=2 => 0,
            3 | 4 => random.below(0x40),
            5 => u64::MAX - random.below(0x10),
            6 => random.below(u64::MAX),
            7 => random.below(1 << 32),
            8 | 9 => self.pool.get(),
            10 => (self.pool + random.below(0x3F0)).get(),
            11 => self.freed.get(),
            12 => self.thread.get(),
            13 => (self.data + random.below(0x80)).get(),
            14 => self.code.get(),
            15..=21 => self.objects.0[random.index(self.objects.0.len())],
            _ => 0x0000_0200_0000_0000 + random.below(0x1_0000),
        }
    }
}

/// Calls to make, one after the other, and how far that has come.
struct Calls {
    names: Vec<&'static str>,
    next: Cell<usize>,
    /// How many have returned.
    returned: Cell<usize>,
    /// The machine's count of steps when the current call was made.
    since: Cell<u64>,
}

impl Calls {
    /// `rounds` calls of every routine that the model has. What `first` rounds would call is left out.
    fn new(first: usize, rounds: usize) -> Self {
        let registry = Registry::modelled();
        let is_routine = |name: &&str| {
            let (_, ddi) = registry.find(name).expect("the registry has its names");
            !matches!(ddi.handler, Handler::Data { .. })
        };
        let routines: Vec<_> = registry.names().filter(is_routine).collect();
        Self {
            next: Cell::new(first * routines.len()),
            names: routines.repeat(first + rounds),
            returned: Cell::new(0),
            since: Cell::new(0),
        }
    }

    fn are_left(&self) -> bool {
        self.next.get() < self.names.len()
    }

    /// The call that was taken last.
    fn current(&self) -> String {
        let index = self.next.get() - 1;
        format!("{} (call {index})", self.names[index])
    }

    fn take(&self, k: &Kernel) -> Option<(&'static str, u64)> {
        let index = self.next.get();
        let name = *self.names.get(index)?;
        self.next.set(index + 1);
        self.since.set(k.recorded().counters.get(Counter::Steps));
        Some((name, index as u64))
    }

    fn takes_too_long(&self, k: &Kernel) -> bool {
        k.recorded().counters.get(Counter::Steps) > self.since.get() + STEPS
    }
}

/// Makes calls in one machine until one does not return, or leaves the processor at another IRQL.
fn make(image: &Rc<DriverImage>, calls: &Rc<Calls>) {
    let mut machine = Machine::new(Config {
        seed: 1 + calls.next.get() as u64,
        ..Config::default()
    })
    .expect("the machine can be built");
    machine.load(image).expect("the image can be loaded");
    let mine = calls.clone();
    machine.spawn(ThreadSpec::system("fuzz"), move |k| async move {
        let objects = Rc::new(Objects::new(&k).await?);
        while let Some((name, seed)) = mine.take(&k) {
            let mut random = Random::new(seed, 99);
            let places = Places::new(&k, &mut random, &objects);
            let arguments: Vec<u64> = (0..ARGUMENTS).map(|_| places.argument(&mut random)).collect();
            let irql = if random.chance(25) {
                Irql::DISPATCH
            } else {
                Irql::PASSIVE
            };
            let _ = k.raise_irql(irql);
            let routine = k.routine_address(name);
            k.call(routine, &arguments).label("fuzz").may_change_irql().await?;
            mine.returned.set(mine.returned.get() + 1);
            if k.irql() != irql {
                break;
            }
            k.lower_irql(Irql::PASSIVE);
        }
        Ok(())
    });
    let _ = machine.run_until(|k| calls.takes_too_long(k));
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// Makes all calls, in as many machines as that takes.
fn make_all(first: usize, rounds: usize) {
    let image = Program::default()
        .function(|f| f.asm.xor(iced_x86::code_asm::eax, iced_x86::code_asm::eax).unwrap())
        .image();
    let calls = Rc::new(Calls::new(first, rounds));
    let mut machines = 0;
    let mut panicked = Vec::new();
    while calls.are_left() {
        machines += 1;
        let before = calls.next.get();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| make(&image, &calls))) {
            panicked.push(format!("{}: {}", calls.current(), message(&*panic)));
        }
        assert!(calls.next.get() > before, "no call was made: {panicked:?}");
    }
    println!("{machines} machines; {} calls have returned", calls.returned.get());
    assert!(panicked.is_empty(), "{}", panicked.join("\n"));
}

#[test]
fn no_routine_panics_whatever_its_arguments_are() {
    make_all(0, 3);
}

#[test]
#[ignore = "minutes"]
fn no_routine_panics_however_often_it_is_called() {
    make_all(3, 60);
}
