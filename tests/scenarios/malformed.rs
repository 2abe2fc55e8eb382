//! Requests as a fuzzer makes them: almost everything about them is wrong, and now and then something is right.
//!
//! No rule may be broken by them, and no program may be given a byte that nobody wrote.

use std::{collections::BTreeMap, env, thread};

use edu::ioctl::{
    ControlCode, Factorial, IOCTL_EDU_DMA_ECHO, Liveness, QueryInfo, QueryStatistics, RaiseInterrupt, ResetStatistics,
    WaitInterrupt,
};
use ntsim::{
    NtStatus, Outcome,
    bus::InterruptMode,
    kernel::stream::SCRIPT,
    mm::Va,
    sched::Random,
    user::{Buffer, FILE_READ_DATA, FILE_WRITE_DATA, Handle, Position, Request, UserRange},
};
use scenarios::{
    boot::{Pc, Setup},
    image,
    leaks::{self, Log, Question, Seen},
};

/// How many requests there are, in all.
const REQUESTS: u64 = 100_000;
/// And how many where interrupts come by messages: how a device interrupts makes no difference to what is wrong with a request.
const REQUESTS_BY_MESSAGE: u64 = 10_000;
/// Names another number of them: `REQUESTS=1000000 cargo xtask test`.
const REQUESTS_VARIABLE: &str = "REQUESTS";
/// How many of them one boot serves.
const BATCH: u64 = 2500;
/// How many may be under way at a time.
const UNDER_WAY: usize = 12;

/// What the driver serves: code, and the bytes of input and output that go with it.
const CODES: [(ControlCode, usize, usize); 8] = [
    sizes::<QueryInfo>(),
    sizes::<Liveness>(),
    sizes::<Factorial>(),
    sizes::<RaiseInterrupt>(),
    sizes::<WaitInterrupt>(),
    sizes::<QueryStatistics>(),
    sizes::<ResetStatistics>(),
    (IOCTL_EDU_DMA_ECHO, 100, 100),
];

const fn sizes<R: edu::ioctl::Request>() -> (ControlCode, usize, usize) {
    (R::CODE, size_of::<R::Input>(), size_of::<R::Output>())
}

/// The decisions of one script.
struct Dice(Random);

impl Dice {
    fn chance(&mut self, percent: u64) -> bool {
        self.0.chance(percent)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.index(from.len())]
    }

    fn number(&mut self) -> u64 {
        self.0.below(u64::MAX)
    }

    /// A real code, one that differs from a real one in a bit, in method, or in access, or any number; and the lengths of the real
    /// one's buffers.
    fn code(&mut self) -> (u32, usize, usize) {
        let (code, input, output) = self.pick(&CODES);
        let real = code.raw();
        let code = match self.0.below(8) {
            0..5 => real,
            5 => real ^ 1 << self.0.below(32),
            6 => {
                let (method, access) = (self.low(4), self.low(4));
                real & !(3 << 14) & !3 | access << 14 | method
            }
            _ => self.low(u64::MAX),
        };
        (code, input, output)
    }

    fn low(&mut self, bound: u64) -> u32 {
        (self.0.below(bound) & 0xFFFF_FFFF) as u32
    }

    fn byte(&mut self, bound: u64) -> u8 {
        (self.0.below(bound) & 0xFF) as u8
    }

    /// As long as it is to be, or about that; mostly a few bytes otherwise, now and then a page or several.
    fn length(&mut self, right: usize) -> usize {
        let right = right as u64;
        let length = match self.0.below(16) {
            0..9 => right,
            9 => right + 1,
            10 => right.saturating_sub(1),
            11 => 0,
            12..14 => self.0.below(100),
            14 => 4096 * self.0.between(1, 3) - 2 + self.0.below(5),
            _ => self.0.below(5000),
        };
        usize::try_from(length).expect("a few pages")
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        match self.0.below(3) {
            // Small numbers, as valid requests have them.
            0 => (0..length)
                .map(|index| if index % 4 == 0 { self.byte(16) } else { 0 })
                .collect(),
            1 => vec![self.pick(&[0x00, 0xFF, 0x80]); length],
            _ => (0..length).map(|_| self.byte(256)).collect(),
        }
    }

    /// Where there is nothing that a program could have: nobody's, the kernel's, or past the end of everything.
    fn nowhere(&mut self) -> Va {
        let kernel = ntsim::mm::layout::DRIVER;
        let anything = Va(self.number());
        self.pick(&[Va(1), Va(0x0000_7FFF_FFFE_FFFF), kernel, Va(u64::MAX), anything])
    }

    fn position(&mut self) -> Position {
        let anything = self.number().cast_signed();
        let offset = match self.0.below(4) {
            0 => 0,
            1 => self.pick(&[1, 3, 4094, 4095, 4096, 4097]),
            2 => self.pick(&[-1, -2, i64::MIN, i64::MAX, 0x4_0000, 1 << 32]),
            _ => anything,
        };
        let key = self.low(u64::MAX);
        Position { offset, key }
    }
}

/// Memory with arbitrary contents, somewhere in its first page; a kind of it that programs give by mistake, now and then.
fn memory(pc: &Pc, dice: &mut Dice, right: usize) -> Option<Buffer> {
    let length = dice.length(right);
    if length == 0 {
        return None;
    }
    let offset = dice.pick(&[0, 0, 1, 7, 16, 0xFFF, 0xFFC]);
    let buffer = Buffer::at(&pc.k, offset, length);
    let contents = dice.bytes(length);
    buffer.write(0, &contents);
    if dice.chance(3) {
        buffer.make_read_only();
    }
    Some(buffer)
}

/// What a system call is told about a buffer: the truth, as a rule.
fn range(dice: &mut Dice, buffer: Option<&Buffer>) -> UserRange {
    let mut range = buffer.map_or(UserRange::NONE, Buffer::range);
    match dice.0.below(40) {
        0 => range.address = dice.nowhere(),
        1 => range.length = range.length.saturating_add(dice.low(5000)),
        2 => range.length = dice.pick(&[0x7FFF_FFFF, 0x8000_0000, 0xFFFF_F000, u32::MAX]),
        3 => range.address = Va::NULL,
        _ => {}
    }
    range
}

/// The handles that requests are made by.
struct Handles {
    /// By access: none, read, write, both.
    by_access: Vec<Handle>,
}

impl Handles {
    async fn open(pc: &Pc) -> Outcome<Self> {
        let link = pc.interfaces().into_iter().next().expect("an interface is enabled");
        let mut by_access = Vec::new();
        for access in 0..=(FILE_READ_DATA | FILE_WRITE_DATA) {
            let handle = Handle::open(&pc.k, &link, access).await?;
            by_access.push(handle.expect("the device can be opened"));
        }
        Ok(Self { by_access })
    }

    /// Mostly the one that may do everything.
    fn pick(&self, dice: &mut Dice) -> Handle {
        let index = if dice.chance(85) { 3 } else { dice.0.index(4) };
        self.by_access[index].clone()
    }

    async fn close(self, pc: &Pc) -> Outcome<()> {
        for handle in self.by_access {
            handle.close(&pc.k).await?;
        }
        Ok(())
    }
}

/// A request under way, with the memory that is its own.
struct Sent {
    question: Question,
    request: Request,
    handle: Handle,
    _input: Option<Buffer>,
}

async fn send(pc: &Pc, dice: &mut Dice, handles: &Handles) -> Outcome<Sent> {
    let k = &pc.k;
    let handle = handles.pick(dice);
    let (code, input, output) = dice.code();
    let (input, output) = (memory(pc, dice, input), memory(pc, dice, output));
    // The same memory for both, now and then.
    let input = if dice.chance(5) { output.clone() } else { input };
    let (from, to) = (range(dice, input.as_ref()), range(dice, output.as_ref()));
    let at = dice.position();
    let (asked, request) = match dice.0.below(10) {
        0 => {
            let question = Question::new(format!("read {to:?} at {at:?}"), output);
            (question, handle.read_file_into(k, to, at).await?)
        }
        1 => {
            let question = Question::new(format!("write {to:?} at {at:?}"), output);
            (question, handle.write_file_from(k, to, at).await?)
        }
        _ => {
            let question = Question::new(format!("control {code:#010x}, {from:?} in, {to:?} out"), output);
            (question, handle.device_io_control_with(k, code, from, to).await?)
        }
    };
    Ok(Sent {
        question: asked,
        request,
        handle,
        _input: input,
    })
}

/// Makes a batch of requests, cancels those that do not end, and waits for each.
async fn batch(pc: Pc, log: Log, requests: u64) -> Outcome<()> {
    pc.start().await?;
    let mut dice = Dice(Random::new(pc.k.config().seed, SCRIPT));
    let handles = Handles::open(&pc).await?;
    let mut under_way: Vec<Sent> = Vec::new();
    for _ in 0..requests {
        let sent = send(&pc, &mut dice, &handles).await?;
        under_way.push(sent);
        if under_way.len() == UNDER_WAY || dice.chance(10) {
            settle(&pc, &log, &mut dice, &mut under_way).await?;
        }
    }
    settle(&pc, &log, &mut dice, &mut under_way).await?;
    handles.close(&pc).await
}

async fn settle(pc: &Pc, log: &Log, dice: &mut Dice, under_way: &mut Vec<Sent>) -> Outcome<()> {
    // At once, after a moment, or when the device has had the time for a DMA command or two.
    let patience = [0, 20_000, 1_000_000_000, 1_000_000_000][dice.0.index(4)];
    if patience != 0 {
        pc.k.delay(dice.0.below(patience)).await?;
    }
    for sent in under_way.drain(..) {
        if sent.request.result().is_none() {
            sent.handle.cancel_io(&pc.k, Some(&sent.request)).await?;
        }
        log.answer(pc, sent.question, &sent.request).await?;
    }
    Ok(())
}

fn requests() -> u64 {
    let usual = match Setup::seed(1).interrupts {
        InterruptMode::Line => REQUESTS,
        InterruptMode::Message => REQUESTS_BY_MESSAGE,
    };
    env::var(REQUESTS_VARIABLE).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{REQUESTS_VARIABLE}={text:?} is not a number of requests"))
    })
}

/// How often requests ended with each status.
type Tally = BTreeMap<NtStatus, u64>;

/// The batches with these numbers, out of those that make up `requests`.
fn run(numbers: impl Iterator<Item = u64>, requests: u64) -> Tally {
    let mut tally = Tally::new();
    for number in numbers {
        let count = BATCH.min(requests - number * BATCH);
        let mut setup = Setup::seed(number + 1);
        // Every other batch: now and then there are no page table entries to map a buffer with.
        setup.config.failing_mappings = if number % 2 == 0 { 40 } else { 0 };
        let seen = leaks::no_stale_bytes(&image::customdpc(), &setup, move |pc, log| batch(pc, log, count));
        for Seen { status, .. } in seen {
            *tally.entry(status).or_default() += 1;
        }
    }
    tally
}

#[test]
fn malformed_requests_break_nothing_and_give_nothing_away() {
    let requests = requests();
    let batches = requests.div_ceil(BATCH);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let tallies = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers as u64)
            .map(|first| scope.spawn(move || run((first..batches).step_by(workers), requests)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("it says itself what went wrong"))
            .collect::<Vec<_>>()
    });
    let mut tally = Tally::new();
    for (status, times) in tallies.into_iter().flatten() {
        *tally.entry(status).or_default() += times;
    }
    let named: Vec<String> = tally
        .iter()
        .map(|(status, times)| format!("{status} {times}"))
        .collect();
    println!(
        "{requests} requests, each over two kinds of stale memory: {}",
        named.join(", ")
    );
    assert_eq!(tally.values().sum::<u64>(), requests, "every request ends");
    for status in [
        NtStatus::SUCCESS,
        NtStatus::CANCELLED,
        NtStatus::INVALID_PARAMETER,
        NtStatus::BUFFER_TOO_SMALL,
        NtStatus::INVALID_DEVICE_REQUEST,
        NtStatus::ACCESS_DENIED,
        NtStatus::ACCESS_VIOLATION,
        NtStatus::INSUFFICIENT_RESOURCES,
    ] {
        let met = tally.get(&status).copied().unwrap_or(0);
        assert!(
            met * 200 >= requests,
            "{status} was met {met} times only: the requests are not what they should be"
        );
    }
}
