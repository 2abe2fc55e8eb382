//! Tokens of processes: `PsReferencePrimaryToken`, `PsDereferencePrimaryToken`, `ZwOpenProcessToken`, `ZwOpenProcessTokenEx`,
//! `ZwQueryInformationToken`.

use super::{token, token_information::information};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    ob::{
        self,
        handle::{self, Handle, ZW_CONTRACT},
        object::Type,
        process_of_handle,
    },
    ps,
    rtl::PASSIVE,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("PsReferencePrimaryToken", 1, PASSIVE, |k, a| {
        let process = ps::expect(k, "PsReferencePrimaryToken", a.va(0))?;
        let token = token::of_process(k, process)?;
        ob::reference::reference(k, token.object)?;
        Ok(token.object)
    });
    ddi.flow("PsDereferencePrimaryToken", 1, PASSIVE, |k, a| async move {
        ob::reference::dereference(&k, a.va(0)).await
    });
    ddi.function("ZwOpenProcessToken", 3, ZW_CONTRACT, |k, a| {
        open(k, a.u64(0), a.u32(1), 0, a.va(2))
    });
    ddi.function("ZwOpenProcessTokenEx", 4, ZW_CONTRACT, |k, a| {
        open(k, a.u64(0), a.u32(1), a.u32(2), a.va(3))
    });
    for name in ["ZwQueryInformationToken", "NtQueryInformationToken"] {
        ddi.function(name, 5, ZW_CONTRACT, query);
    }
}

fn open(k: &Kernel, process: u64, access: u32, attributes: u32, variable: Va) -> Outcome<NtStatus> {
    let process = match process_of_handle(k, Handle(process))? {
        Ok(process) => process,
        Err(status) => return Ok(status),
    };
    let token = token::of_process(k, process)?;
    let handle = handle::open_object(k, token.object, access, attributes);
    k.write(variable, handle)?;
    Ok(NtStatus::SUCCESS)
}

/// `(TokenHandle, TokenInformationClass, TokenInformation, TokenInformationLength, ReturnLength)`
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const SESSION_ID: u32 = 12;
    const CLASSES: u32 = 48;
    let (class, buffer, length, returned) = (a.u32(1), a.va(2), a.u32(3) as usize, a.va(4));
    let object = match handle::object_of(k, Handle(a.u64(0)), Type::Token)? {
        Ok(object) => object,
        Err(status) => return Ok(status),
    };
    let token = token::at(k, "ZwQueryInformationToken", object)?;
    let found = information(&token, class);
    let size = match (&found, class) {
        (_, SESSION_ID) => 4,
        (Some(found), _) => found.size(),
        (None, class) if class == 0 || class > CLASSES => return Ok(NtStatus::INVALID_INFO_CLASS),
        (None, class) => {
            return Err(k.not_modelled(format!(
                "ZwQueryInformationToken with the information class {class} is not modelled"
            )));
        }
    };
    k.write(returned, u32::try_from(size).unwrap_or(u32::MAX))?;
    if length < size {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    match found {
        Some(found) if class != SESSION_ID => found.write(k, buffer)?,
        _ => k.write(buffer, token.session)?,
    }
    Ok(NtStatus::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ob::testing::{call, close, memory, run, value};

    #[test]
    fn a_processs_token_is_referenced_opened_and_asked() {
        run(|k| async move {
            let process = value(&k, "PsGetCurrentProcess", &[]).await?;
            let token = value(&k, "PsReferencePrimaryToken", &[process]).await?;
            assert_eq!(value(&k, "SeTokenIsAdmin", &[token]).await?, 1);
            value(&k, "PsDereferencePrimaryToken", &[token]).await?;
            let (variable, buffer, length) = (memory(&k, 8)?, memory(&k, 64)?, memory(&k, 4)?);
            let open = [u64::MAX, 8, 0x200, variable.get()];
            assert_eq!(call(&k, "ZwOpenProcessTokenEx", &open).await?, NtStatus::SUCCESS);
            let handle: Handle = k.read(variable)?;
            // TokenUser: a pointer to S-1-5-18 behind the structure.
            let user = |room: u64| [handle.0, 1, buffer.get(), room, length.get()];
            let routine = "ZwQueryInformationToken";
            assert_eq!(call(&k, routine, &user(8)).await?, NtStatus::BUFFER_TOO_SMALL);
            assert_eq!(k.read::<u32>(length)?, 28);
            assert_eq!(call(&k, routine, &user(64)).await?, NtStatus::SUCCESS);
            assert_eq!(k.read::<Va>(buffer)?, buffer + 16_u64);
            assert_eq!(
                k.read_bytes(buffer + 16_u64, 12)?,
                [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]
            );
            let session = [handle.0, 12, buffer.get(), 4, length.get()];
            assert_eq!(call(&k, routine, &session).await?, NtStatus::SUCCESS);
            assert_eq!(k.read::<u32>(buffer)?, 0);
            close(&k, handle).await
        });
    }
}
