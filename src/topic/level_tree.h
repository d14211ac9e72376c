#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::topic {

using NodeId = std::uint32_t;

// The levels of a set of filters as a tree: a node per distinct beginning of a filter. It tells
// which filters cover a topic; what they stand for is kept outside, by node id (FilterTree).
//
// Literal children are found in one hash table over the whole tree by (parent, level), '+' and '#'
// children by a direct id. Everything is a loop: a filter of 32,768 levels is as safe as a short
// one. Ids and storage of removed nodes are used again; storage stays at the largest number of
// nodes there ever was. One thread at a time; match() too writes to scratch memory.
class LevelTree {
 public:
  LevelTree();

  // The node of a filter, made if it is missing. It stays until release().
  NodeId insert(std::string_view filter);
  // The node of a filter that was inserted and not released.
  [[nodiscard]] std::optional<NodeId> find(std::string_view filter) const;
  // Forgets the filter of this node, and with it the nodes that lead to no other filter.
  void release(NodeId node);

  // The nodes of all filters that cover `topic`, each once; valid until the next call. The time is
  // at most in proportion to the number of nodes at the depths of the topic's levels.
  const std::vector<NodeId>& match(std::string_view topic);

  [[nodiscard]] std::size_t node_count() const { return nodes_.size() - free_.size() - 1; }

 private:
  static constexpr NodeId root = 0;  // no filter, never removed; as a child's id it means "none"

  struct Node {
    NodeId parent = root;
    NodeId plus = root;
    NodeId hash = root;
    std::uint32_t children = 0;  // of all kinds
    bool is_filter = false;
    std::uint64_t level_hash = 0;
    std::string level;
  };

  [[nodiscard]] std::uint64_t hash_of(std::string_view level) const;
  [[nodiscard]] std::size_t home_of(NodeId parent, std::uint64_t level_hash) const;
  [[nodiscard]] NodeId literal_child(NodeId parent, std::string_view level,
                                     std::uint64_t level_hash) const;
  [[nodiscard]] NodeId child(NodeId parent, std::string_view level) const;
  NodeId add_child(NodeId parent, std::string_view level);
  void remove_leaf(NodeId node);

  void add_to_table(NodeId node);
  void remove_from_table(NodeId node);
  void grow_table();
  void take_if_filter(NodeId node);

  std::vector<Node> nodes_;
  std::vector<NodeId> free_;
  std::vector<NodeId>
      table_;  // literal children, linear probing; a power of two, at most half full
  std::size_t table_used_ = 0;
  std::uint64_t seed_;  // so that nobody can choose levels that collide
  std::vector<NodeId> reached_;
  std::vector<NodeId> found_;
};

}  // namespace sluice::topic
