#![allow(clippy::unwrap_used)]

use super::*;

type Stored = (u16, u64, u64, u64, u64, u64, Option<u64>);

/// From `bittensor-drand` 2.0.0 and `bittensor-core` 0.1.5, which agree. A block time of a million seconds tells the block from
/// the round:
/// ```python
/// now = time.time()
/// round_ = get_encrypted_commit_v2([1], [2], 0, last, pending, 7, tempo, since, head, period, 1.0e6, bytes(32))[1]
/// first = round((round_ * 3 + 1_692_803_367 - now) / 1e6) + head - 3
/// ```
/// `None`: "reveal block simulation exceeded budget".
#[rustfmt::skip]
const STORED: &[Stored] = &[
    // (tempo, last, pending, since, head, period, first)
    (50, 10, 0, 0, 10, 1, Some(60)),
    (20, 80, 95, 0, 91, 1, Some(95)),
    (360, 1000, 0, 0, 1000, 1, Some(1360)),
    (360, 1000, 0, 0, 1000, 3, Some(2080)),
    (360, 1000, 0, 358, 1358, 1, Some(1360)),
    (360, 1000, 0, 359, 1359, 1, Some(1720)),
    (360, 1000, 0, 359, 1359, 2, Some(2080)),
    (360, 1000, 0, 360, 1360, 1, Some(1721)),
    (360, 1000, 1361, 300, 1300, 1, Some(1360)),
    (360, 1000, 1300, 300, 1300, 1, Some(1661)),
    (360, 1000, 1299, 300, 1301, 2, Some(2022)),
    (1, 5, 0, 0, 5, 1, Some(7)),
    (1, 5, 0, 0, 5, 4, Some(10)),
    (360, 1000, 0, 50399, 1010, 1, Some(1013)),
    (360, 1000, 0, 50400, 1010, 1, Some(1012)),
    (360, 1000, 0, 50401, 1010, 1, Some(1371)),
    (65535, 1000, 0, 0, 1000, 1, Some(51402)),
    (65535, 1000, 0, 0, 1000, 2, Some(101803)),
    (50400, 1000, 0, 0, 1000, 2, Some(101800)),
    (50401, 1000, 0, 0, 1000, 2, Some(101802)),
    (360, 1003, 0, 0, 1000, 1, Some(1363)),
    (360, 1000, 0, 10, 1010, 100, Some(37000)),
    (1, 474505, 0, 50400, 474502, 1, None),
    (1, 3872097, 0, 50399, 3872095, 1, None),
    (1, 4645709, 0, 50400, 4645707, 1, None),
    (10, 1158751, 1158817, 50398, 1158756, 3, Some(1158779)),
    (65535, 3610158, 0, 50398, 3622457, 1, Some(3622461)),
    (60000, 7554906, 7572355, 0, 7572357, 2, Some(7673161)),
    (360, 586956, 587337, 50399, 587223, 1, Some(587226)),
    (360, 3972954, 3973410, 0, 3973297, 3, Some(3974034)),
    (50400, 1765546, 1777726, 50400, 1777726, 2, Some(1878527)),
    (60000, 8474364, 8502022, 19881, 8502024, 3, Some(8653229)),
    (50400, 6660781, 6699396, 50400, 6699378, 3, Some(6800179)),
    (360, 3002398, 3002583, 50398, 3002582, 1, Some(3002943)),
    (65535, 2794860, 2846591, 50398, 2846401, 1, Some(2846405)),
    (99, 6703427, 0, 1, 6703506, 1, Some(6703526)),
    (65535, 3416901, 3447330, 50398, 3447329, 2, Some(3548133)),
    (50402, 170641, 0, 50401, 195783, 1, Some(246186)),
    (360, 1041349, 1041590, 50398, 1041592, 3, Some(1042673)),
    (360, 7052715, 7052890, 50399, 7052889, 1, Some(7053250)),
    (65535, 3928909, 0, 50401, 3952133, 2, Some(4052937)),
    (1, 1282015, 1282022, 50401, 1282013, 2, Some(1282016)),
    (50, 4607056, 0, 22, 4607060, 1, Some(4607106)),
    (10, 2778066, 0, 50400, 2778071, 2, Some(2778082)),
    (1000, 5501788, 0, 24, 5502293, 3, Some(5504788)),
    (360, 7161750, 0, 50400, 7161843, 1, Some(7161845)),
    (50401, 7340617, 0, 1, 7341978, 1, Some(7391018)),
    (60000, 2758968, 2788174, 50401, 2788172, 1, Some(2838575)),
    (50402, 8737558, 0, 50400, 8767101, 2, Some(8817504)),
    (50402, 7248267, 7252116, 1, 7252116, 1, Some(7302519)),
];

/// In the same way from `get_encrypted_commit([1], [2], 0, tempo, head, netuid, period, 1.0e6, bytes(32))` of
/// `bittensor-drand` 1.3.0.
#[rustfmt::skip]
const COUNTED: &[(u16, u16, u64, u64, u64)] = &[
    // (netuid, tempo, head, period, first)
    (1, 360, 1000, 1, 1081),
    (1, 360, 1081, 1, 1442),
    (1, 360, 1080, 1, 1081),
    (26, 360, 4321000, 1, 4321143),
    (26, 360, 4321000, 3, 4321865),
    (0, 1, 5, 1, 7),
    (65535, 50400, 123, 2, 85667),
    (2, 100, 96, 1, 98),
    (2, 100, 97, 1, 98),
    (2, 100, 98, 1, 199),
    (60, 360, 2288131, 2, 2288679),
    (154, 99, 1199391, 10, 1200345),
    (3, 50400, 7972412, 2, 8064156),
    (141, 2, 3316932, 3, 3316940),
    (138, 50400, 8091880, 3, 8215224),
    (163, 50400, 2626924, 1, 2671089),
    (162, 2, 8877524, 3, 8877533),
    (189, 1, 1174269, 1, 1174270),
    (194, 360, 817880, 2, 818553),
    (199, 1, 4620313, 3, 4620318),
    (152, 1000, 6602992, 3, 6605446),
    (101, 1000, 7559503, 1, 7560451),
    (93, 1, 702077, 1, 702078),
    (126, 2, 4428206, 3, 4428215),
    (199, 1000, 5150381, 3, 5152948),
    (129, 50400, 6573761, 10, 7056010),
    (89, 360, 6937988, 10, 6941579),
    (59, 10, 580841, 2, 580861),
    (155, 1000, 2836357, 2, 2837679),
    (138, 360, 1846102, 1, 1846376),
];

fn stored(tempo: u16, last_epoch_block: u64, pending_epoch_at: u64, blocks_since_last_step: u64) -> EpochSchedule {
    EpochSchedule::Stored { tempo, last_epoch_block, pending_epoch_at, blocks_since_last_step }
}

#[test]
fn on_a_stored_schedule_the_reveal_epoch_begins_where_python_says() {
    for (tempo, last, pending, since, head, period, first) in STORED.iter().copied() {
        let ours = stored(tempo, last, pending, since).first_reveal_block(head, period);
        assert_eq!(ours, first.ok_or(RevealError::Unreachable), "{tempo} {last} {pending} {since} {head} {period}");
    }
}

#[test]
fn on_a_counted_schedule_the_reveal_epoch_begins_where_python_says() {
    for (netuid, tempo, head, period, first) in COUNTED.iter().copied() {
        let ours = EpochSchedule::Counted { netuid, tempo }.first_reveal_block(head, period);
        assert_eq!(ours, Ok(first), "{netuid} {tempo} {head} {period}");
    }
}

/// From `get_encrypted_commit_v2` of `bittensor-drand` 2.0.0, with the time at which it was called.
#[test]
fn the_round_is_the_one_that_python_took_at_the_same_time() {
    for (now, block_time, schedule, head, period, round) in [
        (1_795_272_260_329, 12_000, stored(360, 1000, 0, 10), 1010, 1, 34_157_709),
        (1_795_272_260_334, 12_000, stored(360, 1000, 0, 359), 1359, 3, 34_160_633),
        (1_795_272_260_339, 250, stored(10, 1000, 0, 5), 1005, 1, 34_156_298),
        (1_795_272_260_343, 1_000, stored(50, 10, 0, 0), 10, 2, 34_156_332),
    ] {
        let clock = BlockClock { now: Duration::from_millis(now), block_time: Duration::from_millis(block_time) };
        assert_eq!(schedule.reveal_round(head, period, &Beacon::quicknet(), clock), Ok(round));
    }
}

#[test]
fn before_the_beacon_begins_the_round_is_the_first() {
    let clock = BlockClock { now: Duration::ZERO, block_time: Duration::from_secs(12) };
    assert_eq!(stored(360, 0, 0, 0).reveal_round(1, 1, &Beacon::quicknet(), clock), Ok(1));
}

#[test]
fn a_subnet_without_epochs_and_a_period_that_the_chain_does_not_allow_are_refused() {
    assert_eq!(stored(0, 0, 0, 0).first_reveal_block(1, 1), Err(RevealError::NoEpochs));
    assert_eq!(EpochSchedule::Counted { netuid: 1, tempo: 0 }.first_reveal_block(1, 1), Err(RevealError::NoEpochs));
    for period in [0, 101, u64::MAX] {
        assert_eq!(stored(360, 0, 0, 0).first_reveal_block(1, period), Err(RevealError::Period(period)));
    }
}

#[test]
fn the_end_of_numbers_is_an_answer_or_an_error_and_no_overflow() {
    let clock = BlockClock { now: Duration::MAX, block_time: Duration::MAX };
    let last = u64::MAX;
    for schedule in [
        stored(1, last, last, last),
        stored(65_535, last, 0, 0),
        EpochSchedule::Counted { netuid: last as u16, tempo: 1 },
    ] {
        for head in [0, last - 1, last] {
            match schedule.reveal_round(head, 100, &Beacon::quicknet(), clock) {
                Ok(round) => assert!(round >= 1),
                Err(error) => assert_eq!(error, RevealError::Unreachable),
            }
        }
    }
}

fn payload() -> WeightsPayload {
    WeightsPayload {
        hotkey: std::array::from_fn(|at| at as u8),
        uids: vec![0, 1, 255],
        values: vec![65535, 1, 300],
        version_key: 10_005_000,
    }
}

/// What `get_encrypted_commit_v2` of `bittensor-drand` 2.0.0 and `bittensor-core` 0.1.5 seals for these weights; how it was
/// recorded is in `libs/timelock/tests/vectors.rs`.
const PYTHON: &str = "80000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
                      0c00000100ff000cffff01002c0108aa980000000000";

#[test]
fn the_payload_has_the_bytes_of_pythons() {
    assert_eq!(hex::encode(payload().encode()), PYTHON);
    assert_eq!(WeightsPayload::decode(&hex::decode(PYTHON).unwrap()), Ok(payload()));
}

#[test]
fn the_commits_that_python_made_open_to_the_weights() {
    let signature =
        hex::decode("b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39");
    let signature = signature.unwrap();
    for commit in [
        include_str!("../../timelock/tests/vectors/drand-commit-round-1000.hex"),
        include_str!("../../timelock/tests/vectors/core-commit-round-1000.hex"),
    ] {
        let commit = hex::decode(commit.trim()).unwrap();
        assert_eq!(WeightsPayload::open(&commit, &signature), Ok(payload()));
    }
    let ours = payload().seal(&Beacon::quicknet(), 1000).unwrap();
    assert_eq!(ours.len(), 299);
    assert_eq!(WeightsPayload::open(&ours, &signature), Ok(payload()));
}

#[test]
fn a_payload_that_is_cut_off_or_too_long_is_refused() {
    let bytes = payload().encode();
    for length in 0..bytes.len() {
        assert!(WeightsPayload::decode(&bytes[..length]).is_err(), "cut at {length}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(WeightsPayload::decode(&longer), Err(RevealError::Payload("bytes follow its end")));
    // A list of a billion uids, in five bytes.
    let mut greedy = bytes[..33].to_vec();
    greedy.extend([0x02, 0x6b, 0xca, 0xee, 0x00]);
    assert!(WeightsPayload::decode(&greedy).is_err());
}

#[test]
fn a_whole_subnet_fits_into_a_commit_and_more_than_the_chain_takes_is_refused() {
    let quicknet = Beacon::quicknet();
    let of = |miners: u16| WeightsPayload {
        uids: (0..miners).collect(),
        values: vec![65535; usize::from(miners)],
        ..payload()
    };
    assert!(of(1_024).seal(&quicknet, 1).is_ok());
    assert!(matches!(of(2_000).seal(&quicknet, 1), Err(RevealError::CommitTooLong(_))));
}
