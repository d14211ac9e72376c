// Law: whatever the bytes are, an index that loads selects stretches of its segment, in order and
// apart from each other, or says that it is damaged.

#include "log/key_index.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/hash.h"

using namespace sluice;
using namespace sluice::log;

namespace {

namespace layout = key_index_layout;

void require(bool holds) {
  if (!holds) std::abort();
}

// A file in memory. With `repair` all checksums are right, so that mutations get further.
class File final : public BatchSource {
 public:
  File(Bytes file, bool repair) : file_(file.begin(), file.end()), repair_(repair) {
    if (repair_ && file_.size() >= layout::header_size) {
      const auto head_size = std::min<std::size_t>(
          load_be<std::uint32_t>(file_.data() + layout::head_size_at), file_.size());
      if (head_size >= layout::header_size) repair_at(layout::crc_at, head_size);
    }
  }
  Result<Bytes> bytes(std::uint64_t at, std::uint64_t size) override {
    const std::uint64_t begin = std::min<std::uint64_t>(at, file_.size());
    const std::uint64_t end = begin + std::min<std::uint64_t>(size, file_.size() - begin);
    if (repair_ && at > 0 && end - begin > sizeof(std::uint32_t)) repair_at(begin, end);
    return Bytes(file_).subspan(begin, end - begin);
  }

 private:
  void repair_at(std::uint64_t crc_at, std::uint64_t end) {
    const std::uint64_t covered_at = crc_at + sizeof(std::uint32_t);
    store_be<std::uint32_t>(file_.data() + crc_at,
                            crc32c(Bytes(file_).subspan(covered_at, end - covered_at)));
  }
  Buffer file_;
  bool repair_;
};

void check(Bytes bytes, bool repair) {
  if (bytes.size() < layout::header_size) return;
  Segment segment;  // the one that the index says it is of
  segment.base = {load_be<std::int64_t>(bytes.data() + 16)};
  segment.size = load_be<std::uint64_t>(bytes.data() + 24);
  segment.generation = load_be<std::uint32_t>(bytes.data() + 32);
  File file(bytes, repair);
  const auto index = KeyIndex::load(file, segment);
  if (!index) return;
  const std::string_view end = as_text(bytes.last(4));
  for (const KeyHint& hint : {KeyHint{{"a/b", std::string(end)}, {}}, KeyHint{{}, {"a/", ""}},
                              KeyHint{{std::string(end.substr(3))}, {std::string(end)}}}) {
    const auto selection = index->select(hint, file);
    if (!selection) continue;
    std::uint64_t before = 0;
    for (const Stretch& stretch : selection->stretches()) {
      require(stretch.at <= stretch.until && stretch.until <= segment.size);
      require(before == 0 || stretch.at > before);
      before = stretch.until;
      require(selection->next(stretch.at) == stretch.at || stretch.at == stretch.until);
    }
    require(selection->next(before) == Selection::none);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  check(bytes, false);
  check(bytes, true);
  return 0;
}
