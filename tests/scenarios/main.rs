//! Scenarios: the shipped customdpc.sys, on ntsim.

mod bad_input;
mod broken_drivers;
mod cancel;
mod determinism;
mod first_light;
mod hardware;
mod interleavings;
mod lifecycle;
