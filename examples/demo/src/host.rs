//! Which name a browser may know the demo by.
//!
//! The demo listens on this machine only, but a page from anywhere can give its own name this machine's address
//! (DNS rebinding), and then asks the demo as if it were its own. The name in the request tells.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// Lets a request through if it was sent to this machine by a name or an address of this machine alone.
pub(crate) async fn only_this_machine(request: Request, next: Next) -> Result<Response, StatusCode> {
    if is_loopback(request.headers()) { Ok(next.run(request).await) } else { Err(StatusCode::MISDIRECTED_REQUEST) }
}

/// Says whether the one `Host` there is, with a port or without, is `localhost` or a loopback address.
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
