//! Meshes and textures that were made ready to draw, kept for all environments: most of them share the arm, the table and the
//! floor. They are told apart by their content.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mujoco_rs::prelude::MjModel;
use sha2::{Digest as _, Sha256};

use super::{mesh::Mesh, set::texture_source, texture::Texture};

type Key = [u8; 32];

#[derive(Default)]
pub(super) struct Library {
    meshes: Shelf<Mesh>,
    textures: Shelf<Texture>,
}

/// Held while something is made, so that it is made once.
type Shelf<T> = Mutex<HashMap<Key, Arc<T>>>;

impl Library {
    pub(super) fn mesh(&self, model: &MjModel, mesh: usize) -> Arc<Mesh> {
        let original = Mesh::original(model, mesh);
        let mut hash = Sha256::new();
        for vertex in original.vertices.as_flattened().iter().chain(original.shading.as_flattened().as_flattened()) {
            hash.update(vertex.to_bits().to_le_bytes());
        }
        for vertex in original.faces.as_flattened() {
            hash.update(vertex.to_le_bytes());
        }
        take(&self.meshes, hash.finalize().into(), || original.simplified())
    }

    pub(super) fn texture(&self, model: &MjModel, texture: usize) -> Arc<Texture> {
        let source = texture_source(model, texture);
        let mut hash = Sha256::new();
        for size in [source.width, source.height, source.channels] {
            hash.update(size.to_le_bytes());
        }
        hash.update([u8::from(source.srgb), u8::from(source.cube)]);
        hash.update(source.bytes);
        take(&self.textures, hash.finalize().into(), || Texture::new(&source))
    }
}

fn take<T>(shelf: &Shelf<T>, key: Key, make: impl FnOnce() -> T) -> Arc<T> {
    let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(shelf.entry(key).or_insert_with(|| Arc::new(make())))
}
