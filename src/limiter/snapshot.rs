//! A limiter's state without what it has counted: what a replica or a stored copy is created from.

use crate::identity::Secret;
use crate::limiter::ledger::Ledger;
use crate::limiter::limiter::Limiter;
use crate::limiter::lists::Lists;
use crate::limiter::plan;
use crate::limiter::subject_table::LogKind;
use crate::policy::{Millis, Policy};
use crate::table::{Cutoff, Timestamp};

/// All of a limiter except what it has counted and listed.
#[derive(Clone, PartialEq, Debug)]
pub struct LimiterMetadata {
    /// The policy.
    pub policy: Policy,
    /// The key of its ids.
    pub secret: Secret,
    /// The time of the latest effect.
    pub latest: Timestamp,
    /// How far the ledger's time is ahead of the server's clock, since that was set back.
    pub debt: Millis,
    /// One entry for each table that the policy needs.
    pub tables: Vec<TableMetadata>,
}

/// What is known of a table besides its identities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableMetadata {
    /// What its logs hold.
    pub kind: LogKind,
    /// Attempts at or before this time (milliseconds since the Unix epoch) no longer count, whatever the windows are.
    pub floor_millis: u64,
}

/// All that is stored of a limiter.
pub(crate) struct StoredState<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) secret: &'a Secret,
    pub(crate) ledger: &'a Ledger,
    pub(crate) lists: &'a Lists,
}

/// Why a [`LimiterMetadata`] is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MetadataError {
    /// The tables are not those of the policy.
    #[error("the limiter's stored tables are not those of its policy")]
    Tables,
    /// A time out of range.
    #[error("the limiter's stored time is out of range")]
    Time,
}

impl Limiter {
    /// All of this limiter except what it has counted and listed.
    #[must_use]
    pub fn metadata(&self) -> LimiterMetadata {
        let tables = self.ledger.tables.iter();
        let tables = tables.map(|table| TableMetadata { kind: table.spec.kind, floor_millis: table.floor.as_millis() });
        LimiterMetadata {
            policy: self.policy.clone(),
            secret: self.secret.clone(),
            latest: self.ledger.latest,
            debt: self.ledger.debt,
            tables: tables.collect(),
        }
    }

    /// All that is stored of this limiter, for `format` to write.
    pub(crate) fn stored_state(&self) -> StoredState<'_> {
        StoredState { policy: &self.policy, secret: &self.secret, ledger: &self.ledger, lists: &self.lists }
    }

    /// Where `format` puts what was stored, when the limiter is being loaded. All other changes are effects.
    pub(crate) fn load_state(&mut self) -> (&mut Ledger, &mut Lists) {
        (&mut self.ledger, &mut self.lists)
    }

    /// The limiter that `metadata` describes, without what it has counted and listed.
    ///
    /// # Errors
    /// [`MetadataError`] for metadata that no limiter has.
    pub fn from_metadata(metadata: LimiterMetadata) -> Result<Self, MetadataError> {
        let (specs, _) = plan::plan(&metadata.policy);
        let stored = metadata.tables.iter().map(|table| table.kind);
        if !stored.eq(specs.iter().map(|spec| spec.kind)) {
            return Err(MetadataError::Tables);
        }
        // A clock that was set back showed some time after 1970.
        if metadata.debt.get() > metadata.latest.since(Timestamp::MIN).get() {
            return Err(MetadataError::Time);
        }
        let mut limiter = Self::new(metadata.policy, metadata.secret);
        limiter.ledger.latest = metadata.latest;
        limiter.ledger.debt = metadata.debt;
        for (table, stored) in limiter.ledger.tables.iter_mut().zip(&metadata.tables) {
            if stored.floor_millis > metadata.latest.as_millis() {
                return Err(MetadataError::Time);
            }
            table.floor = Cutoff::from_millis(stored.floor_millis);
        }
        Ok(limiter)
    }
}
