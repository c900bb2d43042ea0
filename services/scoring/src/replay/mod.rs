//! Scoring a stored cycle again, from nothing but what is stored, and comparing to the bit.
//!
//! The stored request is the exact input, the stored parameters are the scheme. What comes out must be what was
//! published: points, frontier, weights (with those that miners kept from the cycle before) and their 16-bit form, and the rates beside them. Doubles are compared by their
//! bits. The first difference is enough to say that something is wrong, with the rows or with the program.

mod published;

use kinitro_database::Address;
use kinitro_domain::MinerUid;
use kinitro_pareto::Scheme;
use kinitro_proto::scoring::v1 as proto;
use prost::Message as _;
use sqlx::Connection as _;

use self::published::Published;
use crate::{
    Error,
    input::Input,
    no_success::WithoutSuccess,
    previous,
    publish::{Previous, Publication, publish},
};

/// A cycle that was scored again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The cycle.
    pub cycle_id: u64,
    /// The scheme's name.
    pub scheme: String,
    /// The scheme with its parameters, as stored.
    pub parameters: String,
    /// How many miners it has.
    pub miners: usize,
    /// How many environments it has.
    pub environments: usize,
    /// What is stored and does not come out; `None` when everything does.
    pub difference: Option<Difference>,
}

/// The first thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is, with the miner and the environment.
    pub what: String,
    /// What is stored.
    pub stored: String,
    /// What comes out now.
    pub recomputed: String,
}

impl Difference {
    fn new(what: impl Into<String>, stored: impl ToString, recomputed: impl ToString) -> Self {
        Self { what: what.into(), stored: stored.to_string(), recomputed: recomputed.to_string() }
    }
}

/// A cycle's row.
struct Cycle {
    env_ids: Vec<String>,
    scheme: String,
    parameters: String,
    request: Vec<u8>,
    request_sha256: Vec<u8>,
    burn_uid: Option<i32>,
    previous_cycle_id: Option<i64>,
    no_success: Option<String>,
    weights_kept: Option<String>,
}

/// Scores a stored cycle again.
pub async fn replay(database: impl Into<Address>, cycle_id: u64) -> Result<Replay, Error> {
    let mut connection = kinitro_database::connect(database).await?;
    let key = i64::try_from(cycle_id).map_err(|_| Error::UnknownCycle(cycle_id))?;
    let cycle = sqlx::query_as!(
        Cycle,
        r#"SELECT env_ids, scheme, scheme_parameters::text AS "parameters!", request, request_sha256, burn_uid,
               previous_cycle_id, no_success, weights_kept
           FROM scoring.cycles WHERE cycle_id = $1"#,
        key
    );
    let cycle = cycle.fetch_optional(&mut connection).await?.ok_or(Error::UnknownCycle(cycle_id))?;
    let published = Published::read(&mut connection, key).await?;
    let previous = match cycle.previous_cycle_id {
        Some(previous) => Some(previous::of(&mut connection, previous).await?),
        None => None,
    };
    connection.close().await?;
    let mut replay = Replay {
        cycle_id,
        scheme: cycle.scheme.clone(),
        parameters: cycle.parameters.clone(),
        miners: published.points.len(),
        environments: cycle.env_ids.len(),
        difference: None,
    };
    replay.difference = match recompute(cycle_id, &cycle, previous.as_ref()) {
        Ok((input, publication)) => published.first_difference(&Published::recomputed(&input, &publication)),
        Err(difference) => Some(difference),
    };
    Ok(replay)
}

/// The scores of what is stored, or why there are none.
fn recompute(cycle_id: u64, cycle: &Cycle, previous: Option<&Previous>) -> Result<(Input, Publication), Difference> {
    let unusable = |what: &str, error: &dyn ToString| Difference::new(what, "could be read", error.to_string());
    let scheme: Scheme =
        serde_json::from_str(&cycle.parameters).map_err(|error| unusable("the scheme's parameters", &error))?;
    if scheme.name() != cycle.scheme {
        return Err(Difference::new("the scheme", &cycle.scheme, scheme.name()));
    }
    let request = proto::ScoreCycleRequest::decode(cycle.request.as_slice())
        .map_err(|error| unusable("the stored request", &error))?;
    let input = Input::parse(request).map_err(|error| unusable("the stored request", &error))?;
    if input.cycle.id != cycle_id {
        return Err(Difference::new("the cycle's id", cycle_id, input.cycle.id));
    }
    if input.fingerprint != cycle.request_sha256[..] {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let what = "the fingerprint (SHA-256) of the stored request";
        return Err(Difference::new(what, hex(&cycle.request_sha256), hex(&input.fingerprint)));
    }
    if input.request.env_ids != cycle.env_ids {
        let (stored, requested) = (cycle.env_ids.join(", "), input.request.env_ids.join(", "));
        return Err(Difference::new("the environments", stored, requested));
    }
    let recorded_burn = cycle.burn_uid.and_then(|uid| u16::try_from(uid).ok()).map(MinerUid);
    let no_success = cycle.no_success.as_deref();
    // Where a miner succeeded, the setting has no influence.
    let without_success = no_success.and_then(|name| WithoutSuccess::recorded(name, recorded_burn));
    let without_success = without_success.unwrap_or(WithoutSuccess::Published);
    let publication = publish(&scheme, without_success, &input, previous);
    let publication = publication.map_err(|error| unusable("the scoring", &error))?;
    let recomputed = publication.no_success.map(|decided| decided.name().as_str());
    if recomputed != no_success {
        let shown = |name: Option<&str>| name.unwrap_or("a miner succeeded").to_owned();
        return Err(Difference::new("what was done without success", shown(no_success), shown(recomputed)));
    }
    if publication.kept != cycle.weights_kept.as_deref() {
        let shown = |reason: Option<&str>| reason.unwrap_or("published").to_owned();
        let stored = shown(cycle.weights_kept.as_deref());
        return Err(Difference::new("whether weights were published", stored, shown(publication.kept)));
    }
    let burn_uid = publication.scores.burn.map(|burn_uid| i32::from(burn_uid.0));
    if burn_uid != cycle.burn_uid {
        return Err(Difference::new("the burn uid", shown(cycle.burn_uid), shown(burn_uid)));
    }
    Ok((input, publication))
}

fn shown(burn_uid: Option<i32>) -> String {
    burn_uid.map_or("none".to_owned(), |burn_uid| burn_uid.to_string())
}
