//! Tells what happens while it happens.

use std::io::{self, Write as _};

use anyhow::Result;
use ntsim::{machine::Machine, story::Story};

/// Prints the story of a run.
pub(crate) struct Teller {
    story: Story,
    told: usize,
}

impl Teller {
    /// A teller that has told nothing yet.
    pub(crate) fn new(story: Story) -> Self {
        Self { story, told: 0 }
    }

    /// Prints what has happened since the last time.
    pub(crate) fn catch_up(&mut self, machine: &Machine) -> Result<()> {
        let trace = machine.kernel().recorded();
        let records = trace.records();
        let text = self.story.tell(machine.kernel(), &records[self.told..]);
        self.told = records.len();
        io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }
}
