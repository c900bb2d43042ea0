//! An OpenGL context without a window, on the device that the operator chose.
//!
//! EGL lists devices: GPUs, and Mesa's software renderer. Without a choice the first one that gives a context draws. With
//! [`EGL_DEVICE_ID`], a place in that list as MuJoCo's own Python package counts it, that one draws or none.

use std::{env, ffi::OsStr, num::NonZeroU32};

use glutin::{
    api::egl::{context::PossiblyCurrentContext, device::Device, display::Display, surface::Surface},
    config::{ConfigSurfaceTypes, ConfigTemplateBuilder},
    context::{ContextApi, ContextAttributesBuilder, GlProfile, Version},
    error::{ErrorKind, Result as GlutinResult},
    prelude::{GlDisplay as _, NotCurrentGlContext as _, PossiblyCurrentGlContext as _},
    surface::{PbufferSurface, SurfaceAttributesBuilder},
};

use super::graphics;
use crate::SimError;

/// The variable that chooses the device.
const EGL_DEVICE_ID: &str = "MUJOCO_EGL_DEVICE_ID";

/// A context and the surface that it needs to be current. Pictures are drawn into MuJoCo's own buffer.
pub(super) struct Context {
    context: PossiblyCurrentContext,
    surface: Surface<PbufferSurface>,
}

impl Context {
    /// Opens a context for pictures of this size and makes it current on this thread.
    pub(super) fn open(width: NonZeroU32, height: NonZeroU32) -> Result<Self, SimError> {
        let devices = devices().map_err(graphics)?;
        match chosen(env::var_os(EGL_DEVICE_ID).as_deref(), devices.len())? {
            Some(index) => Self::on(&devices[index], width, height).map_err(|error| SimError::EglDevice {
                reason: format!("{index} names a device on which no context can be opened: {error}"),
                devices: devices.len(),
            }),
            None => {
                let mut reason = ErrorKind::NotSupported("EGL knows no device").into();
                for device in &devices {
                    match Self::on(device, width, height) {
                        Ok(context) => return Ok(context),
                        Err(error) => reason = error,
                    }
                }
                Err(graphics(reason))
            }
        }
    }

    fn on(device: &Device, width: NonZeroU32, height: NonZeroU32) -> GlutinResult<Self> {
        // SAFETY: EGL itself listed the device.
        let display = unsafe { Display::with_device(device, None)? };
        let wanted = ConfigTemplateBuilder::new()
            .with_surface_type(ConfigSurfaceTypes::PBUFFER)
            .with_alpha_size(0)
            .with_depth_size(24)
            .with_stencil_size(8)
            .build();
        // SAFETY: a display that was just made, and no native window is named.
        let config = unsafe { display.find_configs(wanted)? }
            .next()
            .ok_or(ErrorKind::NotSupported("it has no configuration for drawing without a window"))?;
        // What MuJoCo draws with is older than the profiles of OpenGL 3.
        let attributes = ContextAttributesBuilder::new()
            .with_profile(GlProfile::Compatibility)
            .with_context_api(ContextApi::OpenGl(Some(Version::new(2, 0))))
            .build(None);
        // SAFETY: the configuration is this display's, and no native window is named.
        let context = unsafe { display.create_context(&config, &attributes)? };
        let attributes = SurfaceAttributesBuilder::<PbufferSurface>::new().build(width, height);
        // SAFETY: the configuration is this display's, and was asked for such surfaces.
        let surface = unsafe { display.create_pbuffer_surface(&config, &attributes)? };
        Ok(Self { context: context.make_current(&surface)?, surface })
    }

    /// What OpenGL is asked for on this thread from here on is asked of this context.
    pub(super) fn make_current(&self) -> Result<(), SimError> {
        self.context.make_current(&self.surface).map_err(graphics)
    }
}

/// Whether [`EGL_DEVICE_ID`], when it is set, names a device.
pub(super) fn check() -> Result<(), SimError> {
    match env::var_os(EGL_DEVICE_ID) {
        Some(value) => chosen(Some(&value), devices().map_err(graphics)?.len()).map(drop),
        None => Ok(()),
    }
}

fn devices() -> GlutinResult<Vec<Device>> {
    Device::query_devices().map(Iterator::collect).map_err(|error| match error.error_kind() {
        ErrorKind::NotFound => ErrorKind::NotSupported("EGL was not found").into(),
        _ => error,
    })
}

/// The device that a value of the variable chooses among so many, if it is set.
fn chosen(value: Option<&OsStr>, devices: usize) -> Result<Option<usize>, SimError> {
    let Some(value) = value else { return Ok(None) };
    let index = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match index.and_then(|text| text.parse().ok()).filter(|index| *index < devices) {
        Some(index) => Ok(Some(index)),
        None => {
            let shown: String = value.to_string_lossy().chars().take(64).collect();
            Err(SimError::EglDevice { reason: format!("{shown:?} names no device"), devices })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_chosen_by_its_place_in_egls_list_and_a_bad_value_names_the_variable_and_their_number() {
        let choose = |value: &str, devices| chosen(Some(OsStr::new(value)), devices);
        assert!(matches!(chosen(None, 0), Ok(None)));
        for (value, index) in [("0", 0), ("1", 1), ("007", 7)] {
            assert!(choose(value, 8).is_ok_and(|chosen| chosen == Some(index)), "{value}");
        }
        for value in ["8", "-1", "+1", "", " 0", "0x1", "gpu", "99999999999999999999999"] {
            let refused = choose(value, 8).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains(EGL_DEVICE_ID) && refused.contains("8 devices, 0 to 7"), "{value:?}: {refused}");
        }
        let one = choose("1", 1).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(one.contains("1 device: only 0"), "{one}");
        let none = choose("0", 0).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(none.contains("no device"), "{none}");
    }
}
