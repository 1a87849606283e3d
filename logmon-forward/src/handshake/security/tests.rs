use super::*;

fn user(username: &str, password: &str) -> User {
    User { username: username.into(), password: password.into() }
}

fn rule(network: &str) -> ClientRule {
    ClientRule { network: Some(network.into()), ..ClientRule::default() }
}

fn check(change: impl FnOnce(&mut SecuritySettings)) -> Result<(), SecurityError> {
    let mut settings = SecuritySettings {
        self_hostname: "server.example".into(),
        shared_key: Some("key".into()),
        ..SecuritySettings::default()
    };
    change(&mut settings);
    Security::new(settings).map(drop)
}

/// F-089, R-044, H-9: nothing is written down that nobody asks for.
#[test]
fn credentials_are_asked_for_or_refused() {
    assert_eq!(check(|_| ()), Ok(()));
    let users = SecurityError::NoKey("users");
    assert_eq!(
        check(|s| {
            s.shared_key = None;
            s.users = vec![user("alice", "x")];
        }),
        Err(users)
    );
    let sources = SecurityError::NoKey("sources that no client names");
    assert_eq!(check(|s| s.shared_key = None), Err(sources));
    assert_eq!(
        check(|s| {
            s.shared_key = None;
            s.clients = vec![rule("10.0.0.0/8")];
        }),
        Err(SecurityError::NoKey("a client"))
    );
    let empty = SecurityError::EmptyKey("shared_key".into());
    assert_eq!(check(|s| s.shared_key = Some("".into())), Err(empty));
    assert_eq!(check(|s| s.empty_shared_key = true), Err(SecurityError::KeyAndNone));
    let unused = SecurityError::UnusedUsers;
    assert_eq!(
        check(|s| {
            s.users = vec![user("alice", "x")];
            s.user_auth = Some(false);
        }),
        Err(unused)
    );
    assert_eq!(check(|s| s.user_auth = Some(true)), Err(SecurityError::NoUsers));
    assert_eq!(check(|s| s.users = vec![user("", "x")]), Err(SecurityError::UserName));
    let empty = SecurityError::UserPassword("alice".into());
    assert_eq!(check(|s| s.users = vec![user("alice", "")]), Err(empty));
}

#[test]
fn every_client_may_have_its_key() {
    assert_eq!(
        check(|s| {
            s.shared_key = None;
            s.allow_anonymous_source = false;
            s.clients = vec![ClientRule { shared_key: Some("own".into()), ..rule("10.0.0.0/8") }];
        }),
        Ok(())
    );
}

#[test]
fn clients_are_checked() {
    let with = |client: ClientRule| {
        check(|s| {
            s.users = vec![user("alice", "x")];
            s.clients = vec![client];
        })
    };
    let both = ClientRule { host: Some("a".into()), ..rule("10.0.0.0/8") };
    assert_eq!(with(both), Err(SecurityError::HostOrNetwork(1)));
    assert_eq!(with(ClientRule::default()), Err(SecurityError::HostOrNetwork(1)));
    let SecurityError::Network(1, _) = with(rule("10.0.0.0/99")).unwrap_err() else { panic!() };
    let unknown = ClientRule { users: Some(vec!["eve".into()]), ..rule("10.0.0.0/8") };
    assert_eq!(with(unknown), Err(SecurityError::UnknownUser(1, "eve".into())));
    let nobody = ClientRule { users: Some(Vec::new()), ..rule("10.0.0.0/8") };
    assert_eq!(with(nobody), Err(SecurityError::NobodyFrom(1)));
    let empty = ClientRule { shared_key: Some("".into()), ..rule("10.0.0.0/8") };
    assert_eq!(with(empty), Err(SecurityError::EmptyKey("client 1".into())));
    assert_eq!(check(|s| s.allow_anonymous_source = false), Err(SecurityError::NoClients));
    assert_eq!(check(|s| s.self_hostname = String::new()), Err(SecurityError::Hostname));
    assert_eq!(check(|s| s.self_hostname = "h".repeat(256)), Err(SecurityError::Hostname));
}

#[test]
fn secrets_are_not_shown() {
    let settings = SecuritySettings {
        self_hostname: "server.example".into(),
        shared_key: Some("topsecret".into()),
        users: vec![user("alice", "passw0rd")],
        ..SecuritySettings::default()
    };
    let shown = format!("{settings:?} {:?}", Security::new(settings.clone()));
    assert!(!shown.contains("topsecret") && !shown.contains("passw0rd"), "{shown}");
}
