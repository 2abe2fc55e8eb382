//! Names of files and patterns for them: `FsRtlIsNameInExpression`, `FsRtlDoesNameContainWildCards`, `FsRtlAreNamesEqual`,
//! `FsRtlDissectName`.

use super::{
    case_mapping::upcase,
    counted::{PASSIVE, units_at},
    unicode_string,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
};

/// `*`: any characters.
const STAR: u16 = b'*' as u16;
/// `?`: one character.
const QUESTION_MARK: u16 = b'?' as u16;
/// `DOS_STAR`: any characters up to the last period.
const DOS_STAR: u16 = b'<' as u16;
/// `DOS_QM`: one character, or none before a period or at the end.
const DOS_QUESTION_MARK: u16 = b'>' as u16;
/// `DOS_DOT`: a period, or none at the end.
const DOS_DOT: u16 = b'"' as u16;
const PERIOD: u16 = b'.' as u16;
const BACKSLASH: u16 = b'\\' as u16;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("FsRtlIsNameInExpression", 4, PASSIVE, |k, a| {
        let expression = units_at::<u16>(k, a.va(0))?;
        let name = folded(k, a.va(1), a.bool(2), a.va(3))?;
        Ok(matches(&expression, &name))
    });
    ddi.function("FsRtlDoesNameContainWildCards", 1, PASSIVE, |k, a| {
        let name = units_at::<u16>(k, a.va(0))?;
        // The last component alone counts.
        let last = name.rsplit(|&unit| unit == BACKSLASH).next().unwrap_or_default();
        Ok(last.iter().any(|&unit| is_wild(unit)))
    });
    ddi.function("FsRtlAreNamesEqual", 4, PASSIVE, |k, a| {
        let first = folded(k, a.va(0), a.bool(2), a.va(3))?;
        let second = folded(k, a.va(1), a.bool(2), a.va(3))?;
        Ok(first == second)
    });
    // A UNICODE_STRING is larger than a register: the caller passes its address.
    ddi.function("FsRtlDissectName", 3, PASSIVE, dissect);
}

fn is_wild(unit: u16) -> bool {
    matches!(unit, STAR | QUESTION_MARK | DOS_STAR | DOS_QUESTION_MARK | DOS_DOT)
}

/// The characters of a string, in upper case by the driver's table or the system's when case does not matter.
fn folded(k: &Kernel, at: Va, ignore_case: bool, table: Va) -> Outcome<Vec<u16>> {
    let units = units_at::<u16>(k, at)?;
    if !ignore_case {
        return Ok(units);
    }
    let fold = |unit: u16| {
        if table.is_null() {
            Ok(upcase(unit))
        } else {
            k.read(table + usize::from(unit) * 2)
        }
    };
    units.into_iter().map(fold).collect()
}

/// Whether a name is in an expression, whatever their case.
pub(crate) fn fits(expression: &str, name: &str) -> bool {
    let units = |text: &str| -> Vec<u16> { text.to_uppercase().encode_utf16().collect() };
    matches(&units(expression), &units(name))
}

/// Whether a name is in an expression. The positions in the expression that a prefix of the name can lead to are followed all at once.
fn matches(expression: &[u16], name: &[u16]) -> bool {
    let last_period = name.iter().rposition(|&unit| unit == PERIOD);
    let mut reached = vec![false; expression.len() + 1];
    reached[0] = true;
    for (index, &unit) in name.iter().enumerate() {
        skip_empty(expression, &mut reached, Some(unit));
        let mut next = vec![false; expression.len() + 1];
        for position in (0..expression.len()).filter(|&position| reached[position]) {
            match expression[position] {
                STAR => next[position] = true,
                DOS_STAR if last_period.is_none_or(|last| index < last) || unit != PERIOD => next[position] = true,
                QUESTION_MARK => next[position + 1] = true,
                DOS_QUESTION_MARK if unit != PERIOD => next[position + 1] = true,
                DOS_DOT if unit == PERIOD => next[position + 1] = true,
                wanted if wanted == unit && !is_wild(wanted) => next[position + 1] = true,
                _ => {}
            }
        }
        reached = next;
    }
    skip_empty(expression, &mut reached, None);
    reached[expression.len()]
}

/// Steps over what matches no character before `next`: the stars, and before a period or at the end `DOS_QM`, at the end `DOS_DOT`.
fn skip_empty(expression: &[u16], reached: &mut [bool], next: Option<u16>) {
    for position in 0..expression.len() {
        let skips = match expression[position] {
            STAR | DOS_STAR => true,
            DOS_QUESTION_MARK => next.is_none_or(|unit| unit == PERIOD),
            DOS_DOT => next.is_none(),
            _ => false,
        };
        if reached[position] && skips {
            reached[position + 1] = true;
        }
    }
}

/// `FsRtlDissectName(Path, FirstName, RemainingName)`: both parts lie in the path's own buffer.
fn dissect(k: &Kernel, a: &Args) -> Outcome<()> {
    let path = super::counted::Counted::read(k, a.va(0))?;
    let units = path.units::<u16>(k)?;
    let start = usize::from(units.first() == Some(&BACKSLASH));
    let length = units[start..].iter().take_while(|&&unit| unit != BACKSLASH).count();
    let end = start + length;
    let rest = (end + 1).min(units.len());
    let part = |to: Va, from: usize, count: usize| {
        let bytes = u16::try_from(count * 2).expect("a counted string is short");
        let buffer = if count == 0 { Va::NULL } else { path.buffer + from * 2 };
        unicode_string::write(k, to, bytes, bytes, buffer)
    };
    part(a.va(1), start, length)?;
    part(a.va(2), rest, units.len() - rest)
}
