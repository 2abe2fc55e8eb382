//! The system's `openssl`, which makes keys and checks signatures independently of this crate.

use std::{
    path::Path,
    process::{Command, Output},
};

/// Runs `openssl` in `directory`.
///
/// # Panics
/// When it is not installed.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(directory).args(arguments);
    openssl
        .output()
        .expect("openssl runs; `apt-get install openssl` brings it")
}

/// As [`run`], and it must succeed.
pub fn succeed(directory: &Path, arguments: &[&str]) {
    let output = run(directory, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {error}");
}

/// Makes `key.pem` and a certificate for it that signs itself, `cert.pem`, with more extensions.
pub fn self_signed(directory: &Path, key: &[&str], extensions: &[&str]) {
    let mut arguments = vec!["req", "-x509", "-nodes", "-subj", "/CN=somebody", "-days", "30"];
    arguments.extend(["-keyout", "key.pem", "-out", "cert.pem"]);
    arguments.extend(key);
    for extension in extensions {
        arguments.extend(["-addext", extension]);
    }
    succeed(directory, &arguments);
}

/// Puts key and certificate into `cert.pfx`, with more arguments.
pub fn pfx(directory: &Path, password: &str, more: &[&str]) {
    let password = format!("pass:{password}");
    let mut arguments = vec!["pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem"];
    arguments.extend(["-out", "cert.pfx", "-passout", &password]);
    arguments.extend(more);
    succeed(directory, &arguments);
}
