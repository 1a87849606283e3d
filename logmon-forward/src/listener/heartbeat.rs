//! Heartbeats over UDP: a byte in, a byte back.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::debug;

use super::rates::Rate;
use super::stats::Stats;

/// Room for one read. The system may put packets of one sender together.
const ROOM: usize = 64 << 10;

/// What answers.
#[derive(Debug)]
pub(super) struct Heartbeat {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Heartbeat {
    /// Opens the port. Its packets tell which of our addresses they were sent to, because a
    /// sender takes no answer from another.
    ///
    /// # Errors
    /// The port is taken, mostly.
    pub(super) fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state })
    }

    /// Answers for ever.
    pub(super) async fn run(self, rate: u32, stats: Arc<Stats>) {
        let (mut rate, mut room) = (Rate::new(rate), vec![0; ROOM]);
        loop {
            if let Err(error) = self.answer(&mut rate, &mut room, &stats).await {
                // Errors here are those of packets before: a sender that is gone.
                debug!(%error, "a UDP heartbeat was not answered");
            }
        }
    }

    async fn answer(&self, rate: &mut Rate, room: &mut [u8], stats: &Stats) -> io::Result<()> {
        let mut meta = [RecvMeta::default()];
        self.socket.readable().await?;
        let received = self.socket.try_io(Interest::READABLE, || {
            self.state.recv((&self.socket).into(), &mut [IoSliceMut::new(room)], &mut meta)
        });
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            received => received?,
        };
        let [meta] = meta;
        for _ in 0..meta.len.div_ceil(meta.stride.max(1)) {
            if !rate.admit(meta.addr.ip()) {
                Stats::add(&stats.udp_limited, 1);
                continue;
            }
            let reply = Transmit {
                destination: meta.addr,
                ecn: None,
                contents: &[0],
                segment_size: None,
                src_ip: meta.dst_ip,
            };
            // A full send buffer is a lost packet, as UDP has it.
            self.state.try_send((&self.socket).into(), &reply)?;
            Stats::add(&stats.udp_heartbeats, 1);
        }
        Ok(())
    }
}
