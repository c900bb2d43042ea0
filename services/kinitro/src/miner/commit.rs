//! `kinitro miner commit`.

use std::env;

use anyhow::{Context as _, Result, anyhow, bail};
use kinitro_chain::{ChainClient, account_of};
use kinitro_commitment::{
    COMMITMENT_LIMIT, CommitmentData, CommitmentError, Endpoint, PublishedKey, write_bound_commitment,
    write_commitment, write_sealed_commitment,
};
use kinitro_crypto::{Binding, PublicKey};
use kinitro_domain::Hotkey;
use serde_json::json;

use crate::{
    cli::{self, CommitArgs, SealedForm},
    commitment, crypto, wallet,
};

const BACKEND_HOTKEY: &str = "KINITRO_BACKEND_HOTKEY";
const BACKEND_PUBLIC_KEY: &str = "KINITRO_BACKEND_PUBLIC_KEY";

/// Runs it.
pub async fn run(args: &CommitArgs) -> Result<()> {
    let signer = wallet::signer(&args.wallet)?;
    let hotkey = signer.hotkey();
    let chain = ChainClient::new(&args.subnet.network)?;
    let recipient = if args.encrypt { Some(recipient(args, &chain).await?) } else { None };
    let data = written(args, recipient.as_ref(), &hotkey)?;

    if let Some(standing) = commitment::standing(&chain, &args.subnet, &hotkey).await?
        && !args.replace
        && standing.data.as_ref().is_ok_and(|data| PublishedKey::parse(data).is_ok())
    {
        bail!(
            "{hotkey} has published a backend's public key, which this would overwrite: commit the policy with another hotkey, \
             or add --replace"
        );
    }
    eprintln!("{data}");
    let receipt = commitment::put(&chain, &args.subnet, &signer, &data).await?;
    let form = recipient.map(|_| match sealed_form(args) {
        SealedForm::Bound => "bound",
        SealedForm::Open => "open",
    });
    if args.json {
        let shown = json!({
            "hotkey": hotkey,
            "netuid": args.subnet.netuid,
            "network": args.subnet.network,
            "commitment": data.as_str(),
            "bytes": data.len(),
            "sealed": recipient.is_some(),
            "sealed_form": form,
            "sealed_for": recipient.map(|key| key.to_string()),
            "block": receipt.block.number,
            "block_hash": receipt.block.hash,
            "transaction": receipt.transaction,
        });
        println!("{shown:#}");
        return Ok(());
    }
    println!("commitment   {data}");
    println!("bytes        {} of {}", data.len(), COMMITMENT_LIMIT);
    if let (Some(form), Some(key)) = (form, recipient) {
        println!("sealed       for {key}, {form} form");
    }
    println!("hotkey       {hotkey}");
    println!("subnet       {} of {}", args.subnet.netuid, args.subnet.network);
    println!("block        {} {}, finalized", receipt.block.number, receipt.block.hash);
    println!("transaction  {}", receipt.transaction);
    Ok(())
}

fn written(args: &CommitArgs, recipient: Option<&PublicKey>, hotkey: &Hotkey) -> Result<CommitmentData> {
    let repo = &args.repo;
    let revision = if args.full_revision { &args.revision } else { shortened(&args.revision) };
    let written = match (&args.deployment_id, &args.endpoint, recipient) {
        (Some(uuid), _, None) => {
            for warning in unsealed(&args.subnet.network, |name| variable(name).is_some()) {
                eprintln!("warning: {warning}");
            }
            write_commitment(repo, revision, &Endpoint::deployment(*uuid))
        }
        (Some(uuid), _, Some(key)) if sealed_form(args) == SealedForm::Bound => {
            let binding = Binding { netuid: args.subnet.netuid, hotkey: account_of(hotkey)? };
            write_bound_commitment(repo, revision, uuid, key, &binding)
        }
        (Some(uuid), _, Some(key)) => write_sealed_commitment(repo, revision, uuid, key),
        (None, Some(url), _) => {
            let endpoint: Endpoint = url.parse().context("--endpoint cannot be used")?;
            warn(args, &endpoint);
            write_commitment(repo, revision, &endpoint)
        }
        (None, None, _) => bail!("give --deployment-id or --endpoint"),
    };
    written.map_err(|error| match &error {
        CommitmentError::DoesNotFit { part: "revision", .. } if shortened(revision) != revision => {
            anyhow::Error::new(error).context("of a commit 8 characters are enough: leave out --full-revision")
        }
        _ => error.into(),
    })
}

/// Of a whole commit hash, SHA-1 or SHA-256, the first 8 characters, as the Python program commits them. A tag stays whole: its beginning
/// names nothing.
fn shortened(revision: &str) -> &str {
    match matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => &revision[..8],
        false => revision,
    }
}

fn sealed_form(args: &CommitArgs) -> SealedForm {
    args.sealed_form.unwrap_or(SealedForm::Bound)
}

/// What to say of a deployment in plain text. A flag with a key is refused without --encrypt; a variable may stand there for other
/// commands.
fn unsealed(network: &str, is_set: impl Fn(&str) -> bool) -> Vec<String> {
    let names = [BACKEND_HOTKEY, BACKEND_PUBLIC_KEY].into_iter().filter(|name| is_set(name));
    let forgotten = names.map(|name| {
        format!("{name} is set, but without --encrypt the deployment is not sealed: everybody can read it")
    });
    let public = (network == "finney")
        .then(|| "everybody can read this deployment on finney, copy it and flood it; --encrypt hides it".to_owned());
    forgotten.chain(public).collect()
}

fn warn(args: &CommitArgs, endpoint: &Endpoint) {
    if args.subnet.network == "finney" {
        eprintln!(
            "warning: everybody can read this endpoint on finney, copy it and flood it; --deployment-id with --encrypt hides it"
        );
    }
    if let Err(error) = endpoint.check_address(false) {
        eprintln!("warning: {error}, unless the backend's operator allows it");
    }
}

/// Whose key seals: what a flag says, or else a variable.
async fn recipient(args: &CommitArgs, chain: &ChainClient) -> Result<PublicKey> {
    if let Some(hotkey) = &args.backend_hotkey {
        return Ok(crypto::published(chain, &args.subnet, hotkey).await?.key);
    }
    if let Some(key) = &args.backend_public_key {
        return PublicKey::from_hex(key.trim()).context("--backend-public-key cannot be used");
    }
    match (variable(BACKEND_HOTKEY), variable(BACKEND_PUBLIC_KEY)) {
        (Some(_), Some(_)) => bail!("{BACKEND_HOTKEY} and {BACKEND_PUBLIC_KEY} are both set: keep one of them"),
        (Some(text), None) => {
            let hotkey =
                cli::hotkey(text.trim()).map_err(|reason| anyhow!("{BACKEND_HOTKEY} cannot be used: {reason}"))?;
            Ok(crypto::published(chain, &args.subnet, &hotkey).await?.key)
        }
        (None, Some(key)) => {
            PublicKey::from_hex(key.trim()).with_context(|| format!("{BACKEND_PUBLIC_KEY} cannot be used"))
        }
        (None, None) => bail!(
            "--encrypt needs the backend's key: add --backend-hotkey with the operator's hotkey, or --backend-public-key"
        ),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_hash_is_shortened_and_a_tag_is_not() {
        let hash = "0A1b2c3d4e5f60718293a4b5c6d7e8f901234567";
        assert_eq!((shortened(hash), shortened(&hash.repeat(2)[..64])), ("0A1b2c3d", "0A1b2c3d"));
        for whole in ["", "v1", "0a1b2c3d4e5f", &hash[1..], "release-of-exactly-forty-characters-long"] {
            assert_eq!(shortened(whole), whole);
        }
    }

    #[test]
    fn a_plain_deployment_is_warned_about_on_finney_and_where_a_key_is_at_hand() {
        assert_eq!(unsealed("local", |_| false), [""; 0]);
        let [public] = &unsealed("finney", |_| false)[..] else { panic!("finney is public") };
        assert!(public.contains("--encrypt"), "{public}");
        let [forgotten, _] = &unsealed("finney", |name| name == BACKEND_HOTKEY)[..] else { panic!("a key is at hand") };
        assert!(forgotten.contains(BACKEND_HOTKEY), "{forgotten}");
    }
}
