//! What is an outage, which a caller waits out, and what is a fault of ours.

/// Classes of SQLSTATEs: connection, authorisation, no such database, resources, operator intervention (shutdown, start-up, a statement
/// that was cancelled).
const CLASSES: [&str; 5] = ["08", "28", "3D", "53", "57"];
/// A read-only standby (a failover), a session that stood still in a transaction and was ended, and tables that were not made or not
/// brought up to date yet: no such schema, table or column.
const STATES: [&str; 5] = ["25006", "25P03", "3F000", "42P01", "42703"];

/// Whether the database is away, starting, stopping, full, or not set up yet, as opposed to refusing what was asked of it.
pub fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_state_of_outage(&code)),
        _ => false,
    }
}

fn is_state_of_outage(code: &str) -> bool {
    CLASSES.iter().any(|class| code.starts_with(class)) || STATES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_or_by_an_operator_is_an_outage_and_a_refused_statement_is_none() {
        for outage in
            ["08006", "28P01", "3D000", "53300", "57P01", "57P03", "57014", "25006", "25P03", "42P01", "42703"]
        {
            assert!(is_state_of_outage(outage), "{outage}");
        }
        for fault in ["23505", "40001", "22003", "42601", "42501", "XX000"] {
            assert!(!is_state_of_outage(fault), "{fault}");
        }
        assert!(is_outage(&sqlx::Error::PoolTimedOut) && !is_outage(&sqlx::Error::RowNotFound));
    }
}
