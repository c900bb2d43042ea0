//! A stranger who reaches the services: every call of every service refuses one who does not show the mesh token.
#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeSet, path::Path, process::Output};

use kinitro_chassis::{ErrorInfo, MeshAccess, MeshChannel, MeshToken};
use prost_reflect::{
    DescriptorPool,
    prost::bytes::{Buf as _, BufMut as _, Bytes},
};
use support::{
    ALONE,
    up::{Up, folder, kinitro},
};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::tokio_stream,
    metadata::MetadataValue,
};

/// What a call does with one who has no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// This part of the mesh serves it and refuses.
    Refused(&'static str),
    /// No part of the mesh serves it: miners do, at addresses of their own, and the executor calls them.
    Miners,
}

const INGESTION: Rule = Rule::Refused("ingestion");
const SCHEDULING: Rule = Rule::Refused("scheduling");
const EXECUTION: Rule = Rule::Refused("execution");
const SCORING: Rule = Rule::Refused("scoring");

/// Every call that `proto/` describes. A new one is in no row, and the test fails until it is.
const CALLS: [(&str, Rule); 27] = [
    ("kinitro.ingestion.v1.IngestionService/ListMiners", INGESTION),
    ("kinitro.ingestion.v1.IngestionService/WatchMiners", INGESTION),
    ("kinitro.scheduling.v1.SchedulingService/StartCycle", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/GetCycle", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/CancelCycle", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/LeaseTasks", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/Heartbeat", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/CompleteTasks", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/ReleaseTasks", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/ListTimings", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/ListLostAttempts", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/ListDeadLetters", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/RequeueDeadLetters", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/GetTaskStats", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/ListWarnings", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/GetStatus", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/ListMiners", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/ListEnvironments", SCHEDULING),
    ("kinitro.scheduling.v1.SchedulingService/GetEvaluationMetrics", SCHEDULING),
    ("kinitro.scoring.v1.ScoringService/AnnounceCycle", SCORING),
    ("kinitro.scoring.v1.ScoringService/ScoreCycle", SCORING),
    ("kinitro.scoring.v1.ScoringService/GetWeights", SCORING),
    ("kinitro.scoring.v1.ScoringService/GetScores", SCORING),
    ("kinitro.execution.v1.ExecutionService/RunEpisode", EXECUTION),
    ("kinitro.execution.v1.ExecutionService/ListEnvironments", EXECUTION),
    // The last of the executor's: afterwards it plays nothing.
    ("kinitro.execution.v1.ExecutionService/Drain", EXECUTION),
    ("kinitro.policy.v1.PolicyService/Play", Rule::Miners),
];

/// What answers everyone: health to orchestrators, reflection to people with a generic client. An empty message is a question to
/// health; the other bytes are `list_services` of reflection.
const FOR_EVERYONE: [(&str, &[u8]); 3] = [
    ("grpc.health.v1.Health/Check", &[]),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[0x3a, 0]),
    ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &[0x3a, 0]),
];

/// Messages as bytes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Sends one message, whatever the call takes, and waits for the first of its answers, if it has any.
async fn call(channel: MeshChannel, rpc: &str, message: &[u8], authorization: &[&str]) -> Result<(), Status> {
    let mut request = Request::new(tokio_stream::once(Bytes::copy_from_slice(message)));
    for value in authorization {
        request.metadata_mut().append("authorization", MetadataValue::try_from(*value).unwrap());
    }
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let answers = client.streaming(request, format!("/{rpc}").parse().unwrap(), Raw).await?;
    answers.into_inner().message().await.map(drop)
}

#[test]
fn the_table_has_a_row_for_every_call_and_none_for_another() {
    let pool = DescriptorPool::decode(kinitro_proto::FILE_DESCRIPTOR_SET).unwrap();
    let described: BTreeSet<String> = pool
        .services()
        .flat_map(|service| {
            service
                .methods()
                .map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()))
                .collect::<Vec<_>>()
        })
        .collect();
    let listed: BTreeSet<String> = CALLS.iter().map(|(rpc, _)| (*rpc).to_owned()).collect();
    assert_eq!(described, listed, "say in CALLS who serves a call and what a stranger is told");
    for (rpc, rule) in CALLS {
        let of_miners = rpc.starts_with("kinitro.policy.");
        assert_eq!(rule == Rule::Miners, of_miners, "{rpc}: only a policy is served by miners");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_every_call_of_every_service_is_refused_and_with_it_none_is() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let up = Up::start(folder.path(), &[]).await;
    let token = std::fs::read_to_string(folder.path().join(".kinitro/mesh-token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let wrong = format!("Bearer {}0", token.trim());
    let api_key = std::fs::read_to_string(folder.path().join(".kinitro/api-key")).unwrap();
    let key = format!("Bearer {}", api_key.trim());
    let stranger = |part: &str| MeshAccess::default().channel(up.url(part)).unwrap();

    for (rpc, rule) in CALLS {
        let Rule::Refused(part) = rule else { continue };
        let shows: [(&[&str], &str); 6] = [
            (&[], "MESH_TOKEN_MISSING"),
            (&[token.trim()], "MESH_TOKEN_MISSING"),
            (&["Basic c3RyYW5nZXI6"], "MESH_TOKEN_MISSING"),
            (&[&bearer, &bearer], "MESH_TOKEN_MISSING"),
            (&[&wrong], "MESH_TOKEN_WRONG"),
            // What executors outside show the gateway opens nothing inside.
            (&[&key], "MESH_TOKEN_WRONG"),
        ];
        for (shown, reason) in shows {
            let refused = call(stranger(part), rpc, &[], shown).await.expect_err(rpc);
            assert_eq!(refused.code(), Code::Unauthenticated, "{rpc}: {refused}");
            let info = ErrorInfo::from_status(&refused).unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "kinitro"), "{rpc}");
            assert!(refused.message().contains("KINITRO_MESH_TOKEN_FILE"), "{rpc}: {}", refused.message());
        }
    }
    for part in ["ingestion", "scheduling", "scoring", "execution"] {
        for (rpc, message) in FOR_EVERYONE {
            call(stranger(part), rpc, message, &[]).await.unwrap_or_else(|status| panic!("{part} {rpc}: {status}"));
        }
    }
    for (rpc, rule) in CALLS {
        let Rule::Refused(part) = rule else { continue };
        // An empty message is an answer of any kind, or an error of any other.
        let answer = call(stranger(part), rpc, &[], &[&bearer]).await;
        let code = answer.err().map_or(Code::Ok, |status| status.code());
        assert!(![Code::Unauthenticated, Code::Unimplemented].contains(&code), "{rpc}: {code:?}");
    }
}

const SERVICES: [&str; 4] = ["ingestion", "scheduling", "scoring", "execution"];

fn run(service: &str, host: &str, variables: &[(&str, &str)], more: &[&str]) -> Output {
    let mut command = kinitro(Path::new("/"), &[&[service, "--host", host, "--port", "0"], more].concat());
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn a_service_does_not_listen_where_strangers_reach_it_without_a_token_that_may_be_used() {
    for service in SERVICES {
        for (host, variables, said) in [
            ("0.0.0.0", &[][..], "KINITRO_MESH_TOKEN_FILE"),
            ("::", &[], "KINITRO_MESH_TOKEN_FILE"),
            ("0.0.0.0", &[("KINITRO_MESH_TOKEN", "")], "there is no mesh token"),
            ("0.0.0.0", &[("KINITRO_MESH_TOKEN", "too-short")], "it has 9 characters"),
            ("0.0.0.0", &[("KINITRO_MESH_TOKEN_FILE", "/nowhere/token")], "/nowhere/token"),
            ("127.0.0.1", &[("KINITRO_MESH_TOKEN_PREVIOUS", "the-token-of-yesterday")], "there is no current token"),
            ("127.0.0.1", &[("KINITRO_MESH_TOKN", "the-token-of-this-test")], "did you mean KINITRO_MESH_TOKEN?"),
        ] {
            let output = run(service, host, variables, &[]);
            let log = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{service} {host} {variables:?}: {log}");
            assert!(log.contains(said) && !log.contains("\"listening\""), "{service} {host} {variables:?}: {log}");
        }
    }
}

#[test]
fn the_token_is_no_argument_and_a_file_on_the_command_line_goes_before_a_variable() {
    let secret = "a-token-that-must-not-be-shown";
    let output = run("scoring", "0.0.0.0", &[], &["--mesh-token", secret]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--mesh-token-file") && !said.contains(secret), "{said}");

    let folder = folder();
    let file = folder.path().join("token");
    std::fs::write(&file, "short\n").unwrap();
    let variables = [("KINITRO_MESH_TOKEN", secret)];
    let output = run("scoring", "0.0.0.0", &variables, &["--mesh-token-file", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("it has 5 characters") && !said.contains(secret), "{said}");
    assert!(MeshToken::read(&file).is_err());
}
