//! Messages as bytes: OP_MSG, and the older OP_QUERY with which some clients say hello.

use std::io;

use bson::{RawDocument, RawDocumentBuf};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const HEADER_BYTES: usize = 16;
/// Where the flags of an OP_MSG stand.
pub(super) const FLAGS_START: usize = HEADER_BYTES;
/// Where the document of a reply stands, behind the flags and the kind of section.
pub(super) const BODY_START: usize = FLAGS_START + 5;
/// What hello tells clients to keep to.
pub(super) const MAX_MESSAGE_BYTES: i32 = 48_000_000;

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

const CHECKSUM_PRESENT: i32 = 1;
const MORE_TO_COME: i32 = 2;

/// A command that arrived.
#[derive(Debug)]
pub(super) struct Request {
    id: i32,
    is_legacy: bool,
    /// Whether the client listens to the answer.
    pub(super) is_answered: bool,
    /// The command, without `documents`.
    pub(super) body: RawDocumentBuf,
    /// What came as `documents`, within the body or beside it.
    pub(super) documents: Vec<RawDocumentBuf>,
}

impl Request {
    /// Waits for a command. An error means that the connection is of no more use.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await?;
        let mut fields = Cursor(&header);
        let (length, id) = (fields.number()?, fields.number()?);
        let (_response_to, code) = (fields.number()?, fields.number()?);
        if length > MAX_MESSAGE_BYTES {
            return Err(broken());
        }
        let rest = usize::try_from(length).ok().and_then(|all| all.checked_sub(HEADER_BYTES));
        let mut bytes = vec![0; rest.ok_or_else(broken)?];
        stream.read_exact(&mut bytes).await?;
        match code {
            OP_MSG => Self::from_message(id, &bytes),
            OP_QUERY => Self::from_query(id, &bytes),
            _ => Err(broken()),
        }
    }

    fn from_message(id: i32, bytes: &[u8]) -> io::Result<Self> {
        let mut bytes = Cursor(bytes);
        let flags = bytes.number()?;
        if flags & CHECKSUM_PRESENT != 0 {
            bytes.0 = bytes.0.split_last_chunk::<4>().ok_or_else(broken)?.0;
        }
        let (mut body, mut documents) = (None, Vec::new());
        while !bytes.0.is_empty() {
            match bytes.take(1)? {
                [0] => body = Some(bytes.document()?),
                [1] => documents.extend(bytes.sequence()?),
                _ => return Err(broken()),
            }
        }
        let is_answered = flags & MORE_TO_COME == 0;
        Self { id, is_legacy: false, is_answered, body: body.ok_or_else(broken)?, documents }
            .with_documents_apart()
    }

    fn from_query(id: i32, bytes: &[u8]) -> io::Result<Self> {
        let mut bytes = Cursor(bytes);
        bytes.number()?;
        bytes.name()?;
        bytes.take(8)?;
        let body = bytes.document()?;
        Ok(Self { id, is_legacy: true, is_answered: true, body, documents: Vec::new() })
    }

    fn with_documents_apart(mut self) -> io::Result<Self> {
        let mut body = RawDocumentBuf::new();
        for element in &self.body {
            match element.map_err(|_| broken())? {
                (key, bson::RawBsonRef::Array(array)) if key.as_str() == "documents" => {
                    for document in array {
                        let document = document.map_err(|_| broken())?.as_document();
                        self.documents.push(document.ok_or_else(broken)?.to_owned());
                    }
                }
                (key, value) => body.append(key, value),
            }
        }
        Ok(Self { body, ..self })
    }

    /// The name of the command, and what stands under it, which is a collection if it is a text.
    pub(super) fn command(&self) -> (&str, &str) {
        let first = self.body.iter().next().and_then(Result::ok);
        first.map_or(("", ""), |(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
    }

    /// The database and collection.
    pub(super) fn namespace(&self) -> String {
        format!("{}.{}", self.database(), self.command().1)
    }

    pub(super) fn database(&self) -> &str {
        self.body.get_str("$db").unwrap_or_default()
    }

    /// A reply in the manner of the request.
    pub(super) fn reply(&self, body: &RawDocument) -> Vec<u8> {
        if self.is_legacy { legacy_reply(self.id, body) } else { message(self.id, body) }
    }

    pub(super) fn id(&self) -> i32 {
        self.id
    }
}

/// An OP_MSG with one document.
pub(super) fn message(response_to: i32, body: &RawDocument) -> Vec<u8> {
    // no flags, and a section of kind 0
    with_header(response_to, OP_MSG, &[0; 5], body)
}

fn legacy_reply(response_to: i32, body: &RawDocument) -> Vec<u8> {
    // no flags, no cursor, from the first document on, which is the only one
    let mut fields = [0; 20];
    fields[16] = 1;
    with_header(response_to, OP_REPLY, &fields, body)
}

fn with_header(response_to: i32, code: i32, fields: &[u8], body: &RawDocument) -> Vec<u8> {
    let all = HEADER_BYTES + fields.len() + body.as_bytes().len();
    let numbers = [0, response_to, code].map(i32::to_le_bytes);
    [&length(all), numbers.as_flattened(), fields, body.as_bytes()].concat()
}

pub(super) fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).expect("a reply that fits").to_le_bytes()
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Bytes that are still to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(broken)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> io::Result<i32> {
        let (number, rest) = self.0.split_first_chunk().ok_or_else(broken)?;
        self.0 = rest;
        Ok(i32::from_le_bytes(*number))
    }

    /// What begins with its own length.
    fn sized(&mut self) -> io::Result<&'a [u8]> {
        let bytes = Self(self.0).number()?;
        self.take(usize::try_from(bytes).map_err(|_| broken())?)
    }

    fn document(&mut self) -> io::Result<RawDocumentBuf> {
        RawDocumentBuf::from_bytes(self.sized()?.to_vec()).map_err(|_| broken())
    }

    fn name(&mut self) -> io::Result<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(broken)?;
        let name = self.take(end)?;
        self.take(1)?;
        Ok(name)
    }

    /// A section of kind 1, of which clients send none but `documents`.
    fn sequence(&mut self) -> io::Result<Vec<RawDocumentBuf>> {
        let mut section = Cursor(self.sized()?);
        section.number()?;
        if section.name()? != b"documents" {
            return Err(broken());
        }
        let mut documents = Vec::new();
        while !section.0.is_empty() {
            documents.push(section.document()?);
        }
        Ok(documents)
    }
}
