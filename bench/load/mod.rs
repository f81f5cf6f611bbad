//! The load generator: one thread, fifty connections, raw RESP. Each connection sends a batch of logins (the pipeline),
//! waits until all of them are answered, and sends the next batch.

mod connection;
mod reply;

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Poll};

use self::connection::Connection;
pub(crate) use self::reply::reply;
use crate::identities::Draw;
use crate::peers::{Login, Peer};

/// The number of connections, as many as redis-benchmark opens.
const CONNECTIONS: usize = 50;

/// How much load to send. It ends at the number of logins or after the time, whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// The number of logins in a batch.
    pub(crate) pipeline: usize,
    /// The greatest number of logins.
    pub(crate) logins: u64,
    /// No batch is sent after this time.
    pub(crate) time: Duration,
}

/// The result of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// How many logins were answered.
    pub(crate) logins: u64,
    /// How many replies admitted the attempt. A peer that takes two calls sends two replies per login.
    pub(crate) admitted: u64,
    /// The time from the first login sent to the last one answered.
    pub(crate) elapsed: Duration,
    /// How long each batch took, in nanoseconds, sorted.
    pub(crate) waits: Vec<u32>,
}

impl Outcome {
    /// Returns the logins per second.
    pub(crate) fn rate(&self) -> f64 {
        self.logins as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns the time in microseconds within which this share of the batches was answered.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.waits.get(index).map_or(f64::NAN, |wait| f64::from(*wait) / 1000.0)
    }
}

/// Sends load to a peer's server: logins by the identities of `draw`.
///
/// Panics if a connection breaks or the server answers with an error, because the result would be wrong.
pub(crate) fn run(peer: &Peer, port: u16, draw: &mut Draw, extent: Extent) -> Outcome {
    try_run(peer, port, draw, extent).unwrap_or_else(|error| panic!("{}: {error}", peer.name))
}

/// As [`run`], but returns errors of the connections.
fn try_run(peer: &Peer, port: u16, draw: &mut Draw, extent: Extent) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut connections =
        (0..CONNECTIONS).map(|index| Connection::open(port, index, &poll)).collect::<io::Result<Vec<_>>>()?;
    let mut outcome = Outcome::default();
    let mut sent = 0;
    let mut busy = 0;
    let started = Instant::now();
    let mut next_batch = |connection: &mut Connection| -> io::Result<bool> {
        let left = extent.logins.saturating_sub(sent).min(extent.pipeline as u64);
        if left == 0 || started.elapsed() >= extent.time {
            return Ok(false);
        }
        let now = now_millis();
        for _ in 0..left {
            sent += 1;
            let identities = draw.next();
            let (address, email) = (identities.address.as_bytes(), identities.email.as_bytes());
            (peer.write)(&Login { address, email, now, serial: sent }, &mut connection.batch);
        }
        connection.send(left, left * peer.calls as u64)?;
        Ok(true)
    };
    for connection in &mut connections {
        busy += usize::from(next_batch(connection)?);
    }
    while busy > 0 {
        match poll.poll(&mut events, Some(Duration::from_secs(60))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        if events.is_empty() {
            return Err(io::Error::other("no answer within a minute"));
        }
        for event in &events {
            let connection = &mut connections[event.token().0];
            let Some(batch) = connection.progress(&peer.admits)? else {
                continue;
            };
            outcome.logins += batch.logins;
            outcome.admitted += batch.admitted;
            let wait = batch.sent.elapsed().as_nanos();
            outcome.waits.push(u32::try_from(wait).unwrap_or(u32::MAX));
            busy -= usize::from(!next_batch(connection)?);
        }
    }
    outcome.elapsed = started.elapsed();
    outcome.waits.sort_unstable();
    Ok(outcome)
}

/// Returns the client's time in milliseconds since 1970. Some peers use it.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("before the year 584 million")
}
