//! Inputs from a seed: noise, commitments with something changed in them, and tricks with JSON, URLs and blobs.

use kinitro_commitment::{PublishedKey, Spelling, WrittenCommitment, WrittenEndpoint};
use kinitro_crypto::{Binding, PrivateKey};
use uuid::Uuid;

/// What stands in the sealed endpoints and nowhere else.
pub const DEPLOYMENTS: u128 = 0x8a4c_d2e1_36f7_4e0f_9b5d_0c1f_2a3b_0000;
const KEYS: [&str; 2] = [
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00",
];
const BASE85: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// A generator of hostile numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound as u64) as usize
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn byte(&mut self) -> u8 {
        self.word() as u8
    }

    fn text(&mut self, alphabet: &[u8], most: usize) -> String {
        let length = self.below(most + 1);
        (0..length).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }
}

/// An operator with two keys, the miner whose commitments are read, and blobs of its own.
pub struct World {
    pub keys: Vec<PrivateKey>,
    /// The keys in hex, as they must appear nowhere.
    pub secrets: Vec<String>,
    pub binding: Binding,
    /// The copier.
    pub other: Binding,
    sealed: Vec<String>,
    bound: Vec<String>,
}

impl World {
    pub fn new() -> Self {
        let keys: Vec<PrivateKey> = KEYS.iter().map(|digits| PrivateKey::from_hex(digits).unwrap()).collect();
        let (binding, other) = (Binding { netuid: 26, hotkey: [7; 32] }, Binding { netuid: 26, hotkey: [8; 32] });
        let blob = |number: usize, bound: bool| {
            let uuid = Uuid::from_u128(DEPLOYMENTS + number as u128);
            let key = keys[number % keys.len()].public();
            match bound {
                false => kinitro_crypto::seal(&uuid, &key).unwrap(),
                true => kinitro_crypto::seal_bound(&uuid, &key, &binding).unwrap(),
            }
        };
        let [sealed, bound] = [false, true].map(|bound| (0..8).map(|number| blob(number, bound)).collect());
        Self { keys, secrets: KEYS.map(str::to_owned).to_vec(), binding, other, sealed, bound }
    }
}

pub fn input(random: &mut Random, world: &World) -> Vec<u8> {
    match random.below(8) {
        0 => noise(random),
        1 => json(random, world).into_bytes(),
        2 => format!("a/b:v1:{}", url(random)).into_bytes(),
        3 => {
            let mark = random.of(&["e:", "b:", "c:", "E:", "e:e:", "e", ""]);
            format!("a/b:v1:{mark}{}", blob(random, world)).into_bytes()
        }
        4 => valid(random, world),
        _ => {
            let mut data = valid(random, world);
            for _ in 0..1 + random.below(3) {
                change(random, &mut data);
            }
            data
        }
    }
}

fn noise(random: &mut Random) -> Vec<u8> {
    let length = [random.below(129), 128, random.below(5), random.below(100_000)][random.below(4)];
    let byte = random.byte();
    match random.below(4) {
        0 => vec![[0, b'{', b'[', 0xff, b':', byte][random.below(6)]; length],
        1 => (0..length).map(|_| b' ' + random.byte() % 95).collect(),
        2 => (0..length).map(|_| b"{}[]\":,/\\eb \n"[random.below(13)]).collect(),
        _ => (0..length).map(|_| random.byte()).collect(),
    }
}

/// A commitment as an honest miner or operator writes it; now and then one that is too long.
fn valid(random: &mut Random, world: &World) -> Vec<u8> {
    if random.below(16) == 0 {
        return PublishedKey(world.keys[0].public()).write().to_vec();
    }
    let names = b"abcXYZ019_-";
    let repo = format!("a{}/b{}", random.text(names, 14), random.text(names, 14));
    let revision = format!("0{}", random.text(b"0123456789abcdef", 8));
    let number = random.below(8);
    let endpoint = match random.below(4) {
        0 => WrittenEndpoint::Sealed(world.sealed[number].clone()),
        1 => WrittenEndpoint::Bound(world.bound[number].clone()),
        2 => WrittenEndpoint::Plain(Uuid::from_u128(random.word().into()).to_string().parse().unwrap()),
        _ => match url(random).parse() {
            Ok(endpoint) => WrittenEndpoint::Plain(endpoint),
            Err(_) => WrittenEndpoint::Plain("https://policy.example:8443/base".parse().unwrap()),
        },
    };
    let spelling = [Spelling::Colons, Spelling::Json][random.below(2)];
    let commitment = WrittenCommitment { repo, revision, endpoint };
    commitment.write(spelling).map_or_else(|_| b"a/b:v1:http://h".to_vec(), |data| data.to_vec())
}

/// One change somewhere: bits, bytes, pieces, and pieces that mean something.
fn change(random: &mut Random, data: &mut Vec<u8>) {
    const PIECES: &[&[u8]] = &[
        b":",
        b"::",
        b"/",
        b"//",
        b"@",
        b"\\",
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b"%",
        b"%00",
        b"%2e%2e/",
        b"..",
        b"?x",
        b"#",
        b"\0",
        b"\r\n",
        b"\t",
        b" ",
        b"\x7f",
        b"\x80",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\\u0000",
        b"\\ud800",
        b"\\u0061",
        b"e:",
        b"b:",
        b"xn--",
        b"[::1]",
        b"127.1",
        b"0x7f",
        b"localhost",
        b".",
        b"-",
        b"null",
        b"1e999",
        b"\"e\":\"",
        b"\"b\":\"",
        b"\"t\":\"pk\"",
        b"http://",
        b"grpc://",
        b"GRPCS://",
        b":0",
        b":65536",
    ];
    let at = random.below(data.len() + 1);
    let until = (at + random.below(12)).min(data.len());
    match random.below(8) {
        0 if at < data.len() => data[at] ^= 1 << random.below(8),
        1 if at < data.len() => data[at] = random.byte(),
        2 => drop(data.drain(at..until)),
        3 => data.truncate(at),
        4 => {
            let piece = data[at..until].to_vec();
            let to = random.below(data.len() + 1);
            drop(data.splice(to..to, piece));
        }
        5 => {
            let more = [1, 5, 48, 80, 4_000][random.below(5)];
            let byte = random.byte();
            data.extend((0..more).map(|_| byte));
        }
        6 => drop(data.splice(at..until, PIECES[random.below(PIECES.len())].iter().copied())),
        _ => drop(data.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
    }
}

fn blob(random: &mut Random, world: &World) -> String {
    let own = &[&world.sealed, &world.bound][random.below(2)][random.below(8)];
    let mut text = own.clone().into_bytes();
    match random.below(8) {
        0 => {}
        1 => text.truncate(random.below(80)),
        2 => text.extend_from_slice(&own.as_bytes()[..random.below(80)]),
        3 => text[random.below(80)] = BASE85[random.below(85)],
        4 => text[random.below(80)] = b' ' + random.byte() % 95,
        // An ephemeral key of zeros, of one, and others of low order or above the prime.
        5 => text[..40].fill(b"0~|1"[random.below(4)]),
        6 => text = random.text(BASE85, 85).into_bytes(),
        _ => text.rotate_left(5 * random.below(16)),
    }
    String::from_utf8(text).unwrap()
}

fn url(random: &mut Random) -> String {
    let scheme = random.of(&["http", "https", "grpc", "grpcs", "HTTP", "gRpC", "ftp", "file", "ws", ""]);
    let colon = random.of(&["://", "://", "://", "://", ":", ":/", ":///", "", ":\\\\"]);
    let user = random.of(&["", "", "", "", "", "me@", "me:pw@", "@", "good.example@", "%40"]);
    let host = match random.below(3) {
        0 => random.text(b"abcXYZ019.-_", 20),
        1 => random.text(b"0123456789abcdefx.:[]%", 20),
        _ => random
            .of(&[
                "policy.example",
                "127.0.0.1",
                "127.1",
                "2130706433",
                "0x7f000001",
                "017700000001",
                "0",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "[fe80::1%25eth0]",
                "[::g]",
                "169.254.169.254",
                "localhost",
                "LOCALHOST.",
                "a.localhost",
                "xn--a",
                "xn--bcher-kva.example",
                "%31%32%37.0.0.1",
                "policy.example.",
                "a..b",
                "-",
                "_",
                "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d.deployments.basilica.ai",
                "1.2.3.4.5",
                "256.0.0.1",
                "1.1.1.1",
                "[2606:4700::1111]",
                "[1::2:3:4:5:6:7:8]",
                "h{i}",
                "h\"",
            ])
            .to_owned(),
    };
    let port = random.of(&["", "", "", ":80", ":443", ":0", ":65535", ":65536", ":", ":-1", ":0x50", ":8000"]);
    let path = match random.below(3) {
        0 => String::new(),
        1 => random.text(b"abc/.%2eF~-\\?#@[]\"", 20),
        _ => {
            random.of(&["/", "//", "/a/../b", "/%2e%2e/x", "/a%2", "/?x", "/#y", "/a//b//", "/%61", "/%zz%"]).to_owned()
        }
    };
    format!("{scheme}{colon}{user}{host}{port}{path}")
}

fn json(random: &mut Random, world: &World) -> String {
    let mut members = Vec::new();
    for _ in 0..random.below(6) {
        let name = random.of(&["m", "r", "d", "e", "b", "t", "k", "type", "key", "x", "", "\\u006d", "M"]);
        let value = match random.below(12) {
            0 => "\"a/b\"".to_owned(),
            1 => "\"v1\"".to_owned(),
            2 => "\"http://h\"".to_owned(),
            3 => format!("\"{}\"", url(random)),
            4 => format!("\"{}\"", blob(random, world)),
            5 => random
                .of(&[
                    "\"pk\"",
                    "\"backend_pubkey\"",
                    "\"\\u0061/b\"",
                    "\"\\ud83d\\ude00\"",
                    "\"\\ud800\"",
                    "\"\\u0000\"",
                ])
                .to_owned(),
            6 => random
                .of(&["null", "true", "0", "-0", "1e999", "123456789012345678901234567890", "0.1e-999", "01"])
                .to_owned(),
            7 => "[".repeat(random.below(100)),
            8 => "{\"x\":".repeat(random.below(20)),
            9 => format!("{}{}", "[".repeat(40), "]".repeat(40)),
            10 => format!("\"{}\"", random.text(b"abc/\\u0d8\"", 12)),
            _ => format!("\"{}\"", world.secrets[0].replace('0', "1")),
        };
        members.push(format!("\"{name}\":{value}"));
    }
    // Often the members that a policy needs, before or after.
    let needed = ["\"m\":\"a/b\"", "\"r\":\"v1\""].map(str::to_owned);
    match random.below(4) {
        0 => members.extend(needed),
        1 => drop(members.splice(0..0, needed)),
        2 => {
            members = needed.to_vec();
            let ends = ["\"d\":\"http://h\"", "\"e\":\"\"", "\"b\":null", "\"b\":\"x\"", "\"d\":1", "\"x\":[]"];
            (0..random.below(4)).for_each(|_| members.push(ends[random.below(ends.len())].to_owned()));
        }
        _ => {}
    }
    let (space, close) = (random.of(&["", "", " ", "\n"]), random.of(&["}", "}", "}", "", "}}", "}x", ",}"]));
    format!("{{{space}{}{space}{close}", members.join(","))
}
