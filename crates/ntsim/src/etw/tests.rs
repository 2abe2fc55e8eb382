//! Event providers that nobody listens to.

use super::*;
use crate::{
    ddi::testing::{buffer, call, call_at, clean, status},
    ke::Irql,
    mm::Va,
    status::NtStatus,
};

#[test]
fn a_provider_writes_events_between_its_registration_and_its_end() {
    clean(|k| async move {
        let (guid, variable) = (buffer(&k, 16)?, buffer(&k, 8)?);
        let arguments = [guid.get(), 0, 0, variable.get()];
        assert_eq!(status(&k, "EtwRegister", &arguments).await?, NtStatus::SUCCESS);
        let handle: u64 = k.read(variable)?;
        assert_ne!(handle, 0);
        assert!(leftovers(&k)[0].to_string().contains("never unregistered"));
        let write = async |handle: u64, count: u64| status(&k, "EtwWrite", &[handle, guid.get(), 0, count, 0]).await;
        assert_eq!(write(handle, 0).await?, NtStatus::SUCCESS);
        assert_eq!(write(handle, 129).await?, NtStatus::INVALID_PARAMETER);
        assert_eq!(write(0, 0).await?, NtStatus::INVALID_HANDLE);
        let transfer = [handle, guid.get(), 0, 0, 0, 0];
        assert_eq!(status(&k, "EtwWriteTransfer", &transfer).await?, NtStatus::SUCCESS);
        let string = [handle, 1, 0, 0, guid.get()];
        assert_eq!(status(&k, "EtwWriteString", &string).await?, NtStatus::SUCCESS);
        let extended = [handle, guid.get(), 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(status(&k, "EtwWriteEx", &extended).await?, NtStatus::SUCCESS);
        assert_eq!(call_at(&k, Irql(5), "EtwEventEnabled", &[handle, guid.get()]).await?, 0);
        assert_eq!(call(&k, "EtwProviderEnabled", &[handle, 5, 0]).await?, 0);
        assert_eq!(
            status(&k, "EtwSetInformation", &[handle, 2, 0, 0]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(status(&k, "EtwUnregister", &[handle]).await?, NtStatus::SUCCESS);
        assert_eq!(leftovers(&k), []);
        assert_eq!(status(&k, "EtwUnregister", &[handle]).await?, NtStatus::INVALID_HANDLE);
        assert_eq!(write(handle, 0).await?, NtStatus::INVALID_HANDLE);
        let classic = [guid.get(), 0, 0, 0, variable.get()];
        assert_eq!(
            status(&k, "EtwRegisterClassicProvider", &classic).await?,
            NtStatus::SUCCESS
        );
        Ok(())
    });
}

#[test]
fn a_thread_has_an_activity() {
    clean(|k| async move {
        let id = buffer(&k, 16)?;
        let control = async |code: u64| status(&k, "EtwActivityIdControl", &[code, id.get()]).await;
        let current = async || {
            control(1).await?;
            k.read_bytes(id, 16)
        };
        assert_eq!(current().await?, [0; 16]);
        k.write_bytes(id, &[5; 16])?;
        assert_eq!(control(2).await?, NtStatus::SUCCESS);
        assert_eq!(current().await?, [5; 16]);
        control(3).await?;
        let made = k.read_bytes(id, 16)?;
        control(3).await?;
        assert_ne!(k.read_bytes(id, 16)?, made);
        k.write_bytes(id, &[6; 16])?;
        control(4).await?;
        assert_eq!(k.read_bytes(id, 16)?, [5; 16], "the one before");
        assert_eq!(current().await?, [6; 16]);
        control(5).await?;
        assert_eq!(k.read_bytes(id, 16)?, [6; 16]);
        assert_ne!(current().await?, [6; 16]);
        assert_eq!(control(6).await?, NtStatus::INVALID_PARAMETER);
        Ok(())
    });
}

#[test]
fn there_is_no_trace_session() {
    clean(|k| async move {
        let (value, required) = (buffer(&k, 8)?, buffer(&k, 4)?);
        let query = async |class: u64, length: u64, of: Va| {
            let arguments = [class, value.get(), length, required.get(), of.get()];
            status(&k, "WmiQueryTraceInformation", &arguments).await
        };
        assert_eq!(query(4, 8, Va::NULL).await?, NtStatus::NOT_FOUND);
        assert_eq!(query(4, 4, Va::NULL).await?, NtStatus(0xC000_0004));
        assert_eq!(k.read::<u32>(required)?, 8);
        assert_eq!(query(2, 4, value).await?, NtStatus::INVALID_HANDLE);
        assert_eq!(query(2, 4, Va::NULL).await?, NtStatus::INVALID_PARAMETER);
        assert_eq!(query(6, 8, Va::NULL).await?, NtStatus::SUCCESS);
        assert_eq!(query(9, 8, Va::NULL).await?, NtStatus(0xC000_0003));
        for name in ["WmiTraceMessage", "WmiTraceMessageVa"] {
            let written = status(&k, name, &[1, 0, value.get(), 10, 0]).await?;
            assert_eq!(written, NtStatus::INVALID_HANDLE);
        }
        Ok(())
    });
}
