//! Accounts: SS58 addresses of prefix 42, and the keys that sign for them.

use std::{fmt, path::Path, str::FromStr as _};

use kinitro_crypto::{hex_digits, trimmed};
use kinitro_domain::Hotkey;
use schnorrkel::SecretKey;
use subxt::{
    SubstrateConfig,
    utils::{AccountId32, MultiSignature},
};
use subxt_signer::{SecretUri, sr25519::Keypair};
use zeroize::Zeroizing;

use crate::{ChainError, secret_file, wallet};

/// What Substrate's signatures are made for.
const SIGNING_CONTEXT: &[u8] = b"substrate";
/// A phrase of 24 words with a derivation has less.
const SECRET_LIMIT: usize = 1_024;

/// The address of 32 bytes of public key.
pub fn hotkey_of(public_key: [u8; 32]) -> Hotkey {
    Hotkey::try_from(AccountId32(public_key).to_string()).expect("an SS58 address of 32 bytes has 46 to 48 characters")
}

/// The public key of an address; the checksum and the prefix (42, as on every Bittensor network) are checked.
pub fn account_of(hotkey: &Hotkey) -> Result<[u8; 32], ChainError> {
    let not_ours = || ChainError::BadHotkey { hotkey: hotkey.to_string() };
    let account = AccountId32::from_str(hotkey.as_str()).map_err(|_| not_ours())?;
    // The decoder takes every prefix; ours is the one that it writes itself.
    if account.to_string() == hotkey.as_str() { Ok(account.0) } else { Err(not_ours()) }
}

/// The words of a phrase, without what is derived from them.
pub(crate) fn words_of(phrase: &str) -> &str {
    phrase.split('/').next().unwrap_or_default().trim()
}

/// With its words in small letters and one space between them.
fn plain_uri(text: &str) -> Zeroizing<String> {
    let text = trimmed(text);
    let (words, derived) = text.split_at(text.find('/').unwrap_or(text.len()));
    // As large as it can get, so that no copy of the secret is left behind by growing.
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    for word in words.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
    }
    plain.push_str(derived);
    plain
}

/// What is wrong with a phrase; no word of it is quoted.
fn phrase_fault(error: &subxt_signer::sr25519::Error) -> String {
    use bip39::Error::{BadWordCount, InvalidChecksum, UnknownWord};
    use subxt_signer::sr25519::Error::Phrase;
    match error {
        Phrase(BadWordCount(count)) => {
            format!(
                "the phrase has {count} words, and a mnemonic has 12, 15, 18, 21 or 24: is a word or a line missing?"
            )
        }
        Phrase(UnknownWord(index)) => format!(
            "word {} of the phrase is none of the English word list of mnemonics: is it misspelt?",
            index.saturating_add(1)
        ),
        Phrase(InvalidChecksum) => {
            "the checksum of the phrase does not fit: words are swapped, or one is another word".to_owned()
        }
        _ => "the phrase is no valid mnemonic, or its derivation cannot be followed".to_owned(),
    }
}

/// An sr25519 key pair that signs calls. `Debug` shows its address only.
#[derive(Clone)]
pub struct Signer(Pair);

/// A key pair by where it came from; both sign alike.
#[derive(Clone)]
pub(crate) enum Pair {
    Seed(Keypair),
    /// The library for seeds takes no expanded keys, the one that it signs with does.
    Expanded(schnorrkel::Keypair),
}

impl Signer {
    /// From what a container is given: a seed (64 hex digits), a mnemonic phrase, or a URI such as `//Alice`.
    pub fn from_secret(text: &str) -> Result<Self, ChainError> {
        let text = trimmed(text);
        if text.is_empty() || text.len() > SECRET_LIMIT {
            let reason =
                format!("a secret must have 1 to {SECRET_LIMIT} bytes: a seed of 64 hex digits, or a mnemonic phrase");
            return Err(ChainError::BadSigner { reason });
        }
        let digits = hex_digits(text);
        // The words of a phrase can consist of these letters, too; but they hold no digit, or are none.
        let is_seed = digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            && (digits.bytes().any(|digit| digit.is_ascii_digit()) || !text.contains(char::is_whitespace));
        if is_seed { Self::from_seed_hex(text) } else { Self::from_uri(text) }
    }

    /// From a file with such a secret, or from a key file of Bittensor's. It must be small, and nobody else may write it.
    pub fn from_file(path: &Path) -> Result<Self, ChainError> {
        wallet::refuse_encrypted(path)?;
        let text = secret_file::read(path)?;
        if text.starts_with('{') { wallet::from_key_file(path, &text) } else { Self::from_secret(&text) }
    }

    /// From a secret of 32 bytes: 64 hex digits, with or without `0x`, perhaps over several lines.
    pub fn from_seed_hex(text: &str) -> Result<Self, ChainError> {
        let (mut seed, digits) = (Zeroizing::new([0; 32]), hex_digits(text));
        hex::decode_to_slice(digits.as_str(), &mut *seed).map_err(|_| {
            let reason = match digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                true => format!("a seed must be 64 hex digits, this one has {} hex digits", digits.len()),
                false => "a seed must be 64 hex digits, this one has other characters, too".to_owned(),
            };
            ChainError::BadSigner { reason }
        })?;
        Keypair::from_secret_key(*seed)
            .map(|pair| Self(Pair::Seed(pair)))
            .map_err(|_| ChainError::BadSigner { reason: "the seed makes no key pair".to_owned() })
    }

    /// From a mnemonic phrase or a development URI, e.g. `//Alice`, with derivation and password as usual on Substrate. The words may
    /// be in capitals and on several lines; what follows them counts as it is.
    pub fn from_uri(text: &str) -> Result<Self, ChainError> {
        // In the place of missing words stands a phrase that everybody knows: only for who asks for a development key by name.
        if words_of(text).is_empty() && (!text.starts_with("//") || text.starts_with("///")) {
            return Err(ChainError::BadSigner { reason: "it has no mnemonic phrase".to_owned() });
        }
        // Neither error may quote the text: it is a secret.
        let uri = SecretUri::from_str(&plain_uri(text)).map_err(|_| ChainError::BadSigner {
            reason: "expected a mnemonic phrase or a URI such as //Alice".to_owned(),
        })?;
        Keypair::from_uri(&uri)
            .map(|pair| Self(Pair::Seed(pair)))
            .map_err(|error| ChainError::BadSigner { reason: phrase_fault(&error) })
    }

    /// From an expanded key of 64 bytes, as Bittensor's key files have it for a key that was made from a URI: 128 hex digits, with or
    /// without `0x`.
    pub(crate) fn from_expanded_hex(text: &str) -> Result<Self, ChainError> {
        let refused = |reason: &str| ChainError::BadSigner { reason: reason.to_owned() };
        let mut bytes = Zeroizing::new([0; 64]);
        hex::decode_to_slice(hex_digits(text).as_str(), &mut *bytes)
            .map_err(|_| refused("a private key must be 128 hex digits"))?;
        let key = SecretKey::from_bytes(bytes.as_slice()).map_err(|_| refused("the private key makes no key pair"))?;
        Ok(Self(Pair::Expanded(key.to_keypair())))
    }

    /// The address that it signs for.
    pub fn hotkey(&self) -> Hotkey {
        hotkey_of(self.public_key())
    }

    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.0.public_key()
    }

    pub(crate) fn pair(&self) -> &Pair {
        &self.0
    }
}

impl Pair {
    fn public_key(&self) -> [u8; 32] {
        match self {
            Self::Seed(pair) => pair.public_key().0,
            Self::Expanded(pair) => pair.public.to_bytes(),
        }
    }
}

impl subxt::transactions::Signer<SubstrateConfig> for Pair {
    fn account_id(&self) -> AccountId32 {
        AccountId32(self.public_key())
    }

    fn sign(&self, payload: &[u8]) -> MultiSignature {
        MultiSignature::Sr25519(match self {
            Self::Seed(pair) => pair.sign(payload).0,
            Self::Expanded(pair) => pair.sign_simple(SIGNING_CONTEXT, payload).to_bytes(),
        })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.hotkey())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// From a real node's records (golden.json of the bittensor 11.3.0 source distribution).
    const REAL: [(&str, &str); 2] = [
        (
            "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d",
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
        ),
        (
            "b220508024ce70b0dd91910806fbda4614701cb762f669276fe978636c4ff80c",
            "5G6Fyo6U2fDhJXDJGp4Dr6XViVCdPcryiyLBDsusguSRcYvJ",
        ),
    ];

    #[test]
    fn addresses_are_those_of_a_real_node() {
        for (key, address) in REAL {
            let mut bytes = [0; 32];
            hex::decode_to_slice(key, &mut bytes).unwrap();
            assert_eq!(hotkey_of(bytes).as_str(), address);
            assert_eq!(account_of(&hotkey_of(bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn another_checksum_or_network_is_refused() {
        // The second is Alice's key on Polkadot (prefix 0).
        for bad in
            ["5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ", "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"]
        {
            let hotkey = Hotkey::try_from(bad.to_owned()).unwrap();
            assert!(matches!(account_of(&hotkey), Err(ChainError::BadHotkey { .. })), "{bad}");
        }
    }

    /// `privateKey` of the file that bittensor-wallet 4.1.1 wrote for `Keypair.create_from_uri("//Alice")`.
    const ALICE_EXPANDED: &str = "33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09\
                                  925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011";

    #[test]
    fn an_expanded_key_signs_as_its_seed_does() {
        use subxt::transactions::Signer as _;

        let expanded = Signer::from_expanded_hex(&format!("0x{ALICE_EXPANDED}")).unwrap();
        assert_eq!(expanded.hotkey().as_str(), REAL[0].1);
        assert!(!format!("{expanded:?}").contains("33a6"));
        let alice = subxt_signer::sr25519::PublicKey(expanded.public_key());
        for signer in [expanded, Signer::from_uri("//Alice").unwrap()] {
            let MultiSignature::Sr25519(signature) = signer.pair().sign(b"a payload") else {
                panic!("of another kind")
            };
            let signature = subxt_signer::sr25519::Signature(signature);
            assert!(subxt_signer::sr25519::verify(&signature, b"a payload", &alice));
            assert!(!subxt_signer::sr25519::verify(&signature, b"another", &alice));
        }
        for bad in ["", &ALICE_EXPANDED[2..], &"ff".repeat(64), &"zz".repeat(64)] {
            let refused = Signer::from_expanded_hex(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !refused.contains(bad), "{refused}");
        }
    }

    #[test]
    fn a_signer_comes_from_a_uri_a_phrase_or_a_seed() {
        let alice = Signer::from_uri("//Alice").unwrap();
        assert_eq!(alice.hotkey().as_str(), REAL[0].1);
        let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Alice";
        assert_eq!(Signer::from_uri(phrase).unwrap().hotkey(), alice.hotkey());
        let seed = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
        assert_eq!(Signer::from_seed_hex(seed).unwrap().hotkey(), alice.hotkey());
        assert!(Signer::from_seed_hex("0x1234").is_err());
        for wordless in ["", " ", "/soft", "///password", " ///password", "/"] {
            for signer in [Signer::from_uri(wordless), Signer::from_secret(wordless)] {
                assert!(signer.is_err(), "{wordless:?} is {signer:?}");
            }
        }
        let refused = Signer::from_uri("not a mnemonic at all").unwrap_err().to_string();
        assert!(!refused.contains("not a mnemonic at all"), "{refused}");
    }
}
