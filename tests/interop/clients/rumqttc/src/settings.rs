//! The environment of ../../README.md, and the lines that are printed.

use rumqttc::{TlsConfiguration, Transport};
use std::io::Write;

pub const PACKET_MAX: u32 = 2 << 20;

pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// None when it is not set.
pub fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    text(name).and_then(|value| value.parse().ok())
}

pub fn client_id() -> String {
    text("CLIENT_ID").unwrap_or_else(|| format!("rust-{}", std::process::id()))
}

pub fn payload(index: usize) -> String {
    let start = format!("m{index}");
    let rest = number("SIZE").unwrap_or(0).max(start.len()) - start.len();
    start + &".".repeat(rest)
}

pub struct Server {
    /// A whole URL for WebSocket.
    pub host: String,
    pub port: u16,
    pub transport: Transport,
}

pub fn server() -> Server {
    let url = text("URL").expect("URL");
    let (scheme, rest) = url.split_once("://").expect("scheme://host:port");
    let (host, port) = rest.split('/').next().and_then(|address| address.split_once(':')).expect("host:port");
    let host = if scheme.starts_with("ws") { url.clone() } else { host.to_string() };
    let transport = match scheme {
        "mqtts" => Transport::tls_with_config(tls()),
        "ws" => Transport::Ws,
        "wss" => Transport::wss_with_config(tls()),
        _ => Transport::Tcp,
    };
    Server { host, port: port.parse().expect("port"), transport }
}

fn tls() -> TlsConfiguration {
    let ca = std::fs::read(text("TLS_CA").expect("TLS_CA")).expect("the CA's file");
    TlsConfiguration::Simple { ca, alpn: None, client_auth: None }
}

pub fn say(line: String) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

/// Ends the program.
pub fn refused(code: u8) -> ! {
    say(format!(r#"{{"refused": {code}}}"#));
    std::process::exit(0)
}
