use super::*;

fn address(text: &str) -> RedisAddress {
    text.parse().unwrap()
}

#[test]
fn servers_and_sentinels_are_told_apart() {
    assert!(address("redis://localhost:6379/1").sentinels.is_none());
    let by_sentinel = address("redis+sentinel://a:1,b,[::1]:3/main/2");
    let Sentinels { service, hosts } = by_sentinel.sentinels.clone().unwrap();
    assert_eq!(service, "main");
    let expected = [("a", 1), ("b", SENTINEL_PORT), ("::1", 3)];
    assert_eq!(hosts, expected.map(|(host, port)| (host.to_owned(), port)));
    assert_eq!(by_sentinel.to_string(), "redis+sentinel://a:1,b:26379,[::1]:3/main/2");
    assert_eq!(address(&by_sentinel.to_string()), by_sentinel);
    assert_eq!(address("redis+sentinel://a/main").to_string(), "redis+sentinel://a:26379/main/0");
}

#[test]
fn what_is_no_address_is_said() {
    let cases = [
        ("", "no other scheme"),
        ("http://localhost", "no other scheme"),
        ("rediss://localhost", "TLS is not supported"),
        ("redis:///1", "the host is missing"),
        ("redis://localhost/one", "DB is a number"),
        ("redis+sentinel://a:1", "the service is missing"),
        ("redis+sentinel://a:1/", "SERVICE is the name"),
        ("redis+sentinel://a:1/main/x", "DB is a number"),
        ("redis+sentinel://a:1,/main", "a sentinel"),
        ("redis+sentinel://a:x/main", "the address of a sentinel"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<RedisAddress>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn passwords_are_used_and_not_printed() {
    for text in ["redis://anna:se%3Acret@localhost/2", "redis+sentinel://anna:se%3Acret@a:1,b:2/main/2"] {
        let address = address(text);
        assert!(!format!("{address} {address:?}").contains("cret"), "{address}");
        assert!(address.to_string().contains("anna:***@"), "{address}");
        let server = redis::IntoConnectionInfo::into_connection_info(address.server).unwrap();
        let redis = server.redis_settings();
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("anna"), Some("se:cret"), 2));
    }
    let error = "redis://anna:secret@localhost/two".parse::<RedisAddress>().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = "anna:secret@localhost".parse::<RedisAddress>().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn sentinels_that_are_away_are_named() {
    let address = address("redis+sentinel://127.0.0.1:1,127.0.0.1:2/main/0");
    let connector = Connector::new(address, "", patience()).unwrap();
    let error = connector.connect().await.err().unwrap().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("127.0.0.1:2"), "{error}");
}

fn patience() -> Patience {
    Patience { connect: std::time::Duration::from_secs(1), answer: std::time::Duration::from_secs(1) }
}
