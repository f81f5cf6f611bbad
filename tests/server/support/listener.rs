//! Subscribers that record what the server publishes.

use super::Server;
use super::replies::send;
use redis::{Connection, Value};

/// The channel on which a test publishes to mark the end of the messages so far.
const END: &[u8] = b"test:end";

/// A client subscribed to the events of all limiters and to all keyspace notifications.
pub(crate) struct Listener(Connection);

/// One published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The channel: arbitrary bytes.
    pub(crate) channel: Vec<u8>,
    /// The message.
    pub(crate) message: Vec<u8>,
}

impl Message {
    /// Returns a field of the message, which must be JSON.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> serde_json::Value {
        let value: serde_json::Value = serde_json::from_slice(&self.message)
            .unwrap_or_else(|error| panic!("{error}: {}", self.message.escape_ascii()));
        value[name].clone()
    }

    /// Returns a field that is text.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> String {
        match self.field(name) {
            serde_json::Value::String(text) => text,
            other => panic!("{name}: {other}"),
        }
    }
}

impl Listener {
    /// Subscribes to all events and notifications.
    pub(crate) fn on(server: &Server) -> Self {
        let mut connection = server.connect();
        let mut pubsub = connection.as_pubsub();
        for pattern in ["authlimit:*", "__key*__:*", "test:*"] {
            pubsub.psubscribe(pattern).expect("PSUBSCRIBE succeeds");
        }
        // Dropping it would unsubscribe.
        std::mem::forget(pubsub);
        Self(connection)
    }

    /// Returns what was published since the last call.
    #[track_caller]
    pub(crate) fn heard(&mut self, client: &mut Connection) -> Vec<Message> {
        let published = send(client, "PUBLISH test:end .");
        assert!(matches!(published, Ok(Value::Int(1..))), "{published:?}");
        let mut heard = Vec::new();
        loop {
            match self.0.recv_response().expect("the subscriber receives messages") {
                Value::Array(parts) => match parts.as_slice() {
                    [Value::BulkString(kind), _, Value::BulkString(channel), Value::BulkString(message)]
                        if kind == b"pmessage" =>
                    {
                        if channel == END {
                            return heard;
                        }
                        let (channel, message) = (channel.clone(), message.clone());
                        heard.push(Message { channel, message });
                    }
                    other => panic!("not a message: {other:?}"),
                },
                other => panic!("not a message: {other:?}"),
            }
        }
    }

    /// Returns the events that were published since the last call, without the notifications.
    #[track_caller]
    pub(crate) fn events(&mut self, client: &mut Connection) -> Vec<Message> {
        let mut heard = self.heard(client);
        heard.retain(|heard| heard.channel.starts_with(b"authlimit:"));
        heard
    }

    /// Returns the event published since the last call; panics unless there is exactly one.
    #[track_caller]
    pub(crate) fn event(&mut self, client: &mut Connection) -> Message {
        let mut events = self.events(client);
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }
}
