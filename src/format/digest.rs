//! The digest of a limiter: a number that two limiters share only if they hold the same.

use crate::format::entry::StoredEntry;
use crate::format::{list_entry, lock};
use crate::limiter::subject_table::{AnyTable, SubjectTable};
use crate::limiter::{Limiter, StoredState};
use crate::table::{Cutoff, Table, Timestamp};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

impl Limiter {
    /// The digest: of policy, secret and time, and of the attempts, locks and list entries that still count at the
    /// ledger's latest time. Expired ones that one limiter has reclaimed already make no difference, nor does the
    /// layout in memory.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let StoredState { policy, secret, ledger, lists } = self.stored_state();
        let now = ledger.latest;
        let mut hasher = SipHasher13::new();
        let policy = policy.to_string();
        hasher.write_usize(policy.len());
        hasher.write(policy.as_bytes());
        hasher.write(secret.as_bytes());
        hasher.write_u64(now.as_millis());
        hasher.write_u64(ledger.debt.get());
        for table in &ledger.tables {
            hasher.write_u64(table.floor.as_millis());
            hasher.write_u128(logs_digest(table, now));
            lock::chunks(table, now).for_each(|locks| hasher.write(&locks));
        }
        lock::unlock_chunks(&ledger.unlocks, now).for_each(|unlocks| hasher.write(&unlocks));
        let list_entries: Vec<u8> = list_entry::live_chunks(lists, now).flatten().collect();
        hasher.write(&list_entries);
        hasher.finish128().as_u128()
    }
}

/// The sum of the digests of a table's identities: the same in any order.
fn logs_digest(table: &SubjectTable, now: Timestamp) -> u128 {
    let cutoff = table.cutoff(now);
    match &table.logs {
        AnyTable::Attempts(logs) => sum_of_digests(logs, cutoff),
        AnyTable::Distinct(logs) => sum_of_digests(logs, cutoff),
    }
}

/// The sum of the digests of the identities with an entry that `cutoff` has not passed.
fn sum_of_digests<E: StoredEntry>(table: &Table<E>, cutoff: Cutoff) -> u128 {
    let mut bytes = Vec::new();
    let identities = table.iter().filter_map(|(id, log)| {
        let first = log.first_after(cutoff);
        (first < log.len()).then(|| {
            bytes.clear();
            log.iter_from(first).for_each(|entry| entry.write(&mut bytes));
            let mut hasher = SipHasher13::new();
            hasher.write_u64(id.raw());
            hasher.write(&bytes);
            hasher.finish128().as_u128()
        })
    });
    identities.fold(0, u128::wrapping_add)
}
