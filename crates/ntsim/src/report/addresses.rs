//! What the addresses in a report mean: functions and source lines, from the symbols of every image of the machine.

use std::rc::Rc;

use super::StackEntry;
use crate::{
    image::{Image, SourceLine, Symbols, is_return_address},
    mm::Va,
};

/// An image with what its symbols say.
struct Known {
    base: Va,
    image: Rc<Image>,
    symbols: Option<Symbols>,
}

impl Known {
    fn rva(&self, address: Va) -> Option<u32> {
        let rva = u32::try_from(address - self.base).ok()?;
        (rva < self.image.size()).then_some(rva)
    }

    fn lines(&self, rva: u32) -> Vec<SourceLine> {
        let found = self.symbols.as_ref().map(|symbols| symbols.lookup(&[rva]));
        found
            .and_then(Result::ok)
            .and_then(|mut lines| lines.pop())
            .unwrap_or_default()
    }
}

/// The images of a machine, for looking up addresses.
#[derive(Default)]
pub struct AddressBook {
    images: Vec<Known>,
    /// Why lines are missing, an image each.
    problems: Vec<String>,
}

impl AddressBook {
    /// Adds an image that is or was loaded at `base`; without symbols, the reason.
    pub fn add(&mut self, base: Va, image: Rc<Image>, symbols: Result<Symbols, String>) {
        let symbols = symbols.map_err(|problem| self.problems.push(problem)).ok();
        self.images.push(Known { base, image, symbols });
    }

    /// Why there are no source lines, for the images that have none.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    fn find(&self, address: Va) -> Option<(&Known, u32)> {
        self.images.iter().find_map(|known| Some((known, known.rva(address)?)))
    }

    /// The source lines of an entry of a call stack, the innermost inlined function first; none when they are not known.
    #[must_use]
    pub fn lines_of(&self, entry: &StackEntry) -> Vec<SourceLine> {
        let &StackEntry::Guest { address, innermost, .. } = entry else {
            return Vec::new();
        };
        let found = self.find(address);
        found.map_or_else(Vec::new, |(known, rva)| known.lines(super::lookup_rva(rva, innermost)))
    }

    /// The source lines of the instruction at `address`, the innermost inlined function first; none when they are not known.
    #[must_use]
    pub fn lines_at(&self, address: Va) -> Vec<SourceLine> {
        let found = self.find(address);
        found.map_or_else(Vec::new, |(known, rva)| known.lines(rva))
    }

    /// What lies at an address of a driver's code: `function at file:line`, or `image+offset`. An address that a call returns to stands
    /// for the call; `exact` is one that does not, wherever it lies.
    #[must_use]
    pub fn describe(&self, address: Va, exact: Option<Va>) -> Option<String> {
        let (known, rva) = self.find(address)?;
        let returns = Some(address) != exact && is_return_address(&known.image, rva);
        let lines = known.lines(super::lookup_rva(rva, !returns));
        Some(match lines.first() {
            Some(line) => line.to_string(),
            None => format!("{}+{rva:#x}", known.image.name()),
        })
    }

    /// `text` with what its addresses mean behind them, for those that are a driver's code.
    #[must_use]
    pub fn annotate(&self, text: &str, exact: Option<Va>) -> String {
        let mut annotated = String::new();
        let mut done = 0;
        for (end, address) in addresses(text) {
            annotated.push_str(&text[done..end]);
            done = end;
            if let Some(meaning) = self.describe(address, exact) {
                annotated.push_str(" (");
                annotated.push_str(&meaning);
                annotated.push(')');
            }
        }
        annotated.push_str(&text[done..]);
        annotated
    }
}

/// The digits of each half of an address.
const HALF: usize = 8;
/// The length of an address as [`Va`] is written.
const LENGTH: usize = 2 * HALF + 1;

/// The addresses in a text, as [`Va`] is written, each with where it ends.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = (usize, Va)> + '_ {
    text.match_indices('`').filter_map(|(quote, _)| {
        let start = quote.checked_sub(HALF)?;
        let end = start + LENGTH;
        let (high, low) = (text.get(start..quote)?, text.get(quote + 1..end)?);
        let high = u64::from_str_radix(high, 16).ok()?;
        let low = u64::from_str_radix(low, 16).ok()?;
        Some((end, Va(high << 32 | low)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_a_text() {
        let text = format!(
            "{} was freed at {}, `x` and 0`1 are none",
            Va(0xFFFF_9000_0000_0020),
            Va(7)
        );
        let found: Vec<Va> = addresses(&text).map(|(_, address)| address).collect();
        assert_eq!(found, [Va(0xFFFF_9000_0000_0020), Va(7)]);
    }

    #[test]
    fn a_text_without_known_addresses_stays_as_it_is() {
        let text = format!("nothing is mapped at {}", Va(7));
        assert_eq!(AddressBook::default().annotate(&text, None), text);
    }
}
