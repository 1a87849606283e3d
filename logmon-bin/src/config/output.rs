//! Outputs: what was typed, and what it means.

use logmon_core::StartAt;
use logmon_forward::SenderConfig;
use logmon_store::{HoldConfig, OnLag};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{ConfigError, Store, StoreKind};

mod forward;
mod mongodb;

pub(crate) use mongodb::Mongo;

/// An output, checked.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Names its cursor, so it stays with it when other settings change.
    pub(crate) name: String,
    pub(crate) start: StartAt,
    /// What holds when it is behind.
    pub(crate) hold: HoldConfig,
    pub(crate) to: Destination,
}

/// Where an output writes to.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    Forward(Box<SenderConfig>),
    MongoDb(Box<Mongo>),
}

/// An output as it was typed: which keys it may have depends on its kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct RawOutput(toml::Table);

/// What all kinds have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Common {
    name: Option<String>,
    kind: Option<String>,
    from: Option<String>,
    required: bool,
    max_lag: Option<MaxLag>,
    on_lag: Option<String>,
}

const COMMON: [&str; 6] = ["name", "kind", "from", "required", "max_lag", "on_lag"];

/// One limit or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum MaxLag {
    One(String),
    Several(Vec<String>),
}

/// Checks all outputs; no two have one name. That which is searched has everything and loses nothing,
/// unless it says otherwise.
///
/// # Errors
/// The first setting that cannot be used, with its name.
pub(super) fn check_all(raw: Vec<RawOutput>, store: &Store) -> Result<Vec<Output>, ConfigError> {
    let mut outputs: Vec<Output> = Vec::with_capacity(raw.len());
    for mut raw in raw {
        if store.kind == StoreKind::MongoDb && raw.is_searched(store.output.as_deref()) {
            raw.0.entry("from").or_insert_with(|| "oldest".into());
            if !raw.0.contains_key("on_lag") {
                raw.0.entry("required").or_insert(toml::Value::Boolean(true));
            }
        }
        let output = raw.check()?;
        if outputs.iter().any(|other| other.name == output.name) {
            let problem = format!("there are two outputs of the name `{}`", output.name);
            return Err(ConfigError::new("output.name", problem));
        }
        outputs.push(output);
    }
    Ok(outputs)
}

impl RawOutput {
    fn is_searched(&self, name: Option<&str>) -> bool {
        let of = |key| self.0.get(key).and_then(toml::Value::as_str);
        let kind = of("kind");
        kind == Some("mongodb") && name.is_none_or(|name| of("name").or(kind) == Some(name))
    }

    fn check(self) -> Result<Output, ConfigError> {
        let (common, own) = self.split()?;
        let kind = common.kind.as_deref();
        let name = common.name.unwrap_or_else(|| kind.unwrap_or("forward").to_owned());
        let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_".contains(&c);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
            let problem = format!(
                "`{name}` is not a name of up to 64 lower-case letters, digits, `-` and `_`"
            );
            return Err(ConfigError::new("output.name", problem));
        }
        let place = format!("output `{name}`");
        let fail = |problem: String| ConfigError::new(place.clone(), problem);
        let start = match common.from.as_deref() {
            None | Some("now") => StartAt::Now,
            Some("oldest") => StartAt::Oldest,
            Some(other) => return Err(fail(format!("from `{other}` is not now or oldest"))),
        };
        let hold = hold(common.required, common.max_lag, common.on_lag.as_deref()).map_err(fail)?;
        let to = match kind {
            Some("forward") => {
                let raw: forward::RawForwardOutput = read(own, &place)?;
                Destination::Forward(Box::new(raw.check(&place)?))
            }
            Some("mongodb") => {
                let raw: mongodb::RawMongo = read(own, &place)?;
                Destination::MongoDb(Box::new(raw.check(&place)?))
            }
            Some(other) => {
                let problem = format!("kind `{other}` is not known; expected forward or mongodb");
                return Err(fail(problem));
            }
            None => return Err(fail("kind is missing; expected forward or mongodb".to_owned())),
        };
        Ok(Output { name, start, hold, to })
    }

    /// What every output has, and what is the kind's own.
    fn split(self) -> Result<(Common, toml::Table), ConfigError> {
        let (common, own): (toml::Table, toml::Table) =
            self.0.into_iter().partition(|(key, _)| COMMON.contains(&key.as_str()));
        Ok((read(common, "output")?, own))
    }
}

fn read<T: DeserializeOwned>(table: toml::Table, place: &str) -> Result<T, ConfigError> {
    table.try_into().map_err(|error: toml::de::Error| ConfigError::new(place, error.message()))
}

/// What holds for an output that is behind: without a word of it, the oldest events go, unless it
/// is required.
fn hold(
    required: bool,
    max_lag: Option<MaxLag>,
    on_lag: Option<&str>,
) -> Result<HoldConfig, String> {
    let on_lag = match (on_lag, required) {
        (Some("block"), _) | (None, true) => OnLag::Block,
        (Some("drop_oldest") | None, false) => OnLag::DropOldest,
        (Some("drop_oldest"), true) => {
            return Err("required and on_lag = \"drop_oldest\" contradict each other".to_owned());
        }
        (Some(other), _) => {
            return Err(format!("on_lag `{other}` is not known; expected block or drop_oldest"));
        }
    };
    let mut hold = HoldConfig::new(on_lag);
    let limits = match max_lag {
        None => Vec::new(),
        Some(MaxLag::One(text)) => vec![text],
        Some(MaxLag::Several(texts)) => texts,
    };
    for text in limits {
        if let Ok(age) = crate::units::duration(&text) {
            hold.max_lag_age = Some(age);
        } else if let Ok(bytes) = crate::units::bytes(&text) {
            hold.max_lag_bytes = Some(bytes);
        } else {
            return Err(format!(
                "max_lag `{text}` is neither a duration such as 6h nor a size such as 10GiB"
            ));
        }
    }
    Ok(hold)
}
