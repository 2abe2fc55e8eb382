//! IRPs: asked for, passed down, completed, cancelled. Most drivers here have a right way as well, which must be let pass: see
//! `asks_for_fault` of `tests/drivers/common`.

use ntsim::{
    io::pnp::{self, Minor},
    user::Request,
};

use super::*;
use scenarios::seeds;

/// The input that has a driver do right.
const RIGHT: u32 = 4;
/// The input that has it do wrong.
const FAULT: u32 = 5;

/// Seeds that a right driver must pass in.
const SEEDS: u64 = 100;

/// Starts the device, sends one request and waits a moment; then `more`, and the program closes its handle.
async fn send_and<F>(pc: Pc, input: u32, more: impl FnOnce(Pc, Program, Request) -> F) -> Outcome<()>
where
    F: Future<Output = Outcome<()>>,
{
    pc.start().await?;
    let program = Program::open(&pc).await?;
    let request = program.send(Factorial::CODE.raw(), &input.to_le_bytes(), 4).await?;
    more(pc, program.clone(), request).await?;
    program.close().await
}

/// No rule is broken, whatever the seed.
fn passes<F>(driver: &'static str, script: impl Fn(Pc) -> F + Copy + Sync + Send + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let run = |seed| {
        let setup = Setup::by_line(seed);
        let run = Run::of(&test_driver(driver), setup, script);
        drop(run.clean());
    };
    seeds::each(seeds::up_to(SEEDS), run, drop);
}

/// What the first seed of some ends with that the fault shows in.
fn caught_in<F>(
    driver: &'static str,
    seeds: std::ops::RangeInclusive<u64>,
    script: impl Fn(Pc) -> F + Copy + 'static,
) -> Vec<BugCheck>
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let shows = |seed: &u64| {
        let setup = Setup::by_line(*seed);
        let run = Run::of(&test_driver(driver), setup, script);
        run.machine().kernel().crash().is_some()
    };
    let found = seeds.filter(shows);
    found.map(|seed| caught(driver, Setup::seed(seed), script)).collect()
}

#[test]
fn a_request_that_the_driver_does_not_know() {
    async fn ask(pc: Pc, input: u32) -> Outcome<()> {
        send_and(pc, input, async |pc: Pc, _, _| {
            let unknown = pnp::query(&pc.k, pc.pdo, Minor(0xFF), [0; 4]).await?;
            assert_eq!(unknown.status, ntsim::NtStatus::NOT_SUPPORTED);
            Ok(())
        })
        .await
    }
    let name = "answers-what-it-does-not-know";
    passes(name, |pc| ask(pc, RIGHT));
    let bugcheck = caught(name, Setup::seed(1), |pc| ask(pc, FAULT));
    assert_eq!(bugcheck.code, BugCheckCode::DRIVER_VERIFIER_IOMANAGER_VIOLATION);
    assert_eq!(
        bugcheck.parameters[0], 0x213,
        "the status of what is not understood was changed"
    );
}

/// Nothing is wrong with either way.
#[test]
fn a_request_of_the_drivers_own_to_its_bus() {
    async fn ask(pc: Pc, input: u32) -> Outcome<()> {
        send_and(pc, input, async |pc: Pc, _, request: Request| {
            assert_eq!(request.wait(&pc.k).await?.status, ntsim::NtStatus::SUCCESS);
            Ok(())
        })
        .await
    }
    passes("asks-its-bus", |pc| ask(pc, RIGHT));
    passes("asks-its-bus", |pc| ask(pc, FAULT));
}

#[test]
fn a_request_that_the_cancel_routine_has() {
    async fn cancel(pc: Pc, input: u32) -> Outcome<()> {
        send_and(pc, input, async |pc: Pc, program: Program, request: Request| {
            let _ = program.cancel_request(&request).await?;
            request.wait(&pc.k).await?;
            pc.k.delay(1_000_000).await
        })
        .await
    }
    let name = "completes-what-cancel-has";
    passes(name, |pc| cancel(pc, RIGHT));
    let found = caught_in(name, 1..=80, |pc| cancel(pc, FAULT));
    assert!(found.len() >= 3, "{found:?}");
    let expected = [
        BugCheckCode::MULTIPLE_IRP_COMPLETE_REQUESTS,
        BugCheckCode::DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL,
    ];
    assert!(
        found.iter().all(|bugcheck| expected.contains(&bugcheck.code)),
        "{found:?}"
    );
}

#[test]
fn a_pending_bit_that_is_lost() {
    async fn query(pc: Pc, input: u32) -> Outcome<()> {
        send_and(pc, input, async |pc: Pc, _, _| {
            for _ in 0..4 {
                pnp::query(&pc.k, pc.pdo, Minor::QUERY_PNP_DEVICE_STATE, [0; 4]).await?;
            }
            Ok(())
        })
        .await
    }
    let name = "forwards-with-a-completion-routine";
    passes(name, |pc| query(pc, RIGHT));
    let found = caught_in(name, 1..=10, |pc| query(pc, FAULT));
    assert!(found.len() >= 5, "{found:?}");
    for bugcheck in found {
        assert_eq!(bugcheck.code, BugCheckCode::DRIVER_VERIFIER_IOMANAGER_VIOLATION);
        assert_eq!(
            bugcheck.parameters[0], 0x228,
            "the completion routine has not marked the IRP pending"
        );
    }
}

#[test]
fn a_request_that_nobody_completes() {
    async fn cancel(pc: Pc, input: u32) -> Outcome<()> {
        send_and(pc, input, async |pc: Pc, program: Program, request: Request| {
            let _ = program.cancel_request(&request).await?;
            pc.k.delay(301_000_000_000).await
        })
        .await
    }
    passes("ignores-cancel", |pc| cancel(pc, RIGHT));
    let bugcheck = caught("ignores-cancel", Setup::seed(1), |pc| cancel(pc, FAULT));
    assert_eq!(
        verifier_violation(&bugcheck),
        0x135,
        "a cancelled IRP was not completed in time"
    );
    assert_eq!(bugcheck.parameters[2], 300_000, "milliseconds");
}

#[test]
fn dispatch_routines_that_are_missing() {
    let bugcheck = caught("lacks-dispatch-routines", Setup::seed(1), async |_: Pc| Ok(()));
    assert_eq!(bugcheck.code, BugCheckCode::DRIVER_VERIFIER_IOMANAGER_VIOLATION);
    assert_eq!(
        bugcheck.parameters[0], 0x21F,
        "no dispatch routine for a required function"
    );
}

/// Windows has no bug check for it as long as the address is the program's.
#[test]
fn an_address_of_the_programs_choice() {
    async fn ask(pc: Pc, input: u32) -> Outcome<()> {
        send_and(pc, input, async |pc: Pc, _, request: Request| {
            assert_eq!(request.wait(&pc.k).await?.output, 120_u32.to_le_bytes());
            Ok(())
        })
        .await
    }
    passes("writes-to-the-user-buffer", |pc| ask(pc, RIGHT));
    let bugcheck = caught("writes-to-the-user-buffer", Setup::seed(1), |pc| ask(pc, FAULT));
    assert_eq!(
        verifier_violation(&bugcheck),
        VerifierRule::USER_MEMORY_NOT_PROBED.subcode
    );
}
