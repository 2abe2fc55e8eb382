//! `__C_specific_handler`: the handler of every C function with `__try`, which finds filters and `__finally` blocks in the function's
//! scope table.

use ntlayout::{dispatcher_context as dispatcher, exception_pointers as pointers};

use super::{
    EXIT_UNWIND, TARGET_UNWIND, UNWINDING,
    dispatch::disposition,
    layout,
    place::{self, Machinery},
    unwind::{self, Target},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.flow("__C_specific_handler", 4, Contract::ANY, |k, a: Args| async move {
        handle(&k, a.va(0), a.va(1), a.va(2), a.va(3)).await
    });
}

/// An entry of a scope table. Its addresses are relative to the image.
#[derive(Clone, Copy, Debug)]
struct Scope {
    begin: u32,
    end: u32,
    /// The filter or the `__finally` block; 1 stands for `__except (EXCEPTION_EXECUTE_HANDLER)`.
    handler: u32,
    /// The `__except` block; 0 for a `__finally`.
    target: u32,
}

impl Scope {
    fn contains(self, rva: u64) -> bool {
        (u64::from(self.begin)..u64::from(self.end)).contains(&rva)
    }
}

/// A scope table in guest memory: the number of its entries, then the entries.
struct ScopeTable {
    start: Va,
    count: u32,
}

impl ScopeTable {
    fn read(k: &Kernel, start: Va) -> Outcome<Self> {
        let count = k.read(start)?;
        Ok(Self { start, count })
    }

    fn scope(&self, k: &Kernel, index: u32) -> Outcome<Scope> {
        const ENTRY: u64 = 16;
        let at = self.start + 4_u64 + ENTRY * u64::from(index);
        Ok(Scope {
            begin: k.read(at)?,
            end: k.read(at + 4_u64)?,
            handler: k.read(at + 8_u64)?,
            target: k.read(at + 12_u64)?,
        })
    }
}

pub(super) async fn handle(k: &Kernel, record: Va, frame: Va, context: Va, dispatch: Va) -> Outcome<u32> {
    const ABNORMAL: u64 = 1;
    unwind::set_machinery(k, Machinery::Search);
    let base: Va = k.read(dispatch + dispatcher::IMAGE_BASE)?;
    let control_pc: Va = k.read(dispatch + dispatcher::CONTROL_PC)?;
    let table = ScopeTable::read(k, k.read(dispatch + dispatcher::HANDLER_DATA)?)?;
    let first: u32 = k.read(dispatch + dispatcher::SCOPE_INDEX)?;
    let rva = control_pc - base;
    let flags = layout::flags_of(k, record)?;
    if flags & (UNWINDING | EXIT_UNWIND) == 0 {
        for index in first..table.count {
            let scope = table.scope(k, index)?;
            if !scope.contains(rva) || scope.target == 0 {
                continue;
            }
            let answer = filter(k, base, scope, [record, context], frame).await?;
            if answer < 0 {
                return Ok(disposition::CONTINUE_EXECUTION);
            }
            if answer > 0 {
                let code = layout::code_of(k, record)?;
                let target = Target {
                    frame,
                    ip: base + u64::from(scope.target),
                    record,
                    value: code.0.into(),
                };
                unwind::unwind(k, target).await?;
            }
        }
        return Ok(disposition::CONTINUE_SEARCH);
    }
    unwind::set_machinery(k, Machinery::CleanUp);
    let target_ip: Va = k.read(dispatch + dispatcher::TARGET_IP)?;
    let target = target_ip - base;
    for index in first..table.count {
        let scope = table.scope(k, index)?;
        if !scope.contains(rva) {
            continue;
        }
        // A block that control stays in is not left, nor are those around the one that handles the exception.
        if flags & TARGET_UNWIND != 0 && (scope.contains(target) || u64::from(scope.target) == target) {
            break;
        }
        if scope.target != 0 {
            continue;
        }
        // Should the block raise an exception, it is not entered a second time.
        k.write(dispatch + dispatcher::SCOPE_INDEX, index + 1)?;
        k.call(base + u64::from(scope.handler), &[ABNORMAL, frame.get()])
            .label("__finally")
            .may_change_irql()
            .await?;
    }
    Ok(disposition::CONTINUE_SEARCH)
}

/// Runs the filter of `scope`: below 0 execution goes on, above 0 the scope handles the exception.
async fn filter(k: &Kernel, base: Va, scope: Scope, exception: [Va; 2], frame: Va) -> Outcome<i32> {
    const EXECUTE_HANDLER: u32 = 1;
    if scope.handler == EXECUTE_HANDLER {
        return Ok(1);
    }
    let [record, context] = exception;
    let at = place::reserve_stack(k, pointers::SIZE as u64)?;
    k.write(at + pointers::EXCEPTION_RECORD, record)?;
    k.write(at + pointers::CONTEXT_RECORD, context)?;
    let answer = k
        .call(base + u64::from(scope.handler), &[at.get(), frame.get()])
        .label("exception filter")
        .may_change_irql()
        .await?;
    Ok(((answer & 0xFFFF_FFFF) as u32).cast_signed())
}
