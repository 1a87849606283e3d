//! Looking at a data directory byte by byte, and saying what is not as it was written.
//!
//! [`verify()`] changes nothing and takes no lock, so it also works beside a running process.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::journal::check::{self, Checked};
use crate::local::check::{Blocks, Inspection};
use crate::vfs::{RealVfs, Vfs};
use crate::{Damage, DamageKind, OpenError, StoreError};

/// How long a writing process gets to complete what looked torn.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a listing is begun anew because a file went between it and the opening of the file.
const ATTEMPTS: usize = 100;

/// Something in a data directory that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file, relative to the data directory.
    pub file: String,
    /// What is wrong.
    pub problem: Problem,
    /// The bytes it is about; empty where it is the whole file or a place between bytes.
    pub range: Range<u64>,
    /// How many events are lost by it, where that can be told.
    pub events: Option<u64>,
    /// Whether the journal's books count these events as lost already.
    pub is_known: bool,
    /// More for people, or nothing.
    pub detail: String,
}

/// What can be wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// A block of the store is unreadable, or a part of it.
    Block,
    /// The counts of events do not add up.
    Books,
    /// It does not continue the segment before it, or is not the one that was written.
    Chain,
    /// A checkpoint contradicts the newest one.
    Checkpoint,
    /// The position of a cursor lies where the journal never was.
    Cursor,
    /// It belongs to another journal or was renamed.
    Foreign,
    /// What says which store it is, is unreadable; the next start writes it again.
    Format,
    /// Frames are unreadable.
    Frames,
    /// Numbers of events are missing between two segments, or between store and journal.
    Gap,
    /// A segment's header is unreadable.
    Header,
    /// The index of a partition is unreadable; it is made again from the partition.
    Index,
    /// What an interrupted write left. Nothing refers to it.
    Leftover,
    /// It is gone.
    Missing,
    /// It is not part of the journal any more.
    Stray,
    /// The last write was not completed, or what it wrote was damaged.
    TornTail,
    /// It is no file of logmon; it is ignored.
    Unknown,
    /// The medium cannot read it.
    Unreadable,
}

impl Problem {
    /// Whether something is lost or cannot be trusted; the other kinds are only worth mentioning.
    pub const fn is_damage(self) -> bool {
        !matches!(self, Self::Gap | Self::Leftover | Self::Unknown)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "damaged block",
            Self::Books => "the counts of events do not add up",
            Self::Chain => "does not continue the segment before it, or is not the one written",
            Self::Checkpoint => "a checkpoint contradicts the newest one",
            Self::Cursor => "the position of a cursor cannot be used",
            Self::Foreign => "of another journal, or renamed",
            Self::Format => "damaged file of the store",
            Self::Frames => "damaged frames",
            Self::Gap => "missing numbers",
            Self::Header => "damaged header",
            Self::Index => "damaged index",
            Self::Leftover => "left by an interrupted write",
            Self::Missing => "missing",
            Self::Stray => "not part of the journal any more",
            Self::TornTail => "torn tail",
            Self::Unknown => "no file of logmon",
            Self::Unreadable => "cannot be read",
        })
    }
}

impl Finding {
    pub(crate) fn new(file: String, problem: Problem) -> Self {
        Self { file, problem, range: 0..0, events: None, is_known: false, detail: String::new() }
    }

    pub(crate) fn because(self, detail: &str) -> Self {
        Self { detail: detail.to_owned(), ..self }
    }

    /// Whether it is a damage that nothing has counted yet.
    pub fn is_new_damage(&self) -> bool {
        self.problem.is_damage() && !self.is_known
    }

    fn is_same(&self, other: &Self) -> bool {
        let place = |finding: &Self| (finding.problem, finding.range.start);
        self.file == other.file && place(self) == place(other)
    }
}

impl From<Damage> for Finding {
    fn from(damage: Damage) -> Self {
        let problem = match damage.kind {
            DamageKind::Chain => Problem::Chain,
            DamageKind::Foreign => Problem::Foreign,
            DamageKind::Header => Problem::Header,
            DamageKind::Missing => Problem::Missing,
            DamageKind::Frames => Problem::Frames,
            DamageKind::Stray => Problem::Stray,
            DamageKind::TornTail => Problem::TornTail,
        };
        let (start, end) = damage.range;
        Self { range: start..end, events: damage.events, ..Self::new(damage.file, problem) }
    }
}

/// `journal/0000000000000003.seg bytes 640..812: damaged frames (3 events lost)`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problem, range, events, is_known, detail } = self;
        write!(f, "{file}")?;
        match (range.start, range.end) {
            (0, 0) => {}
            (start, end) if start == end => write!(f, " byte {start}")?,
            (start, end) => write!(f, " bytes {start}..{end}")?,
        }
        write!(f, ": {problem}")?;
        if !detail.is_empty() {
            write!(f, ", {detail}")?;
        }
        match events {
            None if problem.is_damage() => f.write_str(" (events lost: unknown)")?,
            Some(1) => f.write_str(" (1 event lost)")?,
            Some(events) if *events > 0 => write!(f, " ({events} events lost)")?,
            _ => {}
        }
        if *is_known { f.write_str(" (known)") } else { Ok(()) }
    }
}

/// What [`verify()`] looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Everything that is not as it was written, in the order of the files.
    pub findings: Vec<Finding>,
    /// Segments of the journal that were read.
    pub segments: usize,
    /// Frames in them whose checksums are right.
    pub frames: u64,
    /// Events in those.
    pub events: u64,
    /// Bytes of the segments.
    pub bytes: u64,
    /// Blocks of the store that were read.
    pub blocks: u64,
    /// Events in those that are whole.
    pub block_events: u64,
    /// Bytes of the blocks.
    pub block_bytes: u64,
}

impl Verification {
    /// Whether nothing is damaged beyond what the journal counts as lost.
    pub fn is_sound(&self) -> bool {
        !self.findings.iter().any(Finding::is_new_damage)
    }
}

/// Why a directory could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no journal.
    #[error("there is no journal in {0}")]
    NoJournal(String),
    /// It was written by a later version, or cannot be read at all.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The store was written by a later version, is none of logmon's, or cannot be read at all.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
}

/// The parts of a data directory, only to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) journal: Arc<dyn Vfs>,
    pub(crate) store: Option<Arc<dyn Vfs>>,
}

impl Parts {
    pub(crate) fn of(data_dir: &Path) -> Result<Self, VerifyError> {
        let open = |folder| RealVfs::existing(data_dir.join(folder));
        let journal =
            open("journal").map_err(|_| VerifyError::NoJournal(data_dir.display().to_string()))?;
        let store = open("store").ok().map(|vfs| Arc::new(vfs) as Arc<dyn Vfs>);
        Ok(Self { journal: Arc::new(journal), store })
    }
}

/// Checks everything in a data directory: each frame's checksum, the numbers of the events, the
/// hash over the segments, the checkpoints against each other, the positions of cursors, every
/// part of every block of the store, its indexes and books, and files that do not belong there.
/// Blocks while it reads everything.
///
/// Nothing is changed and nothing is locked. What a running process is writing at this moment is
/// looked at twice before it counts as damage.
///
/// # Errors
/// There is no journal, or one of a later version, or the directory cannot be read.
pub fn verify(data_dir: impl AsRef<Path>) -> Result<Verification, VerifyError> {
    verify_in(&Parts::of(data_dir.as_ref())?, PAUSE)
}

fn verify_in(parts: &Parts, pause: Duration) -> Result<Verification, VerifyError> {
    let mut found = look(parts)?;
    if !found.is_sound() {
        std::thread::sleep(pause);
        let before = std::mem::replace(&mut found, look(parts)?);
        found.findings.retain(|finding| before.findings.iter().any(|same| same.is_same(finding)));
    }
    Ok(found)
}

fn look(parts: &Parts) -> Result<Verification, VerifyError> {
    let mut checked = checked(&*parts.journal)?;
    let mut findings = std::mem::take(&mut checked.findings);
    in_folder("journal", &mut findings);
    let mut blocks = Blocks::default();
    if let Some(vfs) = &parts.store
        && let Some(store) = Inspection::of(vfs.clone())?
    {
        let end_seq = store.end_seq;
        let (mut found, seen) = store.check();
        in_folder("store", &mut found);
        findings.append(&mut found);
        findings.extend(between(parts, &checked, end_seq)?);
        blocks = seen;
    }
    findings.sort_by(|one, other| {
        let place = |finding: &Finding| (finding.file.clone(), finding.range.start);
        place(one).cmp(&place(other))
    });
    let Checked { segments, frames, events, bytes, .. } = checked;
    Ok(Verification {
        findings,
        segments,
        frames,
        events,
        bytes,
        blocks: blocks.count,
        block_events: blocks.events,
        block_bytes: blocks.bytes,
    })
}

/// What does not fit between the journal, which was looked at first, and a store that ends at
/// `end_seq`.
fn between(parts: &Parts, journal: &Checked, end_seq: u64) -> Result<Option<Finding>, OpenError> {
    let finding = |problem| Finding::new("store".to_owned(), problem);
    if journal.oldest > end_seq.max(1) {
        let detail = format!("events {end_seq} to {} are in neither", journal.oldest - 1);
        return Ok(Some(finding(Problem::Gap).because(&detail)));
    }
    // Meanwhile the journal may have grown.
    if end_seq > journal.head && end_seq > check::head(&*parts.journal)? {
        let detail = format!("it goes up to {end_seq}, the journal to {} only", journal.head);
        let finding = finding(Problem::Books).because(&detail);
        return Ok(Some(Finding { events: Some(0), ..finding }));
    }
    Ok(None)
}

/// Begins anew where retention removed a file that was listed a moment ago.
fn checked(journal: &dyn Vfs) -> Result<Checked, OpenError> {
    let mut attempts = 1..ATTEMPTS;
    loop {
        match check::check(journal) {
            Err(OpenError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && attempts.next().is_some() => {}
            done => return done,
        }
    }
}

pub(crate) fn in_folder(folder: &str, findings: &mut [Finding]) {
    for finding in findings {
        finding.file = format!("{folder}/{}", finding.file);
    }
}

#[cfg(test)]
mod tests;
