//! The cursor of an output in a file.
//!
//! The file is 8 bytes `LMCURS` `01` `0a`; the epoch (7 bytes) and the number (8 bytes) of the
//! position; the count of units in flight (4 bytes) and of each its first number and one more than
//! its last (8 bytes each); and the CRC-32C of all that (4 bytes). Numbers are little-endian, the
//! epoch is as in the journal.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use logmon_core::{BoxFuture, Cursor, CursorError, CursorState, Epoch, Position};

use crate::vfs::{RealVfs, Vfs};

/// The first bytes of every file: a name, and the version of the format.
const MAGIC: &[u8; 8] = b"LMCURS\x01\n";

/// More than any window: a longer file is none of ours.
const MAX_IN_FLIGHT: usize = 4_096;

/// Magic, epoch, number, count.
const HEAD_BYTES: usize = 8 + 7 + 8 + 4;
const RANGE_BYTES: usize = 16;
const CRC_BYTES: usize = 4;

/// A cursor in the file `NAME.cursor` of a directory.
///
/// # Durability
/// A save is written under another name, synced, renamed, and the directory synced: after a crash
/// the file holds the last state or the one before, whole. Anything else is damage, and an error
/// that names the file.
#[derive(Clone)]
pub struct FileCursor(Arc<Inner>);

struct Inner {
    vfs: Arc<dyn Vfs>,
    /// For people, in errors.
    place: String,
    file: String,
    draft: String,
    /// One save at a time, also where an earlier one was dropped half way.
    turn: Mutex<()>,
}

impl FileCursor {
    /// The cursor `name` in the directory at `dir`, which is made if there is none. Blocks.
    ///
    /// # Errors
    /// The name has other characters than lower-case letters, digits, `-` and `_`, or none, or
    /// more than 64; or the directory cannot be made.
    pub fn open(dir: impl AsRef<Path>, name: &str) -> io::Result<Self> {
        let dir = dir.as_ref();
        Self::open_in(Arc::new(RealVfs::new(dir)?), name, &dir.display().to_string())
    }

    /// The same in any [`Vfs`]; `place` is what errors call it.
    ///
    /// # Errors
    /// As [`FileCursor::open`].
    pub fn open_in(vfs: Arc<dyn Vfs>, name: &str, place: &str) -> io::Result<Self> {
        let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_".contains(&c);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
            let problem = format!("`{name}` is no name for a cursor");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let file = format!("{name}.cursor");
        let (draft, place) = (format!("{file}.new"), format!("{place}/{file}"));
        Ok(Self(Arc::new(Inner { vfs, place, file, draft, turn: Mutex::new(()) })))
    }
}

impl Inner {
    fn load(&self) -> Result<Option<CursorState>, CursorError> {
        let fail = |what: String| CursorError(format!("{}: {what}", self.place).into());
        let read = || {
            let file = self.vfs.open(&self.file)?;
            let longest = HEAD_BYTES + MAX_IN_FLIGHT * RANGE_BYTES + CRC_BYTES;
            let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(longest + 1);
            let mut bytes = vec![0; len];
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => decode(&bytes).map(Some).ok_or_else(|| {
                fail("it is damaged; remove it to let the output begin anew".to_owned())
            }),
            Err(error) => {
                let error: io::Error = error;
                let is_new = error.kind() == io::ErrorKind::NotFound;
                if is_new { Ok(None) } else { Err(fail(error.to_string())) }
            }
        }
    }

    fn save(&self, state: &CursorState) -> Result<(), CursorError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let fail = |error: io::Error| CursorError(format!("{}: {error}", self.place).into());
        let write = || {
            match self.vfs.remove(&self.draft) {
                // From a crash, or a save that failed.
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let file = self.vfs.create(&self.draft)?;
            file.write_at(&encode(state), 0)?;
            file.sync_data()?;
            self.vfs.rename(&self.draft, &self.file)?;
            self.vfs.sync_dir()
        };
        write().map_err(fail)
    }
}

/// Runs what blocks on a thread for that, or here where there is no runtime.
async fn unblock<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CursorError> + Send + 'static,
) -> Result<T, CursorError> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            let done = runtime.spawn_blocking(work).await;
            done.unwrap_or_else(|error| Err(CursorError(error.to_string().into())))
        }
        Err(_) => work(),
    }
}

impl Cursor for FileCursor {
    fn load(&self) -> BoxFuture<'_, Result<Option<CursorState>, CursorError>> {
        let inner = self.0.clone();
        Box::pin(unblock(move || inner.load()))
    }

    fn save(&self, state: CursorState) -> BoxFuture<'_, Result<(), CursorError>> {
        let inner = self.0.clone();
        Box::pin(unblock(move || inner.save(&state)))
    }
}

impl fmt::Debug for FileCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileCursor").field(&self.0.place).finish()
    }
}

fn encode(state: &CursorState) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + state.in_flight.len() * RANGE_BYTES + CRC_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&state.position.epoch.to_bytes());
    out.extend_from_slice(&state.position.seq.to_le_bytes());
    out.extend_from_slice(&u32::try_from(state.in_flight.len()).unwrap_or(u32::MAX).to_le_bytes());
    for range in &state.in_flight {
        out.extend_from_slice(&range.start.to_le_bytes());
        out.extend_from_slice(&range.end.to_le_bytes());
    }
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

/// The state of these bytes, unless they are damaged.
fn decode(bytes: &[u8]) -> Option<CursorState> {
    let (checked, crc) = bytes.split_last_chunk::<CRC_BYTES>()?;
    if *crc != crc32c::crc32c(checked).to_le_bytes() {
        return None;
    }
    let rest = checked.strip_prefix(MAGIC)?;
    let (epoch, rest) = rest.split_first_chunk::<7>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let position = Position { epoch: Epoch::from_bytes(*epoch), seq: u64::from_le_bytes(*seq) };
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    if rest.len() != count.checked_mul(RANGE_BYTES)? {
        return None;
    }
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
    let in_flight = rest.chunks_exact(RANGE_BYTES).map(|range| {
        let (start, end) = range.split_at(8);
        Some(number(start)?..number(end)?)
    });
    Some(CursorState { position, in_flight: in_flight.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vfs::memory::{Call, Fault, MemoryVfs};

    fn state(seq: u64) -> CursorState {
        let position = Position { epoch: Epoch::from_bytes([1, 2, 3, 4, 5, 6, 7]), seq };
        CursorState { position, in_flight: vec![seq..seq + 5, seq + 5..seq + 9] }
    }

    fn cursor(vfs: &MemoryVfs) -> FileCursor {
        FileCursor::open_in(Arc::new(vfs.clone()), "there", "cursors").unwrap()
    }

    #[tokio::test]
    async fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = FileCursor::open(dir.path(), "there").unwrap();
        assert_eq!(cursor.load().await.unwrap(), None);
        for seq in [7, 9] {
            cursor.save(state(seq)).await.unwrap();
            let again = FileCursor::open(dir.path(), "there").unwrap();
            assert_eq!(again.load().await.unwrap(), Some(state(seq)));
        }
        for bad in ["", "..", "a/b", "A", &"x".repeat(65)] {
            assert!(FileCursor::open(dir.path(), bad).is_err(), "{bad}");
        }
    }

    /// Wherever the power is cut in a save, the state before or the new one is there.
    #[tokio::test]
    async fn a_power_cut_leaves_the_old_state_or_the_new_one() {
        let mut cuts = 0;
        for at in 1..20 {
            for seed in 0..8 {
                let vfs = MemoryVfs::new();
                let writing = cursor(&vfs);
                writing.save(state(1)).await.unwrap();
                vfs.cut_at(at, seed);
                writing.save(state(2)).await.unwrap();
                writing.save(state(3)).await.unwrap();
                let Some(after) = vfs.cut_image() else { continue };
                let found = cursor(&after).load().await.unwrap().unwrap();
                assert!([state(1), state(2), state(3)].contains(&found), "at {at}: {found:?}");
                cursor(&after).save(state(4)).await.unwrap();
                assert_eq!(cursor(&after).load().await.unwrap(), Some(state(4)));
                cuts += 1;
            }
        }
        assert!(cuts >= 64, "{cuts} cuts");
    }

    #[tokio::test]
    async fn a_failure_leaves_what_was_saved_and_is_got_over() {
        for call in [Call::Create, Call::Write, Call::Sync, Call::Rename] {
            let vfs = MemoryVfs::new();
            let cursor = cursor(&vfs);
            cursor.save(state(1)).await.unwrap();
            vfs.fail(call, 1, Fault::Full);
            assert!(cursor.save(state(2)).await.is_err(), "{call:?}");
            assert_eq!(cursor.load().await.unwrap(), Some(state(1)), "{call:?}");
            cursor.save(state(3)).await.unwrap();
            assert_eq!(cursor.load().await.unwrap(), Some(state(3)), "{call:?}");
        }
    }

    /// a damaged cursor is an error that names the file, never another position.
    #[tokio::test]
    async fn damage_is_an_error_that_names_the_file() {
        let vfs = MemoryVfs::new();
        let whole = encode(&state(5));
        let mut longer = whole.clone();
        longer.push(0);
        let flipped = (0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            bytes
        });
        let torn = (0..whole.len()).map(|len| whole[..len].to_vec());
        for bytes in flipped.chain(torn).chain([longer]) {
            vfs.put("there.cursor", bytes);
            let error = cursor(&vfs).load().await.unwrap_err().to_string();
            assert!(error.contains("cursors/there.cursor"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&bytes), None);
            let mut sealed = MAGIC.to_vec();
            sealed.extend(&bytes);
            sealed.extend(crc32c::crc32c(&sealed).to_le_bytes());
            if let Some(state) = decode(&sealed) {
                prop_assert_eq!(encode(&state), sealed);
            }
        }
    }
}
