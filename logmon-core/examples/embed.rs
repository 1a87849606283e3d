//! A hub inside an application: publish events, and watch those that a query accepts.
//!
//! `cargo run -p logmon-core --example embed`

use logmon_core::hub::Delivery;
use logmon_core::{Event as _, Hub, Level, Log};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::in_memory();
    let mut warnings = hub.subscribe("level>=warn -source:test")?;

    hub.publish(&Log::new("all is well").level(Level::Info).source("disk"))?;
    hub.publish(&Log::new("nearly full").level(Level::Warn).source("disk").field("free_mb", 312))?;

    while let Some(delivery) = warnings.next().await {
        match delivery {
            Delivery::Batch(batch) => batch.logs().for_each(|log| eprintln!("{}", log.message())),
            Delivery::Dropped(dropped) => eprintln!("not shown: {dropped:?}"),
            Delivery::CaughtUp { .. } => break,
            _ => {}
        }
    }
    Ok(())
}
