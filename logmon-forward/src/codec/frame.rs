//! What a framed message is: its mode, and where its parts are.

use std::ops::Range;

use logmon_core::Tag;
use logmon_core::msgpack::{Cursor, Head};

use super::options::{Options, Signal};
use super::scan::Shape;
use super::tags::Tags;
use super::{AckWire, Reason, Settings};

/// A message taken apart. Ranges are in its frame.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) tag: Option<Tag>,
    pub(super) body: Body,
    pub(super) options: Options,
    /// Elements behind the option, which a later version of the protocol may send.
    pub(super) has_extra: bool,
}

#[derive(Debug)]
pub(super) enum Body {
    /// Entries one after the other: the inside of an array.
    Forward(Range<usize>),
    /// No events and none meant.
    Heartbeat,
    /// The time and the record of one event, which stand together.
    Message(Range<usize>),
    /// The inside of a str or bin.
    Packed(Range<usize>),
    Rejected(Reason),
    /// Metrics or traces.
    Signal,
}

/// Takes a frame apart. `shape` comes from the scan over it.
pub(super) fn parse(
    (frame, shape): (&[u8], &Shape),
    wire: AckWire,
    tags: &mut Tags,
    settings: &Settings,
) -> Parsed {
    let is_array = matches!(frame.first(), Some(0x90..=0x9f | 0xdc | 0xdd));
    if !is_array || shape.elements < 2 {
        let is_heartbeat = is_array && shape.elements == 0;
        let body =
            if is_heartbeat { Body::Heartbeat } else { Body::Rejected(Reason::MessageShape) };
        return Parsed { tag: None, body, options: Options::default(), has_extra: false };
    }
    let body = body(frame, shape, wire);
    let option_at = match &body {
        Body::Message(_) => 3,
        Body::Forward(_) | Body::Packed(_) => 2,
        // Text is no payload there, so that it is more likely a time.
        _ if wire == AckWire::Json && shape.elements > 3 => 3,
        _ => likely_option(shape),
    };
    let options = element(frame, shape, option_at)
        .map_or_else(Options::default, |range| Options::read(frame, range, wire, &settings.limits));
    let has_extra = shape.elements as usize > option_at + 1;
    if options.signal == Signal::MetricsOrTraces && !matches!(body, Body::Rejected(_)) {
        return Parsed { tag: None, body: Body::Signal, options, has_extra };
    }
    match read_tag(frame, shape).and_then(|raw| tags.resolve(raw, settings)) {
        Ok(tag) => Parsed { tag: Some(tag), body, options, has_extra },
        Err(reason) => {
            let is_empty = matches!(&body, Body::Forward(range) if range.is_empty());
            let is_heartbeat = reason == Reason::TagEmpty && is_empty;
            let body = if is_heartbeat { Body::Heartbeat } else { Body::Rejected(reason) };
            Parsed { tag: None, body, options, has_extra }
        }
    }
}

/// Where the option of a message stands whose second element is all that is known.
pub(super) fn likely_option(shape: &Shape) -> usize {
    match shape.second {
        // Entries, or (with four elements) the time and metadata of a single event.
        0x90..=0x9f | 0xdc | 0xdd if shape.elements < 4 => 2,
        0xa0..=0xbf | 0xc4..=0xc6 | 0xd9..=0xdb => 2,
        0x80..=0x8f | 0xde | 0xdf | 0xc2 | 0xc3 if shape.elements == 3 => 2,
        _ => 3,
    }
}

/// The tag of a frame, as far as it is there.
pub(super) fn read_tag<'a>(frame: &'a [u8], shape: &Shape) -> Result<&'a [u8], Reason> {
    let at = shape.start(0).and_then(|at| usize::try_from(at).ok()).ok_or(Reason::TagType)?;
    let mut cursor = Cursor::at(frame, at);
    match cursor.head() {
        Ok(Head::Str(len) | Head::Bin(len)) => cursor.take(len).map_err(|_| Reason::TagTooLong),
        _ => Err(Reason::TagType),
    }
}

/// The range of an element.
fn element(frame: &[u8], shape: &Shape, at: usize) -> Option<Range<usize>> {
    let start = usize::try_from(shape.start(at)?).ok()?;
    let end = shape.start(at + 1).map_or(frame.len(), |end| end.try_into().unwrap_or(usize::MAX));
    Some(start..end)
}

/// The mode, which the family of the second element tells ("Event Modes").
fn body(frame: &[u8], shape: &Shape, wire: AckWire) -> Body {
    let rejected = Body::Rejected(Reason::PayloadType);
    let Some(second) = element(frame, shape, 1) else { return rejected };
    let mut cursor = Cursor::at(frame, second.start);
    let single = || match element(frame, shape, 2) {
        Some(record) => Body::Message(second.start..record.end),
        None => Body::Rejected(Reason::MessageShape),
    };
    match cursor.head() {
        Ok(Head::Array(1..=2)) if is_header(cursor, frame, shape) => single(),
        Ok(Head::Array(_)) => Body::Forward(cursor.position()..second.end),
        Ok(Head::Str(_) | Head::Bin(_)) if wire == AckWire::Json => rejected,
        // The last element may reach behind what extra elements there are no offsets for.
        Ok(Head::Str(len) | Head::Bin(len)) => {
            Body::Packed(cursor.position()..cursor.position() + len as usize)
        }
        Ok(Head::UInt(_) | Head::Int(_) | Head::Float(_) | Head::Ext(..) | Head::Nil) => single(),
        _ => rejected,
    }
}

/// Whether an array of one or two elements, whose header the cursor has passed, is the time and
/// metadata of a single event (`[tag, [time, {}], record]`, protocol v1.5) and not two entries.
/// Entries are arrays; a time never is, and a record stands behind it.
fn is_header(mut cursor: Cursor<'_>, frame: &[u8], shape: &Shape) -> bool {
    let record = element(frame, shape, 2)
        .is_some_and(|range| matches!(Cursor::at(frame, range.start).head(), Ok(Head::Map(_))));
    let end = shape.start(2).and_then(|end| usize::try_from(end).ok()).unwrap_or(frame.len());
    let is_time = matches!(
        { cursor }.head(),
        Ok(Head::UInt(_) | Head::Int(_) | Head::Float(_) | Head::Ext(..) | Head::Nil)
    );
    if !record || !is_time || cursor.skip().is_err() {
        return false;
    }
    cursor.position() == end || matches!(cursor.head(), Ok(Head::Map(_) | Head::Nil))
}
