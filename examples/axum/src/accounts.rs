//! Stands in for your user database, mailer and password hashing. Nothing here is to be copied.

const ACCOUNTS: &[(&str, &str)] = &[("alice@example.com", "correct horse battery staple")];
const OUTAGE: &str = "outage@example.com";

/// The database cannot be reached: a failure of ours, which no client can cause.
#[derive(Debug)]
pub struct DatabaseDown;

/// Fails for one email as if the database were down, so that the refund can be seen.
fn reach(email: &str) -> Result<(), DatabaseDown> {
    if email == OUTAGE { Err(DatabaseDown) } else { Ok(()) }
}

/// Says whether the password is the account's.
///
/// # Errors
/// The database is down.
pub fn verify(email: &str, password: &str) -> Result<bool, DatabaseDown> {
    reach(email)?;
    Ok(ACCOUNTS.contains(&(email, password)))
}

/// Makes an account that waits for its confirmation, or mails the owner of one that is there already.
///
/// # Errors
/// The database is down.
pub fn register(email: &str) -> Result<(), DatabaseDown> {
    reach(email)
}

/// Puts a job into a queue. A worker looks the email up later, so that not even the time tells whether it exists.
///
/// # Errors
/// The database is down.
pub fn mail_reset_link(email: &str) -> Result<(), DatabaseDown> {
    reach(email)
}
