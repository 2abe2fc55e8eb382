//! Whatever a driver passes to a kernel routine, the machine answers as Windows would: it may stop, but the host does not panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Handler, Registry};
use crate::{
    ke::Irql,
    kernel::{Config, Kernel},
    machine::testing::Program,
    mm::{PoolKind, PoolOwner, Va},
    sched::{Random, ThreadSpec},
};

/// How often each routine is called.
const ROUNDS: u64 = 8;
/// How long one call may take: most waits end before.
const STEPS: u64 = 4_000;
/// The arguments that each call has: more than any routine takes.
const ARGUMENTS: usize = 14;

/// Addresses that mean something to the system.
struct Places {
    pool: Va,
    freed: Va,
    thread: Va,
    data: Va,
    code: Va,
}

impl Places {
    fn new(k: &Kernel, random: &mut Random) -> Self {
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
            pool,
            freed,
            thread,
            data: Program::data(),
            code: Program::address(0),
        }
    }

    fn argument(&self, random: &mut Random) -> u64 {
        match random.below(16) {
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
            _ => 0x0000_0200_0000_0000 + random.below(0x1_0000),
        }
    }
}

/// Calls the routine `name` with arguments that `seed` decides.
fn call(program: &Program, name: &str, seed: u64) {
    let machine = program.machine_of(Config {
        seed,
        step_limit: STEPS,
        ..Config::default()
    });
    let routine = machine.kernel().routine_address(name);
    machine.spawn(ThreadSpec::system("fuzz"), move |k| async move {
        let mut random = Random::new(seed, 99);
        let places = Places::new(&k, &mut random);
        let arguments: Vec<u64> = (0..ARGUMENTS).map(|_| places.argument(&mut random)).collect();
        if random.chance(25) {
            let _ = k.raise_irql(Irql::DISPATCH);
        }
        k.call(routine, &arguments).label("fuzz").may_change_irql().await
    });
    let _ = machine.run();
}

#[test]
#[ignore = "thousands of machines: minutes"]
fn no_routine_panics_whatever_its_arguments_are() {
    let program = Program::default().function(|f| f.asm.xor(iced_x86::code_asm::eax, iced_x86::code_asm::eax).unwrap());
    let registry = Registry::modelled();
    let mut panicked = Vec::new();
    for name in registry.names() {
        let data = registry
            .find(name)
            .is_some_and(|(_, ddi)| matches!(ddi.handler, Handler::Data { .. }));
        if data {
            continue;
        }
        for round in 0..ROUNDS {
            let seed = 1 + round;
            let done = catch_unwind(AssertUnwindSafe(|| call(&program, name, seed)));
            if let Err(panic) = done {
                let message = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("?");
                panicked.push(format!("{name} with seed {seed}: {message}"));
                break;
            }
        }
    }
    assert!(panicked.is_empty(), "{}", panicked.join("\n"));
}
