//! Which calls fail, and how.

use std::collections::BTreeMap;
use std::io;

use super::Chance;

/// The calls that can be counted and made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Any of those that change the disk: the ones from [`Call::Create`] to [`Call::Write`].
    Any,
    /// [`Vfs::create`](crate::vfs::Vfs::create).
    Create,
    /// [`Vfs::remove`](crate::vfs::Vfs::remove).
    Remove,
    /// [`Vfs::rename`](crate::vfs::Vfs::rename).
    Rename,
    /// [`VfsFile::set_len`](crate::vfs::VfsFile::set_len).
    SetLen,
    /// [`VfsFile::sync_data`](crate::vfs::VfsFile::sync_data).
    Sync,
    /// [`Vfs::sync_dir`](crate::vfs::Vfs::sync_dir).
    SyncDir,
    /// [`VfsFile::write_at`](crate::vfs::VfsFile::write_at).
    Write,
    /// Any of those that only look: the ones that follow.
    AnyRead,
    /// [`Vfs::list`](crate::vfs::Vfs::list).
    List,
    /// [`Vfs::open`](crate::vfs::Vfs::open).
    Open,
    /// [`VfsFile::len`](crate::vfs::VfsFile::len).
    Len,
    /// [`VfsFile::read_at`](crate::vfs::VfsFile::read_at).
    Read,
}

impl Call {
    const fn family(self) -> Self {
        match self {
            Self::AnyRead | Self::List | Self::Open | Self::Len | Self::Read => Self::AnyRead,
            _ => Self::Any,
        }
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full; half of a write has happened.
    Full,
    /// The medium fails; half of a write has happened. What a sync was to save stays readable and
    /// is lost in the next power cut.
    Io,
    /// The process has no file descriptor left. Only what opens a file fails of this: creating,
    /// opening, listing, and syncing the directory.
    TooManyOpen,
    /// The file system has become read-only. Only what changes the disk fails of this.
    ReadOnly,
    /// A sync reports success and saves nothing. No other call is affected.
    Lie,
    /// One bit of what is read is wrong. No other call is affected.
    Flip,
}

impl Fault {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Full => io::ErrorKind::StorageFull.into(),
            // EMFILE has no kind of its own.
            Self::TooManyOpen => io::Error::from_raw_os_error(24),
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
            Self::Io | Self::Lie | Self::Flip => io::Error::other("injected failure of the medium"),
        }
    }

    /// Whether a call of this kind can fail so.
    fn applies(self, call: Call) -> bool {
        match self {
            Self::Full => call.family() == Call::Any,
            Self::Io => true,
            Self::TooManyOpen => {
                matches!(call, Call::Create | Call::Open | Call::List | Call::SyncDir)
            }
            Self::ReadOnly => call.family() == Call::Any && call != Call::Sync,
            Self::Lie => matches!(call, Call::Sync | Call::SyncDir),
            Self::Flip => call == Call::Read,
        }
    }
}

/// Faults that are to happen, and the calls that were made.
#[derive(Debug, Default)]
pub(super) struct Faults {
    calls: BTreeMap<Call, usize>,
    planned: Vec<Planned>,
    random: Option<Random>,
    /// How many calls failed.
    hits: usize,
}

#[derive(Debug)]
struct Planned {
    call: Call,
    /// The first and last call that fail, from 1.
    range: (usize, usize),
    fault: Fault,
}

#[derive(Debug)]
struct Random {
    call: Call,
    chance: Chance,
    /// One of so many calls fails.
    one_in: u64,
    faults: Vec<Fault>,
}

impl Faults {
    /// How many calls of this kind there were.
    pub(super) fn calls(&self, call: Call) -> usize {
        self.calls.get(&call).copied().unwrap_or(0)
    }

    /// How many calls were made to fail.
    pub(super) fn hits(&self) -> usize {
        self.hits
    }

    /// Lets `count` calls fail, from the `nth` from now on.
    pub(super) fn plan(&mut self, call: Call, (nth, count): (usize, usize), fault: Fault) {
        let first = self.calls(call) + nth;
        let range = (first, first.saturating_add(count - 1));
        self.planned.push(Planned { call, range, fault });
    }

    pub(super) fn plan_at_random(
        &mut self,
        call: Call,
        (seed, one_in): (u64, u64),
        faults: &[Fault],
    ) {
        let chance = Chance::new(seed);
        self.random = Some(Random { call, chance, one_in, faults: faults.to_vec() });
    }

    /// Forgets all faults that are still to come.
    pub(super) fn heal(&mut self) {
        self.planned.clear();
        self.random = None;
    }

    /// Counts a call and tells whether it is to fail.
    pub(super) fn note(&mut self, call: Call) -> Option<Fault> {
        let mut fault = None;
        for kind in [call.family(), call] {
            let count = self.calls.entry(kind).or_default();
            *count += 1;
            let wanted = self.planned.iter().find(|planned| {
                let (first, last) = planned.range;
                planned.call == kind
                    && (first..=last).contains(count)
                    && planned.fault.applies(call)
            });
            fault = fault.or(wanted.map(|planned| planned.fault));
        }
        let fault = fault.or_else(|| self.random.as_mut().and_then(|random| random.note(call)));
        self.hits += usize::from(fault.is_some());
        fault
    }
}

impl Random {
    fn note(&mut self, call: Call) -> Option<Fault> {
        if ![call, call.family()].contains(&self.call) {
            return None;
        }
        let is_due = self.chance.below(self.one_in) == 0;
        let kinds = self.faults.len() as u64;
        let which = usize::try_from(self.chance.below(kinds)).unwrap_or(0);
        let fault = self.faults.get(which).filter(|fault| fault.applies(call))?;
        is_due.then_some(*fault)
    }
}
