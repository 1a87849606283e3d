//! Counters of a listener.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::codec::{Class, Message, Oddities, Reason};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of a listener, from its start.
        #[derive(Debug, Default)]
        pub struct Stats {
            $(pub(super) $name: AtomicU64,)*
            pub(super) rejected: Rejected,
        }

        /// The counters at one moment.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)*
            /// What was refused, by [`Reason::code`]: entries, messages or connections, as
            /// [`Reason::class`] says. Reasons that never occurred are left out.
            pub rejected: BTreeMap<&'static str, u64>,
        }

        impl Stats {
            /// The counters now. They are read one after the other, so sums may be off by what is
            /// just happening.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    rejected: self.rejected.snapshot(),
                }
            }
        }
    };
}

counters! {
    /// Connections accepted.
    connections,
    /// Of these, closed at once because a limit was reached.
    connections_refused,
    /// Of these, closed because their address is not allowed.
    connections_denied,
    /// Connections closed before their first message to make room for others.
    connections_evicted,
    /// Connections open now.
    connections_open,
    /// TLS handshakes that failed or took too long.
    tls_failed,
    /// Clients let in after the handshake.
    logins,
    /// Clients that did not get through the handshake.
    logins_refused,
    /// Heartbeats over UDP that were answered.
    udp_heartbeats,
    /// Heartbeats over UDP that were too many to answer.
    udp_limited,
    /// Connections closed without a byte, as health checks do.
    heartbeats,
    /// Connections that ended inside a message, which is thrown away.
    truncated,
    /// Bytes read.
    bytes,
    /// Messages decoded, refused ones included.
    messages,
    /// Events decoded: those for the journal and those refused. Each comes to be one of
    /// `appended`, `deduplicated`, `rejected_events`, `lost` and `unsettled`.
    events,
    /// Events the journal has made durable.
    appended,
    /// Events that had been stored before: their chunk was sent again.
    deduplicated,
    /// Events refused one by one.
    rejected_events,
    /// Messages refused as a whole and acknowledged all the same.
    rejected_acked,
    /// Events the journal did not take; they were not acknowledged.
    lost,
    /// Events queued for the journal whose commit nobody waited for any longer because the
    /// connection had to end. They may be durable; they were not acknowledged.
    unsettled,
    /// How often reading waited because the journal was full.
    journal_busy,
    /// Chunks that had been stored before, acknowledged again.
    duplicates_suppressed,
    /// Chunks with the id of an earlier one and other events; they were stored.
    chunk_id_conflicts,
    /// Acknowledgements written to a socket.
    acks_sent,
    /// Acknowledgements given up because the peer does not read or is gone.
    acks_dropped,
    /// Elements too many in messages, entries and headers, ignored.
    extra_elements,
    /// Group markers of Fluent Bit, no events.
    group_markers,
    /// Batches inside batches, unwrapped.
    nested_batches,
    /// Messages with metrics or traces, dropped and acknowledged.
    signals_dropped,
    /// Messages too big for memory that went through staging.
    staged,
    /// Messages whose option had metadata for entries that were staged before it came.
    metadata_too_late,
    /// Groups of Fluent Bit whose attributes were too long to be attached.
    groups_too_long,
    /// What was refused and is in the quarantine, by message and reason.
    quarantined,
    /// What was refused and could not be kept in the quarantine.
    quarantine_failed,
    /// Times that cannot be held, replaced by the receive time.
    times_out_of_range,
}

/// One counter for each reason.
#[derive(Debug)]
pub(super) struct Rejected(Vec<AtomicU64>);

impl Default for Rejected {
    fn default() -> Self {
        Self(Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Rejected {
    pub(super) fn add(&self, reason: Reason, count: u64) {
        if let Some(counter) = self.0.get(reason as usize) {
            Stats::add(counter, count);
        }
    }

    fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.0.iter().map(|counter| counter.load(Ordering::Relaxed));
        Reason::ALL.iter().map(|r| r.code()).zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts a decoded message.
    pub(super) fn count_message(&self, message: &Message) {
        let mut refused = 0;
        for reject in &message.rejected {
            self.rejected.add(reject.reason, u64::from(reject.count));
            if reject.reason.class() == Class::Entry {
                refused += u64::from(reject.count);
            }
        }
        Self::add(&self.messages, u64::from(message.messages));
        Self::add(&self.events, message.events() as u64 + message.parted + refused);
        Self::add(&self.staged, u64::from(message.parted > 0));
        if refused > 0 {
            Self::add(&self.rejected_events, refused);
        }
        if message.is_refused() {
            Self::add(&self.rejected_acked, message.chunks.len() as u64);
        }
        if message.oddities != Oddities::default() {
            self.count_oddities(message.oddities);
        }
    }

    fn count_oddities(&self, oddities: Oddities) {
        for (counter, count) in [
            (&self.extra_elements, oddities.extra_elements),
            (&self.group_markers, oddities.group_markers),
            (&self.nested_batches, oddities.nested_batches),
            (&self.metadata_too_late, oddities.metadata_too_late),
            (&self.groups_too_long, oddities.groups_too_long),
            (&self.signals_dropped, oddities.signals),
            (&self.times_out_of_range, oddities.times_out_of_range),
        ] {
            Self::add(counter, u64::from(count));
        }
    }
}
