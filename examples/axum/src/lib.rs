//! Sign-in, sign-up and password reset with axum, guarded by authlimit.

pub mod accounts;
pub mod client_address;
pub mod limiter;
pub mod routes;
