//! What a storm's seed decides before it begins.

use ntsim::{
    bus::{Absent, BusProfile},
    cm,
    sched::Random,
};
use scenarios::boot::{Pc, Setup};

use super::request::PERIOD;

/// How a device misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It does not.
    Good,
    /// It takes its time: longer than the watchdog waits once, and less than it waits in all.
    Slow,
    /// It loses interrupts, now and then more in a row than are tried.
    Lossy,
    /// Its factorial interrupts come late.
    Late,
}

/// What becomes of the first device in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is removed in order, when every handle is closed.
    Orderly,
    /// It is pulled out.
    PulledOut,
    /// The system takes it for gone while it is plugged in and works.
    TakenForGone,
    /// It answers nothing any more, and interrupts no more. The driver has to notice.
    Dead,
}

/// The conditions of a storm.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// How many devices there are.
    pub devices: usize,
    /// How they behave.
    pub manner: Manner,
    /// How the first of them ends.
    pub ending: Ending,
    /// How many things the PnP and power managers do.
    pub actions: u64,
    /// `MaxTransferSize`, if it is set.
    pub piece: Option<u32>,
    /// Whether a neighbour interrupts on the line.
    pub neighbour: bool,
    /// Whether mappings fail.
    pub failing_mappings: bool,
}

/// What the bus and its driver are like.
fn bus(dice: &mut Random) -> BusProfile {
    let absent = match dice.below(10) {
        0..3 => Absent::Zeroes,
        3..6 => Absent::Garbage,
        _ => Absent::Ones,
    };
    let usual = if dice.chance(20) {
        BusProfile::SLOW
    } else {
        BusProfile::default()
    };
    BusProfile {
        absent,
        cuts_power: dice.chance(30),
        ..usual
    }
}

impl Weather {
    /// Draws the conditions, and sets up the machine for them.
    pub fn draw(dice: &mut Random, setup: &mut Setup) -> Self {
        setup.config.processors = 1 + dice.index(4);
        setup.share_line = dice.chance(50);
        setup.neighbour = dice.chance(30);
        let failing_mappings = dice.chance(10);
        setup.config.failing_mappings = if failing_mappings { 20 } else { 0 };
        let manner = match dice.below(10) {
            0..5 => Manner::Good,
            5..7 => Manner::Lossy,
            7..9 => Manner::Slow,
            _ => Manner::Late,
        };
        let ending = match dice.below(10) {
            0..5 => Ending::Orderly,
            5..8 => Ending::PulledOut,
            _ => Ending::Dead,
        };
        let piece = dice.chance(30).then(|| {
            let periods = dice.between(20, 100);
            u32::try_from(periods).expect("100 at the most") * u32::try_from(PERIOD).expect("15")
        });
        let weather = Self {
            devices: if dice.chance(30) { 2 } else { 1 },
            manner,
            ending,
            // An interrupt that is later than the driver's interest in it is nobody's.
            actions: if manner == Manner::Late { 0 } else { dice.below(4) },
            piece,
            neighbour: setup.neighbour,
            failing_mappings,
        };
        setup.config.bus = bus(dice);
        let ending = match weather.ending {
            // As above: nobody would be there for a late interrupt.
            Ending::PulledOut if manner != Manner::Late && dice.chance(50) => Ending::TakenForGone,
            other => other,
        };
        Self { ending, ..weather }
    }

    /// Sets the parameters of a device that has not been started.
    pub fn prepare(&self, pc: &Pc) {
        if let Some(piece) = self.piece {
            cm::set_device_value(&pc.k, pc.pdo, "MaxTransferSize", cm::Value::Dword(piece));
        }
    }
}
