//! Listening on a Unix socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::Peer;

/// A Unix socket that is listened on. Its file goes when this is dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file we made.
    file: (u64, u64),
}

impl LocalListener {
    /// Makes the socket under another name, sets its mode, and gives it its name then: nobody can
    /// connect before the mode is right, and a socket left by a process that has ended is
    /// replaced in one step.
    ///
    /// # Errors
    /// There is a file of another kind, or somebody listens there.
    pub(crate) fn bind(path: &Path, mode: u32, backlog: u32) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(file) if !file.file_type().is_socket() => {
                let text = "there is a file of another kind, which is left alone";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                let text = "another process listens there";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}.new", std::process::id()));
        let draft = PathBuf::from(draft);
        let listener = Self::make(&draft, mode, backlog).and_then(|listener| {
            let file = fs::symlink_metadata(&draft)?;
            fs::rename(&draft, path)?;
            Ok(Self { listener, path: path.to_owned(), file: (file.dev(), file.ino()) })
        });
        if listener.is_err() {
            // It may not even have been made.
            drop(fs::remove_file(&draft));
        }
        listener
    }

    fn make(draft: &Path, mode: u32, backlog: u32) -> io::Result<UnixListener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(draft)?)?;
        fs::set_permissions(draft, Permissions::from_mode(mode))?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        UnixListener::from_std(socket.into())
    }

    /// The next connection, and whose process it is.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        let credentials = stream.peer_cred()?;
        let (uid, gid) = (credentials.uid(), credentials.gid());
        Ok((stream, Peer::Local { pid: credentials.pid(), uid, gid }))
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == self.file);
        if is_ours {
            // Whoever listens next replaces a file that stays behind.
            drop(fs::remove_file(&self.path));
        }
    }
}
