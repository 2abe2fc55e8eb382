//! Local time and the clock's resolution: `ExSystemTimeToLocalTime`, `ExLocalTimeToSystemTime`, `ExSetTimerResolution`,
//! `ExQueryTimerResolution`; and identifiers made from time: `ExUuidCreate`.
//!
//! The machine's time zone is UTC, as the shared page says as well. Its clock always ticks at the highest frequency that it has.

use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{Irql, time},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// How many identifiers were made.
#[derive(Debug, Default)]
struct Uuids(u64);

/// 100 ns units from 1582-10-15, where identifiers count from, to 1601, where system time does.
const GREGORIAN: u64 = 0x0014_6BF3_3E42_C000;

fn resolution() -> u32 {
    u32::try_from(time::units(time::TICK)).expect("it is small")
}

/// `ExUuidCreate`: an identifier of version 1.
fn create_uuid(k: &Kernel, uuid: Va) -> Outcome<NtStatus> {
    let number = {
        let uuids = k.state::<Uuids>();
        let mut uuids = uuids.borrow_mut();
        uuids.0 += 1;
        uuids.0
    };
    let now = GREGORIAN + time::BOOT_TIME + time::units(k.now()) + number;
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&((now & 0xFFFF_FFFF) as u32).to_le_bytes());
    bytes[4..6].copy_from_slice(&((now >> 32 & 0xFFFF) as u16).to_le_bytes());
    bytes[6..8].copy_from_slice(&((now >> 48 & 0x0FFF) as u16 | 0x1000).to_le_bytes());
    bytes[8] = 0x80;
    // A node of this machine's own: the multicast bit says that it is no network address.
    bytes[10..].copy_from_slice(&[0x01, 0x4E, 0x54, 0x53, 0x49, 0x4D]);
    k.write_bytes(uuid, &bytes)?;
    Ok(NtStatus::SUCCESS)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    for name in ["ExSystemTimeToLocalTime", "ExLocalTimeToSystemTime"] {
        ddi.function(name, 2, Contract::ANY, |k, a| {
            let time: u64 = k.read(a.va(0))?;
            k.write(a.va(1), time)
        });
    }
    let apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_EX_APC_LTE);
    ddi.function("ExSetTimerResolution", 2, apc, |_, _| Ok(resolution()));
    ddi.function("ExQueryTimerResolution", 3, Contract::ANY, |k, a| {
        for pointer in [a.va(0), a.va(1), a.va(2)] {
            k.write(pointer, resolution())?;
        }
        Ok(())
    });
    let passive = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_EX_PASSIVE);
    ddi.function("ExUuidCreate", 1, passive, |k, a| create_uuid(k, a.va(0)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::testing::script::{export, holding, idle, memory, run};

    #[test]
    fn local_time_is_universal_time() {
        run(&idle(), 1, |k| async move {
            let (system, local) = (holding(&k, time::BOOT_TIME)?, memory(&k, 8)?);
            for name in ["ExSystemTimeToLocalTime", "ExLocalTimeToSystemTime"] {
                k.write(local, 0_u64)?;
                export(&k, name, &[system.get(), local.get()]).await?;
                assert_eq!(k.read::<u64>(local)?, time::BOOT_TIME, "{name}");
            }
            Ok(())
        });
    }

    #[test]
    fn the_clock_ticks_every_millisecond() {
        run(&idle(), 1, |k| async move {
            assert_eq!(export(&k, "ExSetTimerResolution", &[5000, 1]).await?, 10_000);
            assert_eq!(export(&k, "ExSetTimerResolution", &[0, 0]).await?, 10_000);
            let times = memory(&k, 12)?;
            let arguments = [times.get(), times.get() + 4, times.get() + 8];
            export(&k, "ExQueryTimerResolution", &arguments).await?;
            for index in 0..3_u64 {
                assert_eq!(k.read::<u32>(times + index * 4)?, 10_000);
            }
            Ok(())
        });
    }

    #[test]
    fn identifiers_differ() {
        run(&idle(), 1, |k| async move {
            let (a, b) = (memory(&k, 16)?, memory(&k, 16)?);
            assert_eq!(export(&k, "ExUuidCreate", &[a.get()]).await?, 0);
            assert_eq!(export(&k, "ExUuidCreate", &[b.get()]).await?, 0);
            assert_ne!(k.read_bytes(a, 16)?, k.read_bytes(b, 16)?);
            assert_eq!(k.read::<u16>(a + 6_u64)? >> 12, 1, "version 1");
            assert_eq!(k.read::<u8>(a + 8_u64)? >> 6, 2, "of the usual variant");
            Ok(())
        });
    }
}
