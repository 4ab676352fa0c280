//! The root document: which keys there are, and which of them may sign what.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::envelope::read_json;
use super::{Envelope, KeyId, PublicKey, Purpose, TrustError};
use crate::Timestamp;

/// Most keys of one root document.
const MAX_KEYS: usize = 64;

/// Who may sign something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// How many of the keys must sign.
    pub threshold: u8,
    /// The keys.
    pub keys: BTreeSet<KeyId>,
}

/// The root document, payload of an envelope of [`Purpose::Root`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// From 1; one more for each.
    pub version: u64,
    /// When it ends: then nothing new is taken until there is a next one.
    pub expires_at: Timestamp,
    /// The keys by id.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Who signs what, by [`Purpose::role`]. Roles of later versions of Dongson are carried along.
    pub roles: BTreeMap<String, Role>,
}

impl Root {
    /// A root without keys or roles.
    pub fn new(version: u64, expires_at: Timestamp) -> Self {
        Self { version, expires_at, keys: BTreeMap::new(), roles: BTreeMap::new() }
    }

    /// Gives a role to `keys`, `threshold` of which must sign; who had it before has it no more.
    #[must_use]
    pub fn with(mut self, purpose: Purpose, threshold: u8, keys: &[PublicKey]) -> Self {
        let named = keys.iter().map(|key| (key.id(), key.clone()));
        self.keys.extend(named);
        let keys = keys.iter().map(PublicKey::id).collect();
        self.roles.insert(purpose.role().to_owned(), Role { threshold, keys });
        let used: BTreeSet<&KeyId> = self.roles.values().flat_map(|role| &role.keys).collect();
        self.keys.retain(|id, _| used.contains(id));
        self
    }

    /// Who signs things of `purpose`.
    pub fn role(&self, purpose: Purpose) -> Result<&Role, TrustError> {
        self.roles.get(purpose.role()).ok_or(TrustError::NoRole(purpose.role()))
    }

    /// Reads the root document of an envelope, without asking who signed it.
    pub fn read(envelope: &Envelope) -> Result<Self, TrustError> {
        envelope.check_size()?;
        if envelope.payload_type != Purpose::Root.payload_type() {
            return Err(TrustError::WrongPurpose {
                wanted: Purpose::Root.payload_type(),
                found: envelope.payload_type.clone(),
            });
        }
        let root: Self = read_json("the root document", &envelope.payload)?;
        root.check()?;
        Ok(root)
    }

    /// Refuses a document that contradicts itself.
    pub fn check(&self) -> Result<(), TrustError> {
        let bad = |reason: String| Err(TrustError::BadRoot(reason));
        if self.version == 0 {
            return bad("its version is 0".to_owned());
        }
        if self.keys.len() > MAX_KEYS {
            return bad(format!("it names more than {MAX_KEYS} keys"));
        }
        for (id, key) in &self.keys {
            if key.id() != *id {
                return bad(format!("key {id} has another id than it is named by"));
            }
        }
        self.role(Purpose::Root)?;
        for (name, role) in &self.roles {
            if role.threshold == 0 || usize::from(role.threshold) > role.keys.len() {
                return bad(format!(
                    "role {name:?} needs {} signatures and has {} keys",
                    role.threshold,
                    role.keys.len()
                ));
            }
            if let Some(missing) = role.keys.iter().find(|id| !self.keys.contains_key(id)) {
                return bad(format!("role {name:?} has key {missing}, which is not in the document"));
            }
        }
        // A key that is online must not be able to make itself root.
        let root = self.role(Purpose::Root)?;
        for (name, role) in self.roles.iter().filter(|(name, _)| *name != Purpose::Root.role()) {
            if let Some(shared) = role.keys.intersection(&root.keys).next() {
                return bad(format!("key {shared} signs both the root and {name:?}: keys are apart"));
            }
        }
        Ok(())
    }
}
