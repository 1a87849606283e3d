//! Putting a damaged data directory right, as far as that is sound.
//!
//! [`Plan::of`] says what would be done and changes nothing; [`Plan::apply`] copies what it touches
//! into a folder of its own first. What is unreadable stays unreadable: it is counted as lost, so
//! that the journal's books balance. No frame is ever rewritten, because the hash over the
//! segments could then no longer tell a repair from a forgery.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use logmon_core::Timestamp;

use crate::OpenError;
use crate::journal::{Loss, mend};
use crate::verify::{Finding, Parts, Problem, Verification, VerifyError, verify};
use crate::vfs::{Lock, LockError};

/// Something that is done to a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Cut off what follows behind the last complete frame.
    Cut {
        /// The file, relative to the data directory, as everywhere here.
        file: String,
        /// Its new length in bytes.
        len: u64,
    },
    /// Write the header that the rest of the journal tells.
    RestoreHeader {
        /// The file.
        file: String,
    },
    /// Move a file into the folder of the repair.
    MoveAway {
        /// The file.
        file: String,
    },
    /// Open and close the journal, so that it counts as lost what is lost.
    Count {
        /// Events that were not counted yet.
        events: u64,
    },
}

impl Step {
    fn file(&self) -> Option<&str> {
        match self {
            Self::Cut { file, .. } | Self::RestoreHeader { file } | Self::MoveAway { file } => {
                Some(file)
            }
            Self::Count { .. } => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { file, len } => write!(f, "cut {file} to {len} bytes"),
            Self::RestoreHeader { file } => write!(f, "restore the header of {file}"),
            Self::MoveAway { file } => write!(f, "move {file} away"),
            Self::Count { events } => {
                write!(f, "count {events} events as lost, in a new checkpoint of the journal")
            }
        }
    }
}

/// What a repair would do. While it lives, no process can open the journal.
#[derive(Debug)]
pub struct Plan {
    data_dir: PathBuf,
    parts: Parts,
    lock: Lock,
    steps: Vec<Step>,
    losses: Vec<Loss>,
    /// What no step helps.
    beyond: Vec<Finding>,
}

/// What a repair did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Repaired {
    /// Where the files are as they were.
    pub backup: PathBuf,
    /// What the directory is like now.
    pub verification: Verification,
}

/// Why a repair is not made, or was not completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The directory cannot be looked at.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A process has the journal open.
    #[error("the journal cannot be repaired: {0}")]
    Locked(#[from] LockError),
    /// A file could not be copied or changed. The copies that were made are in the folder.
    #[error("{doing} failed")]
    Io {
        /// What was attempted.
        doing: String,
        /// How it failed.
        source: io::Error,
    },
    /// The journal does not open.
    #[error("opening the journal failed")]
    Journal(#[source] OpenError),
}

impl Plan {
    /// Looks at everything in a data directory and finds out what can be done about it.
    ///
    /// # Errors
    /// A process has the journal open, or the directory cannot be looked at.
    pub fn of(data_dir: impl AsRef<Path>) -> Result<Self, RepairError> {
        let data_dir = data_dir.as_ref();
        let parts = Parts::of(data_dir)?;
        let lock = parts.journal.lock()?;
        let verification = verify(data_dir)?;
        let mut plan = Self {
            data_dir: data_dir.to_owned(),
            parts,
            lock,
            steps: Vec::new(),
            losses: Vec::new(),
            beyond: Vec::new(),
        };
        let mut uncounted = 0;
        for finding in verification.findings {
            uncounted += finding.events.filter(|_| finding.is_new_damage()).unwrap_or(0);
            plan.add(finding);
        }
        if uncounted > 0 {
            plan.steps.push(Step::Count { events: uncounted });
        }
        Ok(plan)
    }

    fn add(&mut self, finding: Finding) {
        let Finding { file, problem, range, .. } = &finding;
        let file = file.clone();
        let segment = file.strip_prefix("journal/").and_then(mend::segment_number);
        let step = match problem {
            Problem::TornTail => Some(Step::Cut { file, len: range.start }),
            Problem::Leftover if range.start == 0 && segment.is_some() => {
                Some(Step::MoveAway { file })
            }
            Problem::Leftover if segment.is_some() => Some(Step::Cut { file, len: range.start }),
            Problem::Header if finding.events == Some(0) => Some(Step::RestoreHeader { file }),
            Problem::Header | Problem::Foreign | Problem::Stray => Some(Step::MoveAway { file }),
            _ => None,
        };
        if let (Problem::Frames, Some(segment)) = (problem, segment) {
            let events = finding.events.unwrap_or(0);
            self.losses.push(Loss { segment, at: range.start, events });
        }
        match step {
            Some(step) if self.steps.contains(&step) => {}
            Some(step) => self.steps.push(step),
            None if problem.is_damage() => self.beyond.push(finding),
            None => {}
        }
    }

    /// What is done, in this order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What stays as it is, because nothing can bring it back.
    pub fn beyond(&self) -> &[Finding] {
        &self.beyond
    }

    /// Copies what is touched into a new folder `repair-TIME` of the data directory, then takes the
    /// steps.
    ///
    /// # Durability
    /// The copies are durable before anything is changed. A crash in the middle leaves a directory
    /// that another repair puts right.
    ///
    /// # Errors
    /// A file cannot be copied or changed, or the journal does not open afterwards.
    pub fn apply(self) -> Result<Repaired, RepairError> {
        let Self { data_dir, parts, lock, steps, losses, .. } = self;
        let backup = Backup::begin(&data_dir)?;
        steps.iter().filter_map(Step::file).try_for_each(|file| backup.copy(file))?;
        for step in &steps {
            let io_error = |source| RepairError::Io { doing: step.to_string(), source };
            match step {
                Step::Cut { file, len } => cut(&data_dir.join(file), *len).map_err(io_error)?,
                Step::RestoreHeader { file } => {
                    let name = file.rsplit('/').next().unwrap_or_default();
                    let header =
                        mend::header_of(&*parts.journal, name).map_err(RepairError::Journal)?;
                    if let Some(header) = header {
                        write_header(&data_dir.join(file), &header).map_err(io_error)?;
                    }
                }
                Step::MoveAway { file } => backup.take(file).map_err(io_error)?,
                Step::Count { .. } => {}
            }
        }
        // Opening begins a checkpoint that describes what is there now.
        mend::note_losses(parts.journal, lock, &losses).map_err(RepairError::Journal)?;
        Ok(Repaired { backup: backup.folder, verification: verify(&data_dir)? })
    }
}

/// The folder with the files as they were.
#[derive(Debug)]
struct Backup {
    data_dir: PathBuf,
    folder: PathBuf,
}

impl Backup {
    fn begin(data_dir: &Path) -> Result<Self, RepairError> {
        let time = Timestamp::now().to_string().replace(':', "-");
        let folder = data_dir.join(format!("repair-{}Z", time.get(..19).unwrap_or(&time)));
        let doing = format!("making {}", folder.display());
        fs::create_dir(&folder)
            .and_then(|()| sync_dir(data_dir))
            .map_err(|source| RepairError::Io { doing, source })?;
        Ok(Self { data_dir: data_dir.to_owned(), folder })
    }

    fn place(&self, file: &str) -> io::Result<PathBuf> {
        let place = self.folder.join(file);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(place)
    }

    fn copy(&self, file: &str) -> Result<(), RepairError> {
        let copy = || {
            let place = self.place(file)?;
            fs::copy(self.data_dir.join(file), &place)?;
            File::open(&place)?.sync_all()?;
            place.parent().map_or(Ok(()), sync_dir)?;
            sync_dir(&self.folder)
        };
        copy().map_err(|source| RepairError::Io { doing: format!("copying {file}"), source })
    }

    /// The copy is there already; what is left is to remove the file.
    fn take(&self, file: &str) -> io::Result<()> {
        let path = self.data_dir.join(file);
        fs::remove_file(&path)?;
        path.parent().map_or(Ok(()), sync_dir)
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn cut(path: &Path, len: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(len)?;
    file.sync_all()
}

fn write_header(path: &Path, header: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(header)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
