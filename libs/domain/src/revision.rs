//! The one rule of when two revisions of a repository are the same one.

/// From how many characters on a beginning names a revision; what Git abbreviates a commit to at least.
const SHORTEST: usize = 7;

/// Whether two revisions are the same: equal, or one begins with the other, which then has at least 7 characters. Some programs commit
/// a whole commit hash, others its first 8 characters. In hexadecimal digits small and capital letters are the same.
///
/// Nothing is proven by it: what a short form stood for is not known, and two long ones can begin alike. A revision is what a miner
/// says about its policy; what is played is what its endpoint serves.
pub fn same_revision(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let Some(beginning) = long.get(..short.len()).filter(|_| short.len() >= SHORTEST) else { return false };
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    beginning == short || (hex(one) && hex(other) && beginning.eq_ignore_ascii_case(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

    #[test]
    fn a_revision_is_its_beginning_of_seven_characters_or_more() {
        for length in 7..=HASH.len() {
            assert!(same_revision(&HASH[..length], HASH) && same_revision(HASH, &HASH[..length]), "{length}");
            assert!(same_revision(&HASH[..length].to_uppercase(), HASH), "{length}");
        }
        assert!(same_revision("v1", "v1") && same_revision("", ""));
    }

    #[test]
    fn what_is_shorter_or_begins_otherwise_is_another_revision() {
        for other in ["", &HASH[..6], &HASH[1..], "0a1b2c3e", "0a1b2c3d4e5f60718293a4b5c6d7e8f901234568"] {
            assert!(!same_revision(other, HASH) && !same_revision(HASH, other), "{other}");
        }
        assert!(!same_revision("v1.0", "v1.0.1"));
        assert!(!same_revision("Release-", "release-1"), "only digits have two spellings");
        assert!(!same_revision("1234567", "123456é8"), "a beginning ends between characters or not at all");
    }
}
