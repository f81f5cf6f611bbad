//! Asks authlimit whether an attempt may go ahead. This is the file to copy: it needs the crate `redis` with its
//! feature `tokio-comp`, tokio, and nothing else.
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisResult};
use redis::{aio::MultiplexedConnection, io::tcp::TcpSettings};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::timeout};

/// One body for every refusal: it must not tell which rule it was.
pub const REFUSAL: &str = r#"{"error":"try_again_later"}"#;
const UNITS_MS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What happens to attempts while Redis cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FailMode {
    Open,
    Closed,
}

/// The connection that all limiters share. It is made on first use, and again whenever it was lost.
pub struct Connection {
    client: Client,
    config: AsyncConnectionConfig,
    patience: Duration,
    current: Mutex<Option<MultiplexedConnection>>,
}

impl Connection {
    /// `patience` bounds a whole command, with connecting if need be; 100 ms suit a Redis that is near.
    pub fn new(url: &str, patience: Duration) -> RedisResult<Self> {
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")] // notices soon that the other end is gone without a word
        let tcp = tcp.set_user_timeout(Duration::from_secs(2));
        let client = Client::open(url.into_connection_info()?.set_tcp_settings(tcp))?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(patience));
        Ok(Self { client, config, patience, current: Mutex::default() })
    }

    /// Sends a command; if the connection turns out to be lost, once more on a new one.
    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match command.query_async(&mut self.open().await?).await {
            Err(lost) if lost.is_unrecoverable_error() => self.current.lock().await.take(),
            result => return result,
        };
        command.query_async(&mut self.open().await?).await
    }

    async fn open(&self) -> RedisResult<MultiplexedConnection> {
        let mut current = self.current.lock().await;
        if current.is_none() {
            *current = Some(self.client.get_multiplexed_async_connection_with_config(&self.config).await?);
        }
        current.clone().ok_or_else(|| (ErrorKind::Io, "no connection").into())
    }
}

/// The limiter of one endpoint.
pub struct Limiter {
    pub connection: Arc<Connection>,
    pub key: &'static str,
    pub fail_mode: FailMode,
}

/// What was decided: go on if `allowed`, else answer `status` with `headers` and [`REFUSAL`].
pub struct Attempt<'a> {
    pub allowed: bool,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    limiter: &'a Limiter,
    who: [&'a str; 2],
}

impl Attempt<'_> {
    /// Forgives what this address spent on this email. Call it when the sign-in succeeded.
    pub async fn success(&self) {
        let _ = self.limiter.send::<u64>("AUTHLIMIT.RESET", self.who).await;
    }

    /// Takes a counted attempt back. Call it when the endpoint failed for a reason that no client can cause.
    pub async fn refund(&self) {
        if self.allowed && !self.headers.is_empty() {
            let _ = self.limiter.send::<u64>("AUTHLIMIT.REFUND", self.who).await;
        }
    }
}

impl Limiter {
    /// Asks and counts, before the password is verified.
    pub async fn check<'a>(&'a self, ip: &'a str, email: &'a str) -> Attempt<'a> {
        let (key, open, who) = (self.key, self.fail_mode == FailMode::Open, [ip, email]);
        let mut attempt = Attempt { allowed: false, status: 429, headers: vec![], limiter: self, who };
        match self.send::<(bool, u64, u64, u64, u64, String)>("AUTHLIMIT.CHECK", who).await {
            Err(status) => (attempt.status, attempt.allowed) = (status, open && status == 503),
            Ok((allowed, limit, remaining, wait_ms, reset_ms, rule)) => {
                attempt.allowed = allowed;
                let reset = reset_ms.div_ceil(1000); // rounded up: nobody who waits as told comes too early
                if let Some(window) = window_ms(&rule).map(|ms| ms.div_ceil(1000)) {
                    attempt.headers.push(("RateLimit-Policy", format!(r#""{key}";q={limit};w={window}"#)));
                    attempt.headers.push(("RateLimit", format!(r#""{key}";r={remaining};t={reset}"#)));
                    let older =
                        [("RateLimit-Limit", limit), ("RateLimit-Remaining", remaining), ("RateLimit-Reset", reset)];
                    attempt.headers.extend(older.map(|(name, value)| (name, value.to_string())));
                }
                let wait = (!allowed && wait_ms > 0).then(|| wait_ms.div_ceil(1000).to_string());
                attempt.headers.extend(wait.map(|seconds| ("Retry-After", seconds)));
            }
        }
        attempt
    }

    /// Sends a command about an attempt; if there is no good answer, logs why and returns the status for a refusal.
    async fn send<T: FromRedisValue>(&self, command: &str, who: [&str; 2]) -> Result<T, u16> {
        let (key, command) = (self.key, redis::cmd(command).arg(self.key).arg(&who).take());
        let outcome = timeout(self.connection.patience, self.connection.send(&command)).await;
        outcome.unwrap_or_else(|_late| Err((ErrorKind::Io, "timeout").into())).map_err(|error| {
            use ErrorKind::{AuthenticationFailed, Extension, Server};
            let mode = if self.fail_mode == FailMode::Open { "open" } else { "closed" };
            // A server that answers with an error has not allowed anything.
            let (status, event) = match error.kind() {
                Server(_) | Extension | AuthenticationFailed => (429, "rate_limit_error"),
                _ => (503, "rate_limit_unavailable"),
            };
            // Up to the first quote: after it Redis repeats the arguments of a command that it does not know.
            let cause = error.to_string();
            let cause = cause.split('\'').next().unwrap_or_default();
            eprintln!("{event} limiter={key} fail_mode={mode} cause={cause}");
            status
        })
    }
}

/// Reads the window of a rule such as `PAIR 5/15m LOCK 1h`; `ALLOW` and `DENY`, the lists, have none and no quota.
fn window_ms(rule: &str) -> Option<u64> {
    let window = rule.split_once('/')?.1.split(' ').next()?;
    let unit = window.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number: u64 = window.strip_suffix(unit)?.parse().ok()?;
    UNITS_MS.iter().find(|(word, _)| *word == unit).map(|(_, ms)| number * ms)
}
