//! A program that has the device open.

use edu::ioctl::{
    Factorial, FactorialInput, FactorialOutput, IOCTL_EDU_DMA_ECHO, RaiseInput, RaiseInterrupt, Request as _,
    Statistics, WaitInput, WaitInterrupt, WaitOutput,
};
use ntsim::{
    NtStatus, Outcome,
    user::{Access, Completion, FILE_READ_DATA, FILE_WRITE_DATA, Handle, Position, Request},
};
use zerocopy::{FromBytes, IntoBytes};

use crate::boot::Pc;

/// An open handle, on the machine that it was opened on.
#[derive(Clone)]
pub struct Program {
    /// The machine.
    pub pc: Pc,
    handle: Handle,
}

impl Program {
    /// Opens the first device interface for reading and writing; the status of a refused open.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When no interface is enabled.
    pub async fn try_open(pc: &Pc) -> Outcome<Result<Self, NtStatus>> {
        let link = pc.interfaces().into_iter().next().expect("an interface is enabled");
        let handle = Handle::open(&pc.k, &link, FILE_READ_DATA | FILE_WRITE_DATA).await?;
        Ok(handle.map(|handle| Self { pc: pc.clone(), handle }))
    }

    /// Opens the first device interface; must succeed.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(pc: &Pc) -> Outcome<Self> {
        Ok(Self::try_open(pc)
            .await?
            .unwrap_or_else(|status| panic!("the device cannot be opened: {status}")))
    }

    /// Opens the first device interface without `FILE_FLAG_OVERLAPPED`: a request has ended when its call returns. Must succeed.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When no interface is enabled, or it cannot be opened.
    pub async fn open_synchronous(pc: &Pc) -> Outcome<Self> {
        let link = pc.interfaces().into_iter().next().expect("an interface is enabled");
        let access = Access {
            rights: FILE_READ_DATA | FILE_WRITE_DATA,
            synchronous: true,
        };
        let handle = Handle::open_with(&pc.k, &link, access).await?;
        let handle = handle.unwrap_or_else(|status| panic!("the device cannot be opened: {status}"));
        Ok(Self { pc: pc.clone(), handle })
    }

    /// Sends a request, which may be under way when this returns.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn send(&self, code: u32, input: &[u8], output_length: usize) -> Outcome<Request> {
        self.handle
            .device_io_control(&self.pc.k, code, input, output_length)
            .await
    }

    /// Sends a request and waits for it.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn call(&self, code: u32, input: &[u8], output_length: usize) -> Outcome<Completion> {
        self.send(code, input, output_length).await?.wait(&self.pc.k).await
    }

    /// The `N` numbers that a request without input answers, which must succeed.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When it fails, or answers with another length.
    pub async fn numbers<const N: usize>(&self, code: u32) -> Outcome<[u32; N]> {
        let done = self.call(code, &[], size_of::<[u32; N]>()).await?;
        assert_eq!(done.status, NtStatus::SUCCESS, "{code:#x} failed");
        Ok(<[u32; N]>::read_from_bytes(&done.output).expect("the answer is as long as it must be"))
    }

    /// A typed request that must succeed; what it answered.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When it fails, or answers with another length than the request's.
    pub async fn request<R: edu::ioctl::Request>(&self, input: R::Input) -> Outcome<R::Output> {
        let done = self
            .call(R::CODE.raw(), input.as_bytes(), size_of::<R::Output>())
            .await?;
        assert_eq!(done.status, NtStatus::SUCCESS, "{:?} failed", R::CODE);
        Ok(R::Output::read_from_bytes(&done.output).expect("the answer is as long as it must be"))
    }

    /// Starts a factorial.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn factorial(&self, n: u32) -> Outcome<Computation> {
        let input = FactorialInput { n };
        let request = self
            .send(Factorial::CODE.raw(), input.as_bytes(), size_of::<FactorialOutput>())
            .await?;
        Ok(Computation {
            input,
            request,
            pc: self.pc.clone(),
        })
    }

    /// Starts a request to raise interrupt causes.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn raise(&self, causes: u32) -> Outcome<Request> {
        self.send(RaiseInterrupt::CODE.raw(), RaiseInput { causes }.as_bytes(), 0)
            .await
    }

    /// Starts a wait for one of the interrupt causes in `mask`.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn wait_interrupt(&self, mask: u32) -> Outcome<Request> {
        self.send(
            WaitInterrupt::CODE.raw(),
            WaitInput { mask }.as_bytes(),
            size_of::<WaitOutput>(),
        )
        .await
    }

    /// `ReadFile` of the device's buffer.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn read(&self, offset: i64, length: usize) -> Outcome<Request> {
        let at = Position { offset, key: 0 };
        self.handle.read_file(&self.pc.k, length, at).await
    }

    /// `WriteFile` to the device's buffer.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn write(&self, offset: i64, data: &[u8]) -> Outcome<Request> {
        let at = Position { offset, key: 0 };
        self.handle.write_file(&self.pc.k, data, at).await
    }

    /// `ReadFile` of the device's buffer, from where a synchronous handle's position is.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn read_on(&self, length: usize) -> Outcome<Request> {
        self.handle.read_file(&self.pc.k, length, Position::CURRENT).await
    }

    /// `WriteFile` to the device's buffer, from where a synchronous handle's position is.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn write_on(&self, data: &[u8]) -> Outcome<Request> {
        self.handle.write_file(&self.pc.k, data, Position::CURRENT).await
    }

    /// Starts to send `data` through the device's buffer and back.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn echo(&self, data: &[u8]) -> Outcome<Request> {
        self.send(IOCTL_EDU_DMA_ECHO.raw(), data, data.len()).await
    }

    /// What the driver has counted.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When it does not say.
    pub async fn statistics(&self) -> Outcome<Statistics> {
        self.request::<edu::ioctl::QueryStatistics>(()).await
    }

    /// `CancelIoEx` of any request.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn cancel_request(&self, request: &Request) -> Outcome<NtStatus> {
        self.handle.cancel_io(&self.pc.k, Some(request)).await
    }

    /// `CancelIoEx`.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn cancel(&self, computation: &Computation) -> Outcome<NtStatus> {
        self.handle.cancel_io(&self.pc.k, Some(&computation.request)).await
    }

    /// `CloseHandle`.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn close(self) -> Outcome<()> {
        self.handle.close(&self.pc.k).await
    }
}

/// A factorial under way.
pub struct Computation {
    input: FactorialInput,
    /// The request itself.
    pub request: Request,
    pc: Pc,
}

impl Computation {
    /// Waits for it; its status. The answer of one that succeeded is checked, and so is that one that failed has none.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When the answer is wrong.
    pub async fn wait(&self) -> Outcome<NtStatus> {
        let done = self.request.wait(&self.pc.k).await?;
        if done.status == NtStatus::SUCCESS {
            let answer = FactorialOutput::read_from_bytes(&done.output).expect("the answer is 4 bytes long");
            assert_eq!(answer, self.input.expected(), "{}!", self.input.n);
        } else {
            assert!(done.output.is_empty(), "{} came with output", done.status);
            assert_eq!(done.information, 0, "{} came with information", done.status);
        }
        Ok(done.status)
    }
}

/// What a wait for an interrupt answered, which must have succeeded.
///
/// # Panics
/// When it failed, or answered with another length than it must.
#[must_use]
pub fn arrival(done: &Completion) -> WaitOutput {
    assert_eq!(done.status, NtStatus::SUCCESS, "the wait failed");
    WaitOutput::read_from_bytes(&done.output).expect("the answer is as long as it must be")
}

/// A request that was under way when its device was taken out was served before, or ended by that.
///
/// # Panics
/// When it has ended in another way.
#[track_caller]
pub fn assert_served_or_removed(status: NtStatus) {
    let expected = [NtStatus::SUCCESS, NtStatus::DEVICE_REMOVED];
    assert!(expected.contains(&status), "{status}");
}
