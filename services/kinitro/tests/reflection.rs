//! What a generic client sees: every service lists itself in both versions of reflection, and can be called with nothing but the
//! descriptors that it hands out.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use kinitro_chassis::MeshChannel;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions, prost::Message as _,
    prost_types::FileDescriptorProto,
};
use serde_json::{Value, json};
use support::{
    ALONE, eventually,
    up::{Up, folder},
};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::tokio_stream,
};

/// A client of one version of reflection; the two differ in their types' paths only.
macro_rules! reflection {
    ($version:ident) => {
        mod $version {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
            };

            use super::*;

            async fn ask(channel: &MeshChannel, question: MessageRequest) -> MessageResponse {
                let request = ServerReflectionRequest { message_request: Some(question), ..Default::default() };
                let mut client = ServerReflectionClient::new(channel.clone());
                let answers = client.server_reflection_info(tokio_stream::once(request)).await;
                answers.unwrap().get_mut().message().await.unwrap().unwrap().message_response.unwrap()
            }

            /// The full names of all services.
            pub async fn services(channel: &MeshChannel) -> Vec<String> {
                match ask(channel, MessageRequest::ListServices(String::new())).await {
                    MessageResponse::ListServicesResponse(list) => {
                        list.service.into_iter().map(|service| service.name).collect()
                    }
                    other => panic!("{other:?}"),
                }
            }

            /// The file of a service and all that it imports.
            pub async fn descriptors(channel: &MeshChannel, service: &str) -> DescriptorPool {
                let mut files: Vec<FileDescriptorProto> = Vec::new();
                let mut wanted = vec![MessageRequest::FileContainingSymbol(service.to_owned())];
                while let Some(question) = wanted.pop() {
                    let MessageResponse::FileDescriptorResponse(answer) = ask(channel, question.clone()).await else {
                        panic!("no answer to {question:?}");
                    };
                    for encoded in answer.file_descriptor_proto {
                        let file = FileDescriptorProto::decode(&*encoded).unwrap();
                        if !files.iter().any(|known| known.name == file.name) {
                            wanted.extend(file.dependency.iter().cloned().map(MessageRequest::FileByFilename));
                            files.push(file);
                        }
                    }
                }
                let mut pool = DescriptorPool::new();
                pool.add_file_descriptor_protos(files).unwrap();
                pool
            }
        }
    };
}

reflection!(v1);
reflection!(v1alpha);

/// Messages of a shape that is known at run time only.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// Calls `package.Service/Method` with JSON for a message and gives the answer as JSON.
async fn call(channel: &MeshChannel, pool: &DescriptorPool, method: &str, request: &Value) -> Result<Value, Status> {
    let (service, name) = method.split_once('/').unwrap();
    let service = pool.get_service_by_name(service).unwrap();
    let descriptor = service.methods().find(|method| method.name() == name).unwrap();
    let request = DynamicMessage::deserialize(descriptor.input(), request).unwrap();
    let mut client = Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/{method}").parse().unwrap();
    let answer = client.unary(Request::new(request), path, Dynamic(descriptor.output())).await?;
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    Ok(answer.get_ref().serialize_with_options(serde_json::value::Serializer, &options).unwrap())
}

const REFLECTION: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
const HEALTH: &str = "grpc.health.v1.Health";

#[tokio::test(flavor = "multi_thread")]
async fn every_service_can_be_discovered_and_called_without_generated_code() {
    let _alone = ALONE.lock().await;
    let folder = folder();
    let up = Up::start(folder.path(), &["--no-auth"]).await;
    let score = json!({
        "cycle": { "id": 1, "block_number": 5, "status": "completed", "started_at": "2026-01-01T00:00:00Z",
                   "completed_at": "2026-01-01T00:00:10Z", "n_miners": 1, "n_environments": 1, "duration_seconds": 10.0 },
        "miners": [{ "uid": 3, "hotkey": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "first_commit_block": 2 }],
        "env_ids": ["metaworld/push-v3"],
        "tallies": [{ "uid": 3, "env_id": "metaworld/push-v3", "outcomes": "1101", "mean_reward": 2.5 }],
        "evidence": { "min_played_share": 0.9, "min_miner_share": 0.5 }, "secret": "00".repeat(32),
    });
    // Scoring scores only what was announced to it. The hash is that of 32 zero bytes.
    let announcement = json!({ "cycle_id": 1, "block_number": 5, "secret_hash": "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925" });
    let calls = [
        ("ingestion", "kinitro.ingestion.v1.IngestionService", "ListMiners", json!({})),
        ("scheduling", "kinitro.scheduling.v1.SchedulingService", "ListEnvironments", json!({})),
        ("execution", "kinitro.execution.v1.ExecutionService", "ListEnvironments", json!({})),
        ("scoring", "kinitro.scoring.v1.ScoringService", "ScoreCycle", score),
    ];
    for (part, service, method, request) in calls {
        let channel = up.channel(part);
        let expected = [service, HEALTH];
        for (version, names) in [("v1", v1::services(&channel).await), ("v1alpha", v1alpha::services(&channel).await)] {
            let listed = |name: &&str| names.iter().any(|listed| listed == name);
            assert!(expected.iter().all(listed) && REFLECTION.iter().any(listed), "{part} {version}: {names:?}");
            let ours: Vec<_> = names.iter().filter(|name| name.starts_with("kinitro.")).collect();
            assert_eq!(ours, [service], "a service lists itself and no neighbour");
        }

        let pool = v1::descriptors(&channel, service).await;
        let older = v1alpha::descriptors(&channel, service).await;
        let messages = |pool: &DescriptorPool| -> BTreeSet<String> {
            pool.all_messages().map(|message| message.full_name().to_owned()).collect()
        };
        assert_eq!(messages(&pool), messages(&older));
        if part == "scoring" {
            eventually("a cycle is announced", || async {
                let answer = call(&channel, &pool, &format!("{service}/AnnounceCycle"), &announcement).await;
                answer.map_err(|status| status.message().to_owned())
            })
            .await;
        }
        let method = format!("{service}/{method}");
        let answer = eventually(&format!("{method} answers"), || async {
            call(&channel, &pool, &method, &request).await.map_err(|status| status.message().to_owned())
        })
        .await;
        match part {
            "ingestion" => assert_eq!(answer["netuid"], 1, "{answer}"),
            "scoring" => assert_eq!(answer["weights"]["weights"], json!({ "3": 1.0 }), "{answer}"),
            _ => assert!(answer.to_string().contains("metaworld/drawer-close-v3"), "{answer}"),
        }

        let pool = v1::descriptors(&channel, HEALTH).await;
        for name in ["", service] {
            eventually(&format!("{part} says of {name:?} that it serves"), || async {
                let answer = call(&channel, &pool, &format!("{HEALTH}/Check"), &json!({ "service": name })).await;
                let answer = answer.map_err(|status| status.message().to_owned())?;
                if answer == json!({ "status": "SERVING" }) { Ok(()) } else { Err(answer.to_string()) }
            })
            .await;
        }
        let unknown = call(&channel, &pool, &format!("{HEALTH}/Check"), &json!({ "service": "nobody" })).await;
        assert_eq!(unknown.unwrap_err().code(), tonic::Code::NotFound);
    }
}
