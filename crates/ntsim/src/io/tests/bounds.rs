//! What a driver asks for without bound: more memory than there is, lists without an end.

use ntlayout::mdl;

use crate::{
    bugcheck::BugCheckCode as Code,
    ddi::testing::{buffer, bugcheck_of, call, clean, status},
    mm::Va,
    status::NtStatus,
};

/// More than the machine has.
const TOO_MUCH: u64 = 0xFFFF_0000;

#[test]
fn more_memory_than_there_is_cannot_be_had() {
    clean(|k| async move {
        let (driver, device) = (buffer(&k, 0x150)?.get(), buffer(&k, 8)?);
        let create = [driver, TOO_MUCH, 0, 0x22, 0, 0, device.get()];
        assert_eq!(
            status(&k, "IoCreateDevice", &create).await?,
            NtStatus::INSUFFICIENT_RESOURCES
        );
        let extend = [driver, 1, TOO_MUCH, device.get()];
        assert_eq!(
            status(&k, "IoAllocateDriverObjectExtension", &extend).await?,
            NtStatus::INSUFFICIENT_RESOURCES
        );
        assert_eq!(k.read::<Va>(device)?, Va::NULL);
        Ok(())
    });
}

#[test]
fn a_chain_of_mdls_that_leads_back_to_itself_ends_the_run() {
    let (code, _, rule) = bugcheck_of(|k| async move {
        let irp = call(&k, "IoAllocateIrp", &[1, 0]).await?;
        let list = Va(call(&k, "IoAllocateMdl", &[0, 0x1000, 0, 0, irp]).await?);
        k.write(list + mdl::NEXT, list)?;
        call(&k, "IoAllocateMdl", &[0, 0x1000, 1, 0, irp]).await?;
        Ok(())
    });
    assert_eq!((code, rule), (Code::NOT_MODELLED, "not-modelled"));
}

#[test]
fn a_request_is_built_for_a_device() {
    let (_, _, rule) = bugcheck_of(|k| async move {
        let no_device = buffer(&k, 0x150)?.get();
        let block = buffer(&k, 0x10)?.get();
        call(
            &k,
            "IoBuildSynchronousFsdRequest",
            &[9, no_device, 0, 0, 0, block, block],
        )
        .await?;
        Ok(())
    });
    assert_eq!(rule, "call-driver-without-device");
}
