//! What can be called: for reflection, and so that no caller can invent names for metrics.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tonic_reflection::server::Builder;

use crate::ChassisError;

const HEALTH_SERVICE: &str = "grpc.health.v1.Health";
const REFLECTION_V1: &str = "grpc.reflection.v1.ServerReflection";
const REFLECTION_V1ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";
/// What answers without credentials: orchestrators ask for health, people look at reflection. Neither tells of the work.
const FOR_EVERYONE: [&str; 3] = [HEALTH_SERVICE, REFLECTION_V1, REFLECTION_V1ALPHA];

/// A method that a service here may offer.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) streams_answers: bool,
    pub(super) streaming: bool,
    /// It answers without credentials.
    pub(super) for_everyone: bool,
}

static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    descriptor_sets()
        .iter()
        .map(|encoded| FileDescriptorSet::decode(*encoded).expect("descriptor sets are generated"))
        .flat_map(|set| set.file)
        .flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().map(move |service| (package.clone(), service))
        })
        .flat_map(|(package, service)| {
            let full_name = format!("{package}.{}", service.name());
            service.method.into_iter().map(move |method| {
                let described = Method {
                    service: full_name.clone(),
                    name: method.name().to_owned(),
                    streams_answers: method.server_streaming(),
                    streaming: method.server_streaming() || method.client_streaming(),
                    for_everyone: FOR_EVERYONE.contains(&full_name.as_str()),
                };
                (format!("/{full_name}/{}", described.name), described)
            })
        })
        .collect()
});

fn descriptor_sets() -> [&'static [u8]; 4] {
    [
        kinitro_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ]
}

/// The method behind a request's path.
pub(super) fn find(path: &str) -> Option<&'static Method> {
    METHODS.get(path)
}

/// Adds both versions of reflection for the services that are really here.
pub(super) fn add_reflection(
    service: &'static str,
    routes: Routes,
    services: &[&'static str],
) -> Result<Routes, ChassisError> {
    let configure = || {
        let mut builder = Builder::configure()
            .register_encoded_file_descriptor_set(kinitro_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(HEALTH_SERVICE);
        for name in services {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    let refused =
        |error: tonic_reflection::server::Error| ChassisError::Reflection { service, reason: error.to_string() };
    let v1 = configure().with_service_name(REFLECTION_V1).build_v1().map_err(refused)?;
    let v1alpha = configure().with_service_name(REFLECTION_V1ALPHA).build_v1alpha().map_err(refused)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}
