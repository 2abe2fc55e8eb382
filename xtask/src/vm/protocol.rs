//! What the guest tells: lines on its first serial port. docs/windows.md has the list.

/// What a line of the guest's begins with; others are its firmware's, or noise.
const PREFIX: &str = "customdpc-vm ";

/// The version of the protocol.
const VERSION: &str = "1";

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// The tests begin.
    Begin,
    /// The tests go on after the guest has started again.
    Resume,
    /// A part of the tests begins.
    Stage(String),
    /// The guest is about to restart, and why.
    Restart(String),
    /// Something was found.
    Result {
        /// Whether it is a failure.
        failed: bool,
        /// What, in words.
        what: String,
    },
    /// The archive with the logs was sent through the second port.
    Archive {
        /// Its length in bytes.
        length: u64,
        /// Its hash, in hexadecimal.
        sha256: String,
    },
    /// The tests are over; the guest shuts down. The code is 0 when nothing failed.
    End(u8),
}

/// The statement of a line, if it is one.
///
/// # Errors
///
/// A line that begins as a statement and is none; the words say what is wrong with it.
pub fn parse(line: &str) -> Result<Option<Statement>, String> {
    let Some(start) = line.find(PREFIX) else {
        return Ok(None);
    };
    let text = line[start + PREFIX.len()..].trim();
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let malformed = || Err(format!("the guest said {text:?}, which is no statement"));
    Ok(Some(match word {
        "begin" if rest == VERSION => Statement::Begin,
        "begin" => return Err(format!("the guest speaks version {rest:?}, not {VERSION}")),
        "resume" => Statement::Resume,
        "stage" => Statement::Stage(rest.to_owned()),
        "restart" => Statement::Restart(rest.to_owned()),
        "result" => {
            let (state, what) = rest.split_once(' ').unwrap_or((rest, ""));
            Statement::Result {
                failed: state == "failed",
                what: format!("{state:<8} {what}"),
            }
        }
        "archive" => match rest.split_once(' ').map(|(length, hash)| (length.parse(), hash)) {
            Some((Ok(length), hash)) => Statement::Archive {
                length,
                sha256: hash.to_owned(),
            },
            _ => return malformed(),
        },
        "end" => match rest.parse() {
            Ok(code) => Statement::End(code),
            Err(_) => return malformed(),
        },
        _ => return malformed(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_is_understood() {
        for (line, statement) in [
            ("customdpc-vm begin 1", Statement::Begin),
            ("customdpc-vm resume", Statement::Resume),
            (
                "customdpc-vm stage verifier-Standard",
                Statement::Stage("verifier-Standard".to_owned()),
            ),
            (
                "customdpc-vm restart prepare\r",
                Statement::Restart("prepare".to_owned()),
            ),
            ("customdpc-vm end 1", Statement::End(1)),
        ] {
            assert_eq!(parse(line), Ok(Some(statement)), "{line}");
        }
        let failed = |line: &str| match parse(line) {
            Ok(Some(Statement::Result { failed, what })) => (failed, what),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(
            failed("customdpc-vm result failed test: selftest: the driver counts: no"),
            (true, "failed   test: selftest: the driver counts: no".to_owned())
        );
        assert!(!failed("customdpc-vm result ok install: Device: started").0);
        assert_eq!(
            parse("customdpc-vm archive 12 0abc"),
            Ok(Some(Statement::Archive {
                length: 12,
                sha256: "0abc".to_owned()
            }))
        );
    }

    #[test]
    fn what_the_firmware_prints_is_none_and_may_stand_before_one() {
        assert_eq!(parse("SeaBIOS (version 1.16)"), Ok(None));
        assert_eq!(parse("\u{1b}[2Jcustomdpc-vm end 0"), Ok(Some(Statement::End(0))));
    }

    #[test]
    fn malformed_statements_are_errors() {
        for line in ["begin 2", "end", "end x", "archive 12", "archive x 0abc", "hello", ""] {
            assert!(parse(&format!("customdpc-vm {line}")).is_err(), "{line}");
        }
    }
}
