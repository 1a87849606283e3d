//! Where a change stream was, in a file.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// It is written down no oftener.
const INTERVAL: Duration = Duration::from_secs(1);

/// A place in the stream, and how far the journal was then: what was taken into it from there on may
/// come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) token: Vec<u8>,
    pub(super) seq: u64,
}

/// The file that remembers a place.
#[derive(Debug)]
pub(super) struct Resume {
    file: PathBuf,
    saved: Option<Instant>,
}

impl Resume {
    pub(super) const fn new(file: PathBuf) -> Self {
        Self { file, saved: None }
    }

    /// The place that was saved; `None` where there is none, or nonsense.
    pub(super) fn load(&self) -> Option<Place> {
        let bytes = fs::read(&self.file).ok()?;
        let (sum, rest) = bytes.split_first_chunk::<4>()?;
        if crc32c::crc32c(rest).to_le_bytes() != *sum {
            return None;
        }
        let (seq, token) = rest.split_first_chunk::<8>()?;
        Some(Place { token: token.to_vec(), seq: u64::from_le_bytes(*seq) })
    }

    /// Saves a place, unless one was saved a moment ago: the one before is as good, and costs what
    /// came since coming once more.
    pub(super) async fn save(&mut self, place: &Place) -> io::Result<()> {
        if self.saved.is_some_and(|saved| saved.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.saved = Some(Instant::now());
        let rest = [&place.seq.to_le_bytes()[..], &place.token].concat();
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || write(&file, &rest)).await;
        written.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// Writes the file anew, whole or not at all. Blocks.
fn write(file: &Path, rest: &[u8]) -> io::Result<()> {
    let draft = file.with_extension("new");
    let mut out = File::create(&draft)?;
    out.write_all(&crc32c::crc32c(rest).to_le_bytes())?;
    out.write_all(rest)?;
    out.sync_data()?;
    fs::rename(&draft, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_comes_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stream");
        let mut resume = Resume::new(file.clone());
        assert_eq!(resume.load(), None);
        let place = Place { token: b"token".to_vec(), seq: 1 << 40 };
        resume.save(&place).await.unwrap();
        assert_eq!(Resume::new(file.clone()).load(), Some(place.clone()));
        // A moment later it is not written again.
        resume.save(&Place { seq: 5, ..place.clone() }).await.unwrap();
        assert_eq!(resume.load(), Some(place));
        let bytes = fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            fs::write(&file, &flipped).unwrap();
            assert_eq!(resume.load(), None, "byte {at}");
            fs::write(&file, &bytes[..at]).unwrap();
            assert_eq!(resume.load(), None, "{at} bytes");
        }
    }
}
