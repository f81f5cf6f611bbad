//! One turn of one peer under load: what all sections measure.

use std::time::Duration;

use crate::identities::Draw;
use crate::load::{self, Extent, Outcome};
use crate::peers::{KEY, Peer};
use crate::server_process::{Server, command};
use crate::statistics::{reset_statistics, server_time, used_memory};

/// How many logins each connection has in flight in most measurements.
pub(super) const PIPELINE: usize = 16;

/// How many logins warm a server up.
const WARM_UP: u32 = 1000;

/// The results of one turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Logins per second.
    pub(super) rate: f64,
    /// Microseconds of the server per login.
    pub(super) server_time: f64,
    /// The median time of a batch in microseconds.
    pub(super) p50: f64,
    /// The 99th percentile of a batch's time in microseconds.
    pub(super) p99: f64,
}

/// What the peer must answer for a turn to be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// It admits all attempts.
    Admitted,
    /// It refuses all attempts.
    Refused,
}

/// Puts a peer under load for one turn.
pub(super) fn turn(peer: &Peer, server: &Server, draw: &mut Draw, extent: Extent, expect: Expect) -> Turn {
    reset_statistics(&mut server.connect());
    let outcome = load::run(peer, server.port(), draw, extent);
    check(peer, &outcome, expect);
    Turn {
        rate: outcome.rate(),
        server_time: server_time(&mut server.connect(), peer.statistics) / outcome.logins as f64,
        p50: outcome.quantile(0.5),
        p99: outcome.quantile(0.99),
    }
}

/// Fills a server with one attempt by each of `identities` addresses, each on its own email.
pub(super) fn populate(peer: &Peer, server: &Server, identities: u32) {
    let mut draw = Draw::once(identities);
    let outcome = load::run(peer, server.port(), &mut draw, fill_extent(identities));
    check(peer, &outcome, Expect::Admitted);
}

/// Returns the load that sends as many logins as fast as possible.
pub(super) fn fill_extent(logins: u32) -> Extent {
    Extent { pipeline: 64, logins: logins.into(), time: Duration::from_secs(3600) }
}

/// Deletes the module's limiter and makes it again, with nothing counted.
pub(super) fn empty(peer: &Peer, server: &Server) {
    command(&mut server.connect(), &["DEL", KEY]);
    peer.prepare(server);
}

/// Returns the memory of a server that has run commands and has nothing counted: its buffers and statistics are not the
/// limiter's.
pub(super) fn warmed_up(peer: &Peer, server: &Server) -> f64 {
    populate(peer, server, WARM_UP);
    empty(peer, server);
    used_memory(server)
}

/// Panics if a peer did not decide as expected, because then it did other work.
fn check(peer: &Peer, outcome: &Outcome, expect: Expect) {
    let replies = outcome.logins * peer.calls as u64;
    let admitted = outcome.admitted as f64 / replies as f64;
    let as_expected = match expect {
        Expect::Admitted => admitted > 0.999,
        Expect::Refused => outcome.admitted == 0,
    };
    assert!(as_expected, "{}: {admitted:.4} of the attempts were admitted; {expect:?} was expected", peer.name);
}
