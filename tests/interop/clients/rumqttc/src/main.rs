//! rumqttc behind the commands of ../../README.md.

mod settings;
mod v4;
mod v5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if settings::text("TLS_CA").is_some() {
        tokio_rustls::rustls::crypto::ring::default_provider().install_default().unwrap();
    }
    let is_v5 = settings::text("VERSION").as_deref() == Some("5");
    match (args.as_slice(), is_v5) {
        (["publish", topic, qos, count], true) => v5::publish(topic, number(qos), number(count)),
        (["publish", topic, qos, count], false) => v4::publish(topic, number(qos), number(count)),
        (["subscribe", filter, qos, count], true) => v5::subscribe(filter, number(qos), number(count)),
        (["subscribe", filter, qos, count], false) => v4::subscribe(filter, number(qos), number(count)),
        (["request", topic, text], true) => v5::request(topic, text),
        (["respond", topic], true) => v5::respond(topic),
        _ => panic!("no command {args:?}"),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}
