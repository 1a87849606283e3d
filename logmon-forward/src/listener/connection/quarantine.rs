//! What was refused, on its way into the quarantine.

use std::mem::take;
use std::sync::Arc;

use logmon_core::{Quarantined, QuarantinedKind};
use tracing::warn;

use super::{Connection, Ending, Stats};
use crate::codec::{Class, InvalidEvent, Message, Reject};

impl Connection {
    /// Keeps what was refused in a message, so that its acknowledgement may say that all of it is
    /// safe. What the quarantine cannot keep is counted, and acknowledged all the same.
    pub(super) async fn quarantine(&mut self, message: &mut Message) -> Result<(), Ending> {
        let Some(quarantine) = &self.shared.quarantine else { return Ok(()) };
        if self.shared.settings.invalid_event != InvalidEvent::Quarantine {
            return Ok(());
        }
        let quarantine = Arc::clone(quarantine);
        for reject in &mut message.rejected {
            let code = reject.reason.code();
            let item = self.item(reject);
            let kept = tokio::select! {
                biased;
                kept = quarantine.put(item) => kept,
                ending = self.stop.wait(true) => return Err(ending),
            };
            let stats = &self.shared.stats;
            let Err(error) = kept else {
                Stats::add(&stats.quarantined, 1);
                continue;
            };
            Stats::add(&stats.quarantine_failed, 1);
            if let Some(suppressed) = self.shared.limiter.admit(self.peer.ip(), "quarantine_failed")
            {
                warn!(
                    peer = %self.peer,
                    reason = code,
                    %error,
                    suppressed,
                    "what was refused is lost: the quarantine did not take it"
                );
            }
        }
        Ok(())
    }

    fn item(&self, reject: &mut Reject) -> Quarantined {
        let kind = match reject.reason.class() {
            Class::Entry => QuarantinedKind::Entries,
            Class::Framing | Class::Message => QuarantinedKind::Message,
        };
        let bytes = take(&mut reject.bytes);
        let mut item = Quarantined::new("forward", reject.reason.code(), kind, bytes);
        item.detail = format!(
            "{} (message at byte {} of the connection, entry at byte {})",
            reject.reason, reject.offset, reject.entry_offset
        );
        item.peer = Some(self.peer.to_string());
        item.tag.clone_from(&reject.tag);
        item.count = u64::from(reject.count);
        item.full_bytes = reject.full_bytes;
        item
    }
}
