//! The disk under the real program: full, copied, replaced, and a narrow environment.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::forward::{Client, Mode, message, record};
use crate::support::server::{Home, Server};
use crate::support::until;

/// A small disk in memory; taken away when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "logmon-test"]).arg(at);
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).output());
    }
}

fn messages(server: &Server) -> HashSet<String> {
    let found = server.everything();
    let messages: HashSet<String> = found.iter().map(|event| event.message.clone()).collect();
    assert_eq!(messages.len(), found.len(), "nothing is there twice");
    messages
}

/// Sends until a chunk is not acknowledged for a while, or `most` were. Gives the acknowledged ones;
/// the connection stays open.
fn send_until_unanswered(
    server: &Server,
    client: &mut Client,
    text: &str,
    most: u64,
) -> (HashSet<String>, HashSet<String>) {
    let acks = client.acks();
    let (told, heard) = std::sync::mpsc::sync_channel(1_000);
    std::thread::spawn(move || acks.for_each(|ack| drop(told.send(ack))));
    let (mut acked, mut sent) = (HashSet::new(), HashSet::new());
    for chunk in 0..most {
        let name = format!("{text}{chunk}");
        let records = [record(&format!("{name} {}", "x".repeat(100_000)), chunk)];
        client.send(&message(Mode::Packed, "disk", &records, &name)).unwrap();
        sent.insert(name);
        let answer = until("an ack, or that the server says why not", || {
            if let Ok(ack) = heard.try_recv() {
                return Some(Some(ack));
            }
            (server.get("/ready").status == 503).then_some(None)
        });
        match answer {
            Some(ack) => drop(acked.insert(ack)),
            None => break,
        }
    }
    (acked, sent)
}

/// S-014: a real disk runs full. No ack, no closed connection, searching goes on, and all of it
/// goes on by itself within two seconds of there being room.
#[test]
fn a_full_disk_holds_acks_until_there_is_room() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.data_dir(), 8) else {
        eprintln!("skipped: this process may not mount a disk");
        return;
    };
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let server = home.start();
    let mut client = Client::connect(server.forward).unwrap();
    let (acked, sent) = send_until_unanswered(&server, &mut client, "a", 200);
    assert!(acked.len() > 5 && acked.len() < sent.len(), "{} of {}", acked.len(), sent.len());
    let why = server.get("/ready").text();
    assert!(why.contains("full"), "{why}");
    assert_eq!(messages(&server).len(), acked.len(), "what is there is found");

    fs::remove_file(&ballast).unwrap();
    let freed = Instant::now();
    until("the server to be ready", || (server.get("/ready").status == 200).then_some(()));
    assert!(freed.elapsed() < Duration::from_secs(2), "{:?}", freed.elapsed());
    until("what waited to be there", || (messages(&server).len() == sent.len()).then_some(()));
    server.end();
    assert_eq!(messages(&home.start()).len(), sent.len());
}

/// S-022: a second process on the same data ends at once and names the first, also where the first
/// does not react at all.
#[test]
fn a_second_process_is_refused_at_once_with_the_pid_of_the_first() {
    let home = Home::new();
    let server = home.start();
    server.signal("STOP");
    let begin = Instant::now();
    let output = home.logmon_run().output().unwrap();
    let took = begin.elapsed();
    server.signal("CONT");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains(&format!("process {}", server.id())), "{complaint}");
    assert!(complaint.contains(&*home.data_dir().to_string_lossy()), "{complaint}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(server.get("/ready").status, 200, "the first one goes on");
    server.kill();
    assert!(home.start().stop().success(), "a killed process leaves nothing locked");
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &place);
        } else if path.is_file() && fs::copy(&path, &place).is_err() {
            // Gone meanwhile.
            assert!(!path.exists());
        }
    }
}

/// S-074: the directory is copied file by file while the process writes. The copy opens, and has
/// everything that was acknowledged before the copying began.
#[test]
fn a_copy_of_a_running_directory_opens() {
    let home = Home::new();
    let server = home.start();
    let to = server.forward;
    let acked = std::sync::Arc::new(std::sync::Mutex::new(HashSet::new()));
    let is_done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let sending = {
        let (acked, is_done) = (acked.clone(), is_done.clone());
        std::thread::spawn(move || {
            let mut client = Client::connect(to).unwrap();
            let mut acks = client.acks();
            for chunk in 0u64.. {
                if is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    return chunk;
                }
                let text = format!("{chunk} {}", "y".repeat(5_000));
                let id = chunk.to_string();
                client.send(&message(Mode::Message, "copy", &[record(&text, 0)], &id)).unwrap();
                assert_eq!(acks.next(), Some(id));
                acked.lock().unwrap().insert(text);
            }
            0
        })
    };
    for copy in 1..=5_usize {
        until("more acks", || (acked.lock().unwrap().len() >= copy * 50).then_some(()));
        let before = acked.lock().unwrap().clone();
        let copied = Home::new();
        copy_all(&home.data_dir(), &copied.data_dir());
        let server = copied.start();
        let found = messages(&server);
        let missing = before.difference(&found).count();
        assert_eq!(missing, 0, "{missing} of {} in copy {copy}", before.len());
        server.end();
    }
    is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    let sent = sending.join().unwrap();
    assert_eq!(messages(&server).len(), usize::try_from(sent).unwrap());
}

/// S-075: the disk is replaced by an empty one. No id is used again, and a position of before is
/// told apart from one of now.
#[test]
fn an_empty_disk_begins_another_journal() {
    let home = Home::new();
    let post = |server: &Server| {
        let posted = server.post("/api/logs", "application/json", r#"{"message": "one"}"#);
        assert!(posted.status < 300, "{}", posted.text());
        server.page("limit=10").logs
    };
    let server = home.start();
    let before = post(&server);
    server.end();
    fs::remove_dir_all(home.data_dir()).unwrap();
    let server = home.start();
    assert_eq!(server.page("limit=10").logs, []);
    let after = post(&server);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(before[0].seq, after[0].seq, "numbers begin anew");
    assert_ne!(before[0].id, after[0].id, "ids do not");
    assert_eq!(server.get(&format!("/api/logs/{}", before[0].id)).status, 404);
}

/// `logmon run` by a shell that sets limits first.
fn start_limited(home: &Home, limits: &str, environment: &[(&str, &str)]) -> Server {
    home.start_with(|command| {
        let program = command.get_program().to_owned();
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut limited = Command::new("sh");
        limited.arg("-c").arg(format!("{limits}; exec \"$0\" \"$@\"")).arg(program).args(args);
        limited.current_dir(home.path()).env_remove("HOME").envs(environment.iter().copied());
        *command = limited;
    })
}

/// R-110, S-026: few file descriptors, no home, an unknown locale and time zone, and a mask that
/// takes every right away.
#[test]
fn a_narrow_environment_is_enough() {
    let home = Home::new();
    fs::create_dir(home.data_dir()).unwrap();
    let environment = [("LC_ALL", "C"), ("TZ", "Nowhere/Nothing")];
    let server = start_limited(&home, "ulimit -n 64", &environment);
    let mut crowd = Vec::new();
    for n in 0..100 {
        let Ok(mut client) = Client::connect(server.forward) else { break };
        if client.send(&message(Mode::Message, "t", &[record(&n.to_string(), 0)], "c")).is_err() {
            break;
        }
        crowd.push(client);
    }
    assert!(crowd.len() > 10, "{}", crowd.len());
    let first = crowd[0].acks().next();
    assert_eq!(first.as_deref(), Some("c"), "what came in is written in spite of the crowd");
    drop(crowd);
    until("the crowd to be gone", || {
        let mut client = Client::connect(server.forward).ok()?;
        client.send(&message(Mode::Message, "t", &[record("later", 0)], "d")).ok()?;
        client.acks().next().filter(|ack| ack == "d").map(drop)
    });
    assert!(messages(&server).contains("later"));
    server.kill();
    let server = home.start();
    assert!(messages(&server).contains("later"));
}

/// R-110: files may not grow beyond a megabyte. The signal that the system sends for it does not end
/// the process; what was acknowledged is there, and what was not says why.
#[test]
fn a_limit_on_the_size_of_files_ends_nothing() {
    let home = Home::new();
    // In units of 512 bytes.
    let server = start_limited(&home, "ulimit -f 2048", &[]);
    let mut client = Client::connect(server.forward).unwrap();
    let (acked, sent) = send_until_unanswered(&server, &mut client, "f", 200);
    assert!(acked.len() < sent.len(), "the limit was met");
    let found = messages(&server);
    for name in &acked {
        let prefix = format!("{name} ");
        assert!(found.iter().any(|text| text.starts_with(&prefix)), "{name} was acknowledged");
    }
    server.kill();
    let server = home.start();
    assert!(messages(&server).len() >= acked.len());
    assert_eq!(server.get("/ready").status, 200);
}
