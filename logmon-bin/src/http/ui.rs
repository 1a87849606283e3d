//! The page, from files that are part of the binary.

use axum::extract::Path;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::problem::{Code, Problem};

#[derive(RustEmbed)]
#[folder = "ui/dist"]
struct Assets;

const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; \
                      base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

/// A file of the page; the page itself for its own addresses.
pub(super) async fn asset(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") || path == "api" {
        return Problem::new(Code::NotFound, format!("there is no /{path}")).into_response();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return method_not_allowed(method).await;
    }
    let name = if matches!(path, "" | "logs") { "index.html" } else { path };
    // Looked up in a table inside the binary: no path ever reaches a file system.
    let Some(file) = Assets::get(name) else {
        return Problem::new(Code::NotFound, "there is no such page").into_response();
    };
    let tag = entity_tag(&file.metadata.sha256_hash());
    let is_known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let is_hashed = name.starts_with("assets/");
    let keep = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [
        (header::CACHE_CONTROL, keep),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_TYPE, media_type(name)),
    ];
    if is_known {
        return (axum::http::StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::ETAG, tag)], file.data.into_owned()).into_response()
}

/// `GET /problems/{name}`: where the type of a problem points to.
pub(super) async fn problem_page(Path(name): Path<String>) -> Response {
    let is_plain = name.len() < 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if !is_plain {
        return Problem::new(Code::NotFound, "there is no such problem").into_response();
    }
    let text = format!(
        "{name}\n\nThis is the type of a problem that logmon answered with. The `detail` of the \
         answer says what was wrong, `position` where, `hint` how to go on.\n"
    );
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// For a path that exists under another method.
pub(super) async fn method_not_allowed(method: Method) -> Response {
    Problem::new(Code::MethodNotAllowed, format!("{method} is not possible here")).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// An entity tag.
fn entity_tag(bytes: &[u8]) -> String {
    let short = bytes.first_chunk::<16>().copied().unwrap_or_default();
    format!("\"{:032x}\"", u128::from_be_bytes(short))
}
