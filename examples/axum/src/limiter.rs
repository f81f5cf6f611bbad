//! A client for authlimit. Copy this file; it needs only `redis` (`tokio-comp`) and tokio.
use redis::ErrorKind::{AuthenticationFailed, Extension, Io, Server, UnexpectedReturnType};
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, ProtocolVersion, RedisResult};
use redis::{PushInfo, aio::MultiplexedConnection, io::tcp::TcpSettings};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::{sync::Mutex, time};

pub const REFUSAL: &str = r#"{"error":"try_again_later"}"#;
const UNITS_MS: [(&str, i64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What happens to attempts while Redis is unreachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailMode {
    Open,
    Closed,
}

/// The limiter of one endpoint, with its connection, which is opened on first use and reopened when lost.
pub struct Limiter {
    client: Client,
    key: &'static str,
    fail_mode: FailMode,
    patience: time::Duration,
    /// The receiver closes when the connection is lost.
    connection: Mutex<Option<(MultiplexedConnection, UnboundedReceiver<PushInfo>)>>,
}

/// The result of a CHECK. If not `allowed`, respond with `status`, `headers` and [`REFUSAL`], the same for every rule.
pub struct Attempt<'a> {
    pub allowed: bool,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    limiter: &'a Limiter,
    who: [&'a str; 2],
}

impl Attempt<'_> {
    /// Clears the attempts of this IP address on this email. Call it after a successful sign-in.
    pub async fn success(&self) {
        let _ = self.limiter.send::<u64>("AUTHLIMIT.RESET", self.who).await;
    }

    /// Takes a counted attempt back. Call it after a failure that no client can cause.
    pub async fn refund(&self) {
        if self.allowed && !self.headers.is_empty() {
            let _ = self.limiter.send::<u64>("AUTHLIMIT.REFUND", self.who).await;
        }
    }
}

impl Limiter {
    /// `patience` is the timeout of a whole command, including connecting. 100 ms is enough for a Redis nearby.
    pub fn new(url: &str, key: &'static str, fail_mode: FailMode, patience: time::Duration) -> RedisResult<Self> {
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")] // detects a dead connection soon
        let tcp = tcp.set_user_timeout(time::Duration::from_secs(2));
        let info = url.into_connection_info()?.set_tcp_settings(tcp);
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3); // reports a lost connection
        let client = Client::open(info.set_redis_settings(settings))?;
        Ok(Self { client, key, fail_mode, patience, connection: Mutex::default() })
    }

    /// Runs CHECK. Call it before you verify the password.
    pub async fn check<'a>(&'a self, ip: &'a str, email: &'a str) -> Attempt<'a> {
        let (key, open, who) = (self.key, self.fail_mode == FailMode::Open, [ip, email]);
        let mut attempt = Attempt { allowed: false, status: 429, headers: vec![], limiter: self, who };
        match self.send::<(bool, i64, i64, i64, i64, String)>("AUTHLIMIT.CHECK", who).await {
            Err(status) => (attempt.status, attempt.allowed) = (status, open && status == 503),
            Ok((allowed, limit, left, wait_ms, reset_ms, rule)) => {
                attempt.allowed = allowed;
                let reset = seconds(reset_ms);
                if let Some(window) = window_ms(&rule).map(seconds) {
                    attempt.headers.push(("RateLimit-Policy", format!(r#""{key}";q={limit};w={window}"#)));
                    attempt.headers.push(("RateLimit", format!(r#""{key}";r={left};t={reset}"#)));
                    let older = [("RateLimit-Limit", limit), ("RateLimit-Remaining", left), ("RateLimit-Reset", reset)];
                    attempt.headers.extend(older.map(|(name, value)| (name, value.to_string())));
                }
                let wait = (!allowed && wait_ms > 0).then(|| seconds(wait_ms).to_string());
                attempt.headers.extend(wait.map(|seconds| ("Retry-After", seconds)));
            }
        }
        attempt
    }

    /// Sends a command; on failure logs the cause and returns a status. An error reply counts as a refusal.
    async fn send<T: FromRedisValue>(&self, command: &str, who: [&str; 2]) -> Result<T, u16> {
        let (key, command) = (self.key, redis::cmd(command).arg(self.key).arg(&who).take());
        let outcome = time::timeout(self.patience, self.query(&command)).await;
        outcome.unwrap_or_else(|_late| Err((Io, "timeout").into())).map_err(|error| {
            let replied = matches!(error.kind(), Server(_) | Extension | AuthenticationFailed | UnexpectedReturnType);
            let (status, event) = if replied { (429, "rate_limit_error") } else { (503, "rate_limit_unavailable") };
            // Cut at the first quote: after it, Redis repeats the arguments of an unknown command.
            let cause = error.to_string().split('\'').next().map(str::to_owned).unwrap_or_default();
            eprintln!("{event} limiter={key} fail_mode={:?} cause={cause}", self.fail_mode);
            status
        })
    }

    /// Never sends a command twice, since one whose reply was lost may have been counted. A connection that was lost
    /// while idle is detected before sending.
    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut kept = self.connection.lock().await;
        if kept.as_ref().is_none_or(|(_, life)| life.is_closed()) {
            let (sender, life) = unbounded_channel();
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.patience)).set_push_sender(sender);
            *kept = Some((self.client.get_multiplexed_async_connection_with_config(&config).await?, life));
        }
        let connection = kept.as_ref().map(|(connection, _)| connection.clone());
        drop(kept);
        command.query_async(&mut connection.ok_or((Io, "no connection"))?).await
    }
}

/// Rounds up, so that a client that waits is not too early. -1 is a figure that does not exist.
fn seconds(ms: i64) -> i64 {
    ms.saturating_add(999).div_euclid(1000)
}

/// Parses the window of a rule such as `PAIR 5/15m LOCK 1h`; `ALLOW` and `DENY` have no window and no quota.
fn window_ms(rule: &str) -> Option<i64> {
    let window = rule.split_once('/')?.1.split(' ').next()?;
    let unit = window.trim_start_matches(|letter: char| letter.is_ascii_digit());
    UNITS_MS.iter().find(|(word, _)| *word == unit)?.1.checked_mul(window.strip_suffix(unit)?.parse().ok()?)
}
