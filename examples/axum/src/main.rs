//! Serves the example: `cargo run`.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use authlimit_example_axum::client_address::TrustedProxies;
use authlimit_example_axum::routes::{Guards, routes};
use tokio::net::TcpListener;

/// Returns a setting from the environment, or its default.
fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let timeout = Duration::from_millis(setting("LIMITER_TIMEOUT_MS", "100").parse()?);
    let proxies = TrustedProxies::parse(&setting("TRUSTED_PROXIES", ""))
        .map_err(|word| format!("TRUSTED_PROXIES: {word} is neither an IP address nor a network"))?;
    let guards = Guards::new(&setting("REDIS_URL", "redis://127.0.0.1:6379"), timeout, proxies)?;
    let app = routes(Arc::new(guards));
    let port: u16 = setting("PORT", "3000").parse()?;
    let listener = TcpListener::bind((setting("HOST", "127.0.0.1"), port)).await?;
    // Without connect_info, the routes would not know the client's IP address.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
