//! What a server reports about itself: its time per command, its memory, and numbers of `INFO`.

use std::collections::BTreeMap;

use redis::{Connection, Value};

use crate::server_process::{Server, command, wait_until};

/// Resets the statistics of all commands.
pub(crate) fn reset_statistics(client: &mut Connection) {
    command(client, &["CONFIG", "RESETSTAT"]);
}

/// Returns how many microseconds the server has spent in a command since [`reset_statistics`], by `INFO commandstats`.
pub(crate) fn server_time(client: &mut Connection, name: &str) -> f64 {
    let text: String = redis::cmd("INFO").arg("commandstats").query(client).expect("the server answers INFO");
    // Some servers write the names of module commands in lower case.
    let prefix = format!("cmdstat_{name}:");
    let line = text.lines().find(|line| line.to_lowercase().starts_with(&prefix));
    let mut fields = line.into_iter().flat_map(|line| line.split([':', ',']));
    let usec = fields.find_map(|field| field.strip_prefix("usec="));
    usec.and_then(|usec| usec.parse().ok()).unwrap_or_else(|| panic!("no time of {name} in INFO commandstats"))
}

/// Returns the bytes that the server has allocated. Waits until all other clients have disconnected, because their
/// buffers count too.
pub(crate) fn used_memory(server: &Server) -> f64 {
    wait_until("the load's connections are closed", || server.info("connected_clients").as_deref() == Some("1"));
    number(server, "used_memory")
}

/// Returns a number of `INFO`.
pub(crate) fn number(server: &Server, field: &str) -> f64 {
    let text = server.info(field);
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number {field} in INFO"))
}

/// Returns the server's histogram of a command's time since [`reset_statistics`]: how many calls took at most this many
/// microseconds and more than the bucket before. The buckets double in size.
pub(crate) fn server_times(client: &mut Connection, name: &str) -> BTreeMap<i64, i64> {
    let reply = command(client, &["LATENCY", "HISTOGRAM", name]);
    let mut buckets = BTreeMap::new();
    let mut before = 0;
    for pair in histogram(&reply).chunks(2) {
        if let [Value::Int(limit), Value::Int(sum)] = pair {
            buckets.insert(*limit, sum - before);
            before = *sum;
        }
    }
    buckets
}

/// Returns the innermost array of a reply to `LATENCY HISTOGRAM`: pairs of an upper limit and a cumulative count.
fn histogram(reply: &Value) -> &[Value] {
    match reply {
        Value::Array(values) if values.iter().all(|value| matches!(value, Value::Int(_))) => values,
        Value::Array(values) => values.iter().map(histogram).find(|found| !found.is_empty()).unwrap_or(&[]),
        _ => &[],
    }
}
