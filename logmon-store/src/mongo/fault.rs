//! What an error of the driver means for the events of a batch.
//!
//! The codes are those of the server's `error_codes.yml`; which of them can pass is what the driver's
//! own list of retryable errors says, and what was seen on servers.

use mongodb::error::{Error, ErrorKind};

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// It passes: try the same again.
    Transient,
    /// Somebody has to do something; then the same will work.
    Configuration,
    /// Something in the batch can never be written.
    Permanent,
    /// Nobody knows. If a part of the batch can be written, the rest of it is to blame.
    Unclear,
}

/// Errors that pass: elections, shutdowns, the network between servers, limits, locks.
const TRANSIENT: &[i32] = &[
    6, 7, 24, 43, 46, 50, 63, 64, 82, 89, 91, 96, 112, 117, 125, 133, 134, 150, 189, 202, 225, 246,
    251, 262, 279, 290, 365, 462, 9001, 10_058, 10_107, 11_600, 11_601, 11_602, 13_388, 13_435,
    13_436, 14_031, 16_500,
];

/// Errors of rights, accounts and settings.
const CONFIGURATION: &[i32] = &[
    8, 11, 13, 18, 20, 26, 31, 48, 72, 73, 79, 93, 100, 103, 115, 166, 238, 303, 304, 317, 8000,
    13_297, 8_000_011,
];

/// Errors of one document, whatever the command was: bytes that are no BSON, nesting, size.
const PERMANENT: &[i32] = &[15, 22, 10_334, 17_280];

/// Errors of one document where the server says which: also bad values, ids, validation. Of a whole
/// command they may be about the command, such as a write concern that cannot be met.
const PERMANENT_BY_INDEX: &[i32] = &[2, 9, 14, 17, 40, 52, 53, 55, 56, 57, 121];

/// Of a code that a server gave.
pub(super) fn class_of_code(code: i32) -> Class {
    let lists = [
        (TRANSIENT, Class::Transient),
        (CONFIGURATION, Class::Configuration),
        (PERMANENT, Class::Permanent),
    ];
    let known = lists.into_iter().find(|(codes, _)| codes.contains(&code));
    known.map_or(Class::Unclear, |(_, class)| class)
}

/// Of a code that a server gave for one document.
pub(super) fn class_by_index(code: i32) -> Class {
    if PERMANENT_BY_INDEX.contains(&code) { Class::Permanent } else { class_of_code(code) }
}

/// Of an error of the driver.
pub(super) fn class_of(error: &Error) -> Class {
    let is_said_to_pass = ["RetryableWriteError", "RetryableError", "SystemOverloadedError"]
        .into_iter()
        .any(|label| error.contains_label(label));
    if is_said_to_pass {
        return Class::Transient;
    }
    match &*error.kind {
        ErrorKind::Authentication { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::IncompatibleServer { .. }
        // What this output itself says of a connection string.
        | ErrorKind::Custom(_) => Class::Configuration,
        ErrorKind::ServerSelection { message, .. } => {
            // The reason stands in the text only.
            let is_tls = ["certificate", "TLS", "tls", "Authentication"];
            let is_tls = is_tls.into_iter().any(|word| message.contains(word));
            if is_tls { Class::Configuration } else { Class::Transient }
        }
        ErrorKind::Command(command) => class_of_code(command.code),
        // What is sent was made to be right, but some answers that are wrong look like this as well.
        ErrorKind::InvalidArgument { .. } => Class::Unclear,
        // The network, the pool, the names of servers, answers that make no sense, a shutdown.
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_one_list() {
        let mut all = [TRANSIENT, CONFIGURATION, PERMANENT, PERMANENT_BY_INDEX].concat();
        let len = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), len);
        assert_eq!(class_of_code(10_107), Class::Transient);
        assert_eq!(class_of_code(13), Class::Configuration);
        for permanent in [15, 22, 10_334, 17_280] {
            assert_eq!(class_of_code(permanent), Class::Permanent, "{permanent}");
        }
        // A write concern that cannot be met is a bad value, too.
        for code in [2, 52, 53, 121] {
            assert_eq!(class_of_code(code), Class::Unclear, "{code}");
            assert_eq!(class_by_index(code), Class::Permanent, "{code}");
        }
        assert_eq!(class_of_code(1_234_567), Class::Unclear);
    }
}
