use logmon_core::TimeUnit;
use logmon_forward::DedupeMode;

use logmon_store::mongo::{Capped, Collection, DotsAndDollars, WriteConcern};
use logmon_store::{HoldConfig, OnLag};

use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logmon.toml");
    std::fs::write(&file, text).unwrap();
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let raw = RawConfig::load(Some(&file), environment);
    let place = format!("{}/", folder.path().display());
    raw.and_then(Config::check).map_err(|error| error.to_string().replace(&place, ""))
}

#[test]
fn nothing_typed_is_the_default() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.forward.listen.to_string(), "127.0.0.1:24224");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:4000");
    assert_eq!(config.data_dir, PathBuf::from("./logmon-data"));
    assert_eq!(config.store.kind, StoreKind::Local);
    assert_eq!(config.journal.durability, Durability::Sync);
}

#[test]
fn reads_every_section() {
    let config = load(
        r#"
        data_dir = "/var/lib/logmon"
        [forward]
        listen = "0.0.0.0:24225"
        time_unit = "auto"
        dedupe = "strict"
        dedupe_window = "1h"
        dedupe_max_ids = 5000
        [http]
        cors_origins = ["https://logs.example.org"]
        max_body_bytes = "1MiB"
        [store]
        kind = "none"
        [journal]
        durability = "interval(500ms)"
        max_bytes = "1GiB"
        max_age = "30d"
        staging_max_bytes = "3GiB"
        [fields]
        message = ["text"]
        [live]
        ring_bytes = "4MiB"
        "#,
        &[],
    )
    .unwrap();
    assert_eq!(config.journal.durability, Durability::Interval(Duration::from_millis(500)));
    assert_eq!(config.journal.max_age, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(config.journal.staging_max_bytes, 3 << 30);
    assert_eq!((config.http.max_body_bytes, config.ring_bytes), (1 << 20, 4 << 20));
    assert_eq!(config.fields.message_keys(), ["text"]);
    assert_eq!(config.forward.settings.time_unit, TimeUnit::Auto);
    assert_eq!(config.forward.dedupe, DedupeMode::Strict);
    assert_eq!(config.forward.dedupe_window, Duration::from_secs(3_600));
    assert_eq!(config.forward.dedupe_max_ids, 5_000);
}

#[test]
fn dedupe_has_sensible_bounds() {
    for (setting, name) in [
        ("dedupe = \"on\"", "forward.dedupe: "),
        ("dedupe_window = \"31d\"", "forward.dedupe_window: "),
        ("dedupe_window = \"often\"", "forward.dedupe_window: "),
        ("dedupe_max_ids = 0", "forward.dedupe_max_ids: "),
    ] {
        let error = load(&format!("[forward]\n{setting}\n"), &[]).unwrap_err();
        assert!(error.starts_with(name), "{error}");
    }
    let config = load("", &[("LOGMON_FORWARD_DEDUPE_MAX_IDS", "7")]).unwrap();
    assert_eq!((config.forward.dedupe, config.forward.dedupe_max_ids), (DedupeMode::Evidence, 7));
}

/// R-086: an unknown key is an error with its line and the nearest known key.
#[test]
fn names_the_nearest_key() {
    let error = load("[http]\nlissten = \"x\"\n", &[]).unwrap_err();
    assert_eq!(error, "logmon.toml:2: unknown key `lissten` in [http]; did you mean `listen`?");
    let error = load("[forward]\nlisten = \"127.0.0.1:1\"\n[http]\nlist = 1", &[]).unwrap_err();
    assert!(error.starts_with("logmon.toml:4: unknown key `list` in [http]"), "{error}");
    let error = load("data_dir = \"x\"\n[htpp]\n", &[]).unwrap_err();
    assert_eq!(error, "logmon.toml:2: unknown key `htpp`; did you mean `http`?");
    let error = load("htpp = 1\n", &[]).unwrap_err();
    assert_eq!(error, "logmon.toml:1: unknown key `htpp`; did you mean `http`?");
}

/// R-086, R-087: every wrong value says which setting and what was expected.
#[test]
fn tells_what_is_wrong() {
    for (text, error) in [
        (
            "[http]\nlisten = \"here\"",
            "http.listen: `here` is not an address and port such as 127.0.0.1:4000",
        ),
        (
            "[journal]\nmax_bytes = \"1e99\"",
            "journal.max_bytes: `1e99` is not a size such as 1048576, 64KiB, 8MiB or 10GB",
        ),
        (
            "[journal]\ndurability = \"maybe\"",
            "journal.durability: `maybe` is not a durability; expected sync, interval(1s) or none",
        ),
        (
            "[store]\nkind = \"mysql\"",
            "store.kind: `mysql` is not a store; expected local, mongodb, journal or none",
        ),
        (
            "[http]\ncors_origins = [\"*\"]",
            "http.cors_origins: `*` is not an origin such as https://logs.example.org",
        ),
        ("[fields]\nlevel = [\"\"]", "fields: field name `` is empty or longer than 63 bytes"),
    ] {
        assert_eq!(load(text, &[]).unwrap_err(), error);
    }
    assert!(load("[http\n", &[]).unwrap_err().starts_with("logmon.toml:1: "));
}

#[test]
fn the_environment_goes_over_the_file() {
    let config = load(
        "[http]\nlisten = \"127.0.0.1:1\"\n",
        &[
            ("PORT", "4001"),
            ("FRONTEND_URL", "http://localhost:3000/"),
            ("LOGMON_FORWARD_LISTEN", "127.0.0.1:5"),
            ("LOGMON_HTTP_MAX_CONNECTIONS", "7"),
            ("LOGMON_DATA_DIR", "/tmp/x"),
            ("LOGMON_UNRELATED", "x"),
            ("HOME", "/"),
        ],
    )
    .unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:4001");
    assert_eq!(config.http.origins, ["http://localhost:3000"]);
    assert_eq!(config.forward.listen.to_string(), "127.0.0.1:5");
    assert_eq!((config.http.max_connections, config.data_dir), (7, PathBuf::from("/tmp/x")));
    let open = "[http]\nlisten = \"[::]:1\"\ninsecure_no_auth = true\n";
    let config = load(open, &[("PORT", "4001")]).unwrap();
    assert_eq!(config.http.listen.to_string(), "[::]:4001", "only the port changes");
    assert!(load("", &[("PORT", "many")]).unwrap_err().starts_with("PORT: "));
}

/// The environment has no order.
#[test]
fn our_own_names_go_over_those_of_the_first_system() {
    let own = ("LOGMON_HTTP_LISTEN", "127.0.0.1:7");
    let list = ("LOGMON_HTTP_CORS_ORIGINS", "http://a.example");
    let front = ("FRONTEND_URL", "http://b.example");
    for environment in [[own, ("PORT", "8"), front, list], [list, front, ("PORT", "8"), own]] {
        let config = load("", &environment).unwrap();
        assert_eq!(config.http.listen.port(), 7);
        assert_eq!(config.http.origins, ["http://a.example", "http://b.example"]);
    }
}

#[test]
fn no_connections_and_far_too_many_are_refused() {
    for number in ["0", "9223372036854775807"] {
        let error = load(&format!("[http]\nmax_connections = {number}\n"), &[]).unwrap_err();
        assert!(error.starts_with("http.max_connections: "), "{error}");
    }
}

/// Section 11 of the design: never open to other machines by accident.
#[test]
fn refuses_an_open_address_without_a_word() {
    let error = load("[http]\nlisten = \"0.0.0.0:4000\"\n", &[]).unwrap_err();
    assert!(error.contains("--insecure-no-auth"), "{error}");
    assert!(load("[http]\nlisten = \"0.0.0.0:4000\"\ninsecure_no_auth = true\n", &[]).is_ok());
}

#[test]
fn reads_outputs_and_the_quarantine() {
    let config = load(
        r#"
        [quarantine]
        max_bytes = "1GiB"
        keep = "facts"
        [[output]]
        name = "central"
        kind = "forward"
        to = "logs.example.org:24225"
        from = "oldest"
        required = true
        max_lag = ["6h", "10GiB"]
        compress = "zstd"
        peer = "logmon"
        ack_response_timeout = "190s"
        [[output]]
        kind = "forward"
        require_ack = false
        metadata = "inject(meta)"
        security = { self_hostname = "edge", shared_key = "hidden" }
        servers = [
            { host = "a" },
            { host = "b", port = 5, weight = 0, standby = true, username = "u", password = "hidden" },
        ]
        "#,
        &[],
    )
    .unwrap();
    assert_eq!(config.quarantine.max_bytes, 1 << 30);
    let [central, other] = &*config.outputs else { panic!("{:?}", config.outputs) };
    assert_eq!((&*central.name, &*other.name), ("central", "forward"));
    assert_eq!(central.start, logmon_core::StartAt::Oldest);
    let mut hold = HoldConfig::new(OnLag::Block);
    hold.max_lag_age = Some(Duration::from_secs(6 * 3600));
    hold.max_lag_bytes = Some(10 << 30);
    assert_eq!((central.hold, other.hold), (hold, HoldConfig::new(OnLag::DropOldest)));
    let (Destination::Forward(central), Destination::Forward(other)) = (&central.to, &other.to)
    else {
        panic!("{:?}", config.outputs)
    };
    assert_eq!(central.ack_timeout, Duration::from_secs(190));
    assert!(central.require_ack && !other.require_ack);
    let [a, b] = &*other.servers else { panic!("{:?}", other.servers) };
    assert_eq!((a.weight, a.standby, b.weight, b.standby), (60, false, 0, true));
    assert_eq!(b.security.as_ref().unwrap().username, "u");
    assert!(!format!("{config:?}").contains("hidden"), "secrets are not shown");
}

#[test]
fn reads_an_output_to_mongodb() {
    let config = load(
        r#"
        [[output]]
        kind = "mongodb"
        uri = "mongodb://user:hidden@db/audit"
        collection = "events"
        write_concern = 2
        journaled = false
        expire_after = "30d"
        capped_size = "1GiB"
        keys = "keep"
        window = 2
        date_keys = ["born"]
        object_id_keys = ["user.id"]
        flush_interval = "1s"
        required = true
        "#,
        &[],
    )
    .unwrap();
    let [output] = &*config.outputs else { panic!("{:?}", config.outputs) };
    assert_eq!((&*output.name, output.hold), ("mongodb", HoldConfig::new(OnLag::Block)));
    let Destination::MongoDb(mongo) = &output.to else { panic!("{output:?}") };
    assert_eq!(mongo.window, 2);
    let settings = &mongo.config;
    assert_eq!(settings.collection, Collection::Named("events".to_owned()));
    assert_eq!(settings.write_concern, WriteConcern { servers: Some(2), journal: false });
    assert_eq!(settings.capped, Some(Capped { bytes: 1 << 30, documents: None }));
    assert_eq!(settings.expire_after, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(settings.keys, DotsAndDollars::Keep);
    assert_eq!(
        (&*settings.date_keys, &*settings.object_id_keys),
        (&["born".to_owned()][..], &["user.id".to_owned()][..])
    );
    assert_eq!(mongo.linger, Duration::from_secs(1));
    assert!(!format!("{config:?}").contains("hidden"), "secrets are not shown");
}

/// The environment of the first system is enough.
#[test]
fn mongodb_uri_is_an_output() {
    let environment = [("MONGODB_URI", "mongodb://mongodb:27017/logs")];
    let config = load("", &environment).unwrap();
    let [output] = &*config.outputs else { panic!("{:?}", config.outputs) };
    assert_eq!(config.store.kind, StoreKind::MongoDb);
    assert_eq!(config.store.output.as_deref(), Some("mongodb"));
    assert_eq!((&*output.name, output.start), ("mongodb", logmon_core::StartAt::Oldest));
    assert_eq!(output.hold, HoldConfig::new(OnLag::Block));
    assert!(format!("{:?}", output.to).contains("mongodb:27017/logs"));
    // Settings of the file stay, and lack nothing but the address.
    let text = "[[output]]\nkind = \"mongodb\"\ncollection = \"events\"\n";
    let config = load(text, &environment).unwrap();
    let [output] = &*config.outputs else { panic!("{:?}", config.outputs) };
    let shown = format!("{:?}", output.to);
    assert!(shown.contains("events") && shown.contains("mongodb:27017/logs"), "{shown}");
    let text = "[[output]]\nkind = \"mongodb\"\nuri = \"mongodb://other\"\n";
    let config = load(text, &environment).unwrap();
    assert!(format!("{:?}", config.outputs[0].to).contains("mongodb://other"));
    assert_eq!(config.outputs.len(), 1);
}

/// What is searched has everything, and loses nothing.
#[test]
fn the_store_over_mongodb_is_an_output() {
    let mongodb = "[[output]]\nkind = \"mongodb\"\nuri = \"mongodb://db\"\n";
    let config = load(&format!("[store]\nkind = \"mongodb\"\n{mongodb}"), &[]).unwrap();
    let [output] = &*config.outputs else { panic!("{:?}", config.outputs) };
    assert_eq!(output.hold, HoldConfig::new(OnLag::Block));
    assert_eq!(output.start, logmon_core::StartAt::Oldest);
    let two = format!("{mongodb}name = \"two\"\n{mongodb}on_lag = \"drop_oldest\"\n");
    let config =
        load(&format!("[store]\nkind = \"mongodb\"\noutput = \"mongodb\"\n{two}"), &[]).unwrap();
    assert_eq!(config.store.output.as_deref(), Some("mongodb"));
    let holds: Vec<_> = config.outputs.iter().map(|output| output.hold).collect();
    assert_eq!(holds, [HoldConfig::new(OnLag::DropOldest), HoldConfig::new(OnLag::DropOldest)]);
    // The file's word counts.
    let environment = [("MONGODB_URI", "mongodb://db")];
    let config = load("[store]\nkind = \"local\"\n", &environment).unwrap();
    assert_eq!((config.store.kind, config.outputs.len()), (StoreKind::Local, 1));
    for (store, outputs, wrong) in [
        ("kind = \"mongodb\"", String::new(), "there is none"),
        ("kind = \"mongodb\"", two, "several outputs to MongoDB"),
        ("kind = \"mongodb\"\noutput = \"x\"", mongodb.to_owned(), "names no output"),
        ("output = \"mongodb\"", mongodb.to_owned(), "for kind = \"mongodb\" only"),
        ("kind = \"mongodb\"", format!("{mongodb}tag_mapped = true\n"), "one for each tag"),
    ] {
        let found = load(&format!("[store]\n{store}\n{outputs}"), &[]).unwrap_err();
        assert!(found.contains(wrong), "{store}: {found}");
    }
}

#[test]
fn tells_what_is_wrong_with_an_output_to_mongodb() {
    for (text, wrong) in [
        ("uri = \"http://db\"", "uri begins with neither mongodb:// nor mongodb+srv://"),
        ("uri = \"mongodb://a\"\nuri_file = \"x\"", "uri and uri_file exclude each other"),
        ("uri_file = \"/no/such/file\"", "uri_file /no/such/file: "),
        ("collection = \"\"", "collection `` is no name of a collection"),
        ("collection = \"a\"\ntag_mapped = true", "collection and tag_mapped exclude each other"),
        ("remove_tag_prefix = \"a\"", "remove_tag_prefix means nothing without tag_mapped"),
        ("write_concern = 0", "write_concern 0: what nobody acknowledges cannot be delivered"),
        ("write_concern = \"most\"", "write_concern `most` is not majority or a number"),
        ("capped_max = 5", "capped_max means nothing without capped_size"),
        ("keys = \"drop\"", "keys `drop` is not escape or keep"),
        ("window = 0", "window: 0 is not from 1 to 64"),
        ("flush_interval = \"5m\"", "flush_interval: more than 60s"),
        ("batch_documents = 0", "batch_documents: 0 is not from 1 to 5000"),
        ("compressors = [\"zlib\"]", "compressors: `zlib` is not zstd or snappy"),
        ("databse = \"x\"", "unknown field `databse`"),
        ("max_pool_size = 0", "max_pool_size: 0 connections write nothing"),
        ("expire_after = \"10ms\"", "expire_after: less than 1s keeps nothing"),
        ("attempt_timeout = \"30d\"", "attempt_timeout is not from 100ms to 1h"),
    ] {
        let found = load(&format!("[[output]]\nkind = \"mongodb\"\n{text}\n"), &[]).unwrap_err();
        assert!(found.contains("output `mongodb`") && found.contains(wrong), "{text}: {found}");
    }
}

#[test]
fn tells_what_is_wrong_with_an_output() {
    for (text, error) in [
        ("", "output `forward`: kind is missing; expected forward or mongodb"),
        (
            "kind = \"kafka\"",
            "output `kafka`: kind `kafka` is not known; expected forward or mongodb",
        ),
        ("kind = \"forward\"", "output `forward`: there is neither to nor servers"),
        ("name = \"../x\"", "output.name: `../x` is not a name of up to 64 lower-case letters"),
        (
            "kind = \"forward\"\nfrom = \"then\"",
            "output `forward`: from `then` is not now or oldest",
        ),
        (
            "kind = \"forward\"\nrequired = true\non_lag = \"drop_oldest\"",
            "output `forward`: required and on_lag = \"drop_oldest\" contradict",
        ),
        (
            "kind = \"forward\"\non_lag = \"shrug\"",
            "output `forward`: on_lag `shrug` is not known; expected block or drop_oldest",
        ),
        (
            "kind = \"forward\"\nmax_lag = [\"1h\", \"a lot\"]",
            "output `forward`: max_lag `a lot` is neither a duration such as 6h nor a size",
        ),
        (
            "kind = \"forward\"\nto = \"h\"\nsecurity = { shared_key = \"k\" }",
            "output `forward`: security.self_hostname is missing",
        ),
        (
            "kind = \"forward\"\nto = \"h\"\ntls = { ca = \"/no/such/file\" }",
            "output `forward`: tls: ",
        ),
        ("kind = \"forward\"\ncompres = \"zstd\"", "output `forward`: unknown field `compres`"),
    ] {
        let found = load(&format!("[[output]]\n{text}\n"), &[]).unwrap_err();
        assert!(found.starts_with(error), "{found}");
    }
    let twice = "[[output]]\nkind = \"forward\"\nto = \"h\"\n".repeat(2);
    assert!(load(&twice, &[]).unwrap_err().contains("two outputs of the name `forward`"));
    let error = load("[quarantine]\nkeep = \"some\"\n", &[]).unwrap_err();
    assert_eq!(error, "quarantine.keep: `some` is not known; expected bytes or facts");
}
