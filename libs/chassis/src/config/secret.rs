//! Secrets that are kept in files.

use std::{fs::File, io::Read as _, path::Path};

/// More than any password; a file that is longer is another file.
const LONGEST: u64 = 4096;

/// The secret in a file, without the line's end; the error says what is wrong with the file and shows nothing of it.
pub fn read_secret(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes: name the file that holds the secret alone"));
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err("it is empty: write the secret into it".to_owned());
    }
    Ok(secret.to_owned())
}
