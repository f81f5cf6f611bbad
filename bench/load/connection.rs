//! One connection of the load generator.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

use super::reply::{Replies, complete_replies};
use crate::peers::ReplyIntegers;

/// The size of the buffer for replies.
const READ_BYTES: usize = 64 * 1024;

/// A connection and the batch of logins that it waits for.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The batch to send. The kernel has taken the part before `written`.
    pub(crate) batch: Vec<u8>,
    written: usize,
    received: Vec<u8>,
    /// The number of bytes in `received`.
    filled: usize,
    logins: u64,
    outstanding: u64,
    admitted: u64,
    sent: Instant,
}

/// A batch that has been answered.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The number of its logins.
    pub(crate) logins: u64,
    /// The number of replies that admitted the attempt.
    pub(crate) admitted: u64,
    /// When it was sent.
    pub(crate) sent: Instant,
}

impl Connection {
    /// Connects, and registers for events under an index.
    pub(crate) fn open(port: u16, index: usize, poll: &Poll) -> io::Result<Self> {
        // Connect first, then make it nonblocking, so that the first batch can be sent immediately.
        let stream = std::net::TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(index), interest)?;
        Ok(Self {
            stream,
            batch: Vec::new(),
            written: 0,
            received: vec![0; READ_BYTES],
            filled: 0,
            logins: 0,
            outstanding: 0,
            admitted: 0,
            sent: Instant::now(),
        })
    }

    /// Sends `batch`, which holds this number of logins and will get this number of replies.
    pub(crate) fn send(&mut self, logins: u64, replies: u64) -> io::Result<()> {
        self.logins = logins;
        self.outstanding = replies;
        self.admitted = 0;
        self.sent = Instant::now();
        self.write()
    }

    /// Continues after an event. Returns the batch once all of it is answered.
    pub(crate) fn progress(&mut self, admits: &dyn Fn(ReplyIntegers) -> bool) -> io::Result<Option<Answered>> {
        self.write()?;
        while self.outstanding > 0 {
            match self.stream.read(&mut self.received[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => self.filled += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let Replies { count, admitted, bytes } = complete_replies(&self.received[..self.filled], admits)?;
            self.received.copy_within(bytes..self.filled, 0);
            self.filled -= bytes;
            self.admitted += admitted;
            self.outstanding =
                self.outstanding.checked_sub(count).ok_or_else(|| io::Error::other("more replies than commands"))?;
            if self.outstanding == 0 {
                return Ok(Some(Answered { logins: self.logins, admitted: self.admitted, sent: self.sent }));
            }
        }
        Ok(None)
    }

    /// Writes as much of the batch as the kernel takes.
    fn write(&mut self) -> io::Result<()> {
        while self.written < self.batch.len() {
            match self.stream.write(&self.batch[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.batch.clear();
        self.written = 0;
        Ok(())
    }
}
