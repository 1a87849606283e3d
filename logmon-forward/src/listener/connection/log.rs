//! What is said about a connection.

use tracing::{debug, info, warn};

use super::{Connection, Ending, Stats};
use crate::codec::{DecodeError, Message, Warning};
use crate::listener::report::hex;

impl Connection {
    pub(super) fn log_rejects(&self, message: &Message) {
        let is_acked = !message.chunks.is_empty();
        for reject in &message.rejected {
            let code = reject.reason.code();
            let Some(suppressed) = self.shared.limiter.admit(self.peer.ip(), code) else {
                continue;
            };
            warn!(
                reason = code,
                peer = %self.peer,
                tag = reject.tag.as_ref().map(tracing::field::display),
                mode = message.mode.as_str(),
                offset = reject.offset,
                entry_offset = reject.entry_offset,
                message_bytes = message.wire_bytes,
                count = reject.count,
                head = hex(&reject.sample),
                is_acked,
                suppressed,
                "refused: {}; the connection goes on",
                reject.reason
            );
        }
    }

    pub(super) fn log_warnings(&mut self, message: &Message) {
        for warning in &message.warnings {
            // A long message is told of each time, as far as the limiter lets it.
            let is_known = *warning != Warning::Long && self.warned.contains(warning);
            if is_known {
                continue;
            }
            if !self.warned.contains(warning) {
                self.warned.push(*warning);
            }
            if let Some(suppressed) = self.shared.limiter.admit(self.peer.ip(), warning.code()) {
                warn!(
                    warning = warning.code(),
                    peer = %self.peer,
                    mode = message.mode.as_str(),
                    tag = message.tag.as_ref().map(tracing::field::display),
                    offset = message.offset,
                    bytes = message.wire_bytes,
                    suppressed,
                    "{warning}"
                );
            }
        }
    }

    pub(super) fn log_ending(&self, ending: &Ending) {
        let peer = self.peer;
        match ending {
            Ending::Fault(error) => self.log_fault(error),
            Ending::PeerClosed | Ending::Broken(_) if self.received == 0 => {
                Stats::add(&self.shared.stats.heartbeats, 1);
                debug!(%peer, "connection closed without a byte: a heartbeat");
            }
            Ending::PeerClosed | Ending::Broken(_) if self.decoder.is_inside_message() => {
                Stats::add(&self.shared.stats.truncated, 1);
                let (bytes, offset) = (self.decoder.buffered(), self.decoder.offset());
                if let Some(suppressed) = self.shared.limiter.admit(peer.ip(), "truncated") {
                    info!(
                        %peer,
                        bytes,
                        offset,
                        suppressed,
                        "connection ended inside a message, which is discarded"
                    );
                }
            }
            Ending::Refused(error) => {
                if let Some(suppressed) = self.shared.limiter.admit(peer.ip(), "journal_refused") {
                    warn!(%peer, %error, suppressed, "connection closed: the journal takes nothing");
                }
            }
            Ending::Broken(error) => debug!(%peer, %error, "connection broke"),
            Ending::Evicted => {
                Stats::add(&self.shared.stats.connections_evicted, 1);
                debug!(%peer, "connection closed: it has made room for another");
            }
            Ending::Retired => debug!(%peer, "connection closed: it has lasted long enough"),
            Ending::Idle => debug!(%peer, "connection closed: idle"),
            Ending::PeerClosed | Ending::Shutdown => debug!(%peer, "connection closed"),
        }
    }

    fn log_fault(&self, error: &DecodeError) {
        self.shared.stats.rejected.add(error.reason, 1);
        let code = error.reason.code();
        let Some(suppressed) = self.shared.limiter.admit(self.peer.ip(), code) else { return };
        warn!(
            reason = code,
            peer = %self.peer,
            tag = error.tag.as_ref().map(tracing::field::display),
            offset = error.offset,
            head = hex(&error.sample),
            suppressed,
            "connection closed: {}{}",
            error.reason,
            error.detail.as_deref().map_or(String::new(), |detail| format!(": {detail}"))
        );
    }
}
