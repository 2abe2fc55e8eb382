//! Driver Verifier's DDI compliance checking.

super::rules! { DdiCompliance, "devtest/ddi-compliance-checking";
    "irql-changed" Stops "Return from a callback at the IRQL at which it was called: lower what you raised.", "devtest/wdm-irqlreturn";
    "irql-contract" GoesOn "Call the routine at an IRQL that its documentation allows.", "devtest/ddi-compliance-checking";
    "requested-power-irp" GoesOn "Ask for device power IRPs with PoRequestPowerIrp for the device that the documentation says.", "devtest/wdm-requestedpowerirp";
    "spin-lock-held-on-return" Stops "Release every spin lock before the callback returns.", "devtest/wdm-spinlock";
}
