//! A small Forward client: it shares no code with the program under test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use rmpv::Value;

use super::DEADLINE;

/// The carrier modes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Message,
    Forward,
    Packed,
}

/// Seconds since 1970 of every event that is sent.
pub(crate) const TIME: u64 = 1_767_323_045;

/// The bytes of one message with `chunk` as its id; in [`Mode::Message`] there is one record.
pub(crate) fn message(mode: Mode, tag: &str, records: &[Value], chunk: &str) -> Vec<u8> {
    let time = Value::from(TIME);
    let option = Value::Map(vec![("chunk".into(), chunk.into())]);
    let entries = records.iter().map(|record| Value::Array(vec![time.clone(), record.clone()]));
    let parts = match mode {
        Mode::Message => vec![tag.into(), time.clone(), records[0].clone(), option],
        Mode::Forward => vec![tag.into(), Value::Array(entries.collect()), option],
        Mode::Packed => {
            let packed: Vec<u8> = entries.flat_map(|entry| bytes(&entry)).collect();
            vec![tag.into(), Value::Binary(packed), option]
        }
    };
    bytes(&Value::Array(parts))
}

/// A record with a message and a number.
pub(crate) fn record(message: &str, n: u64) -> Value {
    Value::Map(vec![("message".into(), message.into()), ("n".into(), n.into())])
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out
}

/// One connection to a Forward listener.
pub(crate) struct Client {
    writer: TcpStream,
}

impl Client {
    pub(crate) fn connect(to: SocketAddr) -> std::io::Result<Self> {
        let writer = TcpStream::connect(to)?;
        writer.set_nodelay(true)?;
        Ok(Self::of(writer))
    }

    pub(crate) fn of(writer: TcpStream) -> Self {
        writer.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { writer }
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        self.writer.write_all(message)
    }

    /// The acks of this connection as they come.
    pub(crate) fn acks(&self) -> Acks {
        Acks(BufReader::new(self.writer.try_clone().unwrap()))
    }
}

/// Reads acks until the connection ends.
pub(crate) struct Acks(BufReader<TcpStream>);

impl Iterator for Acks {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        // Whatever ends the stream, there are no more.
        let value = rmpv::decode::read_value(&mut self.0).ok()?;
        let ack =
            value.as_map().and_then(|pairs| pairs.iter().find(|(key, _)| *key == "ack".into()));
        let (_, ack) = ack.unwrap_or_else(|| panic!("not an ack: {value}"));
        Some(ack.as_str().unwrap().to_owned())
    }
}

impl Acks {
    /// Whether nothing but the regular end of the stream is left.
    pub(crate) fn has_ended_well(&mut self) -> bool {
        self.0.fill_buf().is_ok_and(<[u8]>::is_empty)
    }
}
