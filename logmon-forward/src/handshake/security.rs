//! Who may connect, checked before anybody does.

use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use super::secret::Secret;

mod network;

pub use network::{Network, NetworkError};

/// PONG carries the hostname and has to fit one read of 512 bytes (Fluentd).
const MAX_HOSTNAME: usize = 255;

/// Who may connect and with what, as it stands in a configuration.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the keys of a section of the configuration")]
pub struct SecuritySettings {
    /// The name of this side. No client may go by the same.
    pub self_hostname: String,
    /// The key of all clients without one of their own.
    pub shared_key: Option<Secret>,
    /// The shared key is empty on purpose: whoever connects is let in, with users if there are
    /// some. Default false.
    pub empty_shared_key: bool,
    /// Whether users must log in. Without it they must where there are users.
    pub user_auth: Option<bool>,
    /// Who may log in. A name may have several passwords.
    pub users: Vec<User>,
    /// What applies to clients by their address.
    pub clients: Vec<ClientRule>,
    /// Which of several rules applies that fit an address.
    pub client_match: ClientMatch,
    /// Whether a client that no rule fits may connect, with the shared key. Default true.
    pub allow_anonymous_source: bool,
}

impl Default for SecuritySettings {
    fn default() -> Self {
        Self {
            self_hostname: String::new(),
            shared_key: None,
            empty_shared_key: false,
            user_auth: None,
            users: Vec::new(),
            clients: Vec::new(),
            client_match: ClientMatch::First,
            allow_anonymous_source: true,
        }
    }
}

/// A user who may log in.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the keys of a section of the configuration")]
pub struct User {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// What applies to the clients of a host or network.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the keys of a section of the configuration")]
pub struct ClientRule {
    /// A name that is resolved, and resolved again every minute. Either this or `network`.
    pub host: Option<String>,
    /// A network such as `10.1.0.0/16`, or one address.
    pub network: Option<String>,
    /// The key of these clients in place of the shared one.
    pub shared_key: Option<Secret>,
    /// Who may log in from there; everybody who may at all, if none is named.
    pub users: Option<Vec<String>>,
}

/// Which rule applies where several fit an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientMatch {
    /// The first that stands in the configuration, as in Fluentd.
    #[default]
    First,
    /// The one with the smallest network; a host counts as one address.
    Longest,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// `self_hostname` is missing or does not fit a PONG.
    #[error("self_hostname: 1 to {MAX_HOSTNAME} bytes, the name this side goes by")]
    Hostname,
    /// There are clients that no key would be asked of.
    #[error(
        "shared_key: {0} without a key would be let in by anybody's handshake; set shared_key, or \
         empty_shared_key = true if that is meant"
    )]
    NoKey(&'static str),
    /// A key is written down and empty.
    #[error("{0}: the key is empty; say empty_shared_key = true if that is meant")]
    EmptyKey(String),
    /// Both say something else.
    #[error("empty_shared_key: there is a shared_key as well")]
    KeyAndNone,
    /// Nobody could log in.
    #[error("user_auth: users must log in, and there is none")]
    NoUsers,
    /// Passwords that would never be asked for.
    #[error("user_auth: it is false, and there are users; they would not be asked for")]
    UnusedUsers,
    /// A user without a name.
    #[error("user: a user without a name")]
    UserName,
    /// A user with an empty password.
    #[error("user: `{0}` has an empty password")]
    UserPassword(String),
    /// Neither or both of `host` and `network`.
    #[error("client {0}: exactly one of host and network")]
    HostOrNetwork(usize),
    /// No network.
    #[error("client {0}: {1}")]
    Network(usize, NetworkError),
    /// A rule names a user that there is not.
    #[error("client {0}: there is no user `{1}`")]
    UnknownUser(usize, String),
    /// Rules with users where nobody logs in, or a list with nobody in it.
    #[error("client {0}: its list of users lets nobody in")]
    NobodyFrom(usize),
    /// Nobody could connect.
    #[error("allow_anonymous_source: it is false, and there is no client")]
    NoClients,
}

/// Who may connect, checked.
#[derive(Debug)]
pub struct Security {
    pub(super) self_hostname: String,
    shared_key: Secret,
    users: Vec<User>,
    rules: Vec<Rule>,
    client_match: ClientMatch,
    allow_anonymous_source: bool,
}

/// A checked rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    place: Place,
    key: Option<Secret>,
    users: Option<Vec<String>>,
}

#[derive(Debug)]
enum Place {
    Network(Network),
    Host { name: String, addresses: RwLock<Vec<IpAddr>> },
}

/// What a client from some address has to show.
#[derive(Debug)]
pub(super) struct Node<'a> {
    security: &'a Security,
    pub(super) rule: Option<&'a Rule>,
}

impl Security {
    /// Checks a configuration. No credentials may be written down that nobody asks for.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(settings: SecuritySettings) -> Result<Self, SecurityError> {
        if settings.self_hostname.is_empty() || settings.self_hostname.len() > MAX_HOSTNAME {
            return Err(SecurityError::Hostname);
        }
        check_keys(&settings)?;
        check_users(&settings)?;
        if !settings.allow_anonymous_source && settings.clients.is_empty() {
            return Err(SecurityError::NoClients);
        }
        let rules = settings.clients.into_iter().zip(1..);
        let rules = rules.map(|(rule, number)| Rule::new(rule, number, &settings.users));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            self_hostname: settings.self_hostname,
            shared_key: settings.shared_key.unwrap_or_default(),
            users: settings.users,
            client_match: settings.client_match,
            allow_anonymous_source: settings.allow_anonymous_source,
        })
    }

    /// The names to resolve, each with its number for [`Security::set_addresses`].
    pub fn hosts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.rules.iter().enumerate().filter_map(|(number, rule)| match &rule.place {
            Place::Host { name, .. } => Some((number, name.as_str())),
            Place::Network(_) => None,
        })
    }

    /// Sets what a name has been resolved to.
    pub fn set_addresses(&self, number: usize, resolved: impl IntoIterator<Item = IpAddr>) {
        if let Some(Rule { place: Place::Host { addresses, .. }, .. }) = self.rules.get(number) {
            let resolved = resolved.into_iter().map(|ip| ip.to_canonical()).collect();
            // Nothing panics while the lock is held.
            *addresses.write().unwrap_or_else(PoisonError::into_inner) = resolved;
        }
    }

    /// Whether some rule fits the address.
    pub fn knows(&self, ip: IpAddr) -> bool {
        self.rule(Some(ip)).is_some()
    }

    /// What a client has to show, or `None` if it is not let in at all.
    pub(super) fn node(&self, ip: Option<IpAddr>) -> Option<Node<'_>> {
        let rule = self.rule(ip);
        (rule.is_some() || self.allow_anonymous_source).then_some(Node { security: self, rule })
    }

    pub(crate) fn wants_users(&self) -> bool {
        !self.users.is_empty()
    }

    fn rule(&self, ip: Option<IpAddr>) -> Option<&Rule> {
        let ip = ip?.to_canonical();
        let mut fitting = self.rules.iter().filter_map(|rule| Some((rule, rule.place.fits(ip)?)));
        match self.client_match {
            ClientMatch::First => fitting.next(),
            // Of equals the first, as `max_by_key` would take the last.
            ClientMatch::Longest => fitting.reduce(|a, b| if b.1 > a.1 { b } else { a }),
        }
        .map(|(rule, _)| rule)
    }
}

impl<'a> Node<'a> {
    pub(super) fn key(&self) -> &'a [u8] {
        self.rule.and_then(|rule| rule.key.as_ref()).unwrap_or(&self.security.shared_key).bytes()
    }

    /// The passwords of a user that may log in from there; a name may have several.
    pub(super) fn passwords<'b>(&self, username: &'b [u8]) -> impl Iterator<Item = &'b Secret>
    where
        'a: 'b,
    {
        let allowed = self.rule.and_then(|rule| rule.users.as_ref());
        let named = self.security.users.iter().filter(move |u| u.username.as_bytes() == username);
        named
            .filter(move |user| allowed.is_none_or(|names| names.contains(&user.username)))
            .map(|user| &user.password)
    }
}

impl Rule {
    fn new(rule: ClientRule, number: usize, users: &[User]) -> Result<Self, SecurityError> {
        let (name, place) = match (rule.host, rule.network) {
            (Some(host), None) if !host.is_empty() => {
                (host.clone(), Place::Host { name: host, addresses: RwLock::default() })
            }
            (None, Some(text)) => {
                let network = text.parse().map_err(|e| SecurityError::Network(number, e))?;
                (text, Place::Network(network))
            }
            _ => return Err(SecurityError::HostOrNetwork(number)),
        };
        if rule.shared_key.as_ref().is_some_and(Secret::is_empty) {
            return Err(SecurityError::EmptyKey(format!("client {number}")));
        }
        for user in rule.users.iter().flatten() {
            if !users.iter().any(|known| known.username == *user) {
                return Err(SecurityError::UnknownUser(number, user.clone()));
            }
        }
        if rule.users.as_ref().is_some_and(Vec::is_empty) {
            return Err(SecurityError::NobodyFrom(number));
        }
        Ok(Self { name, place, key: rule.shared_key, users: rule.users })
    }
}

impl Place {
    /// How many bits of the address it settles, if it fits.
    fn fits(&self, ip: IpAddr) -> Option<u8> {
        match self {
            Self::Network(network) => network.contains(ip).then(|| network.bits()),
            Self::Host { addresses, .. } => addresses
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&ip)
                .then(|| if ip.is_ipv4() { 32 } else { 128 }),
        }
    }
}

fn check_keys(settings: &SecuritySettings) -> Result<(), SecurityError> {
    match (&settings.shared_key, settings.empty_shared_key) {
        (Some(_), true) => return Err(SecurityError::KeyAndNone),
        (Some(key), false) if key.is_empty() => {
            return Err(SecurityError::EmptyKey("shared_key".into()));
        }
        (Some(_), false) | (None, true) => return Ok(()),
        (None, false) => {}
    }
    if settings.clients.iter().any(|client| client.shared_key.is_none()) {
        Err(SecurityError::NoKey("a client"))
    } else if settings.allow_anonymous_source && !settings.users.is_empty() {
        Err(SecurityError::NoKey("users"))
    } else if settings.allow_anonymous_source {
        Err(SecurityError::NoKey("sources that no client names"))
    } else {
        Ok(())
    }
}

fn check_users(settings: &SecuritySettings) -> Result<(), SecurityError> {
    match (settings.user_auth, settings.users.is_empty()) {
        (Some(true), true) => return Err(SecurityError::NoUsers),
        (Some(false), false) => return Err(SecurityError::UnusedUsers),
        _ => {}
    }
    for user in &settings.users {
        if user.username.is_empty() {
            return Err(SecurityError::UserName);
        }
        if user.password.is_empty() {
            return Err(SecurityError::UserPassword(user.username.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
