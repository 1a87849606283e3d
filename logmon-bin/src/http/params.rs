//! The parameters of a request, and the filter they say.

use logmon_core::filter::Filter;
use logmon_core::{Level, Timestamp};

use super::problem::Problem;

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
    fn tells_what_is_wrong() {
        assert!(filter("level=loud").is_err());
        assert!(filter("q=level:").is_err());
        let params = Params::parse(Some("limt=5"));
        let problem = params.allow(&["limit", "q"]).unwrap_err();
        assert!(format!("{problem:?}").contains("did you mean `limit`"));
        assert!(Params::parse(Some("limit=0")).number("limit", 100, 1..=10).is_err());
    }
}
