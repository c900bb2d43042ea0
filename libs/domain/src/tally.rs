//! The outcomes of one miner's episodes in one environment, in the order of the cycle's seeds.

use std::{fmt, str::FromStr};

/// One episode as the scoring sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Solved.
    Success,
    /// Not solved, or a policy fault.
    Failure,
    /// Could not be played; does not count.
    Missing,
    /// Solved, on a seed that was drawn anew for this miner: counts, and is compared with no other miner's episode.
    SuccessApart,
    /// Not solved, or a policy fault, on such a seed.
    FailureApart,
}

impl Outcome {
    /// Whether it is part of the miner's rate.
    pub fn counts(self) -> bool {
        self != Self::Missing
    }

    /// Whether the episode was solved.
    pub fn succeeded(self) -> bool {
        matches!(self, Self::Success | Self::SuccessApart)
    }

    /// Whether it was played on the seed that all miners share, so that it can be compared with theirs.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }
}

/// Outcomes in the order of the seeds, so that two miners can be compared episode by episode. As text one character each:
/// `1`, `0`, `-`, and `s`, `f` for a success and a failure on a seed drawn anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Outcomes(Vec<Outcome>);

/// Why a text is no [`Outcomes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("outcomes must consist of `1`, `0`, `-`, `s` and `f`; character {position} is another one")]
pub struct OutcomeError {
    /// Counted from 0.
    pub position: usize,
}

impl Outcomes {
    /// The outcomes in order.
    pub fn as_slice(&self) -> &[Outcome] {
        &self.0
    }

    /// How many episodes succeeded.
    pub fn successes(&self) -> u32 {
        self.count(Outcome::succeeded)
    }

    /// How many episodes count: successes and failures.
    pub fn counted(&self) -> u32 {
        self.count(Outcome::counts)
    }

    /// How many episodes could not be played.
    pub fn missing(&self) -> u32 {
        self.count(|outcome| !outcome.counts())
    }

    /// Successes over what counts, in [0, 1]; 0 when nothing counts.
    pub fn success_rate(&self) -> f64 {
        match self.counted() {
            0 => 0.0,
            counted => f64::from(self.successes()) / f64::from(counted),
        }
    }

    /// How many episodes were played on the seeds that all miners share.
    pub fn shared(&self) -> u32 {
        self.count(Outcome::is_shared)
    }

    fn count(&self, wanted: impl Fn(Outcome) -> bool) -> u32 {
        u32::try_from(self.0.iter().filter(|outcome| wanted(**outcome)).count()).unwrap_or(u32::MAX)
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        Self(outcomes.into_iter().collect())
    }
}

impl FromStr for Outcomes {
    type Err = OutcomeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.chars()
            .enumerate()
            .map(|(position, character)| match character {
                '1' => Ok(Outcome::Success),
                '0' => Ok(Outcome::Failure),
                '-' => Ok(Outcome::Missing),
                's' => Ok(Outcome::SuccessApart),
                'f' => Ok(Outcome::FailureApart),
                _ => Err(OutcomeError { position }),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Self)
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|outcome| {
            f.write_str(match outcome {
                Outcome::Success => "1",
                Outcome::Failure => "0",
                Outcome::Missing => "-",
                Outcome::SuccessApart => "s",
                Outcome::FailureApart => "f",
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_not_played_does_not_count() {
        let outcomes: Outcomes = "110-0-".parse().expect("valid");
        assert_eq!((outcomes.successes(), outcomes.counted(), outcomes.missing()), (2, 4, 2));
        assert_eq!(outcomes.success_rate(), 0.5);
        assert_eq!(Outcomes::default().success_rate(), 0.0);
        let apart: Outcomes = "1s0f-".parse().expect("valid");
        assert_eq!((apart.successes(), apart.counted(), apart.missing(), apart.shared()), (2, 4, 1, 2));
        assert_eq!("01x".parse::<Outcomes>(), Err(OutcomeError { position: 2 }));
    }

    proptest! {
        #[test]
        fn text_and_outcomes_are_the_same_thing(text in "[01sf-]{0,80}") {
            let outcomes: Outcomes = text.parse().expect("valid");
            prop_assert_eq!(outcomes.to_string(), text);
            prop_assert!((0.0..=1.0).contains(&outcomes.success_rate()));
        }
    }
}
