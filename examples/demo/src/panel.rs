//! The endpoints of the panel beside the sign-in: the limiter's numbers, changing the policy, and unlocking.

use std::collections::HashMap;

use axum::Router;
use axum::extract::{Json, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisError, Value, cmd, from_redis_value};
use serde::{Deserialize, Serialize};

/// The answer if a command to the limiter fails.
type Failure = (StatusCode, String);
type Result<T> = std::result::Result<T, Failure>;

const LIMITER: &str = "signin";

/// An address and an email.
#[derive(Deserialize)]
struct Who {
    ip: String,
    email: String,
}

/// A policy, as `AUTHLIMIT.POLICY` takes it.
#[derive(Deserialize)]
struct Policy {
    words: String,
}

/// Everything that the panel shows.
#[derive(Serialize)]
struct Figures {
    policy: String,
    bytes: u64,
    rules: Vec<Rule>,
    subjects: Vec<Subject>,
}

/// One rule: its status for this IP address and email, and its totals.
#[derive(Serialize)]
struct Rule {
    words: String,
    limit: u64,
    remaining: u64,
    retry_after_ms: u64,
    reset_ms: u64,
    locked_ms: u64,
    allowed: u64,
    refused: u64,
}

/// The memory of one subject.
#[derive(Serialize)]
struct Subject {
    name: String,
    identities: u64,
    bytes: u64,
}

/// Returns the panel's endpoints.
pub(crate) fn routes(connection: MultiplexedConnection) -> Router {
    Router::new()
        .route("/demo/figures", get(figures))
        .route("/demo/policy", post(policy))
        .route("/demo/unlock", post(unlock))
        .with_state(connection)
}

/// Sends a command. An error is answered with the server's message, which never repeats what the client sent.
async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, command: &Cmd) -> Result<T> {
    let failed = |error: RedisError| (StatusCode::BAD_REQUEST, error.detail().unwrap_or("no answer").to_owned());
    command.query_async(connection).await.map_err(failed)
}

/// Removes a field from a map reply.
fn field<T: FromRedisValue>(map: &mut HashMap<String, Value>, name: &str) -> Result<T> {
    let value = map.remove(name).ok_or_else(|| (StatusCode::BAD_GATEWAY, format!("no {name}")))?;
    from_redis_value(value).map_err(|_| (StatusCode::BAD_GATEWAY, format!("{name} has another type")))
}

/// Returns the limiter's state: `AUTHLIMIT.INFO`, and `AUTHLIMIT.PEEK ... RULES` for this IP address and email.
async fn figures(State(mut connection): State<MultiplexedConnection>, Query(who): Query<Who>) -> Result<Json<Figures>> {
    let mut info: HashMap<String, Value> = ask(&mut connection, cmd("AUTHLIMIT.INFO").arg(LIMITER)).await?;
    let peek = cmd("AUTHLIMIT.PEEK").arg(LIMITER).arg(&who.ip).arg(&who.email).arg("RULES").take();
    let rows: Vec<(String, u64, u64, u64, u64, u64, u64)> = ask(&mut connection, &peek).await?;
    let totals: Vec<HashMap<String, Value>> = field(&mut info, "rules")?;
    let mut rules = Vec::new();
    for ((words, limit, remaining, retry_after_ms, reset_ms, locked_ms, _shadow), mut totals) in
        rows.into_iter().zip(totals)
    {
        let (allowed, refused) = (field(&mut totals, "allowed")?, field(&mut totals, "refused")?);
        rules.push(Rule { words, limit, remaining, retry_after_ms, reset_ms, locked_ms, allowed, refused });
    }
    let mut subjects = Vec::new();
    for mut subject in field::<Vec<HashMap<String, Value>>>(&mut info, "subjects")? {
        subjects.push(Subject {
            name: field(&mut subject, "subject")?,
            identities: field(&mut subject, "identities")?,
            bytes: field(&mut subject, "bytes")?,
        });
    }
    Ok(Json(Figures { policy: field(&mut info, "policy")?, bytes: field(&mut info, "bytes")?, rules, subjects }))
}

/// Changes the policy. Counts are kept.
async fn policy(State(mut connection): State<MultiplexedConnection>, Json(policy): Json<Policy>) -> Result<StatusCode> {
    let words: Vec<_> = policy.words.split_whitespace().collect();
    ask::<()>(&mut connection, cmd("AUTHLIMIT.POLICY").arg(LIMITER).arg(words)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Clears an IP address and an email, as support staff would.
async fn unlock(State(mut connection): State<MultiplexedConnection>, Json(who): Json<Who>) -> Result<StatusCode> {
    let command = cmd("AUTHLIMIT.UNLOCK").arg(LIMITER).arg("IP").arg(who.ip).arg("EMAIL").arg(who.email).take();
    ask::<u64>(&mut connection, &command).await?;
    Ok(StatusCode::NO_CONTENT)
}
