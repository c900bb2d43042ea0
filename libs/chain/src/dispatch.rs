//! Why a runtime did not execute a call: the error's name from the metadata, its kind, and what to do.

use subxt::error::DispatchError;

use crate::{ChainError, ErrorKind, link::bounded};

/// Names of the pallets SubtensorModule and Commitments (specs 419 and 461), and what they mean for a caller.
const KNOWN: &[(&str, ErrorKind, &str)] = &[
    (
        "SettingWeightsTooFast",
        ErrorKind::RateLimited,
        ": wait until weights_rate_limit blocks lie behind the last setting",
    ),
    (
        "CommittingWeightsTooFast",
        ErrorKind::RateLimited,
        ": wait until weights_rate_limit blocks lie behind the last commit",
    ),
    ("TooManyUnrevealedCommits", ErrorKind::RateLimited, ": wait until earlier commits are revealed"),
    ("SpaceLimitExceeded", ErrorKind::RateLimited, ": the hotkey committed too often, try again in the next epoch"),
    ("CommitmentSetRateLimitExceeded", ErrorKind::RateLimited, ": the hotkey committed too often, try again later"),
    ("TxRateLimitExceeded", ErrorKind::RateLimited, ": try again later"),
    ("HotKeyNotRegisteredInSubNet", ErrorKind::NotRegistered, ": register the hotkey on the subnet first"),
    ("HotKeyNotRegisteredInNetwork", ErrorKind::NotRegistered, ": register the hotkey on the subnet first"),
    ("AccountNotAllowedCommit", ErrorKind::NotRegistered, ": register the hotkey on the subnet first"),
    ("HotKeyAccountNotExists", ErrorKind::NotRegistered, ": register the hotkey first"),
    (
        "NeuronNoValidatorPermit",
        ErrorKind::NoPermit,
        ": the hotkey holds no validator permit; stake more, the next epoch gives out permits anew",
    ),
    (
        "CommitRevealEnabled",
        ErrorKind::CommitRevealOn,
        ": the subnet has commit-reveal on, commit sealed weights instead",
    ),
    (
        "CommitRevealDisabled",
        ErrorKind::CommitRevealOff,
        ": the subnet has commit-reveal off, set weights openly instead",
    ),
    ("IncorrectCommitRevealVersion", ErrorKind::CommitRevealVersion, ": read the subnet's commit-reveal version again"),
    ("InvalidRevealRound", ErrorKind::RevealRound, ": the round is over already, compute it again from a newer block"),
    ("NotEnoughStakeToSetWeights", ErrorKind::TooLittleStake, ": stake at least the chain's threshold on the hotkey"),
    ("IncorrectWeightVersionKey", ErrorKind::VersionKey, ": the subnet asks for a newer validator, update it"),
    ("WeightVecNotEqualSize", ErrorKind::BadWeights, ""),
    ("WeightVecLengthIsLow", ErrorKind::BadWeights, ": weights must be set for more uids"),
    ("DuplicateUids", ErrorKind::BadWeights, ": a uid occurs twice"),
    ("UidVecContainInvalidOne", ErrorKind::BadWeights, ": a uid is not on the subnet"),
    ("UidsLengthExceedUidsInSubNet", ErrorKind::BadWeights, ": there are more weights than uids on the subnet"),
    ("MaxWeightExceeded", ErrorKind::BadWeights, ": one weight is a larger share than the subnet allows"),
    ("SubnetNotExists", ErrorKind::NoSubnet, ": check the netuid"),
    ("MechanismDoesNotExist", ErrorKind::NoSubnet, ": check the netuid and the mechanism"),
    ("TooManyFieldsInCommitmentInfo", ErrorKind::Other, ": a commitment has one field"),
];

/// The codes with which the runtime turns a transaction away before it gets into the pool: `Custom error: <code>`
/// (`CustomTransactionError` in common/src/transaction_error.rs of opentensor/subtensor at 2a315462729fea2aebc7835db0eb1dbe77c13461).
const CUSTOM: &[(u8, ErrorKind)] = &[
    (1, ErrorKind::TooLittleStake),
    (3, ErrorKind::NoSubnet),
    (4, ErrorKind::NotRegistered),
    (6, ErrorKind::RateLimited),
    (10, ErrorKind::NotRegistered),
    (15, ErrorKind::RevealRound),
    (18, ErrorKind::BadWeights),
    (19, ErrorKind::NotRegistered),
    (25, ErrorKind::CommitRevealOn),
    (26, ErrorKind::CommitRevealOff),
    (29, ErrorKind::CommitRevealVersion),
    (30, ErrorKind::RateLimited),
    (31, ErrorKind::RateLimited),
];

pub(crate) fn failure(call: &'static str, error: &DispatchError) -> ChainError {
    let error = match error {
        DispatchError::Module(module) => match module.details() {
            // The names are of the metadata, which the node made.
            Ok(details) => bounded(format!("{}.{}", details.pallet.name(), details.variant.name)),
            Err(_) => bounded(error.to_string()),
        },
        _ => bounded(error.to_string()),
    };
    let hint = known(&error).map_or("", |(_, hint)| hint);
    ChainError::Dispatch { call, error, hint }
}

/// The kind of an error by its name, `Pallet.Error`.
pub(crate) fn kind(error: &str) -> ErrorKind {
    known(error).map_or(ErrorKind::Other, |(kind, _)| kind)
}

/// The kind of a refusal of the transaction pool.
pub(crate) fn refusal(code: i32, reason: &str) -> ErrorKind {
    if is_stale(code, reason) {
        return ErrorKind::StaleNonce;
    }
    let custom = reason.split_once("Custom error: ").and_then(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u8>().ok()
    });
    let kind = CUSTOM.iter().find(|(code, _)| Some(*code) == custom).map(|(_, kind)| *kind);
    kind.unwrap_or(ErrorKind::Refused)
}

/// Another transaction has the nonce: in a block already (1010, "outdated"), or in the pool with as good a priority (1014).
pub(crate) fn is_stale(code: i32, reason: &str) -> bool {
    const INVALID: i32 = 1010;
    const PRIORITY_TOO_LOW: i32 = 1014;
    let reason = reason.to_ascii_lowercase();
    code == PRIORITY_TOO_LOW || code == INVALID && (reason.contains("outdated") || reason.contains("stale"))
}

fn known(error: &str) -> Option<(ErrorKind, &'static str)> {
    let name = error.rsplit('.').next()?;
    KNOWN.iter().find(|(known, ..)| *known == name).map(|(_, kind, hint)| (*kind, *hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_pool_has_the_kind_of_its_code() {
        for (code, reason, kind) in [
            (1010, "Invalid Transaction: Transaction is outdated", ErrorKind::StaleNonce),
            (1014, "Priority is too low: (18446744073709551615 vs 18446744073709551615)", ErrorKind::StaleNonce),
            (1010, "Invalid Transaction: Custom error: 1", ErrorKind::TooLittleStake),
            (1010, "Invalid Transaction: Custom error: 6", ErrorKind::RateLimited),
            (1010, "Invalid Transaction: Custom error: 10", ErrorKind::NotRegistered),
            (1010, "Invalid Transaction: Custom error: 255", ErrorKind::Refused),
            (1010, "Invalid Transaction: Custom error: 99999", ErrorKind::Refused),
            (1010, "Invalid Transaction: Transaction has a bad signature", ErrorKind::Refused),
            (1016, "Immediately Dropped", ErrorKind::Refused),
        ] {
            assert_eq!(refusal(code, reason), kind, "{code} {reason}");
        }
    }

    #[test]
    fn names_count_whatever_pallet_they_are_of_and_unknown_ones_are_other() {
        assert_eq!(kind("SubtensorModule.SettingWeightsTooFast"), ErrorKind::RateLimited);
        assert_eq!(kind("Commitments.AccountNotAllowedCommit"), ErrorKind::NotRegistered);
        assert_eq!(kind("SubtensorModule.SomethingNew"), ErrorKind::Other);
        assert_eq!(kind(""), ErrorKind::Other);
    }
}
