//! Reserves ports, so that no two servers of any test process use the same one.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports below the ephemeral range: otherwise a client's outgoing connection could take the port of a server that is
/// restarting. The cluster bus uses the port plus 10000.
const FIRST: u32 = 10_000;
const COUNT: u32 = 10_000;

/// A TCP port of the loopback interface, reserved until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    /// The port.
    pub(crate) number: u16,
    /// The UDP port of the same number. It reserves the TCP port while no server listens there. The system frees it
    /// when the test process ends, even if it crashes.
    _reservation: UdpSocket,
}

impl Port {
    /// Reserves a port on which nothing listens.
    pub(crate) fn reserve() -> Self {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        // Different start ports reduce collisions between processes.
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
