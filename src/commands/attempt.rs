//! The arguments that CHECK, PEEK, RESET and REFUND share: `key ip email`, and options after them.

use crate::limiter::{Attempt, AttemptError, AttemptRequest, Limiter};
use crate::policy::{Cost, Keyword};
use crate::redis::arguments::Arguments;
use crate::redis::error::CommandError;

/// An option of one of these commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AttemptOption {
    /// `COST n`: how many attempts it counts as.
    Cost,
    /// `DEVICE id`: the device that the application has authenticated.
    Device,
    /// `RULES`: reply how each rule stands.
    Rules,
}

impl Keyword for AttemptOption {
    const ALL: &'static [Self] = &[Self::Cost, Self::Device, Self::Rules];

    fn word(self) -> &'static str {
        match self {
            Self::Cost => "COST",
            Self::Device => "DEVICE",
            Self::Rules => "RULES",
        }
    }
}

/// The options that a command takes.
pub(super) struct AttemptOptions {
    /// The options.
    pub(super) options: &'static [AttemptOption],
    /// The same in words, for an error.
    pub(super) expected: &'static str,
}

impl AttemptOptions {
    /// `COST` and `DEVICE`.
    pub(super) const COST_AND_DEVICE: Self =
        Self { options: &[AttemptOption::Cost, AttemptOption::Device], expected: "COST n and DEVICE id" };
}

/// An attempt as received, and what else was requested.
pub(super) struct AttemptArguments<'a> {
    /// The attempt.
    pub(super) request: AttemptRequest<'a>,
    /// Whether `RULES` was given.
    pub(super) wants_rules: bool,
}

impl<'a> AttemptArguments<'a> {
    /// Parses `ip email` and any of `options`, in any order and each at most once.
    pub(super) fn parse(mut arguments: Arguments<'a>, options: &AttemptOptions) -> Result<Self, CommandError> {
        let (ip, email) = (arguments.require()?, arguments.require()?);
        let request = AttemptRequest { ip, email, device: None, cost: Cost::ONE };
        let mut parsed = Self { request, wants_rules: false };
        let mut seen = Vec::new();
        while !arguments.is_empty() {
            let (position, expected) = (arguments.next_position(), options.expected);
            let option = AttemptOption::from_word(arguments.require()?)
                .filter(|option| options.options.contains(option))
                .ok_or(CommandError::UnknownOption { position, expected })?;
            if seen.contains(&option) {
                return Err(CommandError::RepeatedOption { position });
            }
            seen.push(option);
            let position = arguments.next_position();
            match option {
                AttemptOption::Cost => {
                    let cost = arguments.number().and_then(|cost| Cost::new(cost).ok());
                    parsed.request.cost = cost.ok_or(CommandError::Cost { position })?;
                }
                AttemptOption::Device => {
                    let device = arguments.next().ok_or(CommandError::Device { position })?;
                    parsed.request.device = Some(device);
                }
                AttemptOption::Rules => parsed.wants_rules = true,
            }
        }
        Ok(parsed)
    }

    /// The attempt, under the policy of `limiter`.
    pub(super) fn attempt(&self, limiter: &Limiter) -> Result<Attempt, AttemptError> {
        limiter.attempt(&self.request)
    }
}
