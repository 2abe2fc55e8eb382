//! Typed requests over a [`Transport`].

use std::fmt;
use std::marker::PhantomData;

use edu::ioctl::Request;
use thiserror::Error;
use zerocopy::{FromBytes, IntoBytes};

use crate::status::DeviceError;
use crate::transport::{RequestId, Transport};

/// Why a request has no answer that can be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The driver, or the system on its behalf, failed it.
    #[error(transparent)]
    Device(#[from] DeviceError),

    /// The driver reported success, with an answer of another length than this request's.
    #[error("the driver answered {got} bytes instead of {expected}; are eductl and driver of one version?")]
    AnswerLength {
        /// Length of the request's answer, in bytes.
        expected: usize,
        /// What came, in bytes.
        got: usize,
    },

    /// The answer is not what a device without faults gives.
    #[error("the device answered {answer} instead of {expected}")]
    WrongAnswer {
        /// What the device should have answered.
        expected: Number,
        /// What it did answer.
        answer: Number,
    },

    /// The answer contradicts the request, itself or an earlier one: no driver without faults gives it.
    #[error("the driver gave an answer that cannot be: {0}")]
    ImpossibleAnswer(String),
}

/// A register's value, shown in the base in which the command shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Shown as `120`.
    Decimal(u32),
    /// Shown as `0x00000078`.
    Hexadecimal(u32),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(value) => write!(f, "{value}"),
            Self::Hexadecimal(value) => write!(f, "{value:#010x}"),
        }
    }
}

/// A request of type `R` under way.
#[derive(Debug)]
pub struct Pending<R> {
    id: RequestId,
    request: PhantomData<R>,
}

/// Starts a request and does not wait for it.
///
/// # Errors
/// It was refused at once.
pub fn submit<R: Request>(transport: &mut dyn Transport, input: &R::Input) -> Result<Pending<R>, RequestError> {
    let id = transport.submit(R::CODE, input.as_bytes(), size_of::<R::Output>())?;
    Ok(Pending {
        id,
        request: PhantomData,
    })
}

/// Starts a request and waits for its answer.
///
/// # Errors
/// It failed, or was answered by another number of bytes than it should be.
pub fn call<R: Request>(transport: &mut dyn Transport, input: &R::Input) -> Result<R::Output, RequestError> {
    submit::<R>(transport, input)?.wait(transport)
}

impl<R: Request> Pending<R> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// The request failed, or was answered by another number of bytes than it should be.
    pub fn wait(self, transport: &mut dyn Transport) -> Result<R::Output, RequestError> {
        let answer = transport.wait(self.id)?.output;
        R::Output::read_from_bytes(&answer).map_err(|_| RequestError::AnswerLength {
            expected: size_of::<R::Output>(),
            got: answer.len(),
        })
    }

    /// Asks for the request to be cancelled; it still has to be waited for.
    pub fn cancel(&self, transport: &mut dyn Transport) {
        transport.cancel(&self.id);
    }
}
