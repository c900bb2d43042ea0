//! What every log line says besides what was logged: which service it comes from.
//!
//! A line of a service's own crate names that service, also where several run in one process; any other line names the process.

use serde_json::json;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// Crates that are services, by what their targets begin with.
const SERVICES: [(&str, &str); 7] = [
    ("kinitro_gateway", "gateway"),
    ("kinitro_scheduling", "scheduling"),
    ("kinitro_ingestion", "ingestion"),
    ("kinitro_scoring", "scoring"),
    ("kinitro_execution", "execution"),
    ("kinitro_validator", "validator"),
    ("kinitro_devchain", "devchain"),
];

const SERVICE: &str = "service";

/// Writes lines as another format does, and the service into each.
pub(crate) struct Named<F> {
    pub(crate) format: F,
    pub(crate) process: &'static str,
    /// The format writes a JSON object a line.
    pub(crate) json: bool,
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let service = service_of(event.metadata().target()).unwrap_or(self.process);
        if !self.json {
            write!(writer, "{service} ")?;
            return self.format.format_event(ctx, writer, event);
        }
        let mut line = String::new();
        self.format.format_event(ctx, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            // What the event itself calls its service stays.
            Some(rest) if event.metadata().fields().field(SERVICE).is_none() => {
                write!(writer, "{{\"{SERVICE}\":\"{service}\",{rest}")
            }
            _ => writer.write_str(&line),
        }
    }
}

fn service_of(target: &str) -> Option<&'static str> {
    let first = target.split("::").next().unwrap_or_default();
    SERVICES.iter().find(|(name, _)| *name == first).map(|(_, service)| *service)
}

/// The last line of a service that cannot go on, in the form of its JSON log; it is written whatever the log level is.
pub fn fatal_line(service: &str, message: &str) -> String {
    let mut timestamp = String::new();
    // Writing into a text cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    json!({ SERVICE: service, "timestamp": timestamp, "level": "ERROR", "message": message, "target": "kinitro" })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_own_lines_name_it_and_those_of_libraries_do_not() {
        assert_eq!(service_of("kinitro_scoring::rpc"), Some("scoring"));
        assert_eq!(service_of("kinitro_scoring"), Some("scoring"));
        assert_eq!(service_of("kinitro_scoringx::rpc"), None);
        assert_eq!(service_of("kinitro_queue::streams"), None);
    }

    #[test]
    fn a_fatal_line_is_one_json_object() {
        let line = fatal_line("ingestion", "it said \"no\"\nand more");
        let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&read["service"], &read["level"]), (&json!("ingestion"), &json!("ERROR")));
        assert_eq!(read["message"], "it said \"no\"\nand more");
        assert!(!line.contains('\n') && read["timestamp"].as_str().is_some_and(|time| time.contains('T')), "{line}");
    }
}
