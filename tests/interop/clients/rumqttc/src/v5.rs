//! The commands in MQTT 5.

use crate::settings::{self, say};
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, ConnectReturnCode, LastWill, Packet, PubAckReason, Publish, PublishProperties,
    SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{Client, Connection, ConnectionError, Event, MqttOptions, StateError};
use rumqttc::Outgoing;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

fn connect() -> (Client, Connection) {
    let server = settings::server();
    let mut options = MqttOptions::new(settings::client_id(), server.host, server.port);
    options.set_transport(server.transport);
    let mut properties = ConnectProperties::new();
    properties.max_packet_size = Some(settings::PACKET_MAX);
    properties.receive_maximum = settings::number("RECEIVE_MAXIMUM");
    properties.topic_alias_max = settings::number("ALIAS_MAXIMUM");
    options.set_connect_properties(properties);
    if let Some(topic) = settings::text("WILL") {
        options.set_last_will(LastWill::new(topic, "gone", QoS::AtLeastOnce, false, None));
    }
    if let Some(user) = settings::text("LOGIN_USER") {
        options.set_credentials(user, settings::text("LOGIN_PASSWORD").unwrap());
    }
    Client::new(options, 1000)
}

/// The library has names for the codes, and no numbers.
fn connect_code(code: ConnectReturnCode) -> u8 {
    match code {
        ConnectReturnCode::BadUserNamePassword => 0x86,
        ConnectReturnCode::NotAuthorized => 0x87,
        other => panic!("{other:?}"),
    }
}

fn publish_code(reason: PubAckReason) -> u8 {
    match reason {
        PubAckReason::Success => 0,
        PubAckReason::NoMatchingSubscribers => 0x10,
        PubAckReason::NotAuthorized => 0x87,
        other => panic!("{other:?}"),
    }
}

fn subscribe_code(reason: &SubscribeReasonCode) -> u8 {
    match reason {
        SubscribeReasonCode::Success(granted) => *granted as u8,
        SubscribeReasonCode::NotAuthorized => 0x87,
        other => panic!("{other:?}"),
    }
}

/// The next event; after a lost connection the library connects again, after a refusal the program ends.
fn next(connection: &mut Connection) -> Option<Event> {
    match connection.recv().unwrap() {
        Ok(event) => return Some(event),
        Err(ConnectionError::ConnectionRefused(code)) => settings::refused(connect_code(code)),
        Err(ConnectionError::MqttState(StateError::ConnFail { reason })) => settings::refused(connect_code(reason)),
        Err(ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. })) => {
            say(format!(r#"{{"disconnected": {}}}"#, reason_code as u8));
        }
        Err(error) => eprintln!("{error}"),
    }
    std::thread::sleep(Duration::from_millis(200));
    None
}

fn disconnect(client: Client, mut connection: Connection) {
    client.disconnect().unwrap();
    while !matches!(next(&mut connection), Some(Event::Outgoing(Outgoing::Disconnect))) {}
}

fn publish_properties() -> PublishProperties {
    let mut properties = PublishProperties {
        message_expiry_interval: settings::number("EXPIRY"),
        topic_alias: settings::text("ALIAS").map(|_| 1),
        ..Default::default()
    };
    if settings::text("PROPERTIES").is_some() {
        properties.content_type = Some("text/plain".to_string());
        properties.user_properties = vec![("k".to_string(), "v".to_string())];
    }
    properties
}

pub fn publish(topic: &str, qos: u8, count: usize) {
    let (client, mut connection) = connect();
    let qos = rumqttc::v5::mqttbytes::qos(qos).unwrap();
    let retain = settings::text("RETAIN").is_some();
    // An alias can't be sent before the server has said how many it takes.
    while !matches!(next(&mut connection), Some(Event::Incoming(Packet::ConnAck(_)))) {}
    for index in 0..count {
        let to = if settings::text("ALIAS").is_some() && index > 0 { "" } else { topic };
        client.publish_with_properties(to, qos, retain, settings::payload(index), publish_properties()).unwrap();
    }
    let mut reasons = BTreeSet::new();
    let mut left = count;
    while left > 0 {
        match (qos, next(&mut connection)) {
            (QoS::AtMostOnce, Some(Event::Outgoing(Outgoing::Publish(_)))) => left -= 1,
            (QoS::AtLeastOnce, Some(Event::Incoming(Packet::PubAck(answer)))) => {
                left -= 1;
                reasons.insert(publish_code(answer.reason));
            }
            (QoS::ExactlyOnce, Some(Event::Incoming(Packet::PubComp(_)))) => left -= 1,
            _ => {}
        }
    }
    say(format!(r#"{{"published": {count}, "reasons": {:?}}}"#, Vec::from_iter(reasons)));
    disconnect(client, connection);
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The library hands topic aliases to its user as they are.
#[derive(Default)]
struct Aliases(HashMap<u16, String>);

impl Aliases {
    fn topic(&mut self, message: &Publish) -> String {
        let topic = text_of(&message.topic);
        let Some(alias) = message.properties.as_ref().and_then(|properties| properties.topic_alias) else {
            return topic;
        };
        if topic.is_empty() {
            return self.0[&alias].clone();
        }
        self.0.insert(alias, topic.clone());
        topic
    }
}

fn say_message(topic: &str, message: &Publish) {
    let properties = message.properties.clone().unwrap_or_default();
    let user: Vec<[String; 2]> = properties.user_properties.into_iter().map(|(key, value)| [key, value]).collect();
    say(format!(
        r#"{{"topic": "{}", "payload": "{}", "qos": {}, "retain": {}, "content_type": {:?}, "user": {:?}, "expiry": {}}}"#,
        topic,
        text_of(&message.payload),
        message.qos as u8,
        message.retain,
        properties.content_type.unwrap_or_default(),
        user,
        properties.message_expiry_interval.unwrap_or(0)
    ));
}

pub fn subscribe(filter: &str, qos: u8, count: usize) {
    let (client, mut connection) = connect();
    let mut aliases = Aliases::default();
    let mut received = 0;
    while count == 0 || received < count {
        match next(&mut connection) {
            Some(Event::Incoming(Packet::ConnAck(_))) => {
                client.subscribe(filter, rumqttc::v5::mqttbytes::qos(qos).unwrap()).unwrap()
            }
            Some(Event::Incoming(Packet::SubAck(answer))) => {
                let code = subscribe_code(&answer.return_codes[0]);
                say(format!(r#"{{"subscribed": {code}}}"#));
                if code >= 0x80 {
                    return;
                }
            }
            Some(Event::Incoming(Packet::Publish(message))) => {
                received += 1;
                say_message(&aliases.topic(&message), &message);
            }
            _ => {}
        }
    }
    disconnect(client, connection);
}

/// Connected, with one subscription that is in force.
fn subscribed_to(filter: &str) -> (Client, Connection) {
    let (client, mut connection) = connect();
    client.subscribe(filter, QoS::AtLeastOnce).unwrap();
    while !matches!(next(&mut connection), Some(Event::Incoming(Packet::SubAck(_)))) {}
    (client, connection)
}

fn next_message(connection: &mut Connection) -> Publish {
    loop {
        if let Some(Event::Incoming(Packet::Publish(message))) = next(connection) {
            return message;
        }
    }
}

pub fn request(topic: &str, text: &str) {
    let answer_topic = format!("{topic}/answer");
    let (client, mut connection) = subscribed_to(&answer_topic);
    let properties = PublishProperties {
        response_topic: Some(answer_topic),
        correlation_data: Some("c1".into()),
        ..publish_properties()
    };
    client.publish_with_properties(topic, QoS::AtLeastOnce, false, text.to_string(), properties).unwrap();
    let answer = next_message(&mut connection);
    let correlation = answer.properties.and_then(|properties| properties.correlation_data).unwrap();
    let (response, correlation) = (text_of(&answer.payload), text_of(&correlation));
    say(format!(r#"{{"response": "{response}", "correlation": "{correlation}"}}"#));
    disconnect(client, connection);
}

pub fn respond(topic: &str) {
    let (client, mut connection) = subscribed_to(topic);
    say(r#"{"subscribed": 1}"#.to_string());
    let asked = next_message(&mut connection);
    let properties = asked.properties.unwrap();
    let answer = PublishProperties { correlation_data: properties.correlation_data, ..publish_properties() };
    let to = properties.response_topic.unwrap();
    client
        .publish_with_properties(to, QoS::AtLeastOnce, false, text_of(&asked.payload).to_uppercase(), answer)
        .unwrap();
    while !matches!(next(&mut connection), Some(Event::Incoming(Packet::PubAck(_)))) {}
    disconnect(client, connection);
}
