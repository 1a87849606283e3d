//! The protocol without I/O: bytes in, batches and acknowledgements out.
//!
//! A message is framed first and interpreted second, so one that is well formed but wrong never
//! costs the alignment of the stream. Nothing here recurses over input, and nothing is allocated
//! from a length the peer only declared.

mod ack;
mod decoder;
mod encode;
mod frame;
mod gather;
mod group_attributes;
pub(crate) mod guess;
mod inflate;
mod json;
mod limits;
mod message;
mod options;
mod reason;
mod reject;
mod scan;
mod skip;
mod stream;
mod tags;
mod walk;

pub use ack::{Ack, AckError, AckParser, AckWire, MAX_ACK_BYTES, write_ack};
pub use decoder::{Decoder, Next};
pub use encode::{Compressed, EntriesFormat, Packed, PackedForm, write_packed, write_packed_as};
pub use limits::{EmptyTag, InvalidEvent, InvalidTag, Limits, Settings, Signals};
pub use message::{Chunk, Chunks, Message, Mode, Oddities, Warning};
pub use reason::{Class, Reason};
pub use reject::{DecodeError, Reject, SAMPLE_BYTES};
