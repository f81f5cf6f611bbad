//! A load generator: one thread, fifty connections, raw RESP, closed loop. Each connection has so many logins under
//! way (the pipeline), and sends as many again when all of them are answered.

mod connection;
mod reply;

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Poll};

use crate::identities::Draw;
use crate::peers::{Login, Peer};
use connection::Connection;
pub(crate) use reply::reply;

/// How many connections there are, as many as redis-benchmark opens.
pub(crate) const CONNECTIONS: usize = 50;

/// When to stop sending: at so many logins or after so long, whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// No more logins than these.
    pub(crate) logins: u64,
    /// No login is begun after this long.
    pub(crate) time: Duration,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// How many logins were answered.
    pub(crate) logins: u64,
    /// How many replies said that the attempt may go ahead; two per login of a peer that is asked twice.
    pub(crate) admitted: u64,
    /// From the first login sent to the last answered.
    pub(crate) elapsed: Duration,
    /// How long each batch of a pipeline's logins took, in nanoseconds, sorted.
    pub(crate) waits: Vec<u32>,
}

impl Outcome {
    /// Logins per second.
    pub(crate) fn rate(&self) -> f64 {
        self.logins as f64 / self.elapsed.as_secs_f64()
    }

    /// The time in microseconds within which this share of the batches was answered.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.waits.get(index).map_or(f64::NAN, |wait| f64::from(*wait) / 1000.0)
    }
}

/// Puts a peer under load: logins by identities that `draw` draws, each written and counted as the peer says.
///
/// Panics if a connection breaks or the server answers with an error: no figure is better than a wrong one.
pub(crate) fn run(peer: &Peer, port: u16, draw: &mut Draw, pipeline: usize, extent: Extent) -> Outcome {
    try_run(peer, port, draw, pipeline, extent).unwrap_or_else(|error| panic!("{}: {error}", peer.name))
}

/// As [`run`], with connections that break returned as errors.
fn try_run(peer: &Peer, port: u16, draw: &mut Draw, pipeline: usize, extent: Extent) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut connections =
        (0..CONNECTIONS).map(|index| Connection::open(port, index, &poll)).collect::<io::Result<Vec<_>>>()?;
    let mut outcome = Outcome::default();
    let mut begun = 0;
    let mut busy = 0;
    let started = Instant::now();
    let mut next_batch = |connection: &mut Connection| -> io::Result<bool> {
        let left = extent.logins.saturating_sub(begun).min(pipeline as u64);
        if left == 0 || started.elapsed() >= extent.time {
            return Ok(false);
        }
        let now = now_millis();
        for _ in 0..left {
            begun += 1;
            let identities = draw.next();
            let login = Login {
                address: identities.address.as_bytes(),
                email: identities.email.as_bytes(),
                now,
                serial: begun,
            };
            (peer.write)(&login, &mut connection.batch);
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

/// The client's clock, which some peers go by.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("before the year 584 million")
}
