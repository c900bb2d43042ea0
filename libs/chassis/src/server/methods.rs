//! What can be called: for reflection, and so that no caller can invent names for metrics.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tonic_reflection::server::Builder;

use crate::ChassisError;

const HEALTH_SERVICE: &str = "grpc.health.v1.Health";

/// A method that a service here may offer.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) streams_answers: bool,
    pub(super) streaming: bool,
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
    let v1 = configure().with_service_name("grpc.reflection.v1.ServerReflection").build_v1().map_err(refused)?;
    let v1alpha =
        configure().with_service_name("grpc.reflection.v1alpha.ServerReflection").build_v1alpha().map_err(refused)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}
