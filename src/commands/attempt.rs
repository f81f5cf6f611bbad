//! The arguments that CHECK, PEEK, RESET and REFUND share: `key ip email`, and options after them.

use crate::limiter::{Attempt, AttemptError, Cost, Limiter, Received};
use crate::redis::error::CommandError;
use crate::redis::session::Arguments;

/// Where the first option stands.
const FIRST_OPTION: usize = 4;

/// An option that one of these commands takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AttemptOption {
    /// `COST n`: as how many attempts it counts.
    Cost,
    /// `DEVICE id`: the device that the application has authenticated.
    Device,
    /// `RULES`: tell how each rule stands.
    Rules,
}

impl AttemptOption {
    /// Every option.
    const EVERY: [Self; 3] = [Self::Cost, Self::Device, Self::Rules];

    /// The option's word.
    const fn word(self) -> &'static str {
        match self {
            Self::Cost => "COST",
            Self::Device => "DEVICE",
            Self::Rules => "RULES",
        }
    }
}

/// An attempt as received, and what else was asked for.
pub(super) struct AttemptArguments<'a> {
    received: Received<'a>,
    /// Whether `RULES` was given.
    pub(super) wants_rules: bool,
}

impl<'a> AttemptArguments<'a> {
    /// Parses `key ip email` and any of `options`, in any order and each at most once. `expected`
    /// tells of them in an error.
    pub(super) fn parse(
        arguments: Arguments<'a>,
        options: &[AttemptOption],
        expected: &'static str,
    ) -> Result<Self, CommandError> {
        let mut parsed = Self {
            received: Received {
                ip: arguments.require(2)?,
                email: arguments.require(3)?,
                device: None,
                cost: Cost::ONE,
            },
            wants_rules: false,
        };
        let mut seen = Vec::new();
        let mut position = FIRST_OPTION;
        while let Some(word) = arguments.get(position) {
            let option = AttemptOption::EVERY
                .into_iter()
                .filter(|option| options.contains(option))
                .find(|option| word.eq_ignore_ascii_case(option.word().as_bytes()))
                .ok_or(CommandError::UnknownOption { position, expected })?;
            if seen.contains(&option) {
                return Err(CommandError::RepeatedOption { position });
            }
            seen.push(option);
            position = position.saturating_add(1);
            match option {
                AttemptOption::Cost => {
                    let cost = arguments.get(position).and_then(parse_cost);
                    parsed.received.cost = cost.ok_or(CommandError::Cost { position })?;
                }
                AttemptOption::Device => {
                    let device = arguments.get(position);
                    parsed.received.device = Some(device.ok_or(CommandError::Device { position })?);
                }
                AttemptOption::Rules => {
                    parsed.wants_rules = true;
                    continue;
                }
            }
            position = position.saturating_add(1);
        }
        Ok(parsed)
    }

    /// The attempt as received.
    pub(super) fn received(&self) -> &Received<'a> {
        &self.received
    }

    /// Makes the attempt, as `limiter` tells addresses and emails apart.
    pub(super) fn attempt(&self, limiter: &Limiter) -> Result<Attempt, AttemptError> {
        limiter.attempt(&self.received)
    }
}

/// A cost in plain decimal digits.
fn parse_cost(digits: &[u8]) -> Option<Cost> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Cost::new(str::from_utf8(digits).ok()?.parse().ok()?).ok()
}
