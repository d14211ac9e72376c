#include "sessions/evidence_scan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/logger.h"
#include "log/packed_header.h"
#include "log/record_batch.h"

namespace sluice::sessions {
namespace {

constexpr Logger logger("sessions");

constexpr std::size_t read_size = 1 << 20;
constexpr std::size_t readers_max = 4;
constexpr runtime::Duration retry_delay = std::chrono::milliseconds(100);

bool may_have_evidence(const log::Record& record) {
  return (record.flags & log::Record::has_packed) != 0 &&
         (record.flags & log::Record::qos_mask) == 2;
}

}  // namespace

void note_evidence(Seen& seen, Uid uid, std::uint16_t packet_id, std::uint64_t n) {
  std::uint64_t& highest = seen[uid][packet_id];
  highest = std::max(highest, n);
}

void note_evidence(Seen& seen, const Seen& more) {
  for (const auto& [uid, packet_ids] : more)
    for (const auto& [packet_id, n] : packet_ids) note_evidence(seen, uid, packet_id, n);
}

bool absorb(const Seen& seen, Uid uid, Progress& progress) {
  const auto found = seen.find(uid);
  if (found == seen.end()) return false;
  std::vector<std::pair<std::uint64_t, std::uint16_t>> unknown;
  for (const auto& [packet_id, n] : found->second)
    if (n > progress.received) unknown.emplace_back(n, packet_id);
  if (unknown.empty()) return false;
  std::ranges::sort(unknown);
  for (const auto& [n, packet_id] : unknown)
    if (std::ranges::find(progress.open, packet_id) == progress.open.end())
      progress.open.push_back(packet_id);
  progress.received = unknown.back().first;
  return true;
}

EvidenceScan::EvidenceScan(runtime::Loop& loop, stream::Stream& stream, Metrics& metrics)
    : loop_(loop),
      stream_(stream),
      offsets_(metrics.counter("sluice_sessions_searched_offsets_total",
                               "Offsets read at start for QoS 2 publishes of stored sessions")) {}

void EvidenceScan::run(std::function<void(Seen)> done) {
  done_ = std::move(done);
  start_more();
}

void EvidenceScan::start_more() {
  while (reading_ < readers_max && !waiting_.empty()) {
    const Part part = waiting_.front();
    waiting_.pop_front();
    ++reading_;
    read(part);
  }
  if (reading_ == 0 && done_) std::exchange(done_, nullptr)(std::move(seen_));
}

void EvidenceScan::read(Part part) {
  stream_.read(part.partition, part.next, read_size, stream::Want::records,
               [this, part](const Result<stream::ReadAnswer>& answer) { on_read(part, answer); });
}

void EvidenceScan::on_read(Part part, const Result<stream::ReadAnswer>& answer) {
  if (!answer) {
    if (answer.error().code == Errc::not_found) return end_part();  // its stream is gone
    if (answer.error().code == Errc::out_of_range) return skip_lost(part);
    loop_.run_after(retry_delay, [this, part] { read(part); });
    return;
  }
  for (const auto& block : answer->blocks) look_at(*block, part.next);
  const bool nothing = answer->next <= part.next;  // holes only
  const Offset next = nothing ? part.end : std::min(answer->next, part.end);
  offsets_.add(static_cast<std::uint64_t>(next - std::exchange(part.next, next)));
  if (part.next >= part.end) return end_part();
  loop_.post([this, part] { read(part); });
}

void EvidenceScan::skip_lost(Part part) {
  stream_.bounds(part.partition, [this, part](const Result<stream::Bounds>& bounds) mutable {
    if (bounds && part.next < bounds->start) {
      logger.warn("records are gone that were to be searched for publishes of stored sessions",
                  {{"stream_id", part.partition.stream.value},
                   {"partition", part.partition.index},
                   {"offsets", bounds->start - part.next}});
      part.next = bounds->start;
      if (part.next >= part.end) return end_part();
    } else if (bounds && part.next >= bounds->visible_end) {
      return end_part();
    }
    loop_.run_after(retry_delay, [this, part] { read(part); });
  });
}

void EvidenceScan::end_part() {
  --reading_;
  // By way of the loop, for many may end at once.
  loop_.post([this] { start_more(); });
}

void EvidenceScan::look_at(const stream::Block& block, Offset from) {
  for (const log::Record& record : block.records()) {
    if (!may_have_evidence(record) || block.from() + record.offset_delta < from) continue;
    log::for_each_header(block, record, [&](const log::RecordHeader& header) {
      if (header.name != log::PackedHeader::name) return;
      const auto packed = log::decode_packed_header(header.value);
      if (!packed || !packed->qos2) return;
      const log::Qos2Evidence& found = *packed->qos2;
      if (found.uid != 0 && found.uid % 2 == 0 && found.packet_id != 0)
        note_evidence(seen_, found.uid, found.packet_id, found.n);
    });
  }
}

}  // namespace sluice::sessions
