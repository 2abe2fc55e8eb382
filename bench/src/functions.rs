//! Where a row's instructions go: by function, by inlined function, by source line.

use std::{collections::BTreeMap, rc::Rc};

use anyhow::Result;
use ntsim::{
    image::{SourceLine, Symbols},
    machine::DriverImage,
    mm::{Va, layout},
};

use crate::{cost::Window, rows::Row};

/// How many lines a table has.
const SHOWN: usize = 60;

/// An instruction's place: its source lines, the innermost inlined function first.
type Place = Vec<SourceLine>;

/// Prints the tables.
///
/// # Errors
/// When the driver breaks a rule, or has no symbols.
pub fn show(row: Row, image: &Rc<DriverImage>) -> Result<()> {
    let window = row.measure(image)?;
    let places = places(&window, image, &image.open_symbols()?)?;
    let total: u64 = places.iter().map(|(_, count)| count).sum();
    println!("{}: {total} instructions", row.name());
    print("functions, with what is inlined into them", &places, |place| {
        place.last().map(|line| line.function.clone())
    });
    print("functions as written, inlined or not", &places, written);
    print("source lines", &places, |place| {
        place.first().map(|line| {
            let file = line.file.as_deref().unwrap_or("?");
            let inside = place.last().map_or("?", |line| line.function.as_str());
            format!("{file}:{} in {inside}", line.line.unwrap_or_default())
        })
    });
    Ok(())
}

/// Instructions by function as written, inlined or not.
///
/// # Errors
/// When the symbols are broken.
pub fn by_function(window: &Window, image: &Rc<DriverImage>, symbols: &Symbols) -> Result<BTreeMap<String, u64>> {
    Ok(sum(&places(window, image, symbols)?, written))
}

/// The function that a place is in, inlined or not.
fn written(place: &Place) -> Option<String> {
    place.first().map(|line| line.function.clone())
}

/// Counts by what `key` gives.
fn sum(places: &[(Place, u64)], key: impl Fn(&Place) -> Option<String>) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (place, count) in places {
        let name = key(place).unwrap_or_else(|| "(unknown)".to_owned());
        *counts.entry(name).or_default() += count;
    }
    counts
}

/// What each instruction belongs to, and how often it ran.
fn places(window: &Window, image: &Rc<DriverImage>, symbols: &Symbols) -> Result<Vec<(Place, u64)>> {
    let counts: Vec<(u32, u64)> = window
        .instructions()
        .into_iter()
        .filter_map(|(pc, count)| Some((rva(image, pc)?, count)))
        .collect();
    let rvas: Vec<u32> = counts.iter().map(|&(rva, _)| rva).collect();
    let found = symbols.lookup(&rvas)?;
    Ok(found
        .into_iter()
        .zip(counts.into_iter().map(|(_, count)| count))
        .collect())
}

fn rva(image: &Rc<DriverImage>, pc: Va) -> Option<u32> {
    let rva = u32::try_from(pc - layout::DRIVER).ok()?;
    (rva < image.image().size()).then_some(rva)
}

fn print(title: &str, places: &[(Place, u64)], key: impl Fn(&Place) -> Option<String>) {
    let mut sorted: Vec<(String, u64)> = sum(places, key).into_iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    println!("\n{title}");
    for (name, count) in sorted.iter().take(SHOWN) {
        println!("{count:>8}  {name}");
    }
    if let Some(rest) = sorted.get(SHOWN..).filter(|rest| !rest.is_empty()) {
        let count: u64 = rest.iter().map(|(_, count)| count).sum();
        println!("{count:>8}  ({} others)", rest.len());
    }
}
