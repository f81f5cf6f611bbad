//! What a limiter holds, told from outside: for saving, for replicas, and for whoever asks how much
//! it is.

use crate::limiter::access::AccessLists;
use crate::limiter::access_chunk;
use crate::limiter::chunk::{self, ChunkError, Chunks, Part};
use crate::limiter::effect::{Genesis, GenesisError, TableGenesis};
use crate::limiter::ledger::LogTable;
use crate::limiter::limiter::Limiter;
use crate::limiter::logs::Logs;
use crate::limiter::series::{self, Series};
use crate::limiter::stamp::Mark;
use crate::limiter::table::Table;
use crate::limiter::time::{Cutoff, Timestamp};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// About how many bytes a log holds that is too long for its slot.
const TYPICAL_RING_BYTES: usize = 64;

/// What one table takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// What its logs hold.
    pub series: Series,
    /// Identities held, expired ones that were not reclaimed yet among them.
    pub identities: usize,
    /// Bytes of memory they take.
    pub bytes: usize,
}

impl Limiter {
    /// All of this limiter but what it has counted and listed.
    #[must_use]
    pub fn genesis(&self) -> Genesis {
        let tables = self.ledger.tables.iter().map(|table| TableGenesis {
            series: table.needs.series,
            floor_millis: table.floor.as_millis(),
        });
        Genesis {
            policy: self.policy.clone(),
            secret: self.secret.clone(),
            newest: self.ledger.newest,
            lead: self.ledger.lead,
            tables: tables.collect(),
        }
    }

    /// A limiter as `genesis` says, what it has counted still to come by [`Limiter::load_chunk`].
    ///
    /// # Errors
    /// [`GenesisError`] if no limiter has told this.
    pub fn from_genesis(genesis: Genesis) -> Result<Self, GenesisError> {
        let (needs, _) = series::plan(&genesis.policy);
        let stored = genesis.tables.iter().map(|table| table.series);
        if !stored.eq(needs.iter().map(|needs| needs.series)) {
            return Err(GenesisError::Tables);
        }
        if genesis.lead.get() > Timestamp::MAX.as_millis() {
            return Err(GenesisError::Time);
        }
        let mut limiter = Self::new(genesis.policy, genesis.secret);
        limiter.ledger.newest = genesis.newest;
        limiter.ledger.lead = genesis.lead;
        for (table, stored) in limiter.ledger.tables.iter_mut().zip(&genesis.tables) {
            if stored.floor_millis > genesis.newest.as_millis() {
                return Err(GenesisError::Time);
            }
            table.floor = Cutoff::from_millis(stored.floor_millis);
        }
        Ok(limiter)
    }

    /// What it has counted and listed, as chunks of bytes.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'_> {
        Chunks::new(&self.ledger, &self.access)
    }

    /// Adds what is in a chunk.
    ///
    /// # Errors
    /// [`ChunkError`] for bytes that [`Limiter::chunks`] does not write; the limiter is then
    /// unusable.
    pub fn load_chunk(&mut self, part: Part, chunk: &[u8]) -> Result<(), ChunkError> {
        match part {
            Part::Logs(table) => self.ledger.load_logs(usize::from(table), chunk),
            Part::Locks(table) => self.ledger.load_locks(usize::from(table), chunk),
            Part::Access => Ok(access_chunk::load_entries(&mut self.access, chunk)?),
        }
    }

    /// What each table takes, in the order in which the policy needs them.
    pub fn usage(&self) -> impl Iterator<Item = Usage> + '_ {
        self.ledger.tables.iter().map(|table| Usage {
            series: table.needs.series,
            identities: table.logs.len(),
            bytes: table.logs.bytes().saturating_add(table.locks.bytes()),
        })
    }

    /// Bytes of memory the limiter takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.usage()
            .map(|table| table.bytes)
            .fold(size_of::<Self>(), usize::saturating_add)
            .saturating_add(self.access.bytes())
            .saturating_add(self.watch.as_ref().map_or(0, |watch| watch.bytes()))
    }

    /// About how many blocks of memory it takes: what freeing it costs.
    #[must_use]
    pub fn blocks(&self) -> usize {
        let tables = self.ledger.tables.iter().map(|table| {
            let spilled = table.logs.log_bytes() / TYPICAL_RING_BYTES;
            let segments = table.logs.segments();
            segments
                .saturating_add(spilled)
                .saturating_add(table.locks.len())
        });
        tables.fold(self.access.len(), usize::saturating_add)
    }

    /// A number that two limiters share only if they hold the same: policy, secret, time, the
    /// attempts, locks and list entries that still count at the ledger's newest time. Expired ones
    /// that one of them has reclaimed already make no difference, nor does the layout in memory.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let now = self.ledger.newest;
        let mut hasher = SipHasher13::new();
        let policy = self.policy.to_string();
        hasher.write_usize(policy.len());
        hasher.write(policy.as_bytes());
        hasher.write(self.secret.as_bytes());
        hasher.write_u64(now.as_millis());
        hasher.write_u64(self.ledger.lead.get());
        for table in &self.ledger.tables {
            hasher.write_u64(table.floor.as_millis());
            hasher.write_u128(logs_digest(table, now));
            for (id, rule, state) in table.live_locks(now) {
                hasher.write_u64(id.raw());
                hasher.write_u8(rule);
                hasher.write_u64(state.until.as_millis());
                hasher.write_u64(state.length.get());
                hasher.write_u8(u8::from(state.armed));
            }
        }
        hasher.write(&access_bytes(&self.access, now));
        hasher.finish128().as_u128()
    }
}

/// The sum of the digests of a table's identities: the same in any order.
fn logs_digest(table: &LogTable, now: Timestamp) -> u128 {
    let cutoff = table.cutoff(now);
    match &table.logs {
        Logs::Attempts(logs) => sum_of_digests(logs, cutoff),
        Logs::Parties(logs) => sum_of_digests(logs, cutoff),
    }
}

/// The sum of the digests of the identities with something that `cutoff` has not passed.
fn sum_of_digests<M: Mark>(table: &Table<M>, cutoff: Cutoff) -> u128 {
    let mut bytes = Vec::new();
    let identities = table.iter().filter_map(|(id, log)| {
        let first = log.first_after(cutoff);
        (first < log.len()).then(|| {
            bytes.clear();
            log.iter_from(first).for_each(|mark| mark.write(&mut bytes));
            let mut hasher = SipHasher13::new();
            hasher.write_u64(id.raw());
            hasher.write(&bytes);
            hasher.finish128().as_u128()
        })
    });
    identities.fold(0, u128::wrapping_add)
}

/// The list entries that have not ended, in an order that depends on nothing else.
fn access_bytes(access: &AccessLists, now: Timestamp) -> Vec<u8> {
    chunk::live_entries(access, now).flatten().collect()
}
