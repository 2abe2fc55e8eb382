//! The elements of each generic table, in their orders.

use std::collections::BTreeMap;

use ntlayout::{rtl_avl_table as balanced, rtl_generic_table as splay};

use crate::{bugcheck::Outcome, ddi::Args, kernel::Kernel, mm::Va};

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `RTL_GENERIC_TABLE`.
    Splay,
    /// `RTL_AVL_TABLE`.
    Balanced,
}

impl Kind {
    const fn pick(self, splay: usize, balanced: usize) -> usize {
        match self {
            Self::Splay => splay,
            Self::Balanced => balanced,
        }
    }

    pub(super) const fn compare_routine(self) -> usize {
        self.pick(splay::COMPARE_ROUTINE, balanced::COMPARE_ROUTINE)
    }

    pub(super) const fn allocate_routine(self) -> usize {
        self.pick(splay::ALLOCATE_ROUTINE, balanced::ALLOCATE_ROUTINE)
    }

    pub(super) const fn free_routine(self) -> usize {
        self.pick(splay::FREE_ROUTINE, balanced::FREE_ROUTINE)
    }

    /// Bytes before an element's data.
    pub(super) const fn links_size(self) -> usize {
        self.pick(splay::LINKS_SIZE, balanced::LINKS_SIZE)
    }

    /// Where the data of a node is.
    pub(super) fn data(self, node: Va) -> Va {
        node + self.links_size()
    }
}

/// The nodes of one table.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// In the order of the driver's comparison.
    pub sorted: Vec<Va>,
    /// In the order of insertion.
    pub inserted: Vec<Va>,
    /// Where an enumeration goes on.
    next: usize,
}

impl Table {
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.sorted.len()).expect("a table has fewer than 2^32 elements")
    }

    pub(super) fn position(&self, node: Va) -> Option<usize> {
        self.sorted.iter().position(|&other| other == node)
    }

    pub(super) fn insert(&mut self, index: usize, node: Va) {
        let index = index.min(self.sorted.len());
        self.sorted.insert(index, node);
        self.inserted.push(node);
        if index < self.next {
            self.next += 1;
        }
    }

    pub(super) fn remove(&mut self, node: Va) {
        if let Some(index) = self.position(node) {
            self.sorted.remove(index);
            if index < self.next {
                self.next -= 1;
            }
        }
        self.inserted.retain(|&other| other != node);
    }

    /// The next node of an enumeration.
    pub(super) fn enumerate(&mut self, restart: bool) -> Option<Va> {
        if restart {
            self.next = 0;
        }
        let node = self.sorted.get(self.next).copied()?;
        self.next += 1;
        Some(node)
    }

    /// The node after one; the first one when that is null.
    pub(super) fn after(&self, node: Va) -> Option<Va> {
        let index = if node.is_null() { 0 } else { self.position(node)? + 1 };
        self.sorted.get(index).copied()
    }
}

/// All tables, by where their structures are.
#[derive(Debug, Default)]
struct Tables(BTreeMap<Va, Table>);

/// `RtlInitializeGenericTable(Table, CompareRoutine, AllocateRoutine, FreeRoutine, TableContext)`.
pub(super) fn initialise(k: &Kernel, kind: Kind, a: &Args) -> Outcome<()> {
    let at = a.va(0);
    k.fill(at, 0, kind.pick(splay::SIZE, balanced::SIZE))?;
    k.write(at + kind.compare_routine(), a.u64(1))?;
    k.write(at + kind.allocate_routine(), a.u64(2))?;
    k.write(at + kind.free_routine(), a.u64(3))?;
    k.write(at + kind.pick(splay::TABLE_CONTEXT, balanced::TABLE_CONTEXT), a.u64(4))?;
    if kind == Kind::Splay {
        // An empty list: its head points to itself.
        let head = at + splay::INSERT_ORDER_LIST;
        k.write(head, head)?;
        k.write(head + 8_u64, head)?;
    }
    k.state::<Tables>().borrow_mut().0.insert(at, Table::default());
    Ok(())
}

/// Works on the table whose structure is at `at`.
///
/// # Errors
/// When it was not initialized there.
pub(super) fn with<T>(k: &Kernel, at: Va, work: impl FnOnce(&mut Table) -> T) -> Outcome<T> {
    let tables = k.state::<Tables>();
    let mut tables = tables.borrow_mut();
    match tables.0.get_mut(&at) {
        Some(table) => Ok(work(table)),
        None => Err(k.not_modelled(format!(
            "a generic table at {at} that was not initialized there by RtlInitializeGenericTable or RtlInitializeGenericTableAvl"
        ))),
    }
}

/// Brings the structure's count and root up to date.
pub(super) fn write_counts(k: &Kernel, kind: Kind, at: Va) -> Outcome<()> {
    let (count, root) = with(k, at, |table| (table.len(), table.sorted.first().copied()))?;
    let count_field = kind.pick(
        splay::NUMBER_GENERIC_TABLE_ELEMENTS,
        balanced::NUMBER_GENERIC_TABLE_ELEMENTS,
    );
    k.write(at + count_field, count)?;
    // The root of a balanced table is the right child of the links in it.
    let root_field = kind.pick(splay::TABLE_ROOT, balanced::BALANCED_ROOT + 16);
    k.write(at + root_field, root.unwrap_or(Va::NULL))
}
