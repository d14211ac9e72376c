// autopaho of paho.golang behind the commands of ../../README.md.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

func main() {
	args := os.Args[2:]
	switch os.Args[1] {
	case "publish":
		publish(args[0], byte(toInt(args[1])), toInt(args[2]))
	case "subscribe":
		subscribe(args[0], byte(toInt(args[1])), toInt(args[2]))
	case "request":
		request(args[0], args[1])
	case "respond":
		respond(args[0])
	default:
		panic("no command " + os.Args[1])
	}
}

type fields map[string]any

func say(what fields) {
	line, err := json.Marshal(what)
	must(err)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func toInt(text string) int {
	value, err := strconv.Atoi(text)
	must(err)
	return value
}

// setting is 0 when the environment does not have it.
func setting(name string) int {
	text := os.Getenv(name)
	if text == "" {
		return 0
	}
	return toInt(text)
}

func has(name string) bool { return os.Getenv(name) != "" }

func tlsConfig() *tls.Config {
	if !has("TLS_CA") {
		return nil
	}
	pem, err := os.ReadFile(os.Getenv("TLS_CA"))
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots}
}

// connect returns when the first connection is up; the program ends when it is refused.
func connect(onUp func(*autopaho.ConnectionManager), onMessage func(*paho.Publish)) *autopaho.ConnectionManager {
	server, err := url.Parse(os.Getenv("URL"))
	must(err)
	config := autopaho.ClientConfig{
		BrokerUrls:        []*url.URL{server},
		TlsCfg:            tlsConfig(),
		KeepAlive:         60,
		ConnectRetryDelay: 200 * time.Millisecond,
		OnConnectionUp:    func(manager *autopaho.ConnectionManager, _ *paho.Connack) { onUp(manager) },
		OnConnectError:    endIfRefused,
		ClientConfig: paho.ClientConfig{
			ClientID:           os.Getenv("CLIENT_ID"),
			Router:             paho.NewSingleHandlerRouter(onMessage),
			OnServerDisconnect: func(end *paho.Disconnect) { say(fields{"disconnected": end.ReasonCode}) },
		},
	}
	config.SetConnectPacketConfigurator(withProperties)
	if has("LOGIN_USER") {
		config.SetUsernamePassword(os.Getenv("LOGIN_USER"), []byte(os.Getenv("LOGIN_PASSWORD")))
	}
	if has("WILL") {
		config.SetWillMessage(os.Getenv("WILL"), []byte("gone"), 1, false)
	}
	manager, err := autopaho.NewConnection(context.Background(), config)
	must(err)
	must(manager.AwaitConnection(context.Background()))
	return manager
}

func withProperties(packet *paho.Connect) *paho.Connect {
	if packet.Properties == nil {
		packet.Properties = &paho.ConnectProperties{}
	}
	if value := setting("RECEIVE_MAXIMUM"); value > 0 {
		packet.Properties.ReceiveMaximum = paho.Uint16(uint16(value))
	}
	if value := setting("ALIAS_MAXIMUM"); value > 0 {
		packet.Properties.TopicAliasMaximum = paho.Uint16(uint16(value))
	}
	return packet
}

func endIfRefused(err error) {
	var refused *autopaho.ConnackError
	if errors.As(err, &refused) {
		say(fields{"refused": refused.ReasonCode})
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, err)
}

func disconnect(manager *autopaho.ConnectionManager) {
	must(manager.Disconnect(context.Background()))
}

func publishProperties() *paho.PublishProperties {
	properties := &paho.PublishProperties{}
	if value := setting("EXPIRY"); value > 0 {
		properties.MessageExpiry = paho.Uint32(uint32(value))
	}
	if has("PROPERTIES") {
		properties.ContentType = "text/plain"
		properties.User.Add("k", "v")
	}
	if has("ALIAS") {
		properties.TopicAlias = paho.Uint16(1)
	}
	return properties
}

func payload(number int) []byte {
	text := fmt.Sprintf("m%d", number)
	if missing := setting("SIZE") - len(text); missing > 0 {
		text += strings.Repeat(".", missing)
	}
	return []byte(text)
}

func publish(topic string, qos byte, count int) {
	manager := connect(func(*autopaho.ConnectionManager) {}, func(*paho.Publish) {})
	reasons := map[byte]bool{}
	for i := 0; i < count; i++ {
		packet := &paho.Publish{
			Topic: topic, QoS: qos, Retain: has("RETAIN"), Payload: payload(i), Properties: publishProperties(),
		}
		if has("ALIAS") && i > 0 {
			packet.Topic = ""
		}
		answer, err := manager.Publish(context.Background(), packet)
		if answer == nil { // a refusal comes with an error and the answer, anything else without
			must(err)
			continue // QoS 0
		}
		reasons[answer.ReasonCode] = true
	}
	codes := []int{}
	for code := range reasons {
		codes = append(codes, int(code))
	}
	say(fields{"published": count, "reasons": codes})
	disconnect(manager)
}

func sayMessage(message *paho.Publish) {
	user := [][2]string{}
	for _, pair := range message.Properties.User {
		user = append(user, [2]string{pair.Key, pair.Value})
	}
	say(fields{
		"topic": message.Topic, "payload": string(message.Payload), "qos": message.QoS, "retain": message.Retain,
		"content_type": message.Properties.ContentType, "user": user, "expiry": message.Properties.MessageExpiry,
	})
}

// subscribeTo answers with the reason code of the SUBACK.
func subscribeTo(manager *autopaho.ConnectionManager, filter string, qos byte) byte {
	options := []paho.SubscribeOptions{{Topic: filter, QoS: qos}}
	answer, err := manager.Subscribe(context.Background(), &paho.Subscribe{Subscriptions: options})
	if answer == nil {
		must(err)
	}
	return answer.Reasons[0]
}

func subscribe(filter string, qos byte, count int) {
	done := make(chan bool, 1)
	manager := connect(func(manager *autopaho.ConnectionManager) {
		code := subscribeTo(manager, filter, qos)
		say(fields{"subscribed": code})
		if code >= 0x80 {
			done <- true
		}
	}, func(message *paho.Publish) {
		sayMessage(message)
		if count--; count == 0 {
			done <- true
		}
	})
	<-done
	disconnect(manager)
}

func request(topic, text string) {
	answers := make(chan *paho.Publish, 1)
	manager := connect(func(*autopaho.ConnectionManager) {}, func(message *paho.Publish) { answers <- message })
	subscribeTo(manager, topic+"/answer", 1)
	properties := publishProperties()
	properties.ResponseTopic = topic + "/answer"
	properties.CorrelationData = []byte("c1")
	packet := &paho.Publish{Topic: topic, QoS: 1, Payload: []byte(text), Properties: properties}
	_, err := manager.Publish(context.Background(), packet)
	must(err)
	answer := <-answers
	say(fields{"response": string(answer.Payload), "correlation": string(answer.Properties.CorrelationData)})
	disconnect(manager)
}

func respond(topic string) {
	asked := make(chan *paho.Publish, 1)
	manager := connect(func(*autopaho.ConnectionManager) {}, func(message *paho.Publish) { asked <- message })
	say(fields{"subscribed": subscribeTo(manager, topic, 1)})
	message := <-asked
	properties := publishProperties()
	properties.CorrelationData = message.Properties.CorrelationData
	packet := &paho.Publish{
		Topic: message.Properties.ResponseTopic, QoS: 1, Payload: bytes.ToUpper(message.Payload), Properties: properties,
	}
	_, err := manager.Publish(context.Background(), packet)
	must(err)
	disconnect(manager)
}
