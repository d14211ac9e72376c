#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "kafka/wire.h"

namespace sluice::kafka {

// The rows of the table `__groups`. Format: docs/formats/groups.md

// One group as of its last completed rebalance: enough for its members to go on after a restart of
// the hub without noticing.
struct GroupRow {
  struct Protocol {
    std::string name{};
    Buffer metadata{};

    void fields(auto& f) {
      f(name);
      f(metadata);
    }
    friend bool operator==(const Protocol&, const Protocol&) = default;
  };
  struct Member {
    std::string id{};
    std::optional<std::string> instance_id{};
    std::string client_id{};
    std::string client_host{};
    std::int32_t session_timeout_ms = 0;
    std::int32_t rebalance_timeout_ms = 0;
    std::vector<Protocol> protocols{};
    Buffer assignment{};

    void fields(auto& f) {
      f(id);
      f(instance_id);
      f(client_id);
      f(client_host);
      f(session_timeout_ms);
      f(rebalance_timeout_ms);
      f(protocols);
      f(assignment);
    }
    friend bool operator==(const Member&, const Member&) = default;
  };
  std::int32_t generation = 0;
  std::string protocol_type{};
  std::string protocol{};
  std::string leader{};
  WallMs empty_since = 0;  // when it has no members
  std::vector<Member> members{};

  void fields(auto& f) {
    f(generation);
    f(protocol_type);
    f(protocol);
    f(leader);
    f(empty_since);
    f(members);
  }
  friend bool operator==(const GroupRow&, const GroupRow&) = default;
};

// What a group has committed for one partition.
struct OffsetRow {
  std::int64_t offset = -1;
  std::int32_t leader_epoch = -1;
  std::string metadata{};
  WallMs committed_at = 0;

  void fields(auto& f) {
    f(offset);
    f(leader_epoch);
    f(metadata);
    f(committed_at);
  }
  friend bool operator==(const OffsetRow&, const OffsetRow&) = default;
};

struct GroupRowKey {
  std::string group{};
  std::string topic{};  // empty: the row of the group itself
  std::int32_t partition = -1;
  friend bool operator==(const GroupRowKey&, const GroupRowKey&) = default;
};

std::string encode_key(const GroupRowKey& key);
Buffer encode_row(const GroupRow& row);
Buffer encode_row(const OffsetRow& row);

// Errors: malformed; unsupported for a row that a newer version has written.
Result<GroupRowKey> decode_group_row_key(std::string_view key);
Result<GroupRow> decode_group_row(Bytes value);
Result<OffsetRow> decode_offset_row(Bytes value);

}  // namespace sluice::kafka
