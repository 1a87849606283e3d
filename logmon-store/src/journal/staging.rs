//! Messages too big for memory on their way into the journal.
//!
//! The caller's side writes the frames of a message into a file of its own, with room left for
//! their headers. The writer's side (`writer/adopt.rs`) fills these in and makes the file a segment
//! by renaming it, so the message appears whole or not at all.

use std::sync::Arc;

use logmon_core::{
    AppendError, BoxFuture, Commit, Committed, Epoch, Fingerprint, NewBatch, Position,
};
use logmon_core::{Promise, Staging};
use tokio::runtime::Handle;

use super::format::{MAX_HEADER_BYTES, header_len};
use super::shared::Shared;
use crate::vfs::Vfs;

mod room;
mod staged;

pub(super) use room::Room;
pub(super) use staged::{Sealed, Staged};

/// The name of a staging file. No two openings have the same, so that one that outlives its
/// journal does no harm.
fn file_name(epoch: Epoch, number: u32) -> String {
    let mut wide = [0; 8];
    wide[1..].copy_from_slice(&epoch.to_bytes());
    format!("{:014x}-{number:08x}.stage", u64::from_be_bytes(wide))
}

pub(super) fn is_file_name(name: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let digits = name.strip_suffix(".stage").and_then(|name| name.split_once('-'));
    digits.is_some_and(|(epoch, number)| {
        (epoch.len(), number.len()) == (14, 8) && is_hex(epoch) && is_hex(number)
    })
}

/// Removes what earlier openings left behind: nothing of it was promised.
pub(super) fn remove_left(vfs: &dyn Vfs) {
    let left = vfs.list(&is_file_name).unwrap_or_else(|error| {
        tracing::warn!(%error, "the journal's directory could not be listed");
        Vec::new()
    });
    for name in left {
        match vfs.remove(&name) {
            Ok(()) => tracing::info!(name, "an unfinished message was discarded"),
            Err(error) => tracing::warn!(name, %error, "a staging file could not be removed"),
        }
    }
}

/// A message whose bytes are durable, on its way to the writer.
#[derive(Debug)]
pub(super) struct Adoption {
    pub(super) staged: Staged,
    pub(super) promise: Promise,
}

/// The caller's side.
#[derive(Debug)]
struct DiskStaging {
    shared: Arc<Shared>,
    head: Position,
    /// `None` after a failure, or while a push is on its way.
    staged: Option<Staged>,
}

/// Begins a message.
pub(super) async fn begin(shared: Arc<Shared>) -> Result<Box<dyn Staging>, AppendError> {
    if let Some(refusal) = shared.queue.refusal() {
        return Err(refusal);
    }
    let head = shared.catalog().head();
    let for_file = shared.clone();
    let staged = blocking(move || Staged::create(for_file, head.epoch)).await??;
    Ok(Box::new(DiskStaging { shared, head, staged: Some(staged) }))
}

impl Staging for DiskStaging {
    fn push(&mut self, batch: NewBatch) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(async move {
            if header_len(batch.tag.len(), 0) > MAX_HEADER_BYTES {
                return Err(AppendError::TooLarge { bytes: batch.tag.len() });
            }
            let mut staged = self.staged.take().ok_or(AppendError::Closed)?;
            let pushed = blocking(move || (staged.push(&batch), staged));
            let (pushed, staged) = pushed.await?;
            if matches!(pushed, Ok(()) | Err(AppendError::Busy { .. })) {
                self.staged = Some(staged);
            }
            pushed
        })
    }

    /// The bytes are synced on a blocking thread of the tokio runtime, or on the caller's where
    /// there is no runtime.
    fn commit(self: Box<Self>, fingerprints: Vec<Fingerprint>) -> Commit {
        let Self { shared, head, staged } = *self;
        let Some(mut staged) = staged else { return Commit::ready(Err(AppendError::Closed)) };
        if staged.is_empty() {
            return Commit::ready(Ok(Committed::new(head, head.seq)));
        }
        let header = header_len(0, fingerprints.len());
        if header > MAX_HEADER_BYTES {
            return Commit::ready(Err(AppendError::TooLarge { bytes: header }));
        }
        let (promise, commit) = Commit::pending();
        let finish = move || match staged.seal(fingerprints) {
            Ok(()) => shared.queue.push_staged(Adoption { staged, promise }),
            Err(error) => promise.resolve(Err(error)),
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(finish)),
            Err(_) => finish(),
        }
        commit
    }
}

/// Runs what blocks on a blocking thread of the tokio runtime, or here where there is none.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppendError> {
    match Handle::try_current() {
        Ok(runtime) => {
            let done = runtime.spawn_blocking(work).await;
            done.map_err(|error| AppendError::Staging(error.to_string().into()))
        }
        Err(_) => Ok(work()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_form_are_removed() {
        let epoch = Epoch::from_bytes([1, 2, 3, 0xab, 5, 6, 7]);
        let name = file_name(epoch, 0x1f);
        assert_eq!(name, "010203ab050607-0000001f.stage");
        assert!(is_file_name(&name));
        for other in ["a.stage", "010203AB050607-0000001f.stage", "010203ab050607-0000001f.seg"] {
            assert!(!is_file_name(other), "{other}");
        }
    }
}
