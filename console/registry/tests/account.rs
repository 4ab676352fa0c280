//! Accounts and sessions through the public API.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use dongson_registry::{AccountEdit, Change, Error, Role, Scope, SessionLimits, SignIn};
use support::{START, only, registry};

#[tokio::test]
async fn the_first_password_is_made_once_and_must_be_changed() {
    let (_folder, registry) = registry().await;
    let first = registry.create_first_administrator(START).await.unwrap().unwrap();
    assert_eq!(registry.create_first_administrator(START).await.unwrap(), None);
    let SignIn::Welcome(account) = registry.sign_in("admin", &first.password, START).await.unwrap() else {
        panic!("the first password must open");
    };
    assert!(account.must_change_password);
    assert_eq!(account.scope(), Scope::All);
    let change = Change::by(&account.id, None, START);
    let keep = registry.begin_session(&account.id, None, SessionLimits::default(), START).await.unwrap();
    let other = registry.begin_session(&account.id, None, SessionLimits::default(), START).await.unwrap();
    let hash = dongson_registry::hash_secret(&keep.secret);
    let wrong = registry.change_password(&change, "wrong", "Trống-đồng-2026!", &hash).await;
    assert!(matches!(wrong, Err(Error::Refused { .. })));
    let weak = registry.change_password(&change, &first.password, "short", &hash).await;
    assert!(matches!(weak, Err(Error::WeakPassword(_))));
    let after = registry.change_password(&change, &first.password, "Trống-đồng-2026!", &hash).await.unwrap();
    assert!(!after.must_change_password);
    let limits = SessionLimits::default();
    assert!(registry.session(&keep.secret, limits, true, START).await.unwrap().is_some());
    assert!(registry.session(&other.secret, limits, true, START).await.unwrap().is_none());
    assert_eq!(registry.sign_in("admin", &first.password, START).await.unwrap(), SignIn::Refused);
}

#[tokio::test]
async fn five_wrong_passwords_lock_even_when_sent_at_once() {
    let (_folder, registry) = registry().await;
    let first = registry.create_first_administrator(START).await.unwrap().unwrap();
    let tries = (0..8).map(|_| registry.sign_in("admin", "wrong", START));
    for answer in futures_join(tries).await {
        assert_eq!(answer.unwrap(), SignIn::Refused);
    }
    assert_eq!(registry.sign_in("admin", &first.password, START).await.unwrap(), SignIn::Refused);
    let later = START + 15 * 60_000;
    assert!(matches!(registry.sign_in("admin", &first.password, later).await.unwrap(), SignIn::Welcome(_)));
    assert_eq!(registry.sign_in("nobody", "wrong", START).await.unwrap(), SignIn::Refused);
}

/// Runs all at once.
async fn futures_join<F: Future>(tries: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut tries: Vec<_> = tries.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = tries.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, slot) in tries.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(answer) = one.as_mut().poll(context)
            {
                *slot = Some(answer);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn sessions_end_by_age_idleness_and_disabling() {
    let (_folder, registry) = registry().await;
    let limits = SessionLimits { life_ms: 1_000_000, idle_ms: 200_000 };
    let edit = AccountEdit {
        full_name: "An".into(),
        role: Role::AgencyViewer,
        organizations: Some(vec!["a".into()]),
        disabled: false,
    };
    let change = Change::service("test", START);
    let made = registry.create_account(&change, "an", &edit).await.unwrap().account;
    assert_eq!(made.scope(), only("a"));
    let session = registry.begin_session(&made.id, Some("192.0.2.1"), limits, START).await.unwrap();
    let open =
        async |active, at| registry.session(&session.secret, limits, active, at).await.unwrap().is_some();
    assert!(open(true, START + 100_000).await);
    assert!(open(false, START + 290_000).await, "used at 100,000, so idle only at 300,000");
    assert!(!open(false, START + 300_000).await);
    let session = registry.begin_session(&made.id, None, limits, START).await.unwrap();
    let disabled = AccountEdit { disabled: true, ..edit };
    registry.update_account(&change, &made.id, 1, &disabled).await.unwrap();
    assert!(registry.session(&session.secret, limits, true, START).await.unwrap().is_none());
}

#[tokio::test]
async fn the_last_administrator_stays_and_scopes_must_exist() {
    let (_folder, registry) = registry().await;
    registry.create_first_administrator(START).await.unwrap();
    let admin = registry.accounts().await.unwrap().remove(0);
    let change = Change::by(&admin.id, None, START);
    let viewer =
        AccountEdit { full_name: "X".into(), role: Role::AgencyViewer, organizations: None, disabled: false };
    let below = AccountEdit { role: Role::Analyst, ..viewer.clone() };
    let last = registry.update_account(&change, &admin.id, admin.version, &below).await;
    assert!(matches!(last, Err(Error::Refused { reason: "is the last administrator", .. })));
    for none in [None, Some(Vec::new())] {
        let unbound = AccountEdit { organizations: none, ..viewer.clone() };
        let refused = registry.create_account(&change, "x", &unbound).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "organizations", .. })), "{refused:?}");
    }
    let nowhere = AccountEdit { organizations: Some(vec!["none".into()]), ..viewer.clone() };
    assert!(matches!(
        registry.create_account(&change, "x", &nowhere).await,
        Err(Error::NotFound("organization"))
    ));
    let of_b = AccountEdit { organizations: Some(vec!["b".into()]), ..viewer };
    registry.create_account(&change, "x", &of_b).await.unwrap();
    let seen: Vec<String> =
        registry.colleagues(&only("a")).await.unwrap().into_iter().map(|one| one.login).collect();
    assert_eq!(seen, ["admin"], "people of another agency do not exist");
}
