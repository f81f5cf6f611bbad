//! A server killed at any moment still has every attempt that it answered after the restart, and exceeds no limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::rules::{peek, rows};
use crate::support::{Random, Server, wait_until};
use redis::Connection;

/// Number of times the server is killed.
const CRASHES: usize = 50;

/// Number of clients that send attempts at once.
const CLIENTS: usize = 3;

/// Number of emails, and the limit of attempts on each during the whole test.
const EMAILS: usize = 600;
const LIMIT: usize = 4;

const POLICY: &str = "AUTHLIMIT.POLICY login EMAIL 4/30d ALL 100000/30d";

/// The clients' count of attempts on each email.
#[derive(Clone, Debug)]
struct Tally {
    /// Attempts that the server answered as admitted.
    admitted: Vec<usize>,
    /// Attempts that were sent, whether answered or not.
    sent: Vec<usize>,
}

impl Tally {
    /// Creates an empty tally.
    fn new() -> Self {
        Self { admitted: vec![0; EMAILS], sent: vec![0; EMAILS] }
    }

    /// Adds another client's tally.
    fn add(&mut self, other: &Self) {
        let pairs = [(&mut self.admitted, &other.admitted), (&mut self.sent, &other.sent)];
        for (mine, others) in pairs {
            mine.iter_mut().zip(others).for_each(|(n, more)| *n += more);
        }
    }
}

/// Sends attempts one by one until the connection breaks.
fn attempt_until_disconnected(mut client: Connection, mut random: Random, answers: &AtomicUsize) -> Tally {
    let mut tally = Tally::new();
    loop {
        let n = random.below(EMAILS);
        tally.sent[n] += 1;
        let reply: redis::RedisResult<(i64, i64, i64, i64, i64, String)> = redis::cmd("AUTHLIMIT.CHECK")
            .arg("login")
            .arg("192.0.2.7")
            .arg(format!("user{n}@x.org"))
            .query(&mut client);
        match reply {
            Ok((allowed, ..)) => {
                tally.admitted[n] += usize::from(allowed == 1);
                answers.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.is_io_error() => return tally,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks that the server has counted every attempt that clients know to be admitted, and no attempt they did not send.
#[track_caller]
fn assert_nothing_lost(client: &mut Connection, known: &Tally, emails: &[usize]) {
    for &n in emails {
        let row = &rows(client, &format!("login 192.0.2.7 user{n}@x.org"))[0];
        let used = LIMIT - usize::try_from(row.remaining).expect("never negative");
        let (admitted, sent) = (known.admitted[n], known.sent[n]);
        assert!(admitted <= used, "email {n}: {admitted} were answered as admitted, {used} are counted");
        assert!(used <= sent, "email {n}: {sent} were sent, {used} are counted");
        // Over all crashes: if the server lost an admitted attempt, it would admit one too many.
        assert!(admitted <= LIMIT, "{admitted} attempts on {n} were admitted");
    }
}

/// Repeatedly kills a server under load and checks its counts after the restart.
fn survives_crashes(preamble: &str, crashes: usize, seed: u64) {
    let mut server = Server::builder().aof(preamble).start();
    crate::support::replies::ok(&mut server.connect(), POLICY);
    let mut random = Random::new(seed);
    let mut known = Tally::new();
    for crash in 0..crashes {
        let answers = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (client, random) = (server.connect(), Random::new(random.next()));
                let answers = Arc::clone(&answers);
                thread::spawn(move || attempt_until_disconnected(client, random, &answers))
            })
            .collect();
        if crash % 10 == 5 {
            // Kill the server during a rewrite of the file, or just after it.
            let _ = crate::support::replies::send(&mut server.connect(), "BGREWRITEAOF");
        }
        let enough = random.below(400);
        wait_until("enough attempts are answered", || answers.load(Ordering::Relaxed) >= enough);
        server.kill_9();
        let mut touched = Vec::new();
        for client in clients {
            let tally = client.join().expect("a client fails only with a broken connection");
            touched.extend((0..EMAILS).filter(|&n| tally.sent[n] > 0));
            known.add(&tally);
        }
        server.start_again();
        let mut client = server.connect();
        touched.truncate(100);
        assert_nothing_lost(&mut client, &known, &touched);
        let all = &rows(&mut client, "login 192.0.2.7 nobody@x.org")[1];
        let used = usize::try_from(all.limit - all.remaining).expect("never negative");
        let (admitted, sent) = (known.admitted.iter().sum::<usize>(), known.sent.iter().sum::<usize>());
        assert!((admitted..=sent).contains(&used), "{admitted} {used} {sent}");
    }
    let mut client = server.connect();
    assert_nothing_lost(&mut client, &known, &(0..EMAILS).collect::<Vec<_>>());
    // Proves that this test is not vacuous: many attempts were answered, and some limits were reached.
    let answered: usize = known.admitted.iter().sum();
    assert!(answered > 10 * crashes, "{answered}");
    let full = known.admitted.iter().position(|&n| n == LIMIT);
    if let Some(n) = full {
        let verdict = peek(&mut client, &format!("login 192.0.2.7 user{n}@x.org"));
        assert!(!verdict.allowed, "{verdict:?}");
    }
    assert!(full.is_some(), "no limit was reached");
}

#[test]
fn admitted_attempts_survive_kill_9_and_no_limit_is_exceeded() {
    survives_crashes("yes", CRASHES / 2, 61);
}

#[test]
fn admitted_attempts_survive_kill_9_without_rdb_preamble() {
    survives_crashes("no", CRASHES / 2, 62);
}
