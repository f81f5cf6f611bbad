//! Ports that no two servers of any test, in any process, get at the same time.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range that systems give to outgoing connections, from which a test's many clients could otherwise take
/// the port of a server that is just being restarted; and with room above for a cluster bus, at the port plus 10000.
const FIRST: u32 = 10_000;
const COUNT: u32 = 10_000;

/// A TCP port of the loopback interface, ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    /// The port.
    pub(crate) number: u16,
    /// The UDP port of the same number, which nobody else needs: holding it keeps every other test off the TCP port,
    /// also while no server listens there, and the system lets go of it however the test process ends.
    _reservation: UdpSocket,
}

impl Port {
    /// Takes a port on which nothing listens.
    pub(crate) fn reserve() -> Self {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        // Processes begin apart from each other, so that they seldom even try the same one.
        let start = std::process::id().wrapping_mul(97);
        for _ in 0..COUNT {
            let step = TAKEN.fetch_add(1, Ordering::Relaxed);
            let number = u16::try_from(FIRST + start.wrapping_add(step) % COUNT).expect("below 20000");
            let address = (Ipv4Addr::LOCALHOST, number);
            if let Ok(reservation) = UdpSocket::bind(address)
                && TcpListener::bind(address).is_ok()
            {
                return Self { number, _reservation: reservation };
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT);
    }
}
