//! Documents that answer commands.

use bson::raw::cstr;
use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};

use super::SET_NAME;
use super::wire::MAX_MESSAGE_BYTES;

/// Why a command fails.
#[derive(Debug)]
pub(super) struct Failure {
    code: i32,
    message: String,
    labels: &'static [&'static str],
}

impl Failure {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), labels: &[] }
    }

    pub(super) fn with_labels(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    pub(super) fn into_reply(self) -> RawDocumentBuf {
        let mut reply = rawdoc! {
            "ok": 0.0,
            "errmsg": self.message,
            "code": self.code,
            "codeName": code_name(self.code),
        };
        if !self.labels.is_empty() {
            reply.append(cstr!("errorLabels"), array(self.labels.iter().copied()));
        }
        reply
    }
}

/// A command without what it needs.
impl From<bson::error::Error> for Failure {
    fn from(error: bson::error::Error) -> Self {
        Self::new(9, error.to_string())
    }
}

/// The names that MongoDB gives to the codes a sink meets.
pub(super) fn code_name(code: i32) -> String {
    let name = match code {
        2 => "BadValue",
        6 => "HostUnreachable",
        9 => "FailedToParse",
        13 => "Unauthorized",
        18 => "AuthenticationFailed",
        22 => "InvalidBSON",
        26 => "NamespaceNotFound",
        27 => "IndexNotFound",
        48 => "NamespaceExists",
        50 => "MaxTimeMSExpired",
        59 => "CommandNotFound",
        64 => "WriteConcernFailed",
        85 => "IndexOptionsConflict",
        86 => "IndexKeySpecsConflict",
        91 => "ShutdownInProgress",
        100 => "UnsatisfiableWriteConcern",
        112 => "WriteConflict",
        121 => "DocumentValidationFailure",
        189 => "PrimarySteppedDown",
        10107 => "NotWritablePrimary",
        11000 => "DuplicateKey",
        11600 => "InterruptedAtShutdown",
        11602 => "InterruptedDueToReplStateChange",
        _ => return format!("Location{code}"),
    };
    name.to_owned()
}

/// What the server says of itself. With `member`, that it is of a replica set and its port.
pub(super) fn hello(is_primary: bool, member: Option<u16>) -> RawDocumentBuf {
    let mut hello = rawdoc! {
        "helloOk": true,
        "ismaster": is_primary,
        "isWritablePrimary": is_primary,
        "maxBsonObjectSize": 16_777_216,
        "maxMessageSizeBytes": MAX_MESSAGE_BYTES,
        "maxWriteBatchSize": 100_000,
        "localTime": bson::DateTime::now(),
        "logicalSessionTimeoutMinutes": 30,
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "readOnly": false,
    };
    if let Some(port) = member {
        let me = format!("127.0.0.1:{port}");
        hello.append(cstr!("setName"), SET_NAME);
        hello.append(cstr!("setVersion"), 1);
        hello.append(cstr!("secondary"), !is_primary);
        hello.append(cstr!("hosts"), array([me.as_str()]));
        hello.append(cstr!("me"), me.as_str());
        if is_primary {
            hello.append(cstr!("primary"), me.as_str());
        }
    }
    hello
}

/// A result that is complete with its first batch.
pub(super) fn cursor<I>(namespace: &str, documents: I) -> RawDocumentBuf
where
    I: IntoIterator<Item = RawDocumentBuf>,
{
    let batch = array(documents);
    rawdoc! { "cursor": { "id": 0_i64, "ns": namespace, "firstBatch": batch } }
}

pub(super) fn array<V: bson::raw::BindRawBsonRef>(
    values: impl IntoIterator<Item = V>,
) -> RawArrayBuf {
    let mut array = RawArrayBuf::new();
    values.into_iter().for_each(|value| array.push(value));
    array
}
