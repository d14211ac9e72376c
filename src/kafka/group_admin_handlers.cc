// What tools ask of groups, several at once. A request is split by the groups' home shards: one
// question to each, however many groups it names.

#include <algorithm>
#include <cctype>

#include "kafka/coordinator.h"
#include "kafka/handlers.h"
#include "kafka/kept.h"

namespace sluice::kafka {

namespace {

template <class T>
struct Indexed {
  std::size_t index;
  T value;
};

// The answers of one shard, on that shard.
template <class T>
struct Collected {
  std::vector<Indexed<T>> answers;
  std::size_t open = 1;
  Coordinator::Answer<std::vector<Indexed<T>>> done;

  void end() {
    if (--open == 0) done(std::move(answers));
  }
};

// Runs `question(coordinator, i, answer)` at the home of groups[i], for all of them, and
// `take(i, value)` here with each answer. Of groups that the client may not use `take` gets
// `refused`.
template <class T, class Question, class Take>
void ask_each(Call& call, const std::vector<std::string_view>& groups, const T& refused,
              const Question& question, const Take& take) {
  Coordinator& here = call.services.coordinator;
  std::vector<std::vector<std::size_t>> by_shard(here.shards());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (call.may(access::Action::use_group, groups[i])) {
      by_shard[here.home_of(groups[i]).value].push_back(i);
    } else {
      take(i, refused);
    }
  }
  for (std::uint32_t shard = 0; shard < by_shard.size(); ++shard) {
    if (by_shard[shard].empty()) continue;
    here.ask<std::vector<Indexed<T>>>(
        ShardId{shard},
        [indexes = std::move(by_shard[shard]), question](
            Coordinator& there, Coordinator::Answer<std::vector<Indexed<T>>> done) {
          const auto collected = std::make_shared<Collected<T>>();
          collected->done = std::move(done);
          for (const std::size_t index : indexes) {
            ++collected->open;
            question(there, index, [collected, index](T value) {
              collected->answers.push_back({index, std::move(value)});
              collected->end();
            });
          }
          collected->end();
        },
        [take](std::vector<Indexed<T>>&& answers) {
          for (auto& [index, value] : answers) take(index, std::move(value));
        });
  }
}

// What is kept of a request while it is answered: its copy, shared by the shards, and the response.
template <class Request, class Response>
struct Split {
  Split(const Request& request, Reply<Response> reply)
      : kept(std::make_shared<const Kept<Request>>(request, reply)),
        gathered(std::make_shared<GatheredReply<Response>>(std::move(reply))) {}
  std::shared_ptr<const Kept<Request>> kept;
  std::shared_ptr<GatheredReply<Response>> gathered;
};

}  // namespace

void handle(Call& call, const DescribeGroupsRequest& request, Reply<DescribeGroupsResponse> reply) {
  constexpr std::int16_t not_found_since = 6;
  const bool tells_dead = reply.version() < not_found_since;
  const Split split(request, std::move(reply));
  split.gathered->response.groups.resize(request.groups.size());
  for (std::size_t i = 0; i < request.groups.size(); ++i) split.gathered->begin();
  ask_each<DescribeGroupsResponse::Group>(
      call, request.groups, {.error_code = ErrorCode::group_authorization_failed},
      [kept = split.kept](Coordinator& there, std::size_t i, const auto& answer) {
        answer(there.describe((*kept)->groups[i]));
      },
      [kept = split.kept, gathered = split.gathered, tells_dead](
          std::size_t i, DescribeGroupsResponse::Group group) {
        if (group.error_code == ErrorCode::group_id_not_found) {
          if (tells_dead) group.error_code = ErrorCode::none;
          group.error_message = "there is no group of that name";
        }
        gathered->response.groups[i] = std::move(group);
        gathered->response.groups[i].group_id = (*kept)->groups[i];
        gathered->end();
      });
  split.gathered->end();
}

void handle(Call& call, const DeleteGroupsRequest& request, Reply<DeleteGroupsResponse> reply) {
  const Split split(request, std::move(reply));
  for (const auto name : request.groups_names) {
    split.gathered->response.results.push_back({.group_id = std::string(name)});
    split.gathered->begin();
  }
  ask_each<ErrorCode>(
      call, request.groups_names, ErrorCode::group_authorization_failed,
      [kept = split.kept](Coordinator& there, std::size_t i, auto answer) {
        there.delete_group((*kept)->groups_names[i], std::move(answer));
      },
      [gathered = split.gathered](std::size_t i, ErrorCode code) {
        gathered->response.results[i].error_code = code;
        gathered->end();
      });
  split.gathered->end();
}

// --- ListGroups ---

namespace {

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// An empty filter lets all through.
bool passes(const std::vector<std::string_view>& filter, std::string_view word) {
  return filter.empty() ||
         std::ranges::any_of(filter, [&](const auto wanted) { return same_word(wanted, word); });
}

}  // namespace

void handle(Call& call, const ListGroupsRequest& request, Reply<ListGroupsResponse> reply) {
  const Split split(request, std::move(reply));
  Coordinator& here = call.services.coordinator;
  for (std::uint32_t shard = 0; shard < here.shards(); ++shard) {
    split.gathered->begin();
    here.ask<ListGroupsResponse>(
        ShardId{shard}, [](Coordinator& there, auto answer) { answer(there.list()); },
        [kept = split.kept, gathered = split.gathered, &access = call.services.access,
         principal = call.principal](ListGroupsResponse part) {
          if (part.error_code != ErrorCode::none) gathered->response.error_code = part.error_code;
          for (auto& group : part.groups) {
            if (passes((*kept)->states_filter, group.group_state) &&
                passes((*kept)->types_filter, group.group_type) &&
                access.check(principal, access::Action::use_group, group.group_id))
              gathered->response.groups.push_back(std::move(group));
          }
          gathered->end();
        });
  }
  split.gathered->end();
}

// --- OffsetFetch ---

namespace {

constexpr std::int16_t many_groups_since = 8;

OffsetFetchRequest::Group wanted_of(const OffsetFetchRequest& request, std::int16_t version,
                                    std::size_t i) {
  if (version >= many_groups_since) return request.groups[i];
  return {.group_id = request.group_id, .topics = request.topics};
}

// Of topics that may not be described: an error where they were named, silence where not.
void hide_topics(OffsetFetchResponse::Group& group, bool named, access::Access& access,
                 const access::Principal& principal) {
  const auto hidden = [&](const OffsetFetchResponse::Topic& topic) {
    return !access.check(principal, access::Action::describe, topic.name);
  };
  if (!named) {
    std::erase_if(group.topics, hidden);
    return;
  }
  for (auto& topic : group.topics) {
    if (!hidden(topic)) continue;
    for (auto& partition : topic.partitions)
      partition = {.index = partition.index, .error_code = ErrorCode::topic_authorization_failed};
  }
}

void take_fetched(OffsetFetchResponse& response, std::int16_t version, std::size_t i,
                  OffsetFetchResponse::Group group) {
  if (version >= many_groups_since) {
    const auto name = std::move(response.groups[i].group_id);
    response.groups[i] = std::move(group);
    response.groups[i].group_id = name;
  } else {
    response.topics = std::move(group.topics);
    response.error_code = group.error_code;
  }
}

}  // namespace

void handle(Call& call, const OffsetFetchRequest& request, Reply<OffsetFetchResponse> reply) {
  const auto version = reply.version();
  const Split split(request, std::move(reply));
  std::vector<std::string_view> groups;
  if (version < many_groups_since) groups.push_back(request.group_id);
  for (const auto& group : request.groups) groups.push_back(group.group_id);
  for (const auto& group : request.groups)
    split.gathered->response.groups.push_back({.group_id = std::string(group.group_id)});
  for (std::size_t i = 0; i < groups.size(); ++i) split.gathered->begin();
  ask_each<OffsetFetchResponse::Group>(
      call, groups, {.error_code = ErrorCode::group_authorization_failed},
      [kept = split.kept, version](Coordinator& there, std::size_t i, const auto& answer) {
        answer(there.fetch(wanted_of(**kept, version, i)));
      },
      [kept = split.kept, gathered = split.gathered, version, &access = call.services.access,
       principal = call.principal](std::size_t i, OffsetFetchResponse::Group group) {
        hide_topics(group, wanted_of(**kept, version, i).topics.has_value(), access, principal);
        take_fetched(gathered->response, version, i, std::move(group));
        gathered->end();
      });
  split.gathered->end();
}

}  // namespace sluice::kafka
