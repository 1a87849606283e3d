//! Who may call: hosts, origins, and what every answer carries.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::App;
use super::problem::{Code, Context, Problem};

/// The names and origins the server answers to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    /// Host names, beside IP literals and `localhost`. Only looked at on a loopback address,
    /// unless names are given.
    pub(crate) hosts: Vec<String>,
    /// Origins of other pages that may call.
    pub(crate) origins: Vec<String>,
    pub(crate) is_loopback: bool,
}

impl Guard {
    /// Lets pages of the named origins call; without any, nobody from elsewhere.
    pub(crate) fn cors(&self) -> CorsLayer {
        let origins = self.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::HEAD, Method::POST])
            .allow_headers([header::CONTENT_TYPE, header::ACCEPT, HeaderName::LAST_EVENT_ID])
            .expose_headers([HeaderName::REQUEST_ID])
            .max_age(Duration::from_secs(600))
    }

    /// Refuses a host name that is not ours, so that a page elsewhere cannot reach a loopback
    /// server by naming it in its own DNS.
    fn check_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if !self.is_loopback && self.hosts.is_empty() {
            return Ok(());
        }
        let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
            return Ok(()); // HTTP/1.0; a browser always sends one
        };
        let name = host_name(host);
        let is_ours = name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is_ours {
            return Ok(());
        }
        let detail = format!(
            "this server is not called `{name}`; if it should be, add the name to [http] hosts"
        );
        Err(Problem::new(Code::MisdirectedHost, detail))
    }

    /// Refuses what is not a browser's question whether a page of a named origin may call.
    fn check_preflight(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        let is_named = self.origins.iter().any(|known| Some(known.as_str()) == origin);
        if is_named && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return Ok(());
        }
        Err(Problem::new(Code::MethodNotAllowed, "OPTIONS is not possible here"))
    }

    /// Refuses pages of other origins. Programs send no origin and are allowed.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return check_site(headers);
        };
        let origin = origin.to_str().unwrap_or("");
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        let is_same = origin
            .split_once("://")
            .is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && rest == host);
        if is_same || self.origins.iter().any(|known| known == origin) {
            return Ok(());
        }
        let detail = format!(
            "pages of `{}` may not call this server; if they should, add the origin to \
             [http] cors_origins (or FRONTEND_URL)",
            origin.chars().take(200).collect::<String>()
        );
        Err(Problem::new(Code::Forbidden, detail))
    }
}

/// Refuses a request without an origin that comes from a page elsewhere. Browsers name no origin
/// where a page reads from its own server, but say that it is the same.
fn check_site(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(Code::Forbidden, detail));
    match headers.get(HeaderName::FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => refused("a request of another site needs an Origin"),
        // A browser that sends cookies also tells where the page is from.
        None if headers.contains_key(header::COOKIE) => {
            refused("a request with a cookie needs an Origin")
        }
        None => Ok(()),
    }
}

/// The name in a `Host` header, without port and brackets.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Header names that the `http` crate has no constant for.
pub(super) struct HeaderName;

impl HeaderName {
    pub(super) const LAST_EVENT_ID: header::HeaderName =
        header::HeaderName::from_static("last-event-id");
    const FETCH_SITE: header::HeaderName = header::HeaderName::from_static("sec-fetch-site");
    pub(super) const REQUEST_ID: header::HeaderName =
        header::HeaderName::from_static("x-request-id");
}

/// The outermost layer: checks the host and the origin, gives each request an id, and turns
/// problems into documents.
pub(super) async fn outermost(State(app): State<App>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let request_id = request_id(headers);
    let context = Context {
        instance: request
            .uri()
            .path_and_query()
            .map(|path| path.as_str().chars().take(2_000).collect()),
        request_id: Some(request_id.clone()),
        is_japanese: Context::prefers_japanese(headers),
    };
    let guard = &app.0.guard;
    let checked = guard.check_host(headers).and_then(|()| match *request.method() {
        // A handshake of Socket.IO is a GET, too, and nobody looks at its origin later.
        Method::GET if request.uri().path().starts_with("/socket.io/") => {
            guard.check_origin(headers)
        }
        Method::GET | Method::HEAD => Ok(()),
        Method::OPTIONS => guard.check_preflight(headers),
        _ => guard.check_origin(headers),
    });
    let response = match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let mut response = context.fill(response);
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::REQUEST_ID, id);
    }
    response
}

/// The caller's id where it is a plain word, else a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(HeaderName::REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    given.filter(is_plain).map_or_else(random_id, str::to_owned)
}

/// 16 random hexadecimal digits.
pub(super) fn random_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness ids repeat, which only makes logs harder to read.
    let _is_random = getrandom::fill(&mut bytes).is_ok();
    format!("{:016x}", u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), HeaderValue::from_static(value))
            })
            .collect()
    }

    ///
    #[test]
    fn answers_only_to_its_names() {
        let guard =
            Guard { hosts: vec!["logs.example".into()], origins: vec![], is_loopback: true };
        for host in ["localhost:4000", "127.0.0.1", "[::1]:4000", "logs.example:80", "LOCALHOST"] {
            assert!(guard.check_host(&headers(&[("host", host)])).is_ok(), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:4000", ""] {
            assert!(guard.check_host(&headers(&[("host", host)])).is_err(), "{host}");
        }
        let open = Guard::default();
        assert!(open.check_host(&headers(&[("host", "anything")])).is_ok());
    }

    ///
    #[test]
    fn answers_only_to_its_origins() {
        let guard = Guard { origins: vec!["https://good.example".into()], ..Guard::default() };
        let check =
            |pairs: &[(&'static str, &'static str)]| guard.check_origin(&headers(pairs)).is_ok();
        assert!(check(&[("host", "localhost:4000")]), "a program");
        assert!(check(&[("host", "localhost:4000"), ("origin", "http://localhost:4000")]));
        assert!(check(&[("host", "localhost:4000"), ("origin", "https://good.example")]));
        for origin in [
            "null",
            "https://good.example.evil",
            "https://sub.good.example",
            "http://localhost:4001",
            "localhost:4000",
        ] {
            assert!(!check(&[("host", "localhost:4000"), ("origin", origin)]), "{origin}");
        }
        assert!(!check(&[("host", "localhost:4000"), ("cookie", "a=b")]), "a cookie and no origin");
        // What a browser sends where a page reads a stream of its own server: other servers of the
        // same machine may have set the cookie.
        assert!(check(&[("cookie", "a=b"), ("sec-fetch-site", "same-origin")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
    }
}
