//! Passwords as they are stored: as Argon2id (RFC 9106) in PHC string form, slow to guess and never to be printed.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::secret::{Secret, random};

/// What new hashes cost: 19 MiB, twice, in one lane, as OWASP recommends.
const COST: Cost = Cost { memory: 19 * 1024, passes: 2, lanes: 1 };
/// The least of what OWASP recommends: 7 MiB five times, or more memory fewer times.
const LEAST_MEMORY: u32 = 7 * 1024;
const LEAST_WORK: u64 = 5 * LEAST_MEMORY as u64;
/// Whoever signs in makes us do this work, so a file can't ask for any amount: 256 MiB, and a second or so.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_WORK: u64 = 1024 * 1024;
const MOST_LANES: u32 = 16;
/// Blocks of 1 KiB that are asked for at least. More than 32 MiB an allocator takes from the system each time and gives back at
/// once; less it may keep for good. What is asked for beyond the cost is never touched, so it takes no memory.
const LEAST_BLOCKS: usize = 33 * 1024;
const SALT: RangeInclusive<usize> = 16..=64;
const OUTPUT: RangeInclusive<usize> = 32..=64;

/// Memory in KiB, and how often it is passed over.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// The hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    cost: Cost,
    salt: Box<[u8]>,
    output: Box<[u8]>,
}

/// A password that is to be stored, with the salt that its hash will have.
#[derive(Clone, Debug)]
pub struct NewPassword {
    text: Secret,
    salt: [u8; 16],
}

/// Why something is no password, or no hash of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordError {
    TooShort,
    TooLong,
    /// HTTP Basic has no control characters (RFC 7617 section 2).
    Control,
    /// No Argon2id hash in PHC string form.
    NotPhc,
    TooWeak,
    TooCostly,
    /// The system gives no memory or no randomness.
    System,
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "a password has at least {} characters", NewPassword::SHORTEST),
            Self::TooLong => write!(f, "a password has at most {} bytes", NewPassword::LONGEST),
            Self::Control => f.write_str("a password has no control characters"),
            Self::NotPhc => f.write_str(
                "a password hash is Argon2id in PHC string form: $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH, both in base64 \
                 without padding",
            ),
            Self::TooWeak => write!(
                f,
                "the password hash is too weak: m has to be at least {LEAST_MEMORY}, m times t at least {LEAST_WORK}, the \
                 salt at least {} bytes, the hash at least {}",
                SALT.start(),
                OUTPUT.start()
            ),
            Self::TooCostly => write!(
                f,
                "the password hash costs too much at each sign-in: m may be at most {MOST_MEMORY}, m times t at most \
                 {MOST_WORK}, p at most {MOST_LANES}, the salt and the hash at most {} bytes each",
                OUTPUT.end()
            ),
            Self::System => f.write_str("the system gives no memory or no randomness for a password hash"),
        }
    }
}

impl std::error::Error for PasswordError {}

impl NewPassword {
    /// In characters.
    pub const SHORTEST: usize = 12;
    /// In bytes.
    pub const LONGEST: usize = 1024;

    /// Draws the salt, too.
    ///
    /// # Errors
    /// When the text has fewer than 12 characters, more than 1,024 bytes or a control character, or there is no randomness.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        if text.len() > Self::LONGEST {
            Err(PasswordError::TooLong)
        } else if text.chars().count() < Self::SHORTEST {
            Err(PasswordError::TooShort)
        } else if text.contains(|c: char| c.is_control() || c == '\u{feff}') {
            Err(PasswordError::Control)
        } else {
            Ok(Self { text: Secret::new(text), salt: random().map_err(|_| PasswordError::System)? })
        }
    }

    /// The same each time it is asked for. Takes tens of milliseconds.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn hash(&self) -> Result<PasswordHash, PasswordError> {
        let mut output = [0; 32];
        COST.fill(self.text.expose(), &self.salt, &mut output)?;
        Ok(PasswordHash { cost: COST, salt: self.salt.into(), output: output.into() })
    }

    /// Whether it is the password of this hash. Takes tens of milliseconds.
    ///
    /// # Errors
    /// When there is no memory to find out.
    pub fn is_of(&self, hash: &PasswordHash) -> Result<bool, PasswordError> {
        hash.matches(self.text.expose())
    }
}

impl PasswordHash {
    /// From `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`.
    ///
    /// # Errors
    /// When the text is anything else, or the hash is weaker or costlier than is allowed.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let fields: Vec<_> = text.split('$').collect();
        let ["", "argon2id", "v=19", cost, salt, output] = fields[..] else { return Err(PasswordError::NotPhc) };
        let cost = Cost::parse(cost).ok_or(PasswordError::NotPhc)?;
        let bytes = |text| STANDARD_NO_PAD.decode(text).map_err(|_| PasswordError::NotPhc);
        let (salt, output) = (bytes(salt)?, bytes(output)?);
        cost.check()?;
        if salt.len() < *SALT.start() || output.len() < *OUTPUT.start() {
            return Err(PasswordError::TooWeak);
        }
        if salt.len() > *SALT.end() || output.len() > *OUTPUT.end() {
            return Err(PasswordError::TooCostly);
        }
        Ok(Self { cost, salt: salt.into(), output: output.into() })
    }

    /// The text that `parse` takes; whoever has it can guess at the password.
    pub fn to_phc(&self) -> Secret {
        let Cost { memory, passes, lanes } = self.cost;
        let (salt, output) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.output));
        Secret::new(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}"))
    }

    /// Whether this is the password. Takes tens of milliseconds, so it is no work for a thread that serves others.
    ///
    /// # Errors
    /// When there is no memory to find out; then nobody is to blame for the password.
    pub fn matches(&self, password: &[u8]) -> Result<bool, PasswordError> {
        if password.len() > NewPassword::LONGEST {
            return Ok(false);
        }
        let mut output = vec![0; self.output.len()];
        self.cost.fill(password, &self.salt, &mut output)?;
        Ok(constant_time::verify_slices_are_equal(&output, &self.output).is_ok())
    }

    /// A hash of which nobody knows a password: to be asked where there is no such name, so that the answer takes as
    /// long as for a name that is there and has a hash made here.
    pub fn decoy() -> &'static Self {
        static DECOY: LazyLock<PasswordHash> =
            LazyLock::new(|| PasswordHash { cost: COST, salt: [0; 16].into(), output: [0; 32].into() });
        &DECOY
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl Cost {
    /// `m=…,t=…,p=…`, in this order and without leading zeros, as every implementation writes it.
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str, name: &str| {
            let digits = text.strip_prefix(name)?;
            let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
            digits.parse().ok().filter(|_| is_plain)
        };
        let (memory, rest) = text.split_once(',')?;
        let (passes, lanes) = rest.split_once(',')?;
        Some(Self { memory: number(memory, "m=")?, passes: number(passes, "t=")?, lanes: number(lanes, "p=")? })
    }

    fn check(self) -> Result<(), PasswordError> {
        let work = u64::from(self.memory) * u64::from(self.passes);
        if self.memory < LEAST_MEMORY || work < LEAST_WORK {
            Err(PasswordError::TooWeak)
        } else if self.memory > MOST_MEMORY || work > MOST_WORK || self.lanes > MOST_LANES {
            Err(PasswordError::TooCostly)
        } else {
            Ok(())
        }
    }

    fn fill(self, password: &[u8], salt: &[u8], output: &mut [u8]) -> Result<(), PasswordError> {
        let params = Params::new(self.memory, self.passes, self.lanes, Some(output.len()));
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| PasswordError::System)?);
        let (count, mut memory) = (argon2.params().block_count(), Vec::new());
        memory.try_reserve_exact(count.max(LEAST_BLOCKS)).map_err(|_| PasswordError::System)?;
        memory.resize(count, Block::new());
        let filled = argon2.hash_password_into_with_memory(password, salt, output, &mut memory[..]);
        filled.map_err(|_| PasswordError::System)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    const PASSWORD: &str = "correct horse battery";

    fn phc(cost: &str, salt: usize, output: usize) -> String {
        let zeros = |length| STANDARD_NO_PAD.encode(vec![0; length]);
        format!("$argon2id$v=19${cost}${}${}", zeros(salt), zeros(output))
    }

    fn fault(text: &str) -> Option<PasswordError> {
        PasswordHash::parse(text).err()
    }

    #[test]
    fn a_password_is_known_by_its_hash_and_by_no_other() {
        let hash = NewPassword::new(PASSWORD).unwrap().hash().unwrap();
        assert_eq!(hash.matches(PASSWORD.as_bytes()), Ok(true));
        assert_eq!(hash.matches(b"correct horse batterx"), Ok(false));
        let other = NewPassword::new(PASSWORD).unwrap();
        assert_eq!(other.is_of(&hash), Ok(true));
        assert_ne!(other.hash().unwrap(), hash, "each has its own salt");
        assert_eq!(other.hash(), other.hash());
        assert_eq!(PasswordHash::decoy().matches(PASSWORD.as_bytes()), Ok(false));
    }

    /// Of the tests of the reference implementation; its salt is shorter than `parse` takes.
    #[test]
    fn the_hash_is_that_of_the_reference_implementation() {
        let mut output = [0; 32];
        Cost { memory: 65536, passes: 2, lanes: 1 }.fill(b"password", b"somesalt", &mut output).unwrap();
        assert_eq!(STANDARD_NO_PAD.encode(output), "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
    }

    #[test]
    fn passwords_are_long_enough_and_typed_on_one_line() {
        let why = |text: &str| NewPassword::new(text).err();
        assert_eq!(why("eleven char"), Some(PasswordError::TooShort));
        assert_eq!(why("zwölf Zeichn"), None);
        assert_eq!(why(&"x".repeat(1025)), Some(PasswordError::TooLong));
        assert_eq!(why("twelve chars\n"), Some(PasswordError::Control));
    }

    #[test]
    fn hashes_weaker_or_costlier_than_allowed_are_refused() {
        for good in ["m=7168,t=5,p=1", "m=9216,t=4,p=1", "m=19456,t=2,p=1", "m=47104,t=1,p=1", "m=262144,t=4,p=16"] {
            assert_eq!(fault(&phc(good, 16, 32)), None, "{good}");
        }
        for weak in ["m=7167,t=9,p=1", "m=7168,t=4,p=1", "m=19456,t=1,p=1", "m=8,t=1,p=1"] {
            assert_eq!(fault(&phc(weak, 16, 32)), Some(PasswordError::TooWeak), "{weak}");
        }
        for costly in ["m=262145,t=1,p=1", "m=262144,t=5,p=1", "m=19456,t=2,p=17", "m=4294967295,t=4294967295,p=1"] {
            assert_eq!(fault(&phc(costly, 16, 32)), Some(PasswordError::TooCostly), "{costly}");
        }
        assert_eq!(fault(&phc("m=19456,t=2,p=1", 15, 32)), Some(PasswordError::TooWeak));
        assert_eq!(fault(&phc("m=19456,t=2,p=1", 16, 31)), Some(PasswordError::TooWeak));
        assert_eq!(fault(&phc("m=19456,t=2,p=1", 65, 32)), Some(PasswordError::TooCostly));
        assert_eq!(fault(&phc("m=19456,t=2,p=1", 16, 65)), Some(PasswordError::TooCostly));
    }

    #[test]
    fn what_is_no_argon2id_in_phc_form_is_refused() {
        let good = phc("m=19456,t=2,p=1", 16, 32);
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("argon2id", "ARGON2ID"),
            ("v=19", "v=16"),
            ("$v=19", ""),
            ("m=19456,t=2,p=1", "t=2,m=19456,p=1"),
            ("m=19456,t=2,p=1", "m=19456,t=2"),
            ("m=19456", "m=019456"),
            ("m=19456", "m=+19456"),
            ("p=1$", "p=1,keyid=AA$"),
            ("p=1$", "p=0$"),
            ("p=1$", "p=1$="),
            ("$argon2id", "argon2id"),
            ("$argon2id", " $argon2id"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_eq!(fault(&bad), Some(PasswordError::NotPhc), "{bad}");
        }
        assert_eq!(fault(&format!("{good}=")), Some(PasswordError::NotPhc));
        assert_eq!(fault(&format!("{good}$AA")), Some(PasswordError::NotPhc));
        assert_eq!(fault("$2b$12$abcdefghijklmnopqrstuv"), Some(PasswordError::NotPhc));
        assert_eq!(fault(""), Some(PasswordError::NotPhc));
    }

    #[test]
    fn neither_a_password_nor_its_hash_is_printed() {
        let password = NewPassword::new(PASSWORD).unwrap();
        let hash = password.hash().unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash");
        let shown = format!("{password:?} {:?}", hash.to_phc());
        assert!(!shown.contains("horse") && !shown.contains("argon2id"), "{shown}");
    }

    proptest! {
        #[test]
        fn a_hash_is_the_same_after_it_was_written_and_read(
            memory in LEAST_MEMORY..=MOST_MEMORY, passes in 5_u32..=6, lanes in 1..=MOST_LANES,
            salt in proptest::collection::vec(any::<u8>(), SALT), output in proptest::collection::vec(any::<u8>(), OUTPUT),
        ) {
            let cost = Cost { memory, passes, lanes };
            let hash = PasswordHash { cost, salt: salt.into(), output: output.into() };
            let text = hash.to_phc();
            let read = PasswordHash::parse(std::str::from_utf8(text.expose()).unwrap());
            prop_assert_eq!(read, cost.check().map(|()| hash));
        }

        #[test]
        fn any_text_is_read_or_refused(text in r"\$argon2id\$v=19\$m=[0-9]{0,11},t=[0-9]{0,3},p=[0-9]{0,2}\$[A-Za-z+/]{0,70}\$.{0,70}") {
            if let Ok(hash) = PasswordHash::parse(&text) {
                let written = hash.to_phc();
                prop_assert_eq!(written.expose(), text.as_bytes());
            }
        }
    }
}
