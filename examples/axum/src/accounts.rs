//! A placeholder for your user database, mailer and password hashing. Do not copy it.

const ACCOUNTS: &[(&str, &str)] = &[("alice@example.com", "correct horse battery staple")];
const OUTAGE: &str = "outage@example.com";

/// The database cannot be reached: a failure on our side, which no client can cause.
#[derive(Debug)]
pub struct DatabaseDown;

/// Fails for one email as if the database were down, to show the refund.
fn reach(email: &str) -> Result<(), DatabaseDown> {
    if email == OUTAGE { Err(DatabaseDown) } else { Ok(()) }
}

/// Returns whether the password is correct.
///
/// # Errors
/// The database is down.
pub fn verify(email: &str, password: &str) -> Result<bool, DatabaseDown> {
    reach(email)?;
    Ok(ACCOUNTS.contains(&(email, password)))
}

/// Creates an unconfirmed account, or mails the owner of an existing one.
///
/// # Errors
/// The database is down.
pub fn register(email: &str) -> Result<(), DatabaseDown> {
    reach(email)
}

/// Queues a job. A worker looks the email up later, so the response time does not disclose whether it exists.
///
/// # Errors
/// The database is down.
pub fn mail_reset_link(email: &str) -> Result<(), DatabaseDown> {
    reach(email)
}
