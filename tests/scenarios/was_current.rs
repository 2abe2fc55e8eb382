//! A DpcForIsr that runs when the request is gone that it was asked for, on the driver `finishes-what-was-current`.

#[path = "../drivers/finishes-what-was-current/src/protocol.rs"]
mod protocol;

use std::{array, cell::Cell, rc::Rc};

use ntsim::{NtStatus, Outcome};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
    program::Program,
    seeds,
};

use protocol::{LOST, LOST_COALESCED, OUTCOMES, RAISE, TELL, WON};

/// How many requests there are at a time.
const REQUESTS: u32 = 8;

/// Sends requests, and cancels every other one when all are under way. No interrupt is lost, and none finishes a request that it is not for as far as the
/// driver can tell; how the driver has fared.
async fn raise_and_cancel(pc: &Pc) -> Outcome<[u32; OUTCOMES]> {
    let program = Program::open(pc).await?;
    let mut under_way = Vec::new();
    for number in 0..REQUESTS {
        let causes = 1_u32 << number;
        under_way.push((causes, program.send(RAISE, &causes.to_le_bytes(), 8).await?));
    }
    for (_, request) in under_way.iter().step_by(2) {
        program.cancel_request(request).await?;
    }
    for (index, (causes, request)) in under_way.iter().enumerate() {
        let done = request.wait(&pc.k).await?;
        if done.status == NtStatus::SUCCESS {
            let answer: Vec<u8> = [*causes; 2].into_iter().flat_map(u32::to_le_bytes).collect();
            assert_eq!(
                done.output, answer,
                "another request was finished than the DPC wanted to"
            );
        } else {
            assert_eq!((done.status, index % 2), (NtStatus::CANCELLED, 0), "request {index}");
        }
    }
    let outcomes = program.numbers(TELL).await?;
    program.close().await?;
    Ok(outcomes)
}

/// `DpcForIsr::request` hands over which request was current then, by its number. If that one is cancelled before the routine runs the number is not
/// that of the current request any more, and wins nothing: the request that came after it is not finished in its place. An interrupt for that one
/// finds the DPC queued already, and the routine, which is not given its number, sees to it.
#[test]
fn the_request_that_a_dpc_for_isr_was_asked_for_may_be_gone() {
    let total = Rc::new(Cell::new([0; OUTCOMES]));
    for seed in seeds::up_to(100) {
        let of_all = total.clone();
        let run = Run::of(
            &test_driver("finishes-what-was-current"),
            Setup::seed(seed),
            async move |pc: Pc| {
                pc.start().await?;
                let outcomes = raise_and_cancel(&pc).await?;
                let before = of_all.get();
                of_all.set(array::from_fn(|index| before[index] + outcomes[index]));
                Ok(())
            },
        );
        let _ = run.clean();
    }
    let total = total.get();
    println!("won, lost, lost with another interrupt that coalesced: {total:?}");
    for outcome in [WON, LOST, LOST_COALESCED] {
        assert_ne!(total[outcome], 0, "{total:?}: a case did not come up");
    }
}
