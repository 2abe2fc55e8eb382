//! Random sequences of operations on the model and on QEMU's device, compared after each.

use std::{cell::Cell, env, fmt::Write as _};

use ntsim::{
    bus::Width,
    devices::{Edu, EduProfile, qemu::QemuEdu},
};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::{
    operation::{BUFFER, COMMAND_MASTER, COMMAND_MEMORY, MEMORY, Operation, operations},
    qemu,
    subject::{OnBus, Real, Subject},
};

/// Names another number of operations: `OPERATIONS=100000 cargo xtask test QEMU`.
const OPERATIONS: &str = "OPERATIONS";
/// Names the seed of the sequences.
const SEED: &str = "SEED";
/// How many operations are made when nothing else is said.
const USUAL: u64 = 10_000;
/// How many shorter sequences are tried when one differs. Each has a QEMU of its own, and takes as long as a QEMU takes to start, at least.
const SHRINKS: u32 = 400;

const START: u64 = 0x1;
const TO_MEMORY: u64 = 0x2;
const INTERRUPT: u64 = 0x4;
const SOURCE: u64 = 0x80;
const DESTINATION: u64 = 0x88;
const COUNT: u64 = 0x90;
const DMA_COMMAND: u64 = 0x98;
const ALL_BITS: u64 = 0x0FFF_FFFF;

fn number(name: &str, usual: u64) -> u64 {
    let text = env::var(name);
    text.map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?} is not a number"))
    })
}

/// Two devices on which the same is done.
struct Pair<M, Q> {
    model: M,
    qemu: Q,
    command: u16,
    seen: Seen,
}

/// How often something was compared that a poor choice of operations would never bring about.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    edges: usize,
    messages: usize,
    transfers: usize,
}

impl Seen {
    fn with(self, other: Self) -> Self {
        Self {
            edges: self.edges + other.edges,
            messages: self.messages + other.messages,
            transfers: self.transfers + other.transfers,
        }
    }
}

/// What differs, in words.
type Comparison = Result<(), String>;

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: impl FnOnce() -> String, model: &T, qemu: &T) -> Comparison {
    if model == qemu {
        return Ok(());
    }
    Err(format!("{}: the model gives {model:x?}, QEMU gives {qemu:x?}", what()))
}

impl<M: Subject, Q: Subject> Pair<M, Q> {
    /// Two devices after power-on, which decode and are bus master.
    fn new(model: M, qemu: Q) -> Self {
        let mut pair = Self {
            model,
            qemu,
            command: 0,
            seen: Seen::default(),
        };
        pair.set_command(COMMAND_MEMORY | COMMAND_MASTER);
        pair
    }

    fn set_command(&mut self, command: u16) {
        self.model.command(command);
        self.qemu.command(command);
        self.command = command;
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        self.model.write(offset, width, value);
        self.qemu.write(offset, width, value);
    }

    fn write_transfer(&mut self, source: u64, destination: u64, count: u64, command: u64) {
        for (offset, value) in [
            (SOURCE, source),
            (DESTINATION, destination),
            (COUNT, count),
            (DMA_COMMAND, command),
        ] {
            self.write(offset, Width::Qword, value);
        }
    }

    /// Puts values into the DMA engine's registers with which a command can start a transfer, unless there are some: the rule "no abort".
    fn make_transfer_sound(&mut self, command: u64) {
        if self.model.read(DMA_COMMAND, Width::Dword) & START != 0 {
            return;
        }
        let [source, destination, count] = [SOURCE, DESTINATION, COUNT].map(|at| self.model.read(at, Width::Qword));
        let (inside, memory) = if command & TO_MEMORY == 0 {
            (destination, source & ALL_BITS)
        } else {
            (source, destination & ALL_BITS)
        };
        let fits = |range: &std::ops::Range<u64>, at: u64| {
            range.contains(&at) && at.checked_add(count).is_some_and(|end| end <= range.end)
        };
        if count == 0 || !fits(&BUFFER, inside) || !fits(&MEMORY, memory) {
            let (source, destination) = if command & TO_MEMORY == 0 {
                (MEMORY.start, BUFFER.start)
            } else {
                (BUFFER.start, MEMORY.start)
            };
            self.write_transfer(source, destination, 16, 0);
        }
    }

    /// What a write of `width` at `offset` writes into the command register of the DMA engine, if it may start a transfer.
    fn starts_transfer(offset: u64, width: Width, value: u64) -> Option<u64> {
        let end = offset + width.bytes();
        let written = offset < DMA_COMMAND + 8 && DMA_COMMAND < end;
        let shift = DMA_COMMAND.checked_sub(offset).filter(|_| written)?;
        Some((value & width.ones()) >> (8 * shift)).filter(|command| command & START != 0)
    }

    fn carry_out(&mut self, operation: Operation) -> Comparison {
        match operation {
            Operation::Read { offset, width } => self.compare_read(offset, width)?,
            Operation::Write { offset, width, value } => {
                if let Some(command) = Self::starts_transfer(offset, width, value) {
                    self.make_transfer_sound(command);
                }
                self.write(offset, width, value);
                let width = if offset < SOURCE { Width::Dword } else { Width::Qword };
                self.compare_read(offset & !(width.bytes() - 1), width)?;
            }
            Operation::Transfer {
                to_memory,
                inside,
                memory,
                count,
                interrupt,
            } => {
                let interrupt = if interrupt { INTERRUPT } else { 0 };
                if to_memory {
                    self.write_transfer(inside, memory, count, START | TO_MEMORY | interrupt);
                } else {
                    self.write_transfer(memory, inside, count, START | interrupt);
                }
            }
            Operation::Finish => {
                // The rule of decoding and bus mastering.
                self.set_command(self.command | COMMAND_MEMORY | COMMAND_MASTER);
                self.seen.transfers += usize::from(self.model.read(DMA_COMMAND, Width::Dword) & START != 0);
                self.model.finish_transfer();
                self.qemu.finish_transfer();
            }
            Operation::Wait(time) => {
                self.model.wait(time);
                self.qemu.wait(time);
            }
            Operation::Fill { at, length, byte } => {
                let bytes: Vec<u8> = (0..length)
                    .map(|index| byte.wrapping_add(index.to_le_bytes()[0]))
                    .collect();
                self.model.fill(at, &bytes);
                self.qemu.fill(at, &bytes);
            }
            Operation::Command(command) => self.set_command(command),
            Operation::Messages(enabled) => {
                self.model.messages(enabled);
                self.qemu.messages(enabled);
            }
            Operation::ReadConfig(offset) => {
                let (model, qemu) = (self.model.read_config(offset), self.qemu.read_config(offset));
                same(|| "the register of configuration space".to_owned(), &model, &qemu)?;
            }
            Operation::Reset => {
                self.model.reset();
                self.qemu.reset();
                self.set_command(COMMAND_MEMORY | COMMAND_MASTER);
            }
        }
        let (model, qemu) = (self.model.interrupts(), self.qemu.interrupts());
        self.seen.edges += qemu.edges.len();
        self.seen.messages += usize::from(qemu.message);
        same(|| "its interrupts".to_owned(), &model, &qemu)
    }

    fn compare_read(&mut self, offset: u64, width: Width) -> Comparison {
        let (model, qemu) = (self.model.read(offset, width), self.qemu.read(offset, width));
        same(|| format!("the {width} value at {offset:#x}"), &model, &qemu)
    }

    /// Everything that can be read.
    fn compare_state(&mut self) -> Comparison {
        self.set_command(COMMAND_MEMORY | COMMAND_MASTER);
        for (offset, width) in (0..0xA0)
            .step_by(4)
            .map(|offset| (offset, Width::Dword))
            .chain([SOURCE, DESTINATION, COUNT, DMA_COMMAND].map(|offset| (offset, Width::Qword)))
        {
            self.compare_read(offset, width)?;
        }
        let (model, qemu) = (self.model.memory(), self.qemu.memory());
        let differs = model.iter().zip(&qemu).position(|(model, qemu)| model != qemu);
        let at = differs.unwrap_or(0);
        same(
            || format!("memory at {:#x} in the end", MEMORY.start + at as u64),
            &model[at..model.len().min(at + 8)],
            &qemu[at..qemu.len().min(at + 8)],
        )
    }

    fn compare(mut self, operations: &[Operation]) -> Result<Seen, String> {
        for (index, &operation) in operations.iter().enumerate() {
            self.carry_out(operation)
                .map_err(|difference| format!("operation {index}, {operation:x?}: {difference}"))?;
        }
        self.compare_state()?;
        Ok(self.seen)
    }
}

/// Makes sequences of operations until there were as many as asked for, each on a pair of its own.
fn compare_many<M: Subject, Q: Subject>(waits: bool, pair: impl Fn() -> Pair<M, Q>) {
    let (wanted, seed) = (number(OPERATIONS, USUAL), number(SEED, 1));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        max_shrink_iters: SHRINKS,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let strategy = operations(waits);
    let total = Cell::new(Seen::default());
    let mut made = 0;
    while made < wanted {
        let sequence = strategy.new_tree(&mut runner).expect("there is always a sequence");
        made += sequence.current().len() as u64;
        let compared = runner.run_one(sequence, |operations| {
            let more = pair().compare(&operations).map_err(TestCaseError::fail)?;
            total.update(|total| total.with(more));
            Ok(())
        });
        if let Err(TestError::Fail(difference, operations)) = compared {
            panic!(
                "{SEED}={seed}, {difference}; the sequence, shortened:\n{}",
                listed(&operations)
            );
        }
    }
    let Seen {
        edges,
        messages,
        transfers,
    } = total.get();
    assert!(
        [edges, messages, transfers].iter().all(|&count| count > 0),
        "{made} operations were too few: {:?}",
        total.get()
    );
    println!(
        "{made} operations, {edges} edges, {messages} messages, {transfers} transfers, {SEED}={seed}: no difference"
    );
}

fn listed(operations: &[Operation]) -> String {
    operations
        .iter()
        .enumerate()
        .fold(String::new(), |mut list, (index, operation)| {
            let _ = writeln!(list, "{index:>4}  {operation:x?}");
            list
        })
}

/// The model, without chance.
fn model(settles: bool) -> OnBus {
    let profile = EduProfile {
        step_latency: 0..=0,
        ..EduProfile::as_qemu()
    };
    OnBus::new(Box::new(Edu::new(profile)), settles)
}

#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn the_model_does_what_qemus_device_does() {
    compare_many(false, || Pair::new(model(true), Real(qemu())));
}

#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn qemus_device_in_virtual_time_does_what_the_model_does() {
    compare_many(true, || {
        Pair::new(model(false), OnBus::new(Box::new(QemuEdu::new(qemu())), false))
    });
}
