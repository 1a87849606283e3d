//! The HTTP client of the command line.

#[allow(
    dead_code,
    reason = "all of the protocol, of which `logmon tail` needs a part; the tests use the rest"
)]
pub(crate) mod live;

use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use ureq::{Agent, Body};

/// Talks to one server.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(75)))
            .timeout_recv_body(None)
            .build()
            .into();
        Self { agent, url: url.trim_end_matches('/').to_owned() }
    }

    /// The lines of an answer in NDJSON.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub(crate) fn lines(
        &self,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> anyhow::Result<impl BufRead + use<>> {
        let body = self.get(path, pairs, &[("Accept", "application/x-ndjson")])?;
        Ok(BufReader::new(body.into_reader()))
    }

    /// An answer in JSON.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub(crate) fn json(&self, path: &str, pairs: &[(&str, &str)]) -> anyhow::Result<Value> {
        let body = self.get(path, pairs, &[("Accept", "application/json")])?;
        serde_json::from_reader(body.into_reader()).context("the answer of the server broke off")
    }

    fn get(
        &self,
        path: &str,
        pairs: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Body> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.get(&url).query_pairs(pairs.iter().copied());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.call().with_context(|| format!("asking {} failed", self.url))?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let status = response.status();
        let body = response.into_body().read_to_string().unwrap_or_default();
        let problem: Value = serde_json::from_str(&body).unwrap_or_default();
        match problem {
            Value::Object(_) => Err(anyhow::anyhow!(live::told(&problem))),
            _ => Err(anyhow::anyhow!("the server answered {status}")),
        }
    }
}
