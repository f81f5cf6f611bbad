//! The arguments that CHECK, PEEK, RESET and REFUND share: `key ip email`, and for some `COST n`.

use crate::limiter::{Attempt, AttemptError, Cost, Limiter};
use crate::redis::error::CommandError;
use crate::redis::session::Arguments;

/// Where the first option stands.
const FIRST_OPTION: usize = 4;

/// Address and email as received, and the cost.
pub(super) struct AttemptArguments<'a> {
    ip: &'a [u8],
    email: &'a [u8],
    cost: Cost,
}

impl<'a> AttemptArguments<'a> {
    /// Parses `key ip email`.
    pub(super) fn parse(arguments: Arguments<'a>) -> Result<Self, CommandError> {
        if arguments.len() >= FIRST_OPTION {
            return Err(CommandError::Arity);
        }
        Self::parse_required(arguments)
    }

    /// Parses `key ip email [COST n]`.
    pub(super) fn parse_with_cost(arguments: Arguments<'a>) -> Result<Self, CommandError> {
        let mut parsed = Self::parse_required(arguments)?;
        let Some(word) = arguments.get(FIRST_OPTION) else {
            return Ok(parsed);
        };
        if !word.eq_ignore_ascii_case(b"COST") {
            return Err(CommandError::UnknownOption {
                position: FIRST_OPTION,
                expected: "COST n",
            });
        }
        let position = FIRST_OPTION.saturating_add(1);
        let cost = arguments.get(position).and_then(parse_cost);
        parsed.cost = cost.ok_or(CommandError::Cost { position })?;
        if arguments.len() > position {
            return Err(CommandError::UnknownOption {
                position: position.saturating_add(1),
                expected: "COST n, once",
            });
        }
        Ok(parsed)
    }

    /// Makes the attempt, as `limiter` tells addresses and emails apart.
    pub(super) fn attempt(&self, limiter: &Limiter) -> Result<Attempt, AttemptError> {
        limiter.attempt(self.ip, self.email, self.cost)
    }

    /// Parses the arguments that there must be.
    fn parse_required(arguments: Arguments<'a>) -> Result<Self, CommandError> {
        Ok(Self {
            ip: arguments.require(2)?,
            email: arguments.require(3)?,
            cost: Cost::ONE,
        })
    }
}

/// A cost in plain decimal digits.
fn parse_cost(digits: &[u8]) -> Option<Cost> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Cost::new(str::from_utf8(digits).ok()?.parse().ok()?)
}
