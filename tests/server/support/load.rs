//! Load from several clients at once during failovers, migrations and the like, and checks of the counts afterwards.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use redis::ConnectionLike;

use super::client::{Verdict, digest, verdict};
use super::replies::ok;
use super::{Random, Server, wait_for_replica, wait_until};

/// A limiter that never refuses, so that its count includes every attempt.
pub(crate) const COUNTING: &str = "{acme}:counting";

/// A limiter that soon reaches its limit.
pub(crate) const LIMITING: &str = "{acme}:limiting";

/// A limiter with a lock that lasts longer than any test, and far longer than its window.
pub(crate) const LOCKING: &str = "{acme}:locking";

/// All limiters of the load. In a cluster, they share one slot.
pub(crate) const LIMITERS: [&str; 3] = [COUNTING, LIMITING, LOCKING];

const COUNTING_LIMIT: i64 = 100_000;
const LIMITING_LIMIT: i64 = 150;
const LOCKING_WINDOW_MS: i64 = 1000;

const CLIENTS: usize = 4;
const MAILBOXES: usize = 5;
const IP: &str = "203.0.113.7";
const LOCKED: &str = "locked@example.com";

/// The number of admitted attempts for each mailbox and each of the first two limiters.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<(&'static str, usize), i64>);

/// The progress of the clients, for the function that runs during the load.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    answers: AtomicUsize,
    enough: AtomicBool,
}

/// Ends the load when dropped, so that it also ends if the function during the load panics.
struct EndOfLoad<'a>(&'a Progress);

impl Drop for EndOfLoad<'_> {
    fn drop(&mut self) {
        self.0.enough.store(true, Ordering::Relaxed);
    }
}

impl Progress {
    /// Waits until `more` further attempts have been answered.
    #[track_caller]
    pub(crate) fn wait_for(&self, more: usize) {
        let before = self.answers.load(Ordering::Relaxed);
        wait_until("the clients get answers", || self.answers.load(Ordering::Relaxed) >= before + more);
    }
}

/// Creates the limiters and triggers the lock.
#[track_caller]
pub(crate) fn prepare(client: &mut impl ConnectionLike) {
    let policies = [
        (COUNTING, format!("EMAIL {COUNTING_LIMIT}/1d")),
        (LIMITING, format!("EMAIL {LIMITING_LIMIT}/1d IP 50000/1d")),
        (LOCKING, format!("PAIR 1/{LOCKING_WINDOW_MS}ms LOCK 1d")),
    ];
    for (limiter, policy) in policies {
        ok(client, &format!("AUTHLIMIT.POLICY {limiter} {policy}"));
    }
    let words = ["AUTHLIMIT.CHECK", LOCKING, IP, LOCKED];
    // On a slow machine, the window may end between two attempts, but not between every two.
    wait_until("the lock starts", || !verdict(client, &words).allowed);
    is_locked(client);
}

/// Runs clients that make attempts while `meanwhile` runs, and returns how many attempts were admitted.
///
/// Each client is a function that sends a command and returns the verdict, after following redirects if necessary.
#[track_caller]
pub(crate) fn under_load<C: FnMut(&[&str]) -> Verdict + Send>(
    mut connect: impl FnMut() -> C,
    meanwhile: impl FnOnce(&Progress),
) -> Tally {
    let progress = &Progress::default();
    let clients: Vec<C> = (0..CLIENTS).map(|_| connect()).collect();
    thread::scope(|scope| {
        let end = EndOfLoad(progress);
        let running: Vec<_> =
            (0..).zip(clients).map(|(seed, client)| scope.spawn(move || attempts(client, seed, progress))).collect();
        progress.wait_for(100);
        meanwhile(progress);
        progress.wait_for(100);
        drop(end);
        let mut total = Tally::default();
        for client in running {
            for (of, admitted) in client.join().expect("a client does not panic").0 {
                *total.0.entry(of).or_default() += admitted;
            }
        }
        total
    })
}

/// Makes attempts until the load ends.
fn attempts(mut client: impl FnMut(&[&str]) -> Verdict, seed: u64, progress: &Progress) -> Tally {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while !progress.enough.load(Ordering::Relaxed) {
        let limiter = *random.pick(&[COUNTING, LIMITING]);
        let mailbox = random.below(MAILBOXES);
        let verdict = client(&["AUTHLIMIT.CHECK", limiter, IP, &email(mailbox)]);
        if verdict.allowed {
            *tally.0.entry((limiter, mailbox)).or_default() += 1;
        }
        progress.answers.fetch_add(1, Ordering::Relaxed);
    }
    tally
}

impl Tally {
    /// Checks that the current server has counted every admitted attempt exactly once, that it admits further attempts
    /// exactly up to the limit, and that the lock is still active.
    #[track_caller]
    pub(crate) fn assert_counted_once(&self, client: &mut impl ConnectionLike) {
        for mailbox in 0..MAILBOXES {
            let email = email(mailbox);
            for (limiter, limit) in [(COUNTING, COUNTING_LIMIT), (LIMITING, LIMITING_LIMIT)] {
                let admitted = self.0.get(&(limiter, mailbox)).copied().unwrap_or(0);
                assert!(admitted > 0, "no attempt on {limiter} was admitted");
                let peeked = verdict(client, &["AUTHLIMIT.PEEK", limiter, IP, &email]);
                // PEEK counts its own attempt, if that is allowed.
                let counted = peeked.limit - peeked.remaining - i64::from(peeked.allowed);
                assert_eq!(counted, admitted, "{limiter}: {peeked:?}");
                assert_eq!(peeked.limit, limit, "{peeked:?}");
            }
            let mut admitted = self.0[&(LIMITING, mailbox)];
            while verdict(client, &["AUTHLIMIT.CHECK", LIMITING, IP, &email]).allowed {
                admitted += 1;
            }
            assert_eq!(admitted, LIMITING_LIMIT);
        }
        is_locked(client);
    }
}

/// Waits until a replica has caught up, and checks that it has the same limiters of a load as its primary.
#[track_caller]
pub(crate) fn assert_same_load(primary: &Server, replica: &Server) {
    wait_for_replica(primary, replica);
    for limiter in LIMITERS {
        let expected = digest(&mut primary.connect(), limiter);
        let found = digest(&mut replica.connect(), limiter);
        assert_eq!(found, expected, "{limiter}");
    }
}

/// Checks that the lock is active: the retry time is longer than the window, so it comes from the lock.
#[track_caller]
pub(crate) fn is_locked(client: &mut impl ConnectionLike) {
    let locked = verdict(client, &["AUTHLIMIT.PEEK", LOCKING, IP, LOCKED]);
    assert!(!locked.allowed && locked.retry_after_ms > LOCKING_WINDOW_MS, "{locked:?}");
}

/// Returns a mailbox's email.
fn email(mailbox: usize) -> String {
    format!("user{mailbox}@example.com")
}
