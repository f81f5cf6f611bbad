//! Sign-in, sign-up and password reset with axum, rate-limited by authlimit.

pub mod accounts;
pub mod client_address;
pub mod limiter;
pub mod routes;
