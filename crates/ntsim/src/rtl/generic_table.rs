//! Generic tables: `RtlInitializeGenericTable`, `RtlInsertElementGenericTable`, `RtlLookupElementGenericTableAvl` and the like.
//!
//! The order of a table's elements is kept here, not in the links before each element: only the system's routines look at those. The
//! driver's routines compare elements, and allocate and free their memory.

mod books;

use books::{Kind, Table, with};

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// `GenericLessThan` of `RTL_GENERIC_COMPARE_RESULTS`.
const LESS_THAN: u32 = 0;
/// `GenericEqual`.
const EQUAL: u32 = 2;

/// `TableEmptyTree` of `TABLE_SEARCH_RESULT`.
const EMPTY_TREE: u32 = 0;
/// `TableFoundNode`.
const FOUND_NODE: u32 = 1;
/// `TableInsertAsLeft`.
const INSERT_AS_LEFT: u32 = 2;
/// `TableInsertAsRight`.
const INSERT_AS_RIGHT: u32 = 3;

pub(super) fn register(ddi: &mut Registry) {
    for kind in [Kind::Splay, Kind::Balanced] {
        register_kind(ddi, kind);
    }
    ddi.flow(
        "RtlLookupFirstMatchingElementGenericTableAvl",
        3,
        Contract::ANY,
        |k, a| async move {
            // No two elements are equal, so that the match is the first one.
            let found = search(&k, Kind::Balanced, a.va(0), a.va(1)).await?;
            k.write(a.va(2), found.unwrap_or(Va::NULL))?;
            Ok(found.map_or(Va::NULL, |node| Kind::Balanced.data(node)))
        },
    );
}

/// The routines of one kind of table.
fn register_kind(ddi: &mut Registry, kind: Kind) {
    let any = Contract::ANY;
    let name = |splay, balanced| match kind {
        Kind::Splay => splay,
        Kind::Balanced => balanced,
    };
    ddi.function(
        name("RtlInitializeGenericTable", "RtlInitializeGenericTableAvl"),
        5,
        any,
        move |k, a| books::initialise(k, kind, a),
    );
    ddi.flow(
        name("RtlInsertElementGenericTable", "RtlInsertElementGenericTableAvl"),
        4,
        any,
        move |k, a| async move {
            let place = find_place(&k, kind, a.va(0), a.va(1)).await?;
            insert(&k, kind, &a, place).await
        },
    );
    ddi.flow(
        name(
            "RtlInsertElementGenericTableFull",
            "RtlInsertElementGenericTableFullAvl",
        ),
        6,
        any,
        move |k, a| async move {
            let place = place_of_result(&k, a.va(0), a.va(4), a.u32(5))?;
            insert(&k, kind, &a, place).await
        },
    );
    ddi.flow(
        name("RtlLookupElementGenericTable", "RtlLookupElementGenericTableAvl"),
        2,
        any,
        move |k, a| async move {
            let found = search(&k, kind, a.va(0), a.va(1)).await?;
            Ok(found.map_or(Va::NULL, |node| kind.data(node)))
        },
    );
    ddi.flow(
        name(
            "RtlLookupElementGenericTableFull",
            "RtlLookupElementGenericTableFullAvl",
        ),
        4,
        any,
        move |k, a| async move { lookup_full(&k, kind, &a).await },
    );
    ddi.flow(
        name("RtlDeleteElementGenericTable", "RtlDeleteElementGenericTableAvl"),
        2,
        any,
        move |k, a| async move { delete(&k, kind, &a).await },
    );
    register_orders(ddi, kind, name);
}

/// The routines that take a table's elements in order, or count them. `name` picks that of the kind.
fn register_orders(ddi: &mut Registry, kind: Kind, name: impl Fn(&'static str, &'static str) -> &'static str) {
    let any = Contract::ANY;
    ddi.function(
        name("RtlEnumerateGenericTable", "RtlEnumerateGenericTableAvl"),
        2,
        any,
        move |k, a| {
            let node = with(k, a.va(0), |table| table.enumerate(a.bool(1)))?;
            Ok(node.map_or(Va::NULL, |node| kind.data(node)))
        },
    );
    ddi.function(
        name(
            "RtlEnumerateGenericTableWithoutSplaying",
            "RtlEnumerateGenericTableWithoutSplayingAvl",
        ),
        2,
        any,
        move |k, a| {
            let last: Va = k.read(a.va(1))?;
            let node = with(k, a.va(0), |table| table.after(last))?;
            if let Some(node) = node {
                k.write(a.va(1), node)?;
            }
            Ok(node.map_or(Va::NULL, |node| kind.data(node)))
        },
    );
    ddi.function(
        name("RtlGetElementGenericTable", "RtlGetElementGenericTableAvl"),
        2,
        any,
        move |k, a| {
            let index = usize::try_from(a.u32(1)).expect("32 bits fit");
            let node = with(k, a.va(0), |table| table.inserted.get(index).copied())?;
            Ok(node.map_or(Va::NULL, |node| kind.data(node)))
        },
    );
    ddi.function(
        name("RtlNumberGenericTableElements", "RtlNumberGenericTableElementsAvl"),
        1,
        any,
        |k, a| with(k, a.va(0), |table| table.len()),
    );
    ddi.function(
        name("RtlIsGenericTableEmpty", "RtlIsGenericTableEmptyAvl"),
        1,
        any,
        |k, a| with(k, a.va(0), |table| table.len() == 0),
    );
}

/// Where an element is, or belongs.
#[derive(Clone, Copy)]
enum Place {
    Found(Va),
    /// The index that a new element gets in the order of the table.
    New(usize),
}

/// Asks the driver how two elements stand to each other.
async fn compare(k: &Kernel, kind: Kind, table: Va, first: Va, second: Va) -> Outcome<u32> {
    let routine: Va = k.read(table + kind.compare_routine())?;
    let arguments = [table.get(), first.get(), second.get()];
    let returned = k.call(routine, &arguments).label("CompareRoutine").await?;
    Ok((returned & 0xFFFF_FFFF) as u32)
}

/// Looks for the element that equals the data at `buffer`.
async fn find_place(k: &Kernel, kind: Kind, table: Va, buffer: Va) -> Outcome<Place> {
    let sorted = with(k, table, |table| table.sorted.clone())?;
    let (mut start, mut end) = (0, sorted.len());
    while start < end {
        let middle = usize::midpoint(start, end);
        match compare(k, kind, table, buffer, kind.data(sorted[middle])).await? {
            EQUAL => return Ok(Place::Found(sorted[middle])),
            LESS_THAN => end = middle,
            _ => start = middle + 1,
        }
    }
    Ok(Place::New(start))
}

/// The node of the element that equals the data at `buffer`.
async fn search(k: &Kernel, kind: Kind, table: Va, buffer: Va) -> Outcome<Option<Va>> {
    Ok(match find_place(k, kind, table, buffer).await? {
        Place::Found(node) => Some(node),
        Place::New(_) => None,
    })
}

/// The place that an earlier lookup has found.
fn place_of_result(k: &Kernel, table: Va, node: Va, result: u32) -> Outcome<Place> {
    if result == FOUND_NODE {
        return Ok(Place::Found(node));
    }
    let index = with(k, table, |table| table.position(node))?;
    let after = usize::from(result == INSERT_AS_RIGHT);
    Ok(Place::New(index.map_or(0, |index| index + after)))
}

/// `RtlInsertElementGenericTable(Table, Buffer, BufferSize, NewElement, …)`: an element that is there already comes back.
async fn insert(k: &Kernel, kind: Kind, a: &Args, place: Place) -> Outcome<Va> {
    let (table, buffer, size, is_new) = (a.va(0), a.va(1), a.u32(2), a.va(3));
    let node = match place {
        Place::Found(node) => node,
        Place::New(index) => {
            let routine: Va = k.read(table + kind.allocate_routine())?;
            let bytes = u64::from(size) + kind.links_size() as u64;
            let node = k.call(routine, &[table.get(), bytes]).label("AllocateRoutine").await?;
            let node = Va(node);
            if !node.is_null() {
                k.fill(node, 0, kind.links_size())?;
                let data = super::counted::read_bytes(k, buffer, usize::try_from(size).expect("32 bits fit"))?;
                super::counted::write_bytes(k, kind.data(node), &data)?;
                with(k, table, |table| table.insert(index, node))?;
                books::write_counts(k, kind, table)?;
            }
            node
        }
    };
    if !is_new.is_null() {
        let inserted = matches!(place, Place::New(_)) && !node.is_null();
        k.write(is_new, u8::from(inserted))?;
    }
    Ok(if node.is_null() { Va::NULL } else { kind.data(node) })
}

/// `RtlLookupElementGenericTableFull(Table, Buffer, NodeOrParent, SearchResult)`.
async fn lookup_full(k: &Kernel, kind: Kind, a: &Args) -> Outcome<Va> {
    let (table, node_or_parent, result) = (a.va(0), a.va(2), a.va(3));
    let place = find_place(k, kind, table, a.va(1)).await?;
    let (node, found) = match place {
        Place::Found(node) => (Some(node), FOUND_NODE),
        Place::New(0) => {
            let first = with(k, table, |table| table.sorted.first().copied())?;
            (first, first.map_or(EMPTY_TREE, |_| INSERT_AS_LEFT))
        }
        Place::New(index) => {
            let before = with(k, table, |table| table.sorted.get(index - 1).copied())?;
            (before, INSERT_AS_RIGHT)
        }
    };
    if let Some(node) = node {
        k.write(node_or_parent, node)?;
    }
    k.write(result, found)?;
    Ok(match place {
        Place::Found(node) => kind.data(node),
        Place::New(_) => Va::NULL,
    })
}

/// `RtlDeleteElementGenericTable(Table, Buffer)`.
async fn delete(k: &Kernel, kind: Kind, a: &Args) -> Outcome<bool> {
    let table = a.va(0);
    let Place::Found(node) = find_place(k, kind, table, a.va(1)).await? else {
        return Ok(false);
    };
    with(k, table, |table: &mut Table| table.remove(node))?;
    books::write_counts(k, kind, table)?;
    let routine: Va = k.read(table + kind.free_routine())?;
    k.call(routine, &[table.get(), node.get()]).label("FreeRoutine").await?;
    Ok(true)
}
