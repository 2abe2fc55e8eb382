//! The factorial engine, as the driver sees it: who may start it, and whose result it holds.
//!
//! The device computes one factorial at a time and cannot be told to stop. [`Engine`] is the driver's record of that; the driver keeps
//! it under a spin lock and does what it says.

/// Where the engine is in the life of a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody uses it.
    Idle,
    /// Somebody is choosing the request to start.
    Claimed,
    /// The device computes. It stays so, whatever becomes of the request, until the device itself says that it is finished.
    Running,
    /// The result was read, and somebody is completing the request with it.
    Finishing,
}

/// The state of the engine. Starts idle and held.
#[derive(Debug)]
pub struct Engine {
    state: State,
    held: bool,
    /// Somebody was refused a claim since the last one was given.
    wanted: bool,
}

impl Engine {
    /// An idle engine that must not be started before it is [resumed](Self::resume).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Idle,
            held: true,
            wanted: false,
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

    /// The device has been told to compute, by who claimed the engine. To be called in the same critical section as the write to the
    /// device: its interrupt may come at once, and must find the engine running.
    pub fn start(&mut self) {
        debug_assert!(self.state == State::Claimed);
        self.state = State::Running;
    }

    /// Whether the device was told to compute and has not been seen to finish.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// The device was seen to have finished: the caller, and nobody else, completes the request, then says that it is
    /// [delivered](Self::delivered). Nobody starts another one meanwhile, so that the result cannot go to the wrong request.
    pub fn finish(&mut self) {
        debug_assert!(self.state == State::Running);
        self.state = State::Finishing;
    }

    /// The request of the finished computation is completed: the engine is free. By who called [`finish`](Self::finish), once.
    pub fn delivered(&mut self) {
        debug_assert!(self.state == State::Finishing);
        self.state = State::Idle;
    }

    /// Lets nobody start it from now on.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Lets requests start again, on a device that `computing` or not: it may still be busy for a request of before.
    pub fn resume(&mut self, computing: bool) {
        self.held = false;
        self.state = if computing { State::Running } else { State::Idle };
    }

    /// Whether it is held and nobody uses it any more.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.held && self.state == State::Idle
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;

    fn resumed() -> Engine {
        let mut engine = Engine::new();
        engine.resume(false);
        engine
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
}
