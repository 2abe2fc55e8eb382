//! An engine of the device, the factorial's or DMA's, as the driver sees it: whether it may be started, and whose work it does.
//!
//! The device works on one piece at a time and cannot be told to stop. [`Engine`] is the driver's record of that. The driver keeps it under a spin lock,
//! and looks at the device, at the record and at the request in one critical section.

/// Where the engine is in the life of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The device works on nothing.
    Idle,
    /// The device works. It stays so, whatever becomes of the request, until the device itself says that it is finished, or the time is up.
    Running,
    /// The device works still, on what nobody waits for any more.
    Quarantined,
}

/// What the device says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It works.
    Busy,
    /// It has finished: if there is an interrupt to come, it is late.
    Idle,
    /// It does not answer, or not as itself.
    Gone,
}

/// What the driver does when the time for a piece is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The device is slow, or still quarantined: it is looked at again after the same time.
    Wait,
    /// The interrupt was lost: the same piece is started again. The engine runs still. If the piece cannot be started the driver says
    /// that it is [finished](Engine::finish).
    Retry,
    /// The interrupt was lost too often: the request ends. The engine is idle.
    Lost,
    /// The device takes too long: the request ends. The engine is quarantined.
    Stuck,
    /// The device does not answer: the request, if there is one, ends. The engine is quarantined.
    Gone,
    /// The device has finished what nobody waits for. The engine is idle.
    Recovered,
}

/// The state of the engine. Starts idle and held.
#[derive(Debug)]
pub struct Engine {
    state: State,
    held: bool,
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
            timeouts: 0,
        }
    }

    /// Whether a piece may be started: the engine is idle, and not held.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.state == State::Idle && !self.held
    }

    /// The device has been told what to do. To be called in the same critical section as the write to the device: its interrupt may come at once, and must
    /// find the engine running. Only while the engine [is free](Self::is_free).
    pub fn start(&mut self) {
        debug_assert!(self.is_free());
        self.state = State::Running;
        self.timeouts = 0;
    }

    /// Whether the device was told to work and has not been seen to finish.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running | State::Quarantined)
    }

    /// Whether the device works for nobody: whatever request there is, this is not its work.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.state == State::Quarantined
    }

    /// The device was seen to have finished. Only while the engine [runs](Self::is_running).
    pub fn finish(&mut self) {
        debug_assert!(self.is_running());
        self.state = State::Idle;
    }

    /// The time for the piece is up, and the device was asked what it does: what is to be done. The device is waited for, or tried again, at most `retries`
    /// times. Only while the engine [runs](Self::is_running).
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
        match verdict {
            Verdict::Wait | Verdict::Retry => {}
            Verdict::Lost | Verdict::Recovered => self.state = State::Idle,
            Verdict::Stuck | Verdict::Gone => self.state = State::Quarantined,
        }
        verdict
    }

    /// No piece may be started from now on.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Whether no piece may be started.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held
    }

    /// The driver does not wait for the device any longer, if it works: what the device does is for nobody. The request is started again when the engine is
    /// [resumed](Self::resume). Only while the engine is [held](Self::hold).
    pub fn abandon(&mut self) {
        debug_assert!(self.held);
        if self.state == State::Running {
            self.state = State::Quarantined;
        }
    }

    /// Pieces may be started again, on a device that is `busy` or not: it may still work on what nobody waits for any more.
    pub fn resume(&mut self, busy: bool) {
        self.held = false;
        self.state = if busy { State::Quarantined } else { State::Idle };
    }

    /// Whether the engine is held and the device works on nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.held && self.state == State::Idle
    }

    /// Whether the engine is held and nobody waits for the device any more.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.held && self.state != State::Running
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

    fn running() -> Engine {
        let mut engine = resumed();
        engine.start();
        engine
    }

    #[test]
    fn what_takes_too_long_for_a_stop_is_abandoned() {
        let mut engine = running();
        engine.hold();
        engine.abandon();
        assert!(engine.is_drained(), "nobody waits for it");
        assert!(!engine.is_idle(), "the device works still");
        engine.resume(true);
        assert!(!engine.is_free(), "it works still");
        engine.finish();
        engine.hold();
        engine.abandon();
        assert!(engine.is_idle(), "there is nothing to abandon");
    }

    #[test]
    fn one_piece_at_a_time() {
        let mut engine = resumed();
        assert!(engine.is_free());
        engine.start();
        assert!(!engine.is_free(), "while the device works");
        engine.finish();
        assert!(engine.is_free());
    }

    #[test]
    fn held_engine_drains() {
        let mut engine = resumed();
        assert!(!engine.is_drained(), "idle, but not held");
        engine.start();
        engine.hold();
        assert!(!engine.is_drained(), "the device computes");
        engine.finish();
        assert!(engine.is_drained());
        assert!(!engine.is_free(), "held");
        engine.resume(false);
        assert!(engine.is_free());
    }

    #[test]
    fn a_device_that_still_computes_is_not_started() {
        let mut engine = Engine::new();
        assert!(!engine.is_free(), "held from the start");
        engine.resume(true);
        assert!(engine.is_running());
        assert!(!engine.is_free());
        engine.finish();
        assert!(engine.is_free());
    }

    #[test]
    fn a_slow_device_is_waited_for() {
        let mut engine = running();
        assert_eq!(engine.time_is_up(Activity::Busy, 2), Verdict::Wait);
        assert_eq!(engine.time_is_up(Activity::Busy, 2), Verdict::Wait);
        assert!(engine.is_running() && !engine.is_quarantined());
        engine.finish();
        assert!(engine.is_free(), "it came in time");
    }

    #[test]
    fn a_stuck_device_is_quarantined_until_it_is_idle() {
        let mut engine = running();
        assert_eq!(engine.time_is_up(Activity::Busy, 0), Verdict::Stuck);
        assert!(engine.is_quarantined());
        assert!(!engine.is_free(), "the device works still");
        assert_eq!(engine.time_is_up(Activity::Busy, 0), Verdict::Wait);
        assert!(engine.is_quarantined());
        assert_eq!(engine.time_is_up(Activity::Idle, 0), Verdict::Recovered);
        assert!(engine.is_free());
    }

    #[test]
    fn a_lost_interrupt_is_retried_as_often_as_is_said() {
        let mut engine = running();
        for _ in 0..3 {
            assert_eq!(engine.time_is_up(Activity::Idle, 3), Verdict::Retry);
            assert!(engine.is_running(), "until the driver says that it is not");
        }
        assert_eq!(engine.time_is_up(Activity::Idle, 3), Verdict::Lost);
        assert!(engine.is_free());
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
        assert!(!engine.is_free());
    }

    #[test]
    fn a_quarantined_device_can_go() {
        let mut engine = running();
        assert_eq!(engine.time_is_up(Activity::Busy, 0), Verdict::Stuck);
        assert_eq!(engine.time_is_up(Activity::Gone, 3), Verdict::Gone);
        assert!(engine.is_quarantined());
    }

    #[test]
    fn a_held_engine_is_drained_while_it_is_quarantined() {
        let mut engine = running();
        engine.hold();
        assert_eq!(engine.time_is_up(Activity::Busy, 0), Verdict::Stuck);
        assert!(engine.is_drained());
    }
}
