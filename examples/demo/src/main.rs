//! `make demo`: the axum example with a sign-in page and a panel that shows the limiter.

mod host;
mod panel;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use authlimit_example_axum::client_address::TrustedProxies;
use authlimit_example_axum::routes::{Guards, routes};
use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::from_fn;
use axum::routing::get;
use redis::aio::MultiplexedConnection;
use tokio::net::TcpListener;

const POLICIES: &str = include_str!("../../policies.txt");

/// Returns the page's files. The page loads nothing from other servers.
fn page() -> Router {
    let file = |mime: &'static str, text: &'static str| {
        get(move || async move { ([(CONTENT_TYPE, mime), (CONTENT_SECURITY_POLICY, "default-src 'self'")], text) })
    };
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("../page/index.html")))
        .route("/style.css", file("text/css", include_str!("../page/style.css")))
        .route("/page.js", file("text/javascript", include_str!("../page/page.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("../page/icon.svg")))
}

/// Waits for the server, which starts at the same time, and sets the policies of its limiters.
async fn prepare(url: &str) -> Result<MultiplexedConnection, Box<dyn Error>> {
    let client = redis::Client::open(url)?;
    let mut tries = 0;
    let mut connection = loop {
        match client.get_multiplexed_async_connection().await {
            Ok(connection) => break connection,
            Err(error) if tries >= 100 => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        tries += 1;
    };
    for line in POLICIES.lines() {
        let mut words = line.split_whitespace();
        let command = words.next().ok_or("an empty line among the policies")?;
        redis::cmd(command).arg(words.collect::<Vec<_>>()).exec_async(&mut connection).await?;
    }
    Ok(connection)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL")?;
    let port: u16 = env::var("PORT")?.parse()?;
    let connection = prepare(&url).await?;
    // The page acts as the proxy, so that a visitor can use several IP addresses. Only this machine can reach it.
    let proxies = TrustedProxies::parse("127.0.0.1")?;
    let guards = Guards::new(&url, Duration::from_secs(1), proxies)?;
    let app =
        page().merge(routes(Arc::new(guards))).merge(panel::routes(connection)).layer(from_fn(host::only_this_machine));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("The demo runs at  http://127.0.0.1:{port}/  until Ctrl-C.");
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
