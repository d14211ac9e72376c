#include "topic/level_tree.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/random.h"
#include "topic/topic.h"

namespace sluice::topic {

LevelTree::LevelTree() : nodes_(1), table_(16, root), seed_(Random::from_os().next()) {}

NodeId LevelTree::insert(std::string_view filter) {
  NodeId node = root;
  for (Levels levels(filter); !levels.done();) {
    const std::string_view level = levels.next();
    const NodeId next = child(node, level);
    node = next != root ? next : add_child(node, level);
  }
  nodes_[node].is_filter = true;
  return node;
}

std::optional<NodeId> LevelTree::find(std::string_view filter) const {
  NodeId node = root;
  for (Levels levels(filter); !levels.done();) {
    node = child(node, levels.next());
    if (node == root) return std::nullopt;
  }
  if (!nodes_[node].is_filter) return std::nullopt;
  return node;
}

void LevelTree::release(NodeId node) {
  SLUICE_ASSERT(nodes_[node].is_filter);
  nodes_[node].is_filter = false;
  while (node != root && nodes_[node].children == 0 && !nodes_[node].is_filter) {
    const NodeId parent = nodes_[node].parent;
    remove_leaf(node);
    node = parent;
  }
}

// Level by level, with all nodes that the levels so far lead to: reached_[from..) are those of the
// current depth.
const std::vector<NodeId>& LevelTree::match(std::string_view topic) {
  found_.clear();
  reached_.assign(1, root);
  std::size_t from = 0;
  bool wildcards = !topic.starts_with('$');
  for (Levels levels(topic); !levels.done() && from < reached_.size();) {
    const std::string_view level = levels.next();
    const std::uint64_t level_hash = hash_of(level);
    for (const std::size_t until = reached_.size(); from < until; ++from) {
      const Node& node = nodes_[reached_[from]];
      if (wildcards) {
        take_if_filter(node.hash);
        if (node.plus != root) reached_.push_back(node.plus);
      }
      const NodeId next = literal_child(reached_[from], level, level_hash);
      if (next != root) reached_.push_back(next);
    }
    wildcards = true;
  }
  for (; from < reached_.size(); ++from) {
    take_if_filter(reached_[from]);
    take_if_filter(nodes_[reached_[from]].hash);
  }
  return found_;
}

void LevelTree::take_if_filter(NodeId node) {
  if (nodes_[node].is_filter) found_.push_back(node);
}

std::uint64_t LevelTree::hash_of(std::string_view level) const {
  return hash64(as_bytes(level), seed_);
}

// Multiplies, so that the same level below neighbouring parents does not pile up, and takes the
// upper bits.
std::size_t LevelTree::home_of(NodeId parent, std::uint64_t level_hash) const {
  const std::uint64_t hash = (level_hash ^ parent) * 0x9e3779b97f4a7c15ull;
  return (hash >> 32) & (table_.size() - 1);
}

NodeId LevelTree::literal_child(NodeId parent, std::string_view level,
                                std::uint64_t level_hash) const {
  if (nodes_[parent].children == 0) return root;
  for (std::size_t i = home_of(parent, level_hash); table_[i] != root;
       i = (i + 1) & (table_.size() - 1)) {
    const Node& node = nodes_[table_[i]];
    if (node.parent == parent && node.level_hash == level_hash && node.level == level) {
      return table_[i];
    }
  }
  return root;
}

NodeId LevelTree::child(NodeId parent, std::string_view level) const {
  if (level == "+") return nodes_[parent].plus;
  if (level == "#") return nodes_[parent].hash;
  return literal_child(parent, level, hash_of(level));
}

NodeId LevelTree::add_child(NodeId parent, std::string_view level) {
  NodeId id = static_cast<NodeId>(nodes_.size());
  if (free_.empty()) {
    nodes_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  nodes_[id] = {.parent = parent, .level_hash = hash_of(level), .level = std::string(level)};
  ++nodes_[parent].children;
  if (level == "+") {
    nodes_[parent].plus = id;
  } else if (level == "#") {
    nodes_[parent].hash = id;
  } else {
    add_to_table(id);
  }
  return id;
}

void LevelTree::remove_leaf(NodeId id) {
  Node& parent = nodes_[nodes_[id].parent];
  --parent.children;
  if (parent.plus == id) {
    parent.plus = root;
  } else if (parent.hash == id) {
    parent.hash = root;
  } else {
    remove_from_table(id);
  }
  nodes_[id] = {};
  free_.push_back(id);
}

void LevelTree::add_to_table(NodeId id) {
  if (2 * (table_used_ + 1) > table_.size()) grow_table();
  std::size_t i = home_of(nodes_[id].parent, nodes_[id].level_hash);
  while (table_[i] != root) i = (i + 1) & (table_.size() - 1);
  table_[i] = id;
  ++table_used_;
}

// Closes the gap: moves each later entry of the run into it whose home is not between the gap and
// its place.
void LevelTree::remove_from_table(NodeId id) {
  const std::size_t mask = table_.size() - 1;
  std::size_t gap = home_of(nodes_[id].parent, nodes_[id].level_hash);
  while (table_[gap] != id) gap = (gap + 1) & mask;
  for (std::size_t i = (gap + 1) & mask; table_[i] != root; i = (i + 1) & mask) {
    const Node& node = nodes_[table_[i]];
    const std::size_t home = home_of(node.parent, node.level_hash);
    if (((i - home) & mask) >= ((i - gap) & mask)) {
      table_[gap] = table_[i];
      gap = i;
    }
  }
  table_[gap] = root;
  --table_used_;
}

void LevelTree::grow_table() {
  const std::vector<NodeId> old =
      std::exchange(table_, std::vector<NodeId>(2 * table_.size(), root));
  table_used_ = 0;
  for (const NodeId id : old) {
    if (id != root) add_to_table(id);
  }
}

}  // namespace sluice::topic
