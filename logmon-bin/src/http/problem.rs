//! Errors as RFC 9457 problem documents.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use logmon_core::ParseFilterError;
use logmon_core::filter::ParseFilterErrorKind;
use serde_json::{Map, Value, json};

/// What went wrong, on its way to the client. The outermost layer adds `instance` and
/// `request_id` and chooses the language.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    extra: Map<String, Value>,
    retry_after: Option<u32>,
}

/// What kind of problem it is. The name on the wire never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Forbidden,
    InvalidCursor,
    InvalidParameter,
    MethodNotAllowed,
    MisdirectedHost,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    QuerySyntax,
    QueryType,
    Unreadable,
    UnsupportedEncoding,
    UnsupportedMedia,
}

impl Code {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::InvalidCursor => "invalid_cursor",
            Self::InvalidParameter => "invalid_parameter",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MisdirectedHost => "misdirected_host",
            Self::NotFound => "not_found",
            Self::Overloaded => "overloaded",
            Self::PayloadTooLarge => "payload_too_large",
            Self::QuerySyntax => "query_syntax",
            Self::QueryType => "query_type",
            Self::Unreadable => "invalid_body",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::UnsupportedMedia => "unsupported_media",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::InvalidCursor
            | Self::InvalidParameter
            | Self::QuerySyntax
            | Self::QueryType
            | Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::MisdirectedHost => StatusCode::MISDIRECTED_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedEncoding | Self::UnsupportedMedia => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
        }
    }

    /// The title in English and Japanese.
    const fn titles(self) -> (&'static str, &'static str) {
        match self {
            Self::Forbidden => ("The request is not allowed", "この要求は許可されていません"),
            Self::InvalidCursor => ("The cursor cannot be read", "カーソルを読み取れません"),
            Self::InvalidParameter => ("A parameter is wrong", "パラメーターが正しくありません"),
            Self::MethodNotAllowed => {
                ("The method is not possible here", "このメソッドは使えません")
            }
            Self::MisdirectedHost => {
                ("This server has another name", "このサーバーの名前ではありません")
            }
            Self::NotFound => ("There is nothing here", "見つかりません"),
            Self::Overloaded => {
                ("The server cannot take this now", "サーバーは今これを受け付けられません")
            }
            Self::PayloadTooLarge => ("The body is too large", "本文が大きすぎます"),
            Self::QuerySyntax => ("The query cannot be read", "クエリーを読み取れません"),
            Self::QueryType => {
                ("The query compares what cannot be compared", "クエリーの比較が成り立ちません")
            }
            Self::Unreadable => ("The body cannot be read", "本文を読み取れません"),
            Self::UnsupportedEncoding => {
                ("The encoding is not known", "未対応のエンコーディングです")
            }
            Self::UnsupportedMedia => ("The media type is not known", "未対応のメディアタイプです"),
        }
    }
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), extra: Map::new(), retry_after: None }
    }

    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// A parameter that cannot be used.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let errors = json!([{"parameter": name, "detail": detail}]);
        Self::new(Code::InvalidParameter, format!("{name}: {detail}")).with("errors", errors)
    }

    /// A query that cannot be read; `text` is the whole query, for the position.
    pub(crate) fn query(text: &str, error: &ParseFilterError) -> Self {
        let before = text.get(..error.offset()).unwrap_or(text);
        let inside = text.get(error.offset()..error.offset() + error.length()).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let utf16 = |text: &str| text.encode_utf16().count();
        let position = json!({
            "offset": utf16(before),
            "offset_bytes": error.offset(),
            "length": utf16(inside),
            "line": before.matches('\n').count() + 1,
            "column": utf16(before.get(line_start..).unwrap_or("")) + 1,
        });
        let code = match error.kind() {
            ParseFilterErrorKind::Type => Code::QueryType,
            _ => Code::QuerySyntax,
        };
        let problem = Self::new(code, error.detail())
            .with("position", position)
            .with("expected", json!(error.expected()));
        match error.hint() {
            Some(hint) => problem.with("hint", json!(hint)),
            None => problem,
        }
    }

    /// The problem of a refusal that a layer below gave without a word.
    fn of_status(response: &Response) -> Option<Self> {
        let status = response.status();
        let has_words = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|media| media.as_bytes().starts_with(b"application/"));
        if has_words || !(status.is_client_error() || status.is_server_error()) {
            return None;
        }
        let code = match status {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
            // Handlers name the media types they take themselves.
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let detail = "the body's encoding is not taken; send it plain or as gzip, deflate \
                              or zstd";
                return Some(Self::new(Code::UnsupportedEncoding, detail));
            }
            StatusCode::FORBIDDEN => Code::Forbidden,
            StatusCode::BAD_REQUEST => Code::InvalidParameter,
            _ => return None,
        };
        Some(Self::new(code, status.canonical_reason().unwrap_or("refused")))
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    pub(crate) const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The document.
    pub(crate) fn document(&self, context: &Context) -> Value {
        let (english, japanese) = self.code.titles();
        let mut document = Map::new();
        let mut set = |name: &str, value: Value| document.insert(name.to_owned(), value);
        set("type", json!(format!("/problems/{}", self.code.name().replace('_', "-"))));
        set("title", json!(if context.is_japanese { japanese } else { english }));
        set("status", json!(self.code.status().as_u16()));
        set("detail", json!(self.detail));
        set("code", json!(self.code.name()));
        if let Some(instance) = &context.instance {
            set("instance", json!(instance));
        }
        if let Some(id) = &context.request_id {
            set("request_id", json!(id));
        }
        for (name, value) in &self.extra {
            set(name, value.clone());
        }
        Value::Object(document)
    }
}

/// What a problem document says of the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) instance: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) is_japanese: bool,
}

impl Context {
    /// Whether the reader prefers Japanese: the first language named is it.
    pub(crate) fn prefers_japanese(headers: &HeaderMap) -> bool {
        let languages = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        languages.is_some_and(|languages| languages.trim_start().starts_with("ja"))
    }

    /// Writes the document into a response that carries a problem.
    pub(crate) fn fill(&self, mut response: Response) -> Response {
        let told = response.extensions_mut().remove::<Problem>();
        let Some(problem) = told.or_else(|| Problem::of_status(&response)) else {
            return response;
        };
        *response.status_mut() = problem.code.status();
        *response.body_mut() = Body::from(problem.document(self).to_string());
        // What other layers have put there stays: `Allow`, and what lets another page read this.
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        if let Some(seconds) = problem.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
