//! Driver packages, made and checked on any host.
//!
//! What Windows installs a driver from is a folder: the INF says what goes where, the catalog has the hashes of the INF and of
//! every file that the INF names, and the catalog, the driver and its app carry Authenticode signatures. On Windows
//! `stampinf`, `InfVerif`, `Inf2Cat`, `makecert` and `signtool` make it; here it is
//!
//! | module | what | stands in for |
//! |---|---|---|
//! | [`inf`] | reads an INF, stamps a template, checks the result | `stampinf`, `InfVerif` |
//! | [`catalog`] | the catalog's list of hashes | `Inf2Cat` |
//! | [`certificate`] | a test certificate with a new key | `makecert` |
//! | [`pfx`] | a user's own certificate | |
//! | [`authenticode`] | a PE image's hash and its signature | `signtool sign` |
//! | [`signed_data`] | the signature itself, PKCS #7 | `signtool sign` |
//! | [`make`] | puts a package together | `cargo make` |
//! | [`verify`] | checks a package | `signtool verify` |
//!
//! Two packages of the same images, INF template, version and time are the same byte for byte but for the key and what is made with
//! it: the certificate and the signatures.

mod asn1;
pub mod authenticode;
pub mod catalog;
pub mod certificate;
pub mod image;
pub mod inf;
pub mod make;
pub mod oid;
pub mod pfx;
pub mod signed_data;
pub mod signer;
pub mod spc;
pub mod time;
pub mod verify;
