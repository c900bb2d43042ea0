//! Which environment a person means.

use kinitro_domain::{CATALOGUE, EnvId, catalogued};

/// How many near names an error lists.
const NEAR: usize = 5;
/// From this similarity on, of 0 to 1, a name is near.
const SIMILAR: f64 = 0.5;

/// An environment of the catalogue, by its id, by an alias, or by what follows the slash in one of these.
pub fn environment(text: &str) -> Result<EnvId, String> {
    let families = CATALOGUE.iter().map(|entry| entry.env_id().family().to_owned());
    let written_out = families.map(|family| format!("{family}/{text}"));
    let mut ids = std::iter::once(text.to_owned()).chain(written_out).filter_map(|id| id.parse().ok());
    if let Some(id) = ids.find(|id| catalogued(id).is_some()) {
        return Ok(id);
    }
    let near = near(text);
    if near.is_empty() {
        return Err("no such environment; `kinitro env list` shows all".to_owned());
    }
    Err(format!("no such environment; near it: {}; `kinitro env list` shows all", near.join(", ")))
}

/// The ids that come near a text, the nearest first.
fn near(text: &str) -> Vec<&'static str> {
    let mut ranked: Vec<(f64, &str)> = CATALOGUE
        .iter()
        .map(|entry| {
            let id = entry.env_id();
            let by_name = strsim::normalized_damerau_levenshtein(id.name(), text);
            (by_name.max(strsim::normalized_damerau_levenshtein(entry.id, text)), entry.id)
        })
        .filter(|(similarity, id)| *similarity >= SIMILAR || (text.len() > 2 && id.contains(text)))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(NEAR).map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_known_by_its_id_by_its_name_and_by_an_alias() {
        for (text, meant) in [
            ("metaworld/push-v3", "metaworld/push-v3"),
            ("push-v3", "metaworld/push-v3"),
            ("peg-insert-v3", "metaworld/peg-insert-side-v3"),
        ] {
            assert_eq!(environment(text).map(|id| id.to_string()), Ok(meant.to_owned()));
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_answered_with_the_near_names() {
        for text in ["pusch-v3", "metaworld/psuh-v3", "push"] {
            let refused = environment(text).expect_err(text);
            assert!(refused.contains("near it: metaworld/push-v3"), "{text}: {refused}");
        }
        let refused = environment("").expect_err("empty");
        assert!(!refused.contains("near") && refused.contains("env list"), "{refused}");
    }
}
