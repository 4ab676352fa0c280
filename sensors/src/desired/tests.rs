use std::fs;

use dongson_event::Timestamp;
use dongson_event::trust::{
    Configuration, Directive, Envelope, PackKind, PackManifest, Purpose, Root, SigningKey, Target, Trust,
    TrustError,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::keep::Kept;
use super::pack::Packs;
use super::{DesiredError, anchor, take_roots};
use crate::ship::Identity;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32]).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Root keys `first` to `first + 2`, two of which sign; 20 signs configuration, 21 content.
fn root(version: u64, first: u8) -> Root {
    let keys: Vec<_> = (first..first + 3).map(|seed| key(seed).public()).collect();
    Root::new(version, at(1_000))
        .with(Purpose::Root, 2, &keys)
        .with(Purpose::Configuration, 1, &[key(20).public()])
        .with(Purpose::Content, 1, &[key(21).public()])
}

fn signed(root: &Root, seeds: &[u8]) -> Envelope {
    let mut envelope = Envelope::new(Purpose::Root, serde_json::to_vec(root).unwrap());
    for seed in seeds {
        envelope.sign(&key(*seed));
    }
    envelope
}

fn identity() -> Identity {
    let text = |text: &str| text.to_owned();
    Identity {
        url: text("https://localhost:1"),
        sensor: text("s"),
        organization: text("a"),
        node: text("gw"),
        certificate: String::new(),
        authority: String::new(),
        key: String::new(),
    }
}

/// A folder of a sensor that trusts root 1.
fn trusting() -> (TempDir, Trust) {
    let folder = tempfile::tempdir().unwrap();
    take_roots(folder.path(), &[signed(&root(1, 1), &[1, 2])]).unwrap();
    let trust = anchor::load(folder.path()).unwrap().unwrap();
    (folder, trust)
}

#[test]
fn roots_are_taken_in_their_turn_and_kept() {
    let (folder, _) = trusting();
    let version = || anchor::load(folder.path()).unwrap().unwrap().root().version;
    // A stranger's root, though whole in itself, does not take the place of ours.
    take_roots(folder.path(), &[signed(&root(1, 50), &[50, 51])]).unwrap();
    let stranger = take_roots(folder.path(), &[signed(&root(2, 50), &[50, 51])]).unwrap_err();
    assert!(matches!(stranger, DesiredError::Trust(TrustError::TooFewSignatures { .. })), "{stranger}");
    let gap = take_roots(folder.path(), &[signed(&root(3, 1), &[1, 2])]).unwrap_err();
    assert!(matches!(gap, DesiredError::Trust(TrustError::NotNext { .. })), "{gap}");
    assert_eq!(version(), 1);
    // The whole history at once, as a sensor that was away gets it.
    let (second, third) = (signed(&root(2, 4), &[1, 2, 4, 5]), signed(&root(3, 7), &[4, 6, 8, 9]));
    take_roots(folder.path(), &[signed(&root(1, 1), &[1, 2]), second, third]).unwrap();
    assert_eq!(version(), 3);
    fs::write(folder.path().join("trust.json"), "{}").unwrap();
    let spoilt = anchor::load(folder.path()).unwrap_err().to_string();
    assert!(spoilt.contains("trust.json") && spoilt.contains("remove it"), "{spoilt}");
}

fn document(target: Target, version: u64, filter: &str) -> Envelope {
    let configuration = Configuration { filter: Some(filter.to_owned()), ..Configuration::default() };
    let directive = Directive { target, version, issued_at: at(1), set_by: "test".to_owned(), configuration };
    Envelope::sign_json(Purpose::Configuration, &directive, &key(20)).unwrap()
}

#[test]
fn documents_only_go_up_over_restarts_too() {
    let (folder, trust) = trusting();
    let open = || Kept::open(folder.path(), &identity(), Some(&trust)).unwrap();
    let mut kept = open();
    let take = |kept: &mut Kept, envelope: &Envelope, now| kept.take(&trust, envelope, &identity(), at(now));
    let own = || Target::Sensor("s".to_owned());
    assert!(take(&mut kept, &document(Target::All, 7, "tcp"), 2).unwrap());
    assert!(take(&mut kept, &document(own(), 5, "udp"), 2).unwrap());
    assert!(!take(&mut kept, &document(own(), 5, "udp"), 2).unwrap(), "known already");
    let mut kept = open();
    let (version, settings) = kept.whole();
    assert_eq!((version, settings.filter.as_deref()), (12, Some("udp")));
    for replayed in [document(own(), 4, "arp"), document(own(), 5, "arp"), document(Target::All, 6, "arp")] {
        let error = take(&mut kept, &replayed, 2).unwrap_err();
        assert!(matches!(error, DesiredError::Trust(TrustError::Older { .. })), "{error}");
    }
    let late = take(&mut kept, &document(own(), 9, "arp"), 1_000).unwrap_err();
    assert!(matches!(late, DesiredError::Trust(TrustError::RootExpired { .. })), "{late}");
    // What was taken while the root held stays in force after its end.
    assert_eq!(open().whole().0, 12);
    let mut forged = document(own(), 9, "arp");
    forged.sign(&key(33));
    forged.signatures.remove(0);
    assert!(take(&mut kept, &forged, 2).is_err());
    assert_eq!(kept.whole().1.filter.as_deref(), Some("udp"));
}

#[test]
fn kept_documents_of_a_key_that_signs_no_more_are_left_out() {
    let (folder, trust) = trusting();
    let mut kept = Kept::open(folder.path(), &identity(), Some(&trust)).unwrap();
    kept.take(&trust, &document(Target::All, 7, "tcp"), &identity(), at(2)).unwrap();
    let next = root(2, 1).with(Purpose::Configuration, 1, &[key(30).public()]);
    let mut later = trust;
    later.rotate(&signed(&next, &[1, 2])).unwrap();
    assert_eq!(Kept::open(folder.path(), &identity(), Some(&later)).unwrap().whole().0, 0);
}

fn pack(version: u64, bytes: &[u8]) -> Envelope {
    let manifest = PackManifest {
        name: "province".to_owned(),
        kind: PackKind::Intel,
        version,
        target: Target::All,
        sha256: hex::encode(Sha256::digest(bytes)),
        bytes: bytes.len() as u64,
        issued_at: at(1),
        expires_at: None,
    };
    Envelope::sign_json(Purpose::Content, &manifest, &key(21)).unwrap()
}

#[test]
fn a_pack_is_gone_on_with_where_it_broke_off() {
    let (folder, trust) = trusting();
    let content: Vec<u8> = (0..100).collect();
    let (envelope, identity) = (pack(1, &content), identity());
    let mut packs = Packs::open(folder.path(), Some(&trust)).unwrap();
    let mut asked = Vec::new();
    let broken = packs.take(&trust, &envelope, &identity, at(2), &mut |_, offset| {
        asked.push(offset);
        let offset = usize::try_from(offset).unwrap();
        if offset >= 60 {
            return Err(DesiredError::Unreachable("cut".to_owned()));
        }
        Ok(content[offset..offset + 30].to_vec())
    });
    assert!(matches!(broken, Err(DesiredError::Unreachable(_))));
    assert!(packs.held().is_empty());
    // Another process, later.
    let mut packs = Packs::open(folder.path(), Some(&trust)).unwrap();
    let taken = packs.take(&trust, &envelope, &identity, at(2), &mut |_, offset| {
        asked.push(offset);
        Ok(content[usize::try_from(offset).unwrap()..].to_vec())
    });
    assert!(taken.unwrap());
    assert_eq!(asked, [0, 30, 60, 60]);
    let held = Packs::open(folder.path(), Some(&trust)).unwrap().held();
    assert_eq!((held.len(), fs::read(&held[0].path).unwrap()), (1, content));

    // The next version takes its place; the former one does not come back.
    let next = b"newer".to_vec();
    let mut fetch = |_: &str, _| Ok(next.clone());
    assert!(packs.take(&trust, &pack(2, &next), &identity, at(2), &mut fetch).unwrap());
    assert!(!held[0].path.exists());
    let error = packs.take(&trust, &envelope, &identity, at(2), &mut fetch).unwrap_err();
    assert!(matches!(error, DesiredError::Trust(TrustError::Older { present: 2, given: 1, .. })), "{error}");
}

#[test]
fn a_pack_that_is_not_what_its_manifest_says_is_thrown_away() {
    let (folder, trust) = trusting();
    let identity = identity();
    let mut packs = Packs::open(folder.path(), Some(&trust)).unwrap();
    for bytes in [&b"other"[..], b"right and more", b""] {
        let mut fetch = |_: &str, _| Ok(bytes.to_vec());
        let error = packs.take(&trust, &pack(1, b"right"), &identity, at(2), &mut fetch).unwrap_err();
        assert!(matches!(error, DesiredError::Trust(TrustError::Malformed { .. })), "{error}");
    }
    let left = fs::read_dir(folder.path().join("packs")).unwrap().count();
    assert_eq!((left, packs.held().len()), (0, 0));
    let mut fetch = |_: &str, _| Ok(b"right".to_vec());
    assert!(packs.take(&trust, &pack(1, b"right"), &identity, at(2), &mut fetch).unwrap());
}
