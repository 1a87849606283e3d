//! Events like those of real programs, any number of them, the same in every run.
//!
//! Lines come from log files where there are some, otherwise from a set of templates. Numbers in
//! them are changed, some lines are joined with a second one, and each event gets two to six keys of
//! metadata, as a service behind a load balancer would add them.

use std::io;
use std::path::Path;

use logmon_core::{Level, Log, Timestamp};

/// A word in 5.6 % of all messages.
pub const COMMON_WORD: &str = "retrying";
/// A word in one of a million messages.
pub const RARE_WORD: &str = "zyxquorum";

const TEMPLATES: &[&str] = &[
    "10.251.43.191 - GET /api/v1/items/148293 HTTP/1.1 200 in 120 ms",
    "Received block blk_-1608999687919862906 of size 67108864 from /10.250.19.102",
    "PacketResponder 117 for block blk_38865049064139660 terminating",
    "user 381742 signed in from 10.0.12.187 with a hardware key, session 920418",
    "slow query: select * from orders where customer = 881217 order by created_at desc limit 500 took 812 ms",
    "connection reset by peer while reading response header from upstream 10.1.4.9:8443",
    "cache miss for key session:930142:cart, loading from the database",
    "Failed password for invalid user admin from 173.234.31.186 port 38926 ssh2",
    "instance b9000564-fe1a-409b-b8cc-1e88b294cd1d took 19.84 seconds to spawn on the hypervisor",
    "generating core.8721: instruction address 0x0020101c, data address 0x1fe8f520",
    "Notification time out: 60000 for server 3 in state LOOKING, epoch 0x170000",
    "Finished task 31.0 in stage 204.0 (TID 48112) in 2140 ms on mesos-slave-19 (12/60)",
    "Block rdd_42_20 stored as values in memory (estimated size 4842, free 317194)",
    "jk2_init() Found child 5729 in scoreboard slot 1300",
    "authentication failure; logname= uid=0 euid=0 tty=NODEVssh rhost=218.188.20.255",
    "queue depth 18432 above the high water mark 16384 for topic billing.invoices partition 117",
    "certificate of api.internal.example expires in 240 hours; renewal scheduled",
    "payment 7719203 declined by provider: code 5105, insufficient funds, attempt 100",
    "compaction of level 100 finished: 412 files, 81920 MB read, 40960 MB written in 381 s",
    "health check of backend web-114 failed 300 times in a row, taking it out of rotation",
];

/// What one line of a log says.
#[derive(Clone, Debug)]
struct Line {
    text: String,
    source: String,
    level: Option<Level>,
}

/// An endless supply of events.
#[derive(Debug)]
pub struct Corpus {
    lines: Vec<Line>,
    random: Random,
    at: u64,
}

impl Corpus {
    /// Events from the files that end in `.log` in the folder, or from the templates.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn open(folder: Option<&Path>) -> io::Result<Self> {
        let lines = match folder {
            Some(folder) => read_lines(folder)?,
            None => (0..400)
                .flat_map(|source| TEMPLATES.iter().map(move |text| (source, *text)))
                .map(|(source, text)| Line {
                    text: text.to_owned(),
                    source: format!("service-{source}"),
                    level: None,
                })
                .collect(),
        };
        Ok(Self { lines, random: Random(0x9e37_79b9_7f4a_7c15), at: 0 })
    }

    /// The next event, at this time.
    pub fn next(&mut self, time: Timestamp) -> Log {
        self.at += 1;
        let random = &mut self.random;
        let line = pick(&self.lines, random);
        let mut text = renumbered(&line.text, random);
        if random.below(4) == 0 {
            text.push_str("; ");
            text.push_str(&renumbered(&pick(&self.lines, random).text, random));
        }
        if random.below(1000) < 56 {
            text.push(' ');
            text.push_str(COMMON_WORD);
        }
        if self.at % 1_000_000 == 500_000 {
            text.push(' ');
            text.push_str(RARE_WORD);
        }
        let level = line.level.unwrap_or_else(|| match random.below(1000) {
            0..8 => Level::Trace,
            8..40 => Level::Debug,
            40..140 => Level::Error,
            140..260 => Level::Warn,
            _ => Level::Info,
        });
        let log = Log::new(text).level(level).source(line.source.clone()).timestamp(time);
        self.with_metadata(log)
    }

    fn with_metadata(&mut self, mut log: Log) -> Log {
        let random = &mut self.random;
        log = log.field("host", format!("node-{}", random.below(64)));
        log = log.field("request_id", format!("{:016x}", random.next()));
        if random.below(2) == 0 {
            log = log.field("user_id", random.below(2000));
        }
        if random.below(2) == 0 {
            let statuses = [200_u64, 200, 200, 201, 204, 301, 404, 500, 502, 503];
            log = log.field("status", *pick(&statuses, random));
            log = log.field("duration_ms", random.below(3000));
        }
        if random.below(3) == 0 {
            let mut pod = logmon_core::Map::new();
            pod.insert("ns", format!("team-{}", random.below(12)));
            pod.insert("pod", format!("web-{:05x}", random.below(4096)));
            log = log.field("k8s", pod);
        }
        log
    }
}

fn pick<'a, T>(from: &'a [T], random: &mut Random) -> &'a T {
    let at = random.below(from.len() as u64);
    &from[usize::try_from(at).unwrap_or(0)]
}

/// Half of the runs of three digits and more become other ones.
fn renumbered(text: &str, random: &mut Random) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, run) = rest.split_at(start);
        let len = run.bytes().take_while(u8::is_ascii_digit).count();
        let (run, after) = run.split_at(len);
        out.push_str(before);
        if len >= 3 && random.below(2) == 0 {
            run.bytes().for_each(|_| out.push(char::from(b'0' + random.digit())));
        } else {
            out.push_str(run);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn read_lines(folder: &Path) -> io::Result<Vec<Line>> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "log"));
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let name = file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into());
        let text = std::fs::read(&file)?;
        let text = String::from_utf8_lossy(&text);
        lines.extend(text.lines().enumerate().map(|(at, line)| Line {
            text: message_of(line).to_owned(),
            source: format!("{}-{}", name.to_lowercase(), at % 47),
            level: level_of(line),
        }));
    }
    if lines.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no lines in *.log of the folder"));
    }
    Ok(lines)
}

/// A line without what stands before the message: about the first third of it in most formats.
fn message_of(line: &str) -> &str {
    let after = line.match_indices(": ").map(|(at, _)| at + 2).find(|at| *at > 20);
    after.and_then(|at| line.get(at..)).filter(|rest| rest.len() > 20).unwrap_or(line)
}

fn level_of(line: &str) -> Option<Level> {
    let head = line.get(..line.len().min(80)).unwrap_or(line);
    let words = head.split(|c: char| !c.is_ascii_alphabetic());
    words.filter(|word| word.len() >= 4).find_map(|word| word.parse().ok())
}

/// A small generator of the splitmix kind: fast, and the same everywhere.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn digit(&mut self) -> u8 {
        u8::try_from(self.below(10)).unwrap_or(0)
    }
}
