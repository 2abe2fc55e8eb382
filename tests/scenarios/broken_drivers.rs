//! Drivers that are broken on purpose (`tests/drivers`): ntsim stops each with the bug check that Windows would, where its source says
//! `// BUG:`.

mod irps;
mod objects;
mod time_limits;
mod twins;

use edu::ioctl::{Factorial, Request as _};
use ntsim::{
    Outcome,
    bugcheck::{BugCheck, BugCheckCode, VerifierRule},
    bus::InterruptMode,
    trace::Counter,
    verifier::Settings,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::{repository, test_driver},
    leaks::{self, Log, Question},
    program::Program,
};

/// The lines of the driver's source that are marked as its bug. A mark that has a line of its own is for the line before it.
fn marked_lines(driver: &str) -> Vec<u32> {
    let path = repository().join("tests/drivers").join(driver).join("src/lib.rs");
    let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let marked = source.lines().zip(1..).filter(|(line, _)| line.contains("// BUG:"));
    marked
        .map(|(line, number)| number - u32::from(line.trim_start().starts_with("//")))
        .collect()
}

/// Boots the driver, which connects to a line, and has it break its rule; how the run ended. The innermost line of the driver's own on the call stack must be marked.
fn caught<F>(driver: &'static str, setup: Setup, script: impl FnOnce(Pc) -> F + 'static) -> BugCheck
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let setup = Setup {
        interrupts: InterruptMode::Line,
        ..setup
    };
    let run = Run::of(&test_driver(driver), setup, script);
    let crash = run
        .machine()
        .kernel()
        .crash()
        .unwrap_or_else(|| panic!("{driver} was not caught"));
    let bugcheck = crash.bugcheck.clone();
    drop(crash);
    let stack = run.machine().crash_stack().expect("a crash has a stack");
    let own = format!("{driver}/src/lib.rs");
    let at = stack.lines().find(|line| {
        let file = line.file.as_deref().unwrap_or_default().replace('\\', "/");
        file.ends_with(&own)
    });
    let line = at.and_then(|line| line.line);
    let marked = marked_lines(driver);
    assert!(
        line.is_some_and(|line| marked.contains(&line)),
        "at line {line:?}, not {marked:?}: {}",
        run.report()
    );
    bugcheck
}

/// The type of a violation that Driver Verifier detects, which comes before the crash that Windows has without it.
fn verifier_violation(bugcheck: &BugCheck) -> u64 {
    assert_eq!(
        bugcheck.code,
        BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION,
        "{bugcheck}"
    );
    bugcheck.parameters[0]
}

async fn request_once(pc: Pc) -> Outcome<()> {
    pc.start().await?;
    let program = Program::open(&pc).await?;
    program.call(Factorial::CODE.raw(), &5_u32.to_le_bytes(), 4).await?;
    pc.k.delay(1_000_000).await?;
    program.close().await
}

#[test]
fn an_irp_completed_twice() {
    let bugcheck = caught("completes-irp-twice", Setup::seed(1), request_once);
    assert_eq!(bugcheck.code, BugCheckCode::MULTIPLE_IRP_COMPLETE_REQUESTS);
}

#[test]
fn a_wait_at_dispatch_level() {
    let bugcheck = caught("waits-at-dispatch", Setup::seed(1), request_once);
    assert_eq!(
        verifier_violation(&bugcheck),
        0x122,
        "a wait at DISPATCH_LEVEL or above"
    );
}

#[test]
fn pool_freed_twice() {
    let bugcheck = caught("frees-pool-twice", Setup::seed(1), request_once);
    assert_eq!(verifier_violation(&bugcheck), 0x13, "memory that was freed already");
}

/// Windows has no bug check for a lost update. Driver Verifier's code for a broken rule, with a number of this machine's own.
#[test]
fn a_counter_shared_by_isr_and_dpc_without_a_lock() {
    let bugcheck = caught("shares-counter-without-lock", Setup::seed(1), async |pc: Pc| {
        pc.start().await?;
        let program = Program::open(&pc).await?;
        for _ in 0..50 {
            program.call(Factorial::CODE.raw(), &5_u32.to_le_bytes(), 4).await?;
        }
        pc.k.delay(1_000_000).await?;
        program.close().await
    });
    assert_eq!(verifier_violation(&bugcheck), VerifierRule::UNLOCKED_SHARING.subcode);
}

/// The device interrupts and is gone: its registers read all ones, and nobody drops the line.
#[test]
fn an_interrupt_claimed_while_the_device_is_absent() {
    let bugcheck = caught("claims-absent-interrupt", Setup::seed(1), async |pc: Pc| {
        pc.start().await?;
        pc.with_device(|device| {
            device.raise(0x1);
            device.faults_mut().dead = true;
        });
        pc.k.delay(1_000_000).await
    });
    assert_eq!(bugcheck.code, BugCheckCode::HARDWARE_INTERRUPT_STORM);
}

/// Windows lets it pass, and so does a single run: two over different stale memory show programs different things.
#[test]
#[should_panic(expected = "what the program sees depends on stale memory")]
fn output_that_was_never_written() {
    let image = test_driver("gives-stale-memory-away");
    let setup = Setup::by_line(1);
    leaks::no_stale_bytes(&image, &setup, async |pc: Pc, log: Log| {
        pc.start().await?;
        let program = Program::open(&pc).await?;
        let question = Question::new("a factorial".to_owned(), None);
        let request = program.send(Factorial::CODE.raw(), &5_u32.to_le_bytes(), 8).await?;
        log.answer(&pc, question, &request).await?;
        program.close().await
    });
}
