//! An engine of the device, the factorial's or DMA's, as the driver sees it: who may start it, and whose work it does.
//!
//! The device works on one piece at a time and cannot be told to stop. [`Engine`] is the driver's record of that; the driver keeps
//! it under a spin lock and does what it says.

/// Where the engine is in the life of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody uses it.
    Idle,
    /// Somebody is choosing the request to start.
    Claimed,
    /// The device works. It stays so, whatever becomes of the request, until the device itself says that it is finished, or the time is up.
    Running,
    /// The device was seen to have finished, or the time is up: somebody is seeing to the request.
    Finishing,
    /// The device works still, on what nobody waits for any more.
    Quarantined,
}

/// What the device says of itself when its time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It works.
    Busy,
    /// It has finished: if there is an interrupt to come, it is late.
    Idle,
    /// It does not answer, or not as itself.
    Gone,
}

/// What is to be done when the time for a piece is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The device is slow, or still quarantined: to be looked at again after the same time.
    Wait,
    /// The interrupt was lost: the same piece is to be [started again](Engine::restart); if its request is gone, or the engine is
    /// [held](Engine::is_held) and does not start anything, [`Engine::delivered`].
    Retry,
    /// The interrupt was lost too often: the request ends, then [`Engine::delivered`].
    Lost,
    /// The device takes too long: the request ends, then [`Engine::quarantine`].
    Stuck,
    /// The device does not answer: the request, if there is one, ends, then [`Engine::quarantine`].
    Gone,
    /// The device is out of its quarantine: [`Engine::delivered`].
    Recovered,
}

/// The state of the engine. Starts idle and held.
#[derive(Debug)]
pub struct Engine {
    state: State,
    held: bool,
    /// Somebody was refused a claim since the last one was given.
    wanted: bool,
    /// How often the time for the piece was up.
    timeouts: u32,
}

impl Engine {
    /// An idle engine that must not be started before it is [resumed](Self::resume).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Idle,
            held: true,
            wanted: false,
            timeouts: 0,
        }
    }

    /// Takes the engine, to start a request on it, if it is free and not held. Who took it must [start](Self::start) it or
    /// [give the claim back](Self::unclaim), one of the two.
    #[must_use]
    pub fn claim(&mut self) -> bool {
        let free = self.state == State::Idle && !self.held;
        if free {
            self.state = State::Claimed;
        }
        self.wanted = !free;
        free
    }

    /// Gives a claim back that came to nothing. Not after [`start`](Self::start): by then the engine may be somebody else's.
    ///
    /// Says whether somebody wanted the engine meanwhile, who has queued a request and gone: it is for the caller to claim it again.
    #[must_use]
    pub fn unclaim(&mut self) -> bool {
        debug_assert!(self.state == State::Claimed);
        self.state = State::Idle;
        self.wanted
    }

    /// The device has been told what to do, by who claimed the engine. To be called in the same critical section as the write to the
    /// device: its interrupt may come at once, and must find the engine running.
    pub fn start(&mut self) {
        debug_assert!(self.state == State::Claimed);
        self.state = State::Running;
        self.timeouts = 0;
    }

    /// The device has been told the same again, on [`Verdict::Retry`]. As [`start`](Self::start), but the count of timeouts goes on.
    pub fn restart(&mut self) {
        debug_assert!(self.state == State::Finishing && !self.held);
        self.state = State::Running;
    }

    /// Whether the device was told to work and has not been seen to finish.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running | State::Quarantined)
    }

    /// Whether it runs for nobody: whatever request there is, this is not its work.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.state == State::Quarantined
    }

    /// The device was seen to have finished: the caller, and nobody else, completes the request, then says that it is
    /// [delivered](Self::delivered). Nobody starts another one meanwhile, so that the result cannot go to the wrong request.
    pub fn finish(&mut self) {
        debug_assert!(self.is_running());
        self.state = State::Finishing;
    }

    /// The request of the finished work is seen to: the engine is free. By who called [`finish`](Self::finish), or was given a verdict, once.
    pub fn delivered(&mut self) {
        debug_assert!(self.state == State::Finishing);
        self.state = State::Idle;
    }

    /// The request is ended, and the device not finished: the engine is not free before it is. By who was given the verdict.
    pub fn quarantine(&mut self) {
        debug_assert!(self.state == State::Finishing);
        self.state = State::Quarantined;
    }

    /// The time for the piece is up, and the device was asked what it does: what is to be done. At most `retries` times it is waited for, or tried
    /// again. Only while it [runs](Self::is_running).
    ///
    /// Whatever the verdict but [`Verdict::Wait`], the engine is the caller's from then on, as after [`finish`](Self::finish).
    #[must_use]
    pub fn time_is_up(&mut self, activity: Activity, retries: u32) -> Verdict {
        debug_assert!(self.is_running());
        let verdict = if self.state == State::Quarantined {
            match activity {
                Activity::Idle => Verdict::Recovered,
                Activity::Busy => Verdict::Wait,
                Activity::Gone => Verdict::Gone,
            }
        } else {
            self.timeouts = self.timeouts.saturating_add(1);
            let again = self.timeouts <= retries;
            match activity {
                Activity::Busy if again => Verdict::Wait,
                Activity::Busy => Verdict::Stuck,
                Activity::Idle if again => Verdict::Retry,
                Activity::Idle => Verdict::Lost,
                Activity::Gone => Verdict::Gone,
            }
        };
        if verdict != Verdict::Wait {
            self.state = State::Finishing;
        }
        verdict
    }

    /// Lets nobody start it from now on.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Whether nobody may start it.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held
    }

    /// Does not wait for the device any longer, if it works: what it does is for nobody. Its request is for the caller to start again when the
    /// engine is [resumed](Self::resume). While it is [held](Self::hold) only.
    pub fn abandon(&mut self) {
        debug_assert!(self.held);
        if self.state == State::Running {
            self.state = State::Quarantined;
        }
    }

    /// Lets requests start again, on a device that is `busy` or not: it may still work on what nobody waits for any more.
    pub fn resume(&mut self, busy: bool) {
        self.held = false;
        self.state = if busy { State::Quarantined } else { State::Idle };
    }

    /// Whether it is held and the device works on nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.held && self.state == State::Idle
    }

    /// Whether it is held and nobody waits for it any more.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.held && matches!(self.state, State::Idle | State::Quarantined)
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, Engine, Verdict};

    fn resumed() -> Engine {
        let mut engine = Engine::new();
        engine.resume(false);
        engine
    }

    #[test]
    fn what_takes_too_long_for_a_stop_is_abandoned() {
        let mut engine = resumed();
        assert!(engine.claim());
        engine.start();
        engine.hold();
        engine.abandon();
        assert!(engine.is_drained(), "nobody waits for it");
        assert!(!engine.is_idle(), "the device works still");
        engine.resume(true);
        assert!(!engine.claim(), "it works still");
        engine.finish();
        engine.delivered();
        engine.hold();
        engine.abandon();
        assert!(engine.is_idle(), "there is nothing to abandon");
    }

    #[test]
    fn one_request_at_a_time() {
        let mut engine = resumed();
        assert!(engine.claim());
        assert!(!engine.claim(), "while a request is chosen");
        engine.start();
        assert!(!engine.claim(), "while the device computes");
        engine.finish();
        assert!(!engine.claim(), "while the result is delivered");
        engine.delivered();
        assert!(engine.claim());
    }

    #[test]
    fn a_claim_without_a_request_is_given_back() {
        let mut engine = resumed();
        assert!(engine.claim());
        assert!(!engine.unclaim(), "nobody else wanted it");
        assert!(!engine.is_running());
        assert!(engine.claim());
    }

    #[test]
    fn who_comes_while_it_is_claimed_is_not_forgotten() {
        let mut engine = resumed();
        assert!(engine.claim());
        assert!(!engine.claim(), "somebody else has it");
        assert!(engine.unclaim(), "and looks again for him");
        assert!(engine.claim());
        assert!(!engine.unclaim(), "once");
    }

    #[test]
    fn held_engine_drains() {
        let mut engine = resumed();
        assert!(!engine.is_drained(), "idle, but not held");
        assert!(engine.claim());
        engine.start();
        engine.hold();
        assert!(!engine.is_drained(), "the device computes");
        engine.finish();
        assert!(!engine.is_drained(), "the result is being delivered");
        engine.delivered();
        assert!(engine.is_drained());
        assert!(!engine.claim(), "held");
        engine.resume(false);
        assert!(engine.claim());
    }

    #[test]
    fn a_device_that_still_computes_is_not_started() {
        let mut engine = Engine::new();
        assert!(!engine.claim(), "held from the start");
        engine.resume(true);
        assert!(engine.is_running());
        assert!(!engine.claim());
        engine.finish();
        engine.delivered();
        assert!(engine.claim());
    }

    fn running() -> Engine {
        let mut engine = resumed();
        assert!(engine.claim());
        engine.start();
        engine
    }

    #[test]
    fn a_slow_device_is_waited_for() {
        let mut engine = running();
        assert_eq!(engine.time_is_up(Activity::Busy, 2), Verdict::Wait);
        assert_eq!(engine.time_is_up(Activity::Busy, 2), Verdict::Wait);
        assert!(engine.is_running() && !engine.is_quarantined());
        engine.finish();
        engine.delivered();
        assert!(engine.claim(), "it came in time");
    }

    #[test]
    fn a_stuck_device_is_quarantined_until_it_is_idle() {
        let mut engine = running();
        assert_eq!(engine.time_is_up(Activity::Busy, 0), Verdict::Stuck);
        assert!(!engine.is_running(), "somebody sees to the request");
        engine.quarantine();
        assert!(!engine.claim(), "the device works still");
        assert_eq!(engine.time_is_up(Activity::Busy, 0), Verdict::Wait);
        assert!(engine.is_quarantined());
        assert_eq!(engine.time_is_up(Activity::Idle, 0), Verdict::Recovered);
        engine.delivered();
        assert!(engine.claim());
    }

    #[test]
    fn a_lost_interrupt_is_retried_as_often_as_is_said() {
        let mut engine = running();
        for _ in 0..3 {
            assert_eq!(engine.time_is_up(Activity::Idle, 3), Verdict::Retry);
            engine.restart();
        }
        assert_eq!(engine.time_is_up(Activity::Idle, 3), Verdict::Lost);
        engine.delivered();
        assert!(engine.claim());
        engine.start();
        assert_eq!(
            engine.time_is_up(Activity::Idle, 3),
            Verdict::Retry,
            "the next piece counts from 0"
        );
    }

    #[test]
    fn a_device_that_does_not_answer_is_not_tried_again() {
        let mut engine = running();
        assert_eq!(engine.time_is_up(Activity::Gone, 3), Verdict::Gone);
        engine.quarantine();
        assert!(!engine.claim());
    }

    #[test]
    fn a_quarantined_device_can_go() {
        let mut engine = running();
        assert_eq!(engine.time_is_up(Activity::Busy, 0), Verdict::Stuck);
        engine.quarantine();
        assert_eq!(engine.time_is_up(Activity::Gone, 3), Verdict::Gone);
        engine.quarantine();
        assert!(engine.is_quarantined());
    }

    #[test]
    fn who_holds_does_not_wait_for_a_quarantined_device() {
        let mut engine = running();
        engine.hold();
        assert_eq!(engine.time_is_up(Activity::Busy, 0), Verdict::Stuck);
        assert!(!engine.is_drained(), "its request is being ended");
        engine.quarantine();
        assert!(engine.is_drained());
    }
}
