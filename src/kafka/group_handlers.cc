// What members of groups ask. A request goes to the coordinator of its group's home shard; until
// the answer is back it holds its connection, as a long poll does.

#include "kafka/coordinator.h"
#include "kafka/handlers.h"
#include "kafka/kept.h"
#include "kafka/topics.h"

namespace sluice::kafka {

namespace {

// Runs `question(coordinator, request, answer)` at the group's home.
template <class Request, class Response, class Question>
void ask_home(Call& call, const Request& request, Reply<Response> reply, Question question) {
  if constexpr (requires(Response response) { response.error_code; }) {
    if (!call.may(access::Action::use_group, request.group_id)) {
      Response refused;
      refused.error_code = ErrorCode::group_authorization_failed;
      return reply.send(std::move(refused));
    }
  }
  Coordinator& here = call.services.coordinator;
  Kept<Request> copy(request, reply);
  here.ask<Response>(
      here.home_of(request.group_id),
      [kept = std::move(copy), question = std::move(question)](
          Coordinator& there, Coordinator::Answer<Response> answer) mutable {
        question(there, *kept, std::move(answer));
      },
      [reply = std::move(reply)](Response response) mutable { reply.send(std::move(response)); });
}

// A ticket for a request that may wait long: it is taken back when the connection goes.
template <class Request>
Ticket ticket_for(Call& call, const Request& request, ReplyPath& reply) {
  Coordinator& here = call.services.coordinator;
  const Ticket ticket = here.new_ticket();
  reply.on_cancel([&here, ticket, group = std::string(request.group_id)] {
    here.tell(here.home_of(group),
              [ticket, group](Coordinator& there) { there.cancel(group, ticket); });
  });
  return ticket;
}

}  // namespace

void handle(Call& call, const JoinGroupRequest& request, Reply<JoinGroupResponse> reply) {
  const Ticket ticket = ticket_for(call, request, reply);
  const auto host = call.services.loop.peer_endpoint(call.socket).address;
  const auto version = reply.version();
  ask_home(call, request, std::move(reply),
           [ticket, client = std::string(call.client_id), host = "/" + host, version](
               Coordinator& there, const JoinGroupRequest& kept,
               Coordinator::Answer<JoinGroupResponse> answer) {
             there.join(ticket, kept, {client, host, version}, std::move(answer));
           });
}

void handle(Call& call, const SyncGroupRequest& request, Reply<SyncGroupResponse> reply) {
  const Ticket ticket = ticket_for(call, request, reply);
  ask_home(call, request, std::move(reply),
           [ticket](Coordinator& there, const SyncGroupRequest& kept,
                    Coordinator::Answer<SyncGroupResponse> answer) {
             there.sync(ticket, kept, std::move(answer));
           });
}

void handle(Call& call, const HeartbeatRequest& request, Reply<HeartbeatResponse> reply) {
  ask_home(call, request, std::move(reply),
           [](Coordinator& there, const HeartbeatRequest& kept,
              Coordinator::Answer<HeartbeatResponse> answer) { answer(there.heartbeat(kept)); });
}

void handle(Call& call, const LeaveGroupRequest& request, Reply<LeaveGroupResponse> reply) {
  const auto version = reply.version();
  ask_home(call, request, std::move(reply),
           [version](Coordinator& there, const LeaveGroupRequest& kept,
                     Coordinator::Answer<LeaveGroupResponse> answer) {
             answer(there.leave(kept, version));
           });
}

// --- offsets ---

namespace {

// The answer with what is refused before a group is asked.
OffsetCommitResponse checked(const Call& call, const OffsetCommitRequest& request) {
  OffsetCommitResponse response;
  const bool may = call.may(access::Action::use_group, request.group_id);
  for (const auto& wanted : request.topics) {
    auto& topic = response.topics.emplace_back(std::string(wanted.name));
    for (const auto& partition : wanted.partitions) {
      const auto found = find_partition(call, access::Action::read, wanted.name, partition.index);
      topic.partitions.push_back(
          {partition.index, may ? found.error : ErrorCode::group_authorization_failed});
    }
  }
  return response;
}

}  // namespace

void handle(Call& call, const OffsetCommitRequest& request, Reply<OffsetCommitResponse> reply) {
  ask_home(call, request, std::move(reply),
           [response = checked(call, request)](
               Coordinator& there, const OffsetCommitRequest& kept,
               Coordinator::Answer<OffsetCommitResponse> answer) mutable {
             there.commit(kept, std::move(response), std::move(answer));
           });
}

void handle(Call& call, const OffsetDeleteRequest& request, Reply<OffsetDeleteResponse> reply) {
  ask_home(call, request, std::move(reply),
           [](Coordinator& there, const OffsetDeleteRequest& kept,
              Coordinator::Answer<OffsetDeleteResponse> answer) {
             there.delete_offsets(kept, std::move(answer));
           });
}

}  // namespace sluice::kafka
