//! Logs to stderr, and ids for traces.
//!
//! Spans get OpenTelemetry ids whatever the log level is, because a trace must not end at a service that logs less.

use std::{io::IsTerminal, str::FromStr, sync::Once};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::{self, MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{ChassisError, log_line::Named};

/// Libraries whose debug output drowns everything else; a filter text can still turn them on.
const QUIET: &str = "h2=info,tower=info,sqlx=info,tonic=info";

/// Libraries whose debug output names the host they call, and so gives sealed endpoints away; only a filter text turns them on.
const DISCREET: &str = "hyper=info,hyper_util=info,reqwest=info,rustls=info";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people when stderr is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err(format!("log format {text:?} is not one of auto, json, pretty")),
        }
    }
}

/// Sets up logs, trace ids and the metrics recorder. Only the first call of a process has an effect.
///
/// `process` is what lines are called that come from no service's own crate. `level` is DEBUG, INFO, WARNING, ERROR or CRITICAL in any case, or a filter such as `info,kinitro_queue=debug`.
pub fn init_telemetry(process: &'static str, level: &str, format: LogFormat) -> Result<(), ChassisError> {
    init_telemetry_into(process, level, format, std::io::stderr, std::io::stderr().is_terminal())
}

/// [`init_telemetry`] with the log lines going to `writer`, for example a file in a mutex; `terminal` says whether people read there.
pub fn init_telemetry_into<W>(
    process: &'static str,
    level: &str,
    format: LogFormat,
    writer: W,
    terminal: bool,
) -> Result<(), ChassisError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    static ONCE: Once = Once::new();
    let filter = filter(level)?;
    ONCE.call_once(|| {
        crate::metrics::install();
        let json = match format {
            LogFormat::Auto => !terminal,
            LogFormat::Json => true,
            LogFormat::Pretty => false,
        };
        // Where lines cannot be written, a complaint about it cannot be, either.
        let lines = fmt::layer().with_writer(writer).with_ansi(terminal).log_internal_errors(false);
        let lines = if json {
            let format = fmt::format().json().flatten_event(true);
            lines.fmt_fields(JsonFields::new()).event_format(Named { format, process, json }).boxed()
        } else {
            lines.event_format(Named { format: fmt::format().compact(), process, json }).boxed()
        };
        let tracer = SdkTracerProvider::builder().build().tracer("kinitro");
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(filter_fn(|meta: &Metadata<'_>| meta.is_span() && *meta.level() <= Level::INFO));
        let registry = tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans);
        if registry.try_init().is_err() {
            // A test or an embedding program was first; its subscriber stays.
            tracing::debug!("a tracing subscriber is already installed");
        }
    });
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, ChassisError> {
    let directives = match level.trim().to_ascii_lowercase().as_str() {
        "trace" => format!("trace,{DISCREET}"),
        "debug" => format!("debug,{QUIET},{DISCREET}"),
        "info" | "" => "info".to_owned(),
        "warning" | "warn" => "warn".to_owned(),
        "error" | "critical" => "error".to_owned(),
        _ => directives(level)?,
    };
    EnvFilter::try_new(&directives)
        .map_err(|error| ChassisError::InvalidLogLevel { level: level.to_owned(), reason: error.to_string() })
}

/// A filter text, with the guide's names of levels in it. A word that stands alone must be a level: as a target, which the filter would
/// take it for, it would silence everything else.
fn directives(text: &str) -> Result<String, ChassisError> {
    let named = |level: &str| match level.trim().to_ascii_lowercase().as_str() {
        "warning" => Some("warn"),
        "critical" => Some("error"),
        "trace" => Some("trace"),
        "debug" => Some("debug"),
        "info" => Some("info"),
        "warn" => Some("warn"),
        "error" => Some("error"),
        "off" => Some("off"),
        _ => None,
    };
    let directive = |part: &str| match part.rsplit_once('=') {
        Some((target, level)) => Ok(named(level).map_or(part.to_owned(), |level| format!("{target}={level}"))),
        None if part.contains(['[', ']', '{', '}']) || part.trim().is_empty() => Ok(part.to_owned()),
        None => named(part).map(str::to_owned).ok_or_else(|| ChassisError::InvalidLogLevel {
            level: text.to_owned(),
            reason: format!("`{part}` is no level; of one target say `{part}=debug`"),
        }),
    };
    Ok(text.split(',').map(directive).collect::<Result<Vec<_>, _>>()?.join(","))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn the_guides_level_names_and_filters_are_understood() {
        for (level, expected) in [
            ("DEBUG", "debug"),
            ("Info", "info"),
            ("WARNING", "warn"),
            ("error", "error"),
            ("CRITICAL", "error"),
            ("info,kinitro_queue=debug", "kinitro_queue=debug"),
        ] {
            let filter = filter(level).expect(level).to_string();
            assert!(filter.contains(expected), "{level}: {filter}");
        }
    }

    #[test]
    fn no_plain_level_lets_the_http_client_name_the_hosts_that_it_calls() {
        for level in ["DEBUG", "trace"] {
            let written = Arc::new(Mutex::new(Vec::new()));
            let lines = fmt::layer().with_writer(Writer(written.clone())).with_filter(filter(level).expect(level));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                tracing::debug!("shown");
                tracing::debug!(target: "reqwest::connect", "starting new connection to a sealed host");
                tracing::debug!(target: "hyper_util::client::legacy::connect::dns", "resolving a sealed host");
            });
            let written = String::from_utf8(written.lock().expect("no writer panicked").clone()).expect("text");
            assert!(written.contains("shown") && !written.contains("sealed"), "{level}: {written}");
        }
    }

    #[derive(Clone)]
    struct Writer(Arc<Mutex<Vec<u8>>>);

    impl MakeWriter<'_> for Writer {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    impl std::io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no writer panicked").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_level_that_is_none_is_an_error_that_lists_them() {
        for wrong in ["kinitro=loudly", "INFOO", "debgu", "info,kinitro_queue", "info,warming"] {
            let error = filter(wrong).expect_err(wrong).to_string();
            assert!(error.contains("WARNING") && error.contains(wrong), "{error}");
        }
        for right in ["info,kinitro_queue=WARNING", "Warning,kinitro_queue=debug", "off", "[{uid=3}]=debug,info"] {
            assert!(filter(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn every_line_names_its_service() {
        let written = |json: bool| {
            let written = Arc::new(Mutex::new(Vec::new()));
            let lines = fmt::layer().with_writer(Writer(written.clone())).with_ansi(false);
            let lines = match json {
                true => lines
                    .fmt_fields(JsonFields::new())
                    .event_format(Named { format: fmt::format().json().flatten_event(true), process: "up", json })
                    .boxed(),
                false => lines.event_format(Named { format: fmt::format().compact(), process: "up", json }).boxed(),
            };
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                tracing::info!(target: "kinitro_scoring::rpc", "of a service");
                tracing::info!(target: "kinitro_queue", number = 7, "of a library");
                tracing::info!(service = "scheduling", "of the chassis");
            });
            String::from_utf8(written.lock().expect("no writer panicked").clone()).expect("text")
        };
        let lines: Vec<serde_json::Value> =
            written(true).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let services: Vec<_> = lines.iter().map(|line| line["service"].as_str().expect("a text")).collect();
        assert_eq!(services, ["scoring", "up", "scheduling"]);
        assert_eq!((&lines[1]["number"], &lines[1]["message"]), (&7.into(), &"of a library".into()));
        let text = written(false);
        assert!(text.starts_with("scoring ") && text.contains("\nup "), "{text}");
    }

    #[test]
    fn telemetry_can_be_set_up_twice() {
        init_telemetry("test", "INFO", LogFormat::Auto).expect("first");
        init_telemetry("test", "DEBUG", LogFormat::Json).expect("second");
    }
}
