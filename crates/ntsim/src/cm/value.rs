//! What values hold.

use crate::rtl::unicode_string;

/// `REG_NONE`.
pub const REG_NONE: u32 = 0;
/// `REG_SZ`.
pub const REG_SZ: u32 = 1;
/// `REG_EXPAND_SZ`.
pub const REG_EXPAND_SZ: u32 = 2;
/// `REG_BINARY`.
pub const REG_BINARY: u32 = 3;
/// `REG_DWORD`.
pub const REG_DWORD: u32 = 4;
/// `REG_MULTI_SZ`.
pub const REG_MULTI_SZ: u32 = 7;
/// `REG_QWORD`.
pub const REG_QWORD: u32 = 11;

/// The data of a registry value, with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `REG_DWORD`.
    Dword(u32),
    /// `REG_QWORD`.
    Qword(u64),
    /// `REG_SZ`, stored with its terminator.
    Sz(String),
    /// `REG_MULTI_SZ`.
    MultiSz(Vec<String>),
    /// `REG_BINARY`.
    Binary(Vec<u8>),
    /// Any bytes with any type: the registry checks neither, so that a `REG_DWORD` of three bytes can exist.
    Raw {
        /// `REG_xxx`.
        kind: u32,
        /// The bytes.
        data: Vec<u8>,
    },
}

impl Value {
    /// `REG_xxx`.
    #[must_use]
    pub const fn kind(&self) -> u32 {
        match self {
            Self::Dword(_) => REG_DWORD,
            Self::Qword(_) => REG_QWORD,
            Self::Sz(_) => REG_SZ,
            Self::MultiSz(_) => REG_MULTI_SZ,
            Self::Binary(_) => REG_BINARY,
            Self::Raw { kind, .. } => *kind,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        match self {
            Self::Dword(value) => value.to_le_bytes().to_vec(),
            Self::Qword(value) => value.to_le_bytes().to_vec(),
            Self::Sz(text) => unicode_string::encode(&format!("{text}\0")),
            Self::MultiSz(texts) => {
                let all: String = texts.iter().flat_map(|text| [text.as_str(), "\0"]).collect();
                unicode_string::encode(&format!("{all}\0"))
            }
            Self::Binary(data) | Self::Raw { data, .. } => data.clone(),
        }
    }
}
