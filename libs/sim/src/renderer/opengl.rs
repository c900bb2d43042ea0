//! Asking OpenGL who it is. The wrapper of MuJoCo's renderer keeps its OpenGL functions to itself.

use std::ffi::{CStr, c_char, c_uint, c_void};

use libloading::{Library, Symbol};

use crate::SimError;

const GL_RENDERER: c_uint = 0x1F01;
const GL_VERSION: c_uint = 0x1F02;

type GetProcAddress = unsafe extern "C" fn(*const c_char) -> *const c_void;
type GetString = unsafe extern "C" fn(c_uint) -> *const c_char;

/// The renderer and the version of the context that is current on this thread.
pub(super) fn describe() -> Result<String, SimError> {
    let missing = |what: &str| SimError::Graphics { reason: what.to_owned() };
    // SAFETY: a context is current, so the library is loaded already, and its initialisation has run.
    let egl = unsafe { Library::new("libEGL.so.1") }.map_err(|error| missing(&error.to_string()))?;
    // SAFETY: EGL defines this function with this signature.
    let get_proc_address: Symbol<'_, GetProcAddress> =
        unsafe { egl.get(b"eglGetProcAddress\0") }.map_err(|error| missing(&error.to_string()))?;
    // SAFETY: the name ends with a zero.
    let address = unsafe { get_proc_address(c"glGetString".as_ptr()) };
    if address.is_null() {
        return Err(missing("OpenGL has no glGetString"));
    }
    // SAFETY: OpenGL defines this function with this signature, and the address is not null.
    let get_string = unsafe { std::mem::transmute::<*const c_void, GetString>(address) };
    let text = |name: c_uint| {
        // SAFETY: a context is current on this thread, and both names are known to every version of OpenGL.
        let text = unsafe { get_string(name) };
        if text.is_null() {
            return Err(missing("OpenGL does not say who it is"));
        }
        // SAFETY: OpenGL's strings end with a zero and live as long as the context.
        Ok(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    Ok(format!("{}, OpenGL {}", text(GL_RENDERER)?, text(GL_VERSION)?))
}
