//! Events at a rate, and when each chunk of them was acknowledged and read.

use std::io::{BufWriter, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use logmon_benches::corpus::Corpus;
use logmon_core::Timestamp;

use crate::load;

/// Chunks that may wait for their acknowledgement.
const WINDOW: u64 = 16;

/// When chunks were acknowledged, and when a reader had them.
pub(super) struct Acks {
    events: u64,
    pub(super) chunk: u64,
    times: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    acked: Vec<Instant>,
    read: Vec<Instant>,
}

impl Acks {
    pub(super) fn new(events: u64, chunk: u64) -> Self {
        Self { events, chunk, times: Mutex::default() }
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acked(&self) -> u64 {
        self.times().acked.len() as u64
    }

    /// A reader has everything up to the event of this number.
    pub(super) fn have_read(&self, number: u64) {
        let (now, mut times) = (Instant::now(), self.times());
        while (times.read.len() as u64 + 1) * self.chunk <= number + 1 {
            times.read.push(now);
        }
    }

    /// How much later each chunk was read than it was acknowledged, sorted.
    pub(super) fn delays(&self) -> Vec<Duration> {
        let times = self.times();
        let pairs = times.acked.iter().zip(&times.read);
        let mut delays: Vec<_> = pairs.map(|(acked, read)| *read - *acked).collect();
        delays.sort_unstable();
        delays
    }
}

/// Sends the events in packed chunks, each event with its number in `n`.
pub(super) fn send(
    to: &str,
    corpus: &mut Corpus,
    (acks, rate): (&Arc<Acks>, u64),
) -> anyhow::Result<()> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    let mut incoming = stream.try_clone()?;
    let reader = {
        let (acks, chunks) = (acks.clone(), acks.events.div_ceil(acks.chunk));
        std::thread::spawn(move || -> std::io::Result<()> {
            for _ in 0..chunks {
                std::io::copy(&mut (&mut incoming).take(load::ACK_BYTES), &mut std::io::sink())?;
                acks.times().acked.push(Instant::now());
            }
            Ok(())
        })
    };
    let mut out = BufWriter::with_capacity(1 << 20, stream);
    let began = Instant::now();
    for (chunk, first) in (0..).zip((0..acks.events).step_by(usize::try_from(acks.chunk)?)) {
        let mut entries = Vec::with_capacity(64 * 1024);
        for n in first..(first + acks.chunk).min(acks.events) {
            corpus.next(Timestamp::now()).field("n", n).write_entry(&mut entries);
        }
        if let Some(due) = (first * 1_000_000).checked_div(rate) {
            std::thread::sleep(Duration::from_micros(due).saturating_sub(began.elapsed()));
        }
        while chunk - acks.acked() >= WINDOW && !reader.is_finished() {
            std::thread::sleep(Duration::from_micros(200));
        }
        load::write_chunk(&mut out, first, &entries)?;
        out.flush()?;
    }
    reader.join().map_err(|_| anyhow::anyhow!("reading acknowledgements failed"))??;
    Ok(())
}
