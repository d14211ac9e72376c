// paho of C (MQTTAsync) behind the commands of ../../README.md.
#include <MQTTAsync.h>
#include <ctype.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool v5;
static MQTTAsync client;
static sem_t done;  // the call that main waits for has ended
static int code;    // how it ended: a reason code, or what the library says
static const char* wanted_filter;
static int wanted_qos;
static long left;  // messages until `subscribe` ends
static bool responds, requests;
static MQTTAsync_message* asked;  // what `respond` answers

static int number(const char* name) { return getenv(name) ? atoi(getenv(name)) : 0; }

static void say(const char* line) {
  puts(line);
  fflush(stdout);
}

static void say_code(const char* what, int value) {
  char line[80];
  snprintf(line, sizeof line, "{\"%s\": %d}", what, value);
  say(line);
}

// --- the ends of calls

static void finish(int result) {
  code = result;
  sem_post(&done);
}

static void succeeded(void* context, MQTTAsync_successData* data) { finish(0); }
static void failed(void* context, MQTTAsync_failureData* data) { finish(data->code); }
static void succeeded5(void* context, MQTTAsync_successData5* data) { finish(data->reasonCode); }
static void failed5(void* context, MQTTAsync_failureData5* data) {
  finish(data->reasonCode ? (int)data->reasonCode : data->code);
}

static void must(int result, const char* what) {
  if (result == MQTTASYNC_SUCCESS) return;
  fprintf(stderr, "%s: %s\n", what, MQTTAsync_strerror(result));
  exit(1);
}

static void add_text(MQTTProperties* properties, int identifier, const char* value) {
  MQTTProperty property = {.identifier = identifier};
  property.value.data.data = (char*)value;
  property.value.data.len = strlen(value);
  MQTTProperties_add(properties, &property);
}

static void add_pair(MQTTProperties* properties, const char* key, const char* value) {
  MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
  property.value.data = (MQTTLenString){strlen(key), (char*)key};
  property.value.value = (MQTTLenString){strlen(value), (char*)value};
  MQTTProperties_add(properties, &property);
}

static void add_number(MQTTProperties* properties, int identifier, int value) {
  MQTTProperty property = {.identifier = identifier};
  if (identifier == MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL) {
    property.value.integer4 = value;
  } else {
    property.value.integer2 = value;
  }
  MQTTProperties_add(properties, &property);
}

// --- messages

static char aliases[32][256];  // the library hands topic aliases to its user as they are

static const char* topic_of(const char* topic, MQTTAsync_message* message) {
  int alias = MQTTProperties_getNumericValue(&message->properties, MQTTPROPERTY_CODE_TOPIC_ALIAS);
  if (alias <= 0 || alias >= 32) return topic;
  if (*topic) snprintf(aliases[alias], sizeof aliases[alias], "%s", topic);
  return aliases[alias];
}

static void say_message(const char* topic, MQTTAsync_message* message) {
  printf("{\"topic\": \"%s\", \"payload\": \"%.*s\", \"qos\": %d, \"retain\": %s", topic,
         message->payloadlen, (char*)message->payload, message->qos,
         message->retained ? "true" : "false");
  MQTTProperties* properties = &message->properties;
  MQTTProperty* type = MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_CONTENT_TYPE);
  if (type) printf(", \"content_type\": \"%.*s\"", type->value.data.len, type->value.data.data);
  MQTTProperty* user = MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_USER_PROPERTY);
  if (user) {
    printf(", \"user\": [[\"%.*s\", \"%.*s\"]]", user->value.data.len, user->value.data.data,
           user->value.value.len, user->value.value.data);
  }
  if (MQTTProperties_hasProperty(properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL)) {
    long expiry =
        MQTTProperties_getNumericValue(properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL);
    printf(", \"expiry\": %ld", expiry);
  }
  say("}");
}

static void say_response(MQTTAsync_message* message) {
  MQTTProperty* data =
      MQTTProperties_getProperty(&message->properties, MQTTPROPERTY_CODE_CORRELATION_DATA);
  printf("{\"response\": \"%.*s\", \"correlation\": \"%.*s\"}\n", message->payloadlen,
         (char*)message->payload, data->value.data.len, data->value.data.data);
}

static int arrived(void* context, char* topic, int length, MQTTAsync_message* message) {
  if (responds) {
    asked = message;
    finish(0);
    return 1;
  }
  say_message(topic_of(topic, message), message);
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  if (left > 0 && --left == 0) finish(0);
  return 1;
}

static int arrived_response(void* context, char* topic, int length, MQTTAsync_message* message) {
  say_response(message);
  finish(0);
  return 1;
}

// --- subscribing, again after each reconnect

static void on_suback(int reason) {
  if (!requests) say_code("subscribed", reason);
  if (requests || reason >= 0x80) finish(0);
}

static void subscribed(void* context, MQTTAsync_successData* data) { on_suback(data->alt.qos); }
static void subscribed5(void* context, MQTTAsync_successData5* data) {
  on_suback(data->reasonCode);
}
static void not_subscribed(void* context, MQTTAsync_failureData* data) { on_suback(0x80); }
static void not_subscribed5(void* context, MQTTAsync_failureData5* data) {
  on_suback(data->reasonCode);
}

static void connected(void* context, char* cause) {
  if (!wanted_filter) return;
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  if (v5) {
    options.onSuccess5 = subscribed5;
    options.onFailure5 = not_subscribed5;
  } else {
    options.onSuccess = subscribed;
    options.onFailure = not_subscribed;
  }
  must(MQTTAsync_subscribe(client, wanted_filter, wanted_qos, &options), "subscribe");
}

static void disconnected(void* context, MQTTProperties* properties, enum MQTTReasonCodes reason) {
  say_code("disconnected", reason);
}

// --- connecting

static MQTTAsync_connectOptions connect_options(void) {
  static const MQTTAsync_connectOptions plain = MQTTAsync_connectOptions_initializer;
  static const MQTTAsync_connectOptions plain5 = MQTTAsync_connectOptions_initializer5;
  static const MQTTAsync_connectOptions websocket = MQTTAsync_connectOptions_initializer_ws;
  static const MQTTAsync_connectOptions websocket5 = MQTTAsync_connectOptions_initializer5_ws;
  if (strncmp(getenv("URL"), "ws", 2) == 0) return v5 ? websocket5 : websocket;
  return v5 ? plain5 : plain;
}

static void create(void) {
  MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
  options.MQTTVersion = v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  const char* id = getenv("CLIENT_ID");
  char own[32];
  snprintf(own, sizeof own, "c-%ld", random());
  must(MQTTAsync_createWithOptions(&client, getenv("URL"), id ? id : own,
                                   MQTTCLIENT_PERSISTENCE_NONE, NULL, &options),
       "create");
}

// Ends the program when it is refused.
static void connect_client(MQTTAsync_messageArrived* on_message) {
  create();
  must(MQTTAsync_setCallbacks(client, NULL, NULL, on_message, NULL), "callbacks");
  must(MQTTAsync_setConnected(client, NULL, connected), "callbacks");
  if (v5) must(MQTTAsync_setDisconnected(client, NULL, disconnected), "callbacks");

  MQTTAsync_connectOptions options = connect_options();
  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
  MQTTProperties properties = MQTTProperties_initializer;
  if (!v5) options.MQTTVersion = MQTTVERSION_3_1_1;  // else it tries MQTT 3.1 after a refusal
  options.automaticReconnect = 1;
  options.minRetryInterval = 1;
  options.username = getenv("LOGIN_USER");
  options.password = getenv("LOGIN_PASSWORD");
  if (getenv("TLS_CA")) {
    tls.trustStore = getenv("TLS_CA");
    options.ssl = &tls;
  }
  if (getenv("WILL")) {
    will.topicName = getenv("WILL");
    will.message = "gone";
    will.qos = 1;
    options.will = &will;
  }
  if (v5) {
    if (number("RECEIVE_MAXIMUM")) {
      add_number(&properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, number("RECEIVE_MAXIMUM"));
    }
    if (number("ALIAS_MAXIMUM")) {
      add_number(&properties, MQTTPROPERTY_CODE_TOPIC_ALIAS_MAXIMUM, number("ALIAS_MAXIMUM"));
    }
    options.connectProperties = &properties;
    options.onSuccess5 = succeeded5;
    options.onFailure5 = failed5;
  } else {
    options.onSuccess = succeeded;
    options.onFailure = failed;
  }
  must(MQTTAsync_connect(client, &options), "connect");
  sem_wait(&done);
  if (code) {
    say_code("refused", code);
    exit(0);
  }
}

static void disconnect(void) {
  MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
  MQTTAsync_disconnectOptions options5 = MQTTAsync_disconnectOptions_initializer5;
  options.onSuccess = succeeded;
  options5.onSuccess5 = succeeded5;
  must(MQTTAsync_disconnect(client, v5 ? &options5 : &options), "disconnect");
  sem_wait(&done);
}

// --- the commands

// Waits for the acknowledgement and returns its reason code.
static int send_message(const char* topic, int qos, char* payload, MQTTProperties properties) {
  MQTTAsync_message message = MQTTAsync_message_initializer;
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  message.payload = payload;
  message.payloadlen = strlen(payload);
  message.qos = qos;
  message.retained = getenv("RETAIN") != NULL;
  message.properties = properties;
  if (v5) {
    options.onSuccess5 = succeeded5;
    options.onFailure5 = failed5;
  } else {
    options.onSuccess = succeeded;
    options.onFailure = failed;
  }
  must(MQTTAsync_sendMessage(client, topic, &message, &options), "publish");
  sem_wait(&done);
  return code;
}

static MQTTProperties publish_properties(void) {
  MQTTProperties properties = MQTTProperties_initializer;
  if (number("EXPIRY"))
    add_number(&properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, number("EXPIRY"));
  if (getenv("ALIAS")) add_number(&properties, MQTTPROPERTY_CODE_TOPIC_ALIAS, 1);
  if (getenv("PROPERTIES")) {
    add_text(&properties, MQTTPROPERTY_CODE_CONTENT_TYPE, "text/plain");
    add_pair(&properties, "k", "v");
  }
  return properties;
}

static char* make_payload(long index) {
  int size = number("SIZE");
  char* payload = calloc(1, size + 32);
  int used = sprintf(payload, "m%ld", index);
  if (size > used) memset(payload + used, '.', size - used);
  return payload;
}

static void publish(const char* topic, int qos, long count) {
  connect_client(arrived);
  int last = 0;
  for (long i = 0; i < count; ++i) {
    char* payload = make_payload(i);
    last = send_message(getenv("ALIAS") && i > 0 ? "" : topic, qos, payload, publish_properties());
    free(payload);
  }
  printf("{\"published\": %ld, \"reasons\": [%d]}\n", count, last);
  disconnect();
}

static void subscribe(const char* filter, int qos, long count) {
  wanted_filter = filter;
  wanted_qos = qos;
  left = count;
  connect_client(arrived);
  sem_wait(&done);
  disconnect();
}

static void request(const char* topic, char* text) {
  char answer[256];
  snprintf(answer, sizeof answer, "%s/answer", topic);
  requests = true;
  wanted_filter = answer;
  wanted_qos = 1;
  connect_client(arrived_response);
  sem_wait(&done);
  MQTTProperties properties = publish_properties();
  add_text(&properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, answer);
  add_text(&properties, MQTTPROPERTY_CODE_CORRELATION_DATA, "c1");
  send_message(topic, 1, text, properties);
  sem_wait(&done);
  disconnect();
}

static void respond(const char* topic) {
  responds = true;
  wanted_filter = topic;
  wanted_qos = 1;
  connect_client(arrived);
  sem_wait(&done);
  char* text = strndup(asked->payload, asked->payloadlen);
  for (char* at = text; *at; ++at) *at = toupper(*at);
  MQTTProperty* to =
      MQTTProperties_getProperty(&asked->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
  MQTTProperty* data =
      MQTTProperties_getProperty(&asked->properties, MQTTPROPERTY_CODE_CORRELATION_DATA);
  MQTTProperties properties = MQTTProperties_initializer;
  MQTTProperties_add(&properties, data);
  send_message(strndup(to->value.data.data, to->value.data.len), 1, text, properties);
  disconnect();
}

int main(int argc, char** argv) {
  v5 = number("VERSION") == 5;
  srandom(time(NULL) ^ (long)&argc);
  sem_init(&done, 0, 0);
  MQTTAsync_init_options init = MQTTAsync_init_options_initializer;
  init.do_openssl_init = 1;
  MQTTAsync_global_init(&init);
  if (strcmp(argv[1], "publish") == 0) publish(argv[2], atoi(argv[3]), atol(argv[4]));
  if (strcmp(argv[1], "subscribe") == 0) subscribe(argv[2], atoi(argv[3]), atol(argv[4]));
  if (strcmp(argv[1], "request") == 0) request(argv[2], argv[3]);
  if (strcmp(argv[1], "respond") == 0) respond(argv[2]);
  return 0;
}
