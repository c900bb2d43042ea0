//! `kinitro crypto` as an operator runs it, without a chain: key files, and never a secret where others can read it.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use kinitro_crypto::PrivateKey;
use serde_json::Value;
use support::up::kinitro;

const KEY: &str = "KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY";
const KEY_FILE: &str = "KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY_FILE";
/// The digits 07 over and over, and the public key that belongs to them.
const SECRET: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn crypto(arguments: &[&str]) -> Command {
    let mut command = kinitro(Path::new("/"), &[&["crypto"], arguments].concat());
    command.env_remove("XDG_CONFIG_HOME");
    command
}

fn run(arguments: &[&str]) -> Output {
    crypto(arguments).output().unwrap()
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn public() -> String {
    PrivateKey::from_hex(SECRET).unwrap().public().to_string()
}

/// A private key's file as the command makes it.
fn key_file(folder: &Path) -> String {
    let path = folder.join("backend");
    PrivateKey::from_hex(SECRET).unwrap().write_file(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_key_pair_lands_in_the_users_configuration_and_only_its_owner_reads_the_private_half() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    let xdg = crypto(&["generate-keypair", "--name", "backend"]).env("XDG_CONFIG_HOME", &config).output().unwrap();
    assert!(xdg.status.success(), "{xdg:?}");
    let plain = crypto(&["generate-keypair", "--json"]).env("HOME", home.path()).output().unwrap();
    assert!(plain.status.success(), "{plain:?}");
    // A relative one counts for nothing: the second pair would be where the first is.
    let mut relative = crypto(&["generate-keypair", "--name", "other"]);
    let relative = relative.env("HOME", home.path()).env("XDG_CONFIG_HOME", "keys").output().unwrap();
    assert!(relative.status.success(), "{relative:?}");

    let mut publics = Vec::new();
    for (folder, name) in [("config", "backend"), (".config", "backend"), (".config", "other")] {
        let folder = home.path().join(folder).join("kinitro/keys");
        let (private, public) = (folder.join(name), folder.join(format!("{name}.pub")));
        assert_eq!((mode(&folder), mode(&private)), (0o700, 0o600));
        let key = PrivateKey::read_file(&private).unwrap();
        assert_eq!(fs::read_to_string(&public).unwrap().trim(), key.public().to_string());
        publics.push(key.public().to_string());
    }
    assert!(publics[0] != publics[1] && publics[1] != publics[2], "every key is new");

    let shown = both(&xdg);
    let private = fs::read_to_string(config.join("kinitro/keys/backend")).unwrap();
    assert!(!shown.contains(private.trim()), "{shown}");
    for said in ["kinitro/keys/backend.pub", &publics[0], "publish-public-key", KEY_FILE] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let json: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(json["public_key"], publics[1].as_str());
    assert!(json["private_key_file"].as_str().unwrap().ends_with("/.config/kinitro/keys/backend"), "{json}");
}

#[test]
fn neither_half_of_an_existing_pair_is_overwritten_and_nothing_is_left_half_done() {
    for existing in ["backend", "backend.pub"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(existing), "precious").unwrap();
        let output = run(&["generate-keypair", "--output", folder.path().to_str().unwrap()]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
        let said = both(&output);
        assert!(said.contains(existing) && said.contains("--name") && said.contains("--output"), "{said}");
        assert_eq!(fs::read_to_string(folder.path().join(existing)).unwrap(), "precious");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was added");
    }
    // A link to nowhere is something that exists, too.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/nowhere/else", folder.path().join("backend.pub")).unwrap();
    let output = run(&["generate-keypair", "--output", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_shown_of_a_new_key_holds_in_every_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crypto(&["generate-keypair", "--output", "."]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let key = folder.path().canonicalize().unwrap().join("backend");
    for said in [format!("{KEY_FILE}={}\n", key.display()), format!("--public-key-file {}.pub ", key.display())] {
        assert!(both(&output).contains(&said), "{said}: {}", both(&output));
    }
    let shown = run(&["show-public-key", "--private-key-file", key.to_str().unwrap()]);
    assert!(shown.status.success(), "{shown:?}");
}

#[test]
fn a_group_may_read_a_private_key_as_in_a_volume_of_kubernetes() {
    let folder = tempfile::tempdir().unwrap();
    let file = key_file(folder.path());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
    let output = run(&["show-public-key", "--private-key-file", &file]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), public());
    assert!(String::from_utf8_lossy(&output.stderr).contains("group"), "{output:?}");
}

#[test]
fn a_name_cannot_lead_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("keys");
    for name in ["", "../evil", "a/b", "/etc/evil", ".hidden", "..", "a b", "key.pub", "n\u{e4}me", &"x".repeat(65)] {
        let output = run(&["generate-keypair", "--output", inside.to_str().unwrap(), &format!("--name={name}")]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{name:?}: {output:?}");
        assert!(both(&output).contains("--name"), "{output:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "not even the folder was made");
}

#[test]
fn a_private_key_comes_from_a_file_or_a_variable_and_never_from_an_argument() {
    let folder = tempfile::tempdir().unwrap();
    let file = key_file(folder.path());
    let shown = |output: Output| String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert_eq!(shown(run(&["show-public-key", "--private-key-file", &file])), public());
    assert_eq!(shown(crypto(&["show-public-key"]).env(KEY, SECRET).output().unwrap()), public());
    assert_eq!(shown(crypto(&["show-public-key"]).env(KEY_FILE, &file).output().unwrap()), public());
    let over = crypto(&["show-public-key", "--private-key-file", &file]).env(KEY, "11".repeat(32)).output().unwrap();
    assert_eq!(shown(over), public(), "a flag goes before a variable");

    for arguments in [
        &["show-public-key", "--private-key", SECRET][..],
        &["show-public-key", "--private-key=0707070707070707070707070707070707070707070707070707070707070707"],
        &["test-encryption", "--private-key", SECRET],
        &["publish-public-key", "--netuid", "1", "--private-key", SECRET],
    ] {
        let output = run(arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
        let said = both(&output);
        assert!(said.contains(KEY) && said.contains("--private-key-file"), "{said}");
        assert!(!said.contains("0707"), "{said}");
    }
}

#[test]
fn every_unusable_private_key_is_refused_with_its_remedy_and_without_being_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = key_file(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let exposed = path("exposed");
    fs::write(&exposed, SECRET).unwrap();
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o644)).unwrap();
    let pipe = path("pipe");
    nix::unistd::mkfifo(Path::new(&pipe), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let damaged = path("damaged");
    fs::write(&damaged, &SECRET[2..]).unwrap();
    fs::set_permissions(&damaged, fs::Permissions::from_mode(0o600)).unwrap();

    let secret = || (KEY, SECRET.to_owned());
    for (variables, file, said) in [
        (vec![], Some(path("none")), "generate-keypair"),
        (vec![], Some(exposed), "chmod 600"),
        (vec![], Some(damaged), "64 hex digits"),
        (vec![], Some(path(".")), "no regular file"),
        (vec![], Some(pipe), "no regular file"),
        // Somebody takes the key for the name of its file.
        (vec![], Some(SECRET.to_owned()), "looks like a key"),
        (vec![(KEY_FILE, SECRET.to_owned())], None, "looks like a key"),
        (vec![(KEY_FILE, format!("0x{SECRET}"))], None, "looks like a key"),
        (vec![(KEY, SECRET[1..].to_owned())], None, "64 hex digits"),
        (vec![secret(), (KEY_FILE, file)], None, "keep one of them"),
        (vec![(KEY, String::new())], None, "--private-key-file"),
    ] {
        for command in ["show-public-key", "test-encryption"] {
            let mut command = crypto(&[command]);
            command.args(file.iter().flat_map(|file| ["--private-key-file", file]));
            let output = command.envs(variables.iter().cloned()).output().unwrap();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
            let shown = both(&output);
            assert!(shown.contains(said) && !shown.contains("0707"), "{said}: {shown}");
        }
    }
}

#[test]
fn test_encryption_opens_what_it_sealed_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let file = key_file(folder.path());
    for deployment in [None, Some("8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d")] {
        let mut command = crypto(&["test-encryption", "--private-key-file", &file]);
        command.args(deployment.iter().flat_map(|uuid| ["--deployment-id", *uuid]));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        for word in ["open", "bound", deployment.unwrap_or("-")] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(said.contains(&public()) && !said.contains("0707"), "{said}");
    }
    let output = run(&["test-encryption", "--private-key-file", &file, "--deployment-id", "mine"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn the_short_flags_of_the_python_program_are_taken_and_force_keeps_the_old_private_key() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = kinitro(folder.path(), arguments).output().unwrap();
        (
            output.status.code(),
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        )
    };
    let generate = ["crypto", "generate-keypair", "-o", ".", "-n", "mine"];
    assert_eq!(run(&generate).0, Some(0));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (old, old_public) = (read("mine"), read("mine.pub"));
    let (code, said) = run(&generate);
    assert!(code == Some(1) && said.contains("--force"), "{said}");
    let forced = [&generate[..], &["-f"]].concat();
    let (code, said) = run(&forced);
    assert!(code == Some(0) && said.contains("PREVIOUS_PRIVATE_KEY_FILE"), "{said}");
    assert_eq!(read("mine.previous"), old);
    assert!(read("mine") != old && read("mine.pub") != old_public);
    let now = read("mine");
    let (code, said) = run(&forced);
    assert!(code == Some(1) && said.contains("mine.previous exists already"), "{said}");
    assert_eq!(read("mine"), now, "nothing was changed");

    assert_eq!(run(&["crypto", "show-public-key", "-f", "mine"]), (Some(0), read("mine.pub")));
    let public = read("mine.pub");
    let uuid = "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d";
    assert_eq!(run(&["crypto", "test-encryption", "-f", "mine", "-p", public.trim(), "-d", uuid]).0, Some(0));
    let (code, said) = run(&["crypto", "test-encryption", "-f", "mine", "-p", old_public.trim()]);
    assert!(code == Some(1) && said.contains("--public-key is"), "{said}");
    // A private key is no argument, by whatever name.
    let (code, said) = run(&["crypto", "show-public-key", "-k", now.trim()]);
    assert!(code == Some(2) && said.contains("--private-key-file") && !said.contains(now.trim()), "{said}");
}
