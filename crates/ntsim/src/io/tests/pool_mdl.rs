//! MDLs of pool: mapped, they lead to the same bytes.

use super::*;
use crate::{ddi::testing, ke::Irql, mm::PoolKind, mm::PoolOwner};

/// `NormalPagePriority | MdlMappingNoExecute`.
const PRIORITY: u64 = 0x4000_0010;
/// `IoWriteAccess`.
const WRITE: u64 = 1;

/// A driver whose function [`CONTROL`] stores `rdx` at `rcx` and loads from there again.
fn program() -> Program {
    Program::default().function(|_| {}).function(|_| {}).function(|f| {
        f.asm.mov(qword_ptr(rcx), rdx).unwrap();
        f.asm.mov(rax, qword_ptr(rcx)).unwrap();
    })
}

/// The mapping of a locked MDL of `size` bytes of fresh pool, with the MDL and the pool.
async fn mapped(k: &Kernel, kind: PoolKind, size: u64) -> Outcome<(Va, Va, Va)> {
    let pool = k.allocate_pool(kind, size, 0, PoolOwner::System, "test");
    let list = Va(testing::call(k, "IoAllocateMdl", &[pool.get(), size, 0, 0, 0]).await?);
    testing::call(k, "MmProbeAndLockPages", &[list.get(), 0, WRITE]).await?;
    let arguments = [list.get(), 0, 1, 0, 0, PRIORITY];
    let mapping = Va(testing::call(k, "MmMapLockedPagesSpecifyCache", &arguments).await?);
    Ok((mapping, list, pool))
}

fn run_on_pool<F>(script: impl FnOnce(Kernel) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = program().machine(1);
    machine.spawn(ThreadSpec::system("test"), script);
    // What it ended with is for the caller to look at.
    let _: RunEnd = machine.run();
    machine
}

#[test]
fn the_mapping_of_an_mdl_of_pool_leads_to_the_pool() {
    let machine = run_on_pool(|k| async move {
        for (kind, size) in [
            (PoolKind::NonPagedNx, 64),
            (PoolKind::NonPagedNx, 0x2345),
            (PoolKind::Paged, 64),
        ] {
            let (mapping, list, pool) = mapped(&k, kind, size).await?;
            assert_ne!(mapping, pool);
            let end = size - 8;
            let store = [mapping.get() + end, 0x1234];
            assert_eq!(k.call(Program::address(CONTROL), &store).await?, 0x1234);
            assert_eq!(k.read::<u64>(pool + end)?, 0x1234);
            assert_eq!(k.read::<u64>(mapping + end)?, 0x1234);
            testing::call(&k, "MmUnlockPages", &[list.get()]).await?;
            testing::call(&k, "IoFreeMdl", &[list.get()]).await?;
        }
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn locked_paged_pool_is_resident() {
    let machine = run_on_pool(|k| async move {
        let (mapping, list, pool) = mapped(&k, PoolKind::Paged, 64).await?;
        for address in [mapping, pool] {
            let before = k.raise_irql(Irql::DISPATCH);
            k.call(Program::address(CONTROL), &[address.get(), 1]).await?;
            k.lower_irql(before);
        }
        testing::call(&k, "MmUnlockPages", &[list.get()]).await?;
        let _ = k.raise_irql(Irql::DISPATCH);
        k.call(Program::address(CONTROL), &[pool.get(), 1]).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(
        crash.bugcheck.rule, "paged-pool-at-dispatch",
        "it is not locked any more"
    );
}

#[test]
fn the_mapping_ends_where_the_pool_does() {
    let machine = run_on_pool(|k| async move {
        let (mapping, ..) = mapped(&k, PoolKind::NonPagedNx, 64).await?;
        k.call(Program::address(CONTROL), &[mapping.get() + 60, 1]).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "pool-overrun");
}
