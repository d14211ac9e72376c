//! The commands in MQTT 3.1.1.

use crate::settings::{self, say};
use rumqttc::{
    Client, Connection, ConnectionError, Event, LastWill, MqttOptions, Outgoing, Packet, QoS, SubscribeReasonCode,
};
use std::time::Duration;

fn connect() -> (Client, Connection) {
    let server = settings::server();
    let mut options = MqttOptions::new(settings::client_id(), server.host, server.port);
    options.set_transport(server.transport);
    options.set_max_packet_size(settings::PACKET_MAX as usize, settings::PACKET_MAX as usize);
    if let Some(topic) = settings::text("WILL") {
        options.set_last_will(LastWill::new(topic, "gone", QoS::AtLeastOnce, false));
    }
    if let Some(user) = settings::text("LOGIN_USER") {
        options.set_credentials(user, settings::text("LOGIN_PASSWORD").unwrap());
    }
    Client::new(options, 1000)
}

/// The next event; after a lost connection the library connects again, after a refusal the program ends.
fn next(connection: &mut Connection) -> Option<Event> {
    match connection.recv().unwrap() {
        Ok(event) => Some(event),
        Err(ConnectionError::ConnectionRefused(code)) => settings::refused(code as u8),
        Err(error) => {
            eprintln!("{error}");
            std::thread::sleep(Duration::from_millis(200));
            None
        }
    }
}

fn disconnect(client: Client, mut connection: Connection) {
    client.disconnect().unwrap();
    while !matches!(next(&mut connection), Some(Event::Outgoing(Outgoing::Disconnect))) {}
}

pub fn publish(topic: &str, qos: u8, count: usize) {
    let (client, mut connection) = connect();
    let qos = rumqttc::qos(qos).unwrap();
    let retain = settings::text("RETAIN").is_some();
    for index in 0..count {
        client.publish(topic, qos, retain, settings::payload(index)).unwrap();
    }
    let mut left = count;
    while left > 0 {
        match (qos, next(&mut connection)) {
            (QoS::AtMostOnce, Some(Event::Outgoing(Outgoing::Publish(_)))) => left -= 1,
            (QoS::AtLeastOnce, Some(Event::Incoming(Packet::PubAck(_)))) => left -= 1,
            (QoS::ExactlyOnce, Some(Event::Incoming(Packet::PubComp(_)))) => left -= 1,
            _ => {}
        }
    }
    say(format!(r#"{{"published": {count}}}"#));
    disconnect(client, connection);
}

pub fn subscribe(filter: &str, qos: u8, count: usize) {
    let (client, mut connection) = connect();
    let mut received = 0;
    while count == 0 || received < count {
        match next(&mut connection) {
            Some(Event::Incoming(Packet::ConnAck(_))) => client.subscribe(filter, rumqttc::qos(qos).unwrap()).unwrap(),
            Some(Event::Incoming(Packet::SubAck(answer))) => match answer.return_codes[0] {
                SubscribeReasonCode::Success(granted) => say(format!(r#"{{"subscribed": {}}}"#, granted as u8)),
                SubscribeReasonCode::Failure => return say(r#"{"subscribed": 128}"#.to_string()),
            },
            Some(Event::Incoming(Packet::Publish(message))) => {
                received += 1;
                say(format!(
                    r#"{{"topic": "{}", "payload": "{}", "qos": {}, "retain": {}}}"#,
                    message.topic,
                    String::from_utf8_lossy(&message.payload),
                    message.qos as u8,
                    message.retain
                ));
            }
            _ => {}
        }
    }
    disconnect(client, connection);
}
