//! TLS over TCP in two halves.
//!
//! The halves share the TLS state under a lock that is held while bytes are taken from or given
//! to the socket, never while waiting.

use std::io::{self, BufRead as _, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BufMut;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// An accepted TLS connection.
#[derive(Debug)]
pub(crate) struct EncryptedStream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    socket: TcpStream,
    tls: Mutex<ServerConnection>,
}

#[derive(Debug)]
pub(crate) struct ReadHalf(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct WriteHalf {
    inner: Arc<Inner>,
    /// How many of the bytes that the caller will offer again TLS has taken already.
    taken: usize,
}

impl EncryptedStream {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> Self {
        let (socket, tls) = stream.into_inner();
        Self(Arc::new(Inner { socket, tls: Mutex::new(tls) }))
    }

    pub(crate) fn split(self) -> (super::ReadHalf, super::WriteHalf) {
        let (reader, writer) = (ReadHalf(self.0.clone()), WriteHalf { inner: self.0, taken: 0 });
        (super::ReadHalf::Encrypted(reader), super::WriteHalf::Encrypted(writer))
    }
}

impl Inner {
    fn tls(&self) -> MutexGuard<'_, ServerConnection> {
        // Nothing panics while the lock is held.
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what TLS has to send.
    fn flush(&self, tls: &mut ServerConnection) -> io::Result<()> {
        while tls.wants_write() {
            tls.write_tls(&mut Trying(&self.socket))?;
        }
        Ok(())
    }

    /// Takes what is decrypted, or else decrypts what the socket has.
    fn read(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        let mut tls = self.tls();
        loop {
            match tls.reader().fill_buf() {
                // Peers that close without a word of TLS are common, and a message that is cut
                // off is noticed by its length.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok([]) => return Ok(0),
                Ok(chunk) => {
                    let taken = chunk.len().min(buffer.remaining_mut());
                    buffer.put_slice(chunk.get(..taken).unwrap_or_default());
                    tls.reader().consume(taken);
                    return Ok(taken);
                }
                Err(_) => {}
            }
            tls.read_tls(&mut Trying(&self.socket))?;
            let processed = tls.process_new_packets();
            // An answer that TLS itself owes, or the alert; what the socket does not take now goes
            // with the next write.
            let flushed = self.flush(&mut tls);
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            match flushed {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }
}

impl ReadHalf {
    pub(crate) async fn readable(&self) -> io::Result<()> {
        // What has been decrypted waits here and not in the socket.
        let is_waiting = !matches!(
            self.0.tls().reader().fill_buf(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock
        );
        if is_waiting {
            return Ok(());
        }
        self.0.socket.readable().await
    }

    pub(crate) fn try_read_buf(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl WriteHalf {
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.inner.socket.writable().await
    }

    /// Bytes count as written when the socket has taken them, not when they are encrypted.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut tls = self.inner.tls();
        if self.taken == 0 {
            self.inner.flush(&mut tls)?;
            self.taken = tls.writer().write(bytes)?;
        }
        self.inner.flush(&mut tls)?;
        Ok(std::mem::take(&mut self.taken))
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        let mut tls = self.inner.tls();
        tls.send_close_notify();
        // The end of the connection is told by TCP as well, to whoever is still there.
        drop(self.inner.flush(&mut tls));
        drop(SockRef::from(&self.inner.socket).shutdown(Shutdown::Write));
    }
}

/// A socket as TLS wants it, that never waits.
struct Trying<'a>(&'a TcpStream);

impl Read for Trying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Trying<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
