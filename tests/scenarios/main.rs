//! Scenarios: the shipped customdpc.sys, on ntsim; and the drivers of `tests/drivers`.

mod bad_input;
mod broken_drivers;
mod cancel;
mod determinism;
mod doorbell;
mod failing_calls;
mod file_position;
mod first_light;
mod hardware;
mod interleavings;
mod lifecycle;
mod lower_drivers_that_pend;
mod malformed;
mod matrix;
mod message;
mod power;
mod raise;
mod rebalance;
mod several;
mod shared_line;
mod statistics;
mod storm;
mod transfer;
mod transfer_end;
mod two_storeys;
mod watchdog;
