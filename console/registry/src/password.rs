//! Passwords: what is strong enough, hashing with Argon2id, and the password that an account begins with.

use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _};
use rand::seq::IndexedRandom as _;
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// The shortest password, in characters (TCVN 14423:2026 where there is no second factor).
pub const PASSWORD_MIN_CHARS: usize = 14;

/// The longest password, in characters: hashing takes time by length.
const PASSWORD_MAX_CHARS: usize = 200;

/// Passwords that are hashed at once: each takes 19 MiB and a core, and anybody can ask for it.
static HASHING: Semaphore = Semaphore::const_new(4);

/// Letters and digits that are not mistaken for one another.
const PLAIN_SIGNS: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Under [`PASSWORD_MIN_CHARS`].
    #[error("it has fewer than 14 characters")]
    Short,
    /// Over 200 characters.
    #[error("it has more than 200 characters")]
    Long,
    /// Not all of small letter, capital letter, digit and other sign.
    #[error("it needs small letters, capital letters, digits and other signs")]
    Kinds,
    /// It holds the login name.
    #[error("it holds the login name")]
    HoldsLogin,
    /// It is the present password.
    #[error("it is the present password")]
    Unchanged,
}

/// Refuses a password that is too easy to guess.
pub(crate) fn check(password: &str, login: &str) -> std::result::Result<(), WeakPassword> {
    let length = password.chars().count();
    if length < PASSWORD_MIN_CHARS {
        return Err(WeakPassword::Short);
    }
    if length > PASSWORD_MAX_CHARS {
        return Err(WeakPassword::Long);
    }
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    if !(has(char::is_lowercase)
        && has(char::is_uppercase)
        && has(char::is_numeric)
        && has(|sign| !sign.is_alphanumeric()))
    {
        return Err(WeakPassword::Kinds);
    }
    if password.to_lowercase().contains(&login.to_lowercase()) {
        return Err(WeakPassword::HoldsLogin);
    }
    Ok(())
}

/// Hashes a password with Argon2id and a random salt, on a thread for slow work.
pub(crate) async fn hash(password: &str) -> Result<String> {
    let password = password.to_owned();
    let _slot = HASHING.acquire().await.map_err(|error| Error::Hash(error.to_string()))?;
    let work = move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string());
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Error::Hash(error.to_string()))?;
    done.map_err(|error| Error::Hash(error.to_string()))
}

/// Whether `password` gives `hash`. With no hash (no such account) it takes as long and is false.
pub(crate) async fn verify(password: &str, hash: Option<String>) -> Result<bool> {
    let password: String = password.chars().take(PASSWORD_MAX_CHARS + 1).collect();
    let _slot = HASHING.acquire().await.map_err(|error| Error::Hash(error.to_string()))?;
    let work = move || {
        let argon2 = Argon2::default();
        match hash.as_deref().map(PasswordHash::new) {
            Some(Ok(hash)) => argon2.verify_password(password.as_bytes(), &hash).is_ok(),
            _ => argon2.hash_password(password.as_bytes()).is_err(),
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Hash(error.to_string()))
}

/// A random password that people can copy: five groups of five signs, about 145 bits.
pub(crate) fn random() -> String {
    let mut rng = rand::rng();
    loop {
        let groups: Vec<String> = (0..5)
            .map(|_| {
                (0..5).filter_map(|_| PLAIN_SIGNS.choose(&mut rng)).map(|byte| char::from(*byte)).collect()
            })
            .collect();
        let password = groups.join("-");
        if check(&password, "\u{0}").is_ok() {
            return password;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_named() {
        assert_eq!(check("Ngan-1", "an"), Err(WeakPassword::Short));
        assert_eq!(check(&"aA1-".repeat(60), "an"), Err(WeakPassword::Long));
        assert_eq!(check("chỉ toàn chữ thường thôi", "x"), Err(WeakPassword::Kinds));
        assert_eq!(check("Minh.Anh-2026-xyz", "minh.anh"), Err(WeakPassword::HoldsLogin));
        assert_eq!(check("Trống-đồng-2026!", "admin"), Ok(()));
        assert_eq!(check(&random(), "admin"), Ok(()));
    }

    #[tokio::test]
    async fn only_the_right_password_opens() {
        let hashed = hash("Trống-đồng-2026!").await.unwrap();
        assert!(hashed.starts_with("$argon2id$"));
        assert!(verify("Trống-đồng-2026!", Some(hashed.clone())).await.unwrap());
        assert!(!verify("trống-đồng-2026!", Some(hashed)).await.unwrap());
        assert!(!verify("anything", None).await.unwrap());
    }
}
