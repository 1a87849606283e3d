//! How the bytes of the Forward listener are read, and what of them is held.

use logmon_core::{Tag, TimeUnit};
use logmon_forward::ListenerConfig;
use logmon_forward::codec::{EmptyTag, InvalidEvent, InvalidTag, Settings, Signals};

use super::super::raw::RawForward;
use super::super::{ConfigError, bytes, size};

/// The least that a connection may hold: one big read and what it is decoded into.
const MIN_IN_FLIGHT: usize = 64 << 10;

/// The longest key that is put into every record.
const MAX_KEY: usize = 256;

impl RawForward {
    pub(super) fn set_reading(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        settings.tag = self.tag.as_deref().map(Tag::from);
        settings.add_tag_prefix.clone_from(&self.add_tag_prefix);
        if let Some(tag) = &self.default_tag {
            settings.empty_tag = EmptyTag::Replace(Tag::from(tag.as_str()));
        }
        settings.group_attributes_key.clone_from(&self.group_attributes_key);
        if self.group_attributes_key.as_deref() == Some("") {
            return Err(ConfigError::new("forward.group_attributes_key", "it is empty"));
        }
        settings.time_unit = one_of(
            "forward.time_unit",
            self.time_unit.as_deref(),
            [("seconds", TimeUnit::Seconds), ("auto", TimeUnit::Auto)],
        )?;
        settings.invalid_event = one_of(
            "forward.invalid_event",
            self.invalid_event.as_deref(),
            [
                ("quarantine", InvalidEvent::Quarantine),
                ("drop", InvalidEvent::Drop),
                ("close", InvalidEvent::Close),
            ],
        )?;
        settings.invalid_tag = one_of(
            "forward.tag_invalid",
            self.tag_invalid.as_deref(),
            [("reject", InvalidTag::Reject), ("escape", InvalidTag::Escape)],
        )?;
        settings.signals = one_of(
            "forward.signals",
            self.signals.as_deref(),
            [("drop", Signals::Drop), ("reject", Signals::Reject)],
        )?;
        self.set_lengths(settings)
    }

    pub(super) fn set_source(&self, listener: &mut ListenerConfig) -> Result<(), ConfigError> {
        let (address, host) = (&self.source_address_key, &self.source_hostname_key);
        for (name, key) in
            [("forward.source_address_key", address), ("forward.source_hostname_key", host)]
        {
            if key.as_ref().is_some_and(|key| !(1..=MAX_KEY).contains(&key.len())) {
                let problem = format!("a key has from 1 to {MAX_KEY} bytes");
                return Err(ConfigError::new(name, problem));
            }
        }
        if host.is_some() && self.resolve_hostname == Some(false) {
            let problem = "it is false, and source_hostname_key asks for names";
            return Err(ConfigError::new("forward.resolve_hostname", problem));
        }
        if host.is_some() && host == address {
            let problem = "it is the key of the address as well";
            return Err(ConfigError::new("forward.source_hostname_key", problem));
        }
        listener.source_address_key.clone_from(address);
        listener.source_hostname_key.clone_from(host);
        Ok(())
    }

    fn set_lengths(&self, settings: &mut Settings) -> Result<(), ConfigError> {
        let limits = &mut settings.limits;
        let text = self.max_message_bytes.as_deref();
        limits.max_message_bytes =
            size("forward.max_message_bytes", text, limits.max_message_bytes)?;
        let text = self.max_decompressed_bytes.as_deref();
        limits.max_decompressed_bytes =
            bytes("forward.max_decompressed_bytes", text, limits.max_decompressed_bytes)?;
        let warn_bytes =
            bytes("forward.warn_message_bytes", self.warn_message_bytes.as_deref(), 0)?;
        settings.warn_message_bytes = (warn_bytes > 0).then_some(warn_bytes);
        Ok(())
    }

    pub(super) fn set_memory(&self, listener: &mut ListenerConfig) -> Result<(), ConfigError> {
        let (all, one) = (&mut listener.max_memory_bytes, &mut listener.max_in_flight_bytes);
        *all = size("forward.max_memory_bytes", self.max_memory_bytes.as_deref(), *all)?;
        let name = "forward.max_in_flight_bytes";
        match self.max_in_flight_bytes.as_deref() {
            Some(text) => *one = size(name, Some(text), *one)?,
            None => *one = (*one).min(*all),
        }
        if *one < MIN_IN_FLIGHT {
            return Err(ConfigError::new(name, "a connection needs 64KiB at least"));
        }
        if *one > *all {
            let problem = "one connection cannot hold more than all, max_memory_bytes";
            return Err(ConfigError::new(name, problem));
        }
        Ok(())
    }
}

/// What a word stands for; the first of the choices where nothing was typed.
fn one_of<T: Copy, const N: usize>(
    name: &str,
    text: Option<&str>,
    choices: [(&str, T); N],
) -> Result<T, ConfigError> {
    let found = match text {
        None => choices.first(),
        Some(text) => choices.iter().find(|(word, _)| *word == text),
    };
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let problem = format!("`{}` is none of {}", text.unwrap_or_default(), words.join(", "));
        ConfigError::new(name, problem)
    })
}
