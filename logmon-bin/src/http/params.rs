//! The parameters of a request, and the filter they say.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, StatusCode, header};
use logmon_core::filter::Filter;
use logmon_core::{Level, Timestamp};

use super::problem::{Code, Problem};

/// Names and values of the query part of an address; names may repeat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// What a request may say of which events it wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The filter language.
    pub(crate) q: String,
    /// Levels: names, `warn+`, or `ALL`.
    pub(crate) levels: Vec<String>,
    /// Sources, each exact, or `ALL`.
    pub(crate) sources: Vec<String>,
    /// Plain text in the message.
    pub(crate) search: String,
}

impl Params {
    /// Reads the part behind the question mark.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or("").as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Adds the parameters that a body has as an object of JSON; an array is a parameter that
    /// repeats.
    fn add_json(&mut self, body: &[u8]) -> Result<(), Problem> {
        let unreadable = |detail: String| Problem::new(Code::Unreadable, detail);
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body)
            .map_err(|error| unreadable(format!("expected an object of parameters: {error}")))?;
        for (name, value) in object {
            let values = match value {
                serde_json::Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                let text = match value {
                    serde_json::Value::Null => continue,
                    serde_json::Value::String(text) => text,
                    serde_json::Value::Bool(_) | serde_json::Value::Number(_) => value.to_string(),
                    _ => return Err(Problem::parameter(&name, "cannot be an object or a list")),
                };
                self.0.push((name.clone(), text));
            }
        }
        Ok(())
    }

    /// The first value of a parameter that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that are not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name =
            self.0.iter().filter(move |(known, value)| known == name && !value.is_empty());
        of_name.map(|(_, value)| value.as_str())
    }

    /// Refuses parameters that nobody reads, so that a misspelt one is not silently without
    /// effect.
    pub(crate) fn allow(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                let nearest = crate::config::nearest(name, known.iter().copied());
                let hint =
                    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Err(Problem::parameter(name, format!("there is no such parameter{hint}")))
            }
            None => Ok(()),
        }
    }

    /// All of them but these.
    pub(crate) fn without(&self, names: &[&str]) -> Vec<&(String, String)> {
        self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).collect()
    }

    /// All names of a parameter that lists them with commas.
    pub(crate) fn names<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self.all(name).flat_map(|list| list.split(','));
        names.map(str::trim).filter(|name| !name.is_empty())
    }

    /// A number within a range, or the default.
    pub(crate) fn number(
        &self,
        name: &str,
        default: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, Problem> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = range.into_inner();
            Problem::parameter(name, format!("`{text}` is not a number from {least} to {most}"))
        })
    }

    /// What the request wants to see.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            q: self.get("q").unwrap_or("").to_owned(),
            levels: self.all("level").map(str::to_owned).collect(),
            sources: self.all("source").map(str::to_owned).collect(),
            search: self.get("search").unwrap_or("").to_owned(),
        }
    }
}

/// The parameters of the address, and of the body where one may be sent.
impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let mut params = Self::parse(request.uri().query());
        if request.method() != Method::POST {
            return Ok(params);
        }
        let media = request.headers().get(header::CONTENT_TYPE);
        let media = media.and_then(|media| media.to_str().ok()).unwrap_or("").to_owned();
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| unreadable(&rejection))?;
        if body.is_empty() {
            return Ok(params);
        }
        if media.split(';').next().map(str::trim) != Some("application/json") {
            let detail =
                format!("`{media}` is not taken here; send parameters as application/json");
            return Err(Problem::new(Code::UnsupportedMedia, detail));
        }
        params.add_json(&body)?;
        Ok(params)
    }
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(Code::PayloadTooLarge, "parameters take less room than that");
    }
    Problem::new(Code::Unreadable, rejection.body_text())
}

impl Wanted {
    /// One filter of all parts; relative times are resolved to `now`.
    pub(crate) fn resolved(&self, now: Timestamp) -> Result<Filter, Problem> {
        Ok(self.filter()?.resolve(now))
    }

    /// One filter of all parts.
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let mut filter = Filter::parse(&self.q).map_err(|error| Problem::query(&self.q, &error))?;
        let levels: Vec<&str> = self.levels.iter().flat_map(|list| list.split(',')).collect();
        if let Some(text) = any_of(&levels, level_query)? {
            filter = filter.and(built(&text)?);
        }
        let sources: Vec<&str> = self.sources.iter().map(String::as_str).collect();
        if let Some(text) = any_of(&sources, |source| Ok(format!("source:{}", quoted(source))))? {
            filter = filter.and(built(&text)?);
        }
        if !self.search.is_empty() {
            filter = filter.and(built(&quoted(&self.search))?);
        }
        Ok(filter)
    }
}

/// The alternatives as one query; `None` if there are none or one of them is `ALL`.
fn any_of(
    values: &[&str],
    query: impl Fn(&str) -> Result<String, Problem>,
) -> Result<Option<String>, Problem> {
    let values: Vec<&str> =
        values.iter().filter(|value| !value.trim().is_empty()).copied().collect();
    if values.is_empty() || values.iter().any(|value| value.trim().eq_ignore_ascii_case("all")) {
        return Ok(None);
    }
    let queries = values.into_iter().map(query).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(queries.join(" OR ")))
}

/// `warn` or `warn+`, where the plus may have arrived as a blank.
fn level_query(text: &str) -> Result<String, Problem> {
    let text = text.trim_start();
    if text.eq_ignore_ascii_case("none") {
        return Ok("level:none".to_owned());
    }
    let (word, operator) = text.strip_suffix(['+', ' ']).map_or((text, ":"), |word| (word, ">="));
    let level: Level =
        word.parse().map_err(|error| Problem::parameter("level", format!("{error}")))?;
    Ok(format!("level{operator}{}", level.as_str().to_ascii_lowercase()))
}

/// The text as a quoted literal of the filter language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Parses a query that this module wrote; only its length can be wrong.
fn built(text: &str) -> Result<Filter, Problem> {
    Filter::parse(text).map_err(|error| Problem::query(text, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<String, Problem> {
        Params::parse(Some(query)).wanted().filter().map(|filter| filter.to_string())
    }

    #[test]
    fn convenience_parameters_join_the_query() {
        assert_eq!(filter("").unwrap(), "*");
        assert_eq!(
            filter("q=timeout&level=error,fatal&source=web&source=a+b").unwrap(),
            "timeout AND (level:error OR level:fatal) AND (source:web OR source:\"a b\")"
        );
        assert_eq!(filter("level=warn%2B").unwrap(), "level>=warn");
        assert_eq!(filter("level=ALL&source=all&search=").unwrap(), "*");
        assert_eq!(filter("level=").unwrap(), "*");
    }

    #[test]
    fn an_unescaped_plus_arrives_as_a_blank() {
        assert_eq!(filter("level=warn+").unwrap(), "level>=warn");
    }

    #[test]
    fn plain_text_is_no_syntax() {
        assert_eq!(filter("search=%22x%22").unwrap(), filter("q=%22%5C%22x%5C%22%22").unwrap());
        assert!(filter("search=level:(").is_ok());
    }

    #[test]
    fn a_body_says_the_same_as_an_address() {
        let mut params = Params::parse(Some("source=a"));
        let body = br#"{"level": ["warn", "error"], "limit": 5, "q": null, "source": "b"}"#;
        params.add_json(body).unwrap();
        assert_eq!(
            params.0,
            Params::parse(Some("source=a&level=warn&level=error&limit=5&source=b")).0
        );
        for bad in ["", "[]", "{\"q\": {}}", "{\"q\": [[]]}"] {
            assert!(Params::default().add_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn tells_what_is_wrong() {
        assert!(filter("level=loud").is_err());
        assert!(filter("q=level:").is_err());
        let params = Params::parse(Some("limt=5"));
        let problem = params.allow(&["limit", "q"]).unwrap_err();
        assert!(format!("{problem:?}").contains("did you mean `limit`"));
        assert!(Params::parse(Some("limit=0")).number("limit", 100, 1..=10).is_err());
    }
}
