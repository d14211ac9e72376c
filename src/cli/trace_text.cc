#include "cli/trace_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <string_view>
#include <vector>

#include "cli/output.h"

namespace sluice::cli {
namespace {

constexpr std::size_t client_width_max = 32;

std::string shown(const JsonFields& event, std::string_view name) {
  return printable(event.text(name));
}

std::string place(const JsonFields& event) {
  if (!event.has("offset")) return "";
  return fmt::format("{}/{} offset {}", event.text("stream"), event.number("partition"),
                     event.number("offset"));
}

// Words and numbers that stand in many packets, in the order in which they are shown.
std::vector<std::string> packet_facts(const JsonFields& event) {
  std::vector<std::string> facts;
  const auto text = [&](std::string_view name, std::string_view form) {
    if (event.has(name)) facts.push_back(fmt::format(fmt::runtime(form), shown(event, name)));
  };
  const auto number = [&](std::string_view name, std::string_view form) {
    if (event.has(name)) facts.push_back(fmt::format(fmt::runtime(form), event.number(name)));
  };
  const auto flag = [&](std::string_view name, std::string_view word) {
    if (event.flag(name)) facts.emplace_back(word);
  };
  text("version", "MQTT {}");
  flag("clean_start", "clean start");
  number("keep_alive_s", "keep-alive {} s");
  text("user", "user '{}'");
  text("will_topic", "will to {}");
  text("authentication_method", "authentication by {}");
  number("qos", "qos {}");
  number("id", "id {}");
  flag("retain", "retain");
  flag("dup", "dup");
  text("code", "code {}");
  text("reason", "{}");
  text("text", "\"{}\"");
  flag("session_present", "session present");
  text("assigned_client_id", "client id {}");
  number("session_expiry_s", "session expiry {} s");
  number("server_keep_alive_s", "keep-alive {} s");
  number("receive_maximum", "receive maximum {}");
  number("packet_size_max", "packets up to {} bytes");
  number("expiry_s", "expires in {} s");
  number("subscription_id", "subscription id {}");
  number("topic_alias", "topic alias {}");
  number("payload_size", "payload {} B");
  return facts;
}

std::string filters(const JsonFields& event) {
  std::vector<std::string> all;
  event.for_each("filters", [&](const JsonFields& filter) {
    std::string one = shown(filter, "filter");
    if (filter.has("qos")) one += fmt::format(" qos {}", filter.number("qos"));
    if (filter.flag("no_local")) one += " no-local";
    if (filter.flag("retain_as_published")) one += " retain-as-published";
    if (filter.has("retain_handling"))
      one += fmt::format(" retain-handling {}", filter.number("retain_handling"));
    all.push_back(one);
  });
  return fmt::format("{}", fmt::join(all, ", "));
}

std::string codes(const JsonFields& event) {
  const boost::json::value* value = event.find("codes");
  if (value == nullptr || !value->is_array()) return "";
  std::vector<std::string> all;
  for (const auto& code : value->get_array())
    if (code.is_string())
      all.push_back(printable({code.get_string().data(), code.get_string().size()}));
  return fmt::format("{}", fmt::join(all, ", "));
}

std::string packet(const JsonFields& event, std::string_view arrow) {
  std::string text = fmt::format("{} {}", arrow, event.text("packet"));
  for (const std::string& part : {shown(event, "topic"), filters(event), codes(event)})
    if (!part.empty()) text += "  " + part;
  if (const auto facts = packet_facts(event); !facts.empty())
    text += fmt::format("  {}", fmt::join(facts, ", "));
  return text;
}

std::string payload(const JsonFields& event) {
  const bool is_text = event.has("payload");
  if (!is_text && !event.has("payload_base64")) return "";
  return is_text ? fmt::format("  \"{}\"", shown(event, "payload"))
                 : fmt::format("  base64 {}", shown(event, "payload_base64"));
}

// The words of the hub for why something was or was not done.
std::string_view explained(std::string_view reason) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 13> words{{
      {"no_local", "it is the client's own, and the subscription is no-local"},
      {"subscribed_later", "it is older than the subscription"},
      {"expired", "its time was over"},
      {"packet_too_large", "it is larger than the client takes"},
      {"lagging", "the client is behind, and reads the log"},
      {"retained_first", "the retained messages come first"},
      {"starts_earlier", "it begins at an earlier place"},
      {"takes_no_more", "the client takes no more at the moment"},
      {"client_does_not_read", "the client does not read fast enough"},
      {"client_does_not_acknowledge", "the client does not acknowledge fast enough"},
      {"no_room", "the log is busy"},
      {"receive_maximum", "too many publishes of the client are not acknowledged yet"},
      {"time_over", "the time is over"},
  }};
  const auto found =
      std::ranges::find(words, reason, &std::pair<std::string_view, std::string_view>::first);
  return found == words.end() ? reason : found->second;
}

std::string why(const JsonFields& event) {
  const std::string reason = event.text("reason");
  std::string text(reason == "success" ? "" : explained(reason));
  if (const std::string detail = shown(event, "text"); !detail.empty())
    text += text.empty() ? detail : fmt::format(" ({})", detail);
  return text;
}

std::string delivered(const JsonFields& event) {
  std::string text = packet(event, "->");
  if (event.has("published_qos") && event.number("published_qos") != event.number("qos"))
    text += fmt::format(", published at qos {}", event.number("published_qos"));
  text += payload(event);
  if (event.flag("retained")) return text + "  (retained)";
  return text + fmt::format("  ({}{})", place(event), event.flag("shared") ? ", shared" : "");
}

// How many subscribers a message has.
std::string matching(const JsonFields& event) {
  if (!event.has("subscribers")) return "";
  const std::int64_t count = event.number("subscribers");
  if (count == 0) return ": nobody gets it, no filter of a client matches";
  return fmt::format(": {} subscriber{} match{}", count, count == 1 ? "" : "s",
                     count == 1 ? "es" : "");
}

std::string message(const JsonFields& event) {
  return fmt::format("message   {}  {}, from {}{}{}", shown(event, "topic"), place(event),
                     event.text("from"), matching(event), payload(event));
}

struct Form {
  std::string_view event;
  std::string (*text)(const JsonFields& event);
};

constexpr std::array forms{
    Form{"tracing",
         [](const JsonFields& e) {
           return fmt::format("tracing {} {} for {} s; Ctrl-C ends it", e.text("by"),
                              shown(e, "value"), e.number("seconds"));
         }},
    Form{"end", [](const JsonFields& e) { return fmt::format("the trace ends: {}", why(e)); }},
    Form{"dropped",
         [](const JsonFields& e) {
           return fmt::format("... {} events are missing: there were more than could be shown",
                              e.number("count"));
         }},
    Form{"accepted",
         [](const JsonFields& e) {
           return fmt::format("connected from {} to {} ({})", e.text("peer"), e.text("listener"),
                              e.text("transport"));
         }},
    Form{"received", [](const JsonFields& e) { return packet(e, "<-") + payload(e); }},
    Form{"sent", [](const JsonFields& e) { return packet(e, "->"); }},
    Form{"delivered", delivered},
    Form{"message", message},
    Form{"login",
         [](const JsonFields& e) {
           return e.flag("ok") ? fmt::format("logged in as '{}'", shown(e, "user"))
                               : fmt::format("login refused: {}", shown(e, "text"));
         }},
    Form{"stored",
         [](const JsonFields& e) {
           return fmt::format("stored    {}  {}", shown(e, "topic"), place(e));
         }},
    Form{"not_stored",
         [](const JsonFields& e) {
           return fmt::format("NOT STORED  {}: {}", shown(e, "topic"), why(e));
         }},
    Form{"not_delivered",
         [](const JsonFields& e) {
           return fmt::format("NOT DELIVERED  {}  ({}): {}", shown(e, "topic"), place(e), why(e));
         }},
    Form{"delayed",
         [](const JsonFields& e) {
           return fmt::format("delayed   {}  ({}): {}, behind by {}", shown(e, "topic"), place(e),
                              why(e), e.number("behind"));
         }},
    Form{"full",
         [](const JsonFields& e) {
           return fmt::format("takes no more: {}; {} bytes wait, {} in flight", why(e),
                              e.number("bytes_waiting"), e.number("in_flight"));
         }},
    Form{"held_back",
         [](const JsonFields& e) {
           return fmt::format("{} is taken later: {}", e.text("packet"), why(e));
         }},
    Form{"left_tail",
         [](const JsonFields& e) {
           return fmt::format("reads the log from {} on: {}", place(e), why(e));
         }},
    Form{"joined_tail",
         [](const JsonFields& e) { return fmt::format("has caught up at {}", place(e)); }},
    Form{"lost_to_retention",
         [](const JsonFields& e) {
           return fmt::format("NOT DELIVERED  all below {}: retention has removed it", place(e));
         }},
    Form{"lost_to_lag_limit",
         [](const JsonFields& e) {
           return fmt::format("NOT DELIVERED  all below {}: further behind than its limit allows",
                              place(e));
         }},
    Form{"will",
         [](const JsonFields& e) {
           return fmt::format("leaves a will to {}, published after {} s", shown(e, "topic"),
                              e.number("delay_s"));
         }},
    Form{"ended", [](const JsonFields& e) { return fmt::format("connection ended: {}", why(e)); }},
};

std::string time_of(const JsonFields& event) {
  const std::int64_t ms = event.number("ts_ms");
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::localtime(static_cast<std::time_t>(ms / 1000)),
                     ms % 1000);
}

}  // namespace

std::string TraceText::line(const JsonFields& event) {
  const std::string name = event.text("event");
  const auto form = std::ranges::find(forms, std::string_view(name), &Form::event);
  const std::string client = shown(event, "client");
  client_width_ = std::max(client_width_, std::min(client.size(), client_width_max));
  const std::string text =
      form == forms.end() ? printable(to_json(event.object())) : form->text(event);
  return fmt::format("{}  {:<{}}  {}", time_of(event), client, client_width_, text);
}

}  // namespace sluice::cli
