//! The sender against our listener and against servers that misbehave.

mod acks;
mod cluster;
mod handshakes;
mod lifetime;
mod outputs;
mod pass_through;
mod payloads;
mod real;
mod script;
