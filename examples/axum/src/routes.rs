//! The three endpoints.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRef, FromRequestParts, Json, State};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use redis::RedisResult;
use serde::Deserialize;
use serde_json::json;

use crate::accounts::{self, DatabaseDown};
use crate::client_address::TrustedProxies;
use crate::limiter::{Attempt, FailMode, Limiter, REFUSAL};

/// What all endpoints share.
pub struct Guards {
    proxies: TrustedProxies,
    sign_in: Limiter,
    sign_up: Limiter,
    reset: Limiter,
}

impl Guards {
    /// While Redis is unreachable, sign-in and reset fail closed (no brute force, no mail floods); sign-up fails open.
    ///
    /// # Errors
    /// Not a valid Redis URL.
    pub fn new(redis_url: &str, patience: Duration, proxies: TrustedProxies) -> RedisResult<Self> {
        Ok(Self {
            proxies,
            sign_in: Limiter::new(redis_url, "signin", FailMode::Closed, patience)?,
            sign_up: Limiter::new(redis_url, "signup", FailMode::Open, patience)?,
            reset: Limiter::new(redis_url, "reset", FailMode::Closed, patience)?,
        })
    }
}

/// Returns the endpoints.
pub fn routes(guards: Arc<Guards>) -> Router {
    Router::new()
        .route("/signin", post(sign_in))
        .route("/signup", post(sign_up))
        .route("/reset", post(reset))
        .layer(DefaultBodyLimit::max(10 * 1024))
        .with_state(guards)
}

/// The client's IP address. `X-Forwarded-For` is used only from trusted proxies.
struct ClientAddress(String);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress
where
    Arc<Guards>: FromRef<S>,
{
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let ConnectInfo(peer) = ConnectInfo::<SocketAddr>::from_request_parts(parts, state)
            .await
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let lines: Vec<_> = parts.headers.get_all("x-forwarded-for").iter().collect();
        // An entry that is not text is not an IP address; authlimit rejects it.
        let lines = lines.iter().map(|line| line.to_str().unwrap_or("?"));
        Ok(Self(Arc::<Guards>::from_ref(state).proxies.client(peer.ip(), lines)))
    }
}

/// The body of a sign-in or sign-up.
#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

/// The body of a password reset.
#[derive(Deserialize)]
struct Email {
    email: String,
}

/// Returns whether a text is not empty and not too long.
fn sensible(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
}

/// Answers with a status, JSON, and the headers of the attempt.
fn answer(attempt: &Attempt<'_>, status: StatusCode, body: impl Into<Body>) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in &attempt.headers {
        if let Ok(value) = value.parse() {
            headers.insert(*name, value);
        }
    }
    (status, headers, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// Answers a refused attempt.
fn refused(attempt: &Attempt<'_>) -> Response {
    answer(attempt, StatusCode::from_u16(attempt.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS), REFUSAL)
}

/// Answers an attempt that failed on our side, and does not count it.
async fn own_failure(attempt: &Attempt<'_>) -> Response {
    attempt.refund().await;
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "internal"}))).into_response()
}

/// Signs in: counts the attempt before verifying the password, and clears it on success.
async fn sign_in(
    State(guards): State<Arc<Guards>>,
    ClientAddress(ip): ClientAddress,
    Json(body): Json<Credentials>,
) -> Response {
    if !sensible(&body.email, 320) || !sensible(&body.password, 1024) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let attempt = guards.sign_in.check(&ip, &body.email).await;
    if !attempt.allowed {
        return refused(&attempt);
    }
    match accounts::verify(&body.email, &body.password) {
        Ok(true) => {
            attempt.success().await;
            answer(&attempt, StatusCode::OK, r#"{"ok":true}"#)
        }
        Ok(false) => answer(&attempt, StatusCode::UNAUTHORIZED, r#"{"error":"wrong_credentials"}"#),
        Err(DatabaseDown) => own_failure(&attempt).await,
    }
}

/// Signs up. A success is not cleared: the limiter is there to stop bulk accounts.
async fn sign_up(
    State(guards): State<Arc<Guards>>,
    ClientAddress(ip): ClientAddress,
    Json(body): Json<Credentials>,
) -> Response {
    if !sensible(&body.email, 320) || !sensible(&body.password, 1024) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let attempt = guards.sign_up.check(&ip, &body.email).await;
    if !attempt.allowed {
        return refused(&attempt);
    }
    match accounts::register(&body.email) {
        Ok(()) => answer(&attempt, StatusCode::OK, r#"{"message":"Check your inbox."}"#),
        Err(DatabaseDown) => own_failure(&attempt).await,
    }
}

/// Mails a reset link. The answer is the same whether the account exists or not.
///
/// Call `attempt.success()` in the endpoint that changes the password, not here, where a mail is only requested.
async fn reset(
    State(guards): State<Arc<Guards>>,
    ClientAddress(ip): ClientAddress,
    Json(body): Json<Email>,
) -> Response {
    if !sensible(&body.email, 320) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let attempt = guards.reset.check(&ip, &body.email).await;
    if !attempt.allowed {
        return refused(&attempt);
    }
    let message = r#"{"message":"If the account exists, you will get an email."}"#;
    match accounts::mail_reset_link(&body.email) {
        Ok(()) => answer(&attempt, StatusCode::OK, message),
        Err(DatabaseDown) => own_failure(&attempt).await,
    }
}
