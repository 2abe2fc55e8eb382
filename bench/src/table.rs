//! The tables, in Markdown.

use std::{collections::BTreeSet, iter};

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    cost::Cost,
    report::{Figures, Report, ratio},
};

/// Prints everything.
pub fn print(report: &Report) {
    if !report.rows.is_empty() {
        println!("{}", overview(report));
    }
    if !report.growth.is_empty() {
        println!("\n{}", growth(report));
    }
    println!("\n{}", sizes(report));
    for row in &report.rows {
        println!("\n### {}\n\n{}", row.name, peaks(row));
        println!("\n{}", routines(&row.image));
        println!("\n{}", calls(row));
        if !row.image.locks.is_empty() {
            println!("\n{}", locks(&row.image));
        }
    }
    if let Some(worst) = report.worst_ratio {
        println!("\nworst ratio of instructions: {worst:.3}");
    }
}

/// A table: its first column to the left and the others to the right.
fn table<H: Into<String>>(header: impl IntoIterator<Item = H>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(header.into_iter().map(Into::into));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The column headers of what is measured: the image, and what it is compared with.
fn with_images<'h>(first: &'h str, report: &'h Report) -> Vec<&'h str> {
    let mut header = vec![first, &report.image.name];
    if let Some(against) = &report.against {
        header.extend([against.name.as_str(), "ratio"]);
    }
    header
}

fn row(figures: &Figures, short: impl Fn(&Cost) -> String) -> Vec<String> {
    let mut cells = vec![figures.name.clone(), short(&figures.image)];
    if let (Some(against), Some(ratio)) = (&figures.against, figures.ratio) {
        cells.extend([short(against), format!("{ratio:.2}")]);
    }
    cells
}

fn overview(report: &Report) -> Table {
    let mut table = table(with_images("instructions / DDI calls / locks / stack", report));
    for figures in &report.rows {
        table.add_row(row(figures, |cost| {
            let Cost {
                instructions,
                calls,
                locks_taken,
                stack,
                ..
            } = cost;
            format!("{instructions} / {calls} / {locks_taken} / {stack} B")
        }));
    }
    let mut file = vec!["image, file bytes".to_owned(), report.image.file.to_string()];
    if let Some(against) = &report.against {
        let ratio = ratio(report.image.file, against.file);
        file.extend([against.file.to_string(), format!("{ratio:.2}")]);
    }
    table.add_row(file);
    table
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn growth(report: &Report) -> Table {
    let mut table = table(with_images("a request: instructions / locks", report));
    for figures in &report.growth {
        table.add_row(row(figures, |cost| {
            let each = |count: u64| count as f64 / figures.requests as f64;
            format!("{:.1} / {:.1}", each(cost.instructions), each(cost.locks_taken))
        }));
    }
    table
}

fn sizes(report: &Report) -> Table {
    let images: Vec<_> = iter::once(&report.image).chain(&report.against).collect();
    let mut table = table(iter::once("bytes").chain(images.iter().map(|size| size.name.as_str())));
    let cells = |values: Vec<Option<u64>>| {
        values
            .into_iter()
            .map(|value| value.map_or_else(String::new, |it| it.to_string()))
    };
    let files = images.iter().map(|size| Some(size.file)).collect();
    table.add_row(iter::once("file".to_owned()).chain(cells(files)));
    for (what, parts) in [
        ("section", images.iter().map(|size| &size.sections).collect::<Vec<_>>()),
        ("code of", images.iter().map(|size| &size.crates).collect()),
    ] {
        let names: BTreeSet<&str> = parts.iter().flat_map(|part| part.keys().map(String::as_str)).collect();
        for name in &names {
            let values = parts.iter().map(|part| part.get(*name).copied()).collect();
            table.add_row(iter::once(format!("{what} {name}")).chain(cells(values)));
        }
    }
    table
}

/// What a row reaches at most.
fn peaks(figures: &Figures) -> Table {
    let images: Vec<&Cost> = iter::once(&figures.image).chain(&figures.against).collect();
    let header = iter::once("").chain(["image", "against"].into_iter().take(images.len()));
    let mut table = table(header);
    let mut add = |name: &str, count: fn(&Cost) -> u64| {
        let cells = images.iter().map(|cost| count(cost).to_string());
        table.add_row(iter::once(name.to_owned()).chain(cells));
    };
    add("instructions", |cost| cost.instructions);
    add("most at DISPATCH_LEVEL", |cost| cost.dispatch_level);
    add("most at device IRQL", |cost| cost.device_irql);
    add("register reads", |cost| cost.register_reads);
    add("register writes", |cost| cost.register_writes);
    add("allocations", |cost| cost.allocations);
    table
}

fn routines(cost: &Cost) -> Table {
    let mut table = table(["routine", "times", "instructions", "DDI calls", "locks", "registers"]);
    for (name, routine) in &cost.routines {
        let counts = [
            routine.entered,
            routine.instructions,
            routine.calls,
            routine.locks_taken,
            routine.register_accesses,
        ];
        let cells = counts.iter().map(u64::to_string);
        table.add_row(iter::once(name.clone()).chain(cells));
    }
    table
}

fn calls(figures: &Figures) -> Table {
    let images: Vec<&Cost> = iter::once(&figures.image).chain(&figures.against).collect();
    let mut table = table(iter::once("DDI call").chain(["image", "against"].into_iter().take(images.len())));
    let names: BTreeSet<&str> = images
        .iter()
        .flat_map(|cost| cost.calls_by_name.keys().map(String::as_str))
        .collect();
    for name in &names {
        let counts = images
            .iter()
            .map(|cost| cost.calls_by_name.get(*name).copied().unwrap_or_default());
        table.add_row(iter::once((*name).to_owned()).chain(counts.map(|count| count.to_string())));
    }
    table
}

fn locks(cost: &Cost) -> Table {
    let mut table = table(["lock", "times", "instructions under it"]);
    for (name, lock) in &cost.locks {
        table.add_row([name.clone(), lock.taken.to_string(), lock.instructions.to_string()]);
    }
    table
}
