//! Checks the host name of requests, against DNS rebinding.
//!
//! The demo listens only on this machine. But a foreign page can point its own host name at this machine (DNS
//! rebinding), and the browser then treats the demo as part of that page. The `Host` header shows the foreign name.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// Accepts only requests for a name or address of this machine.
pub(crate) async fn only_this_machine(request: Request, next: Next) -> Result<Response, StatusCode> {
    if is_loopback(request.headers()) { Ok(next.run(request).await) } else { Err(StatusCode::MISDIRECTED_REQUEST) }
}

/// Returns whether there is exactly one `Host`, and it is `localhost` or a loopback address, with or without a port.
fn is_loopback(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(authority) = Authority::try_from(host.as_bytes()) else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
