#include "hub/announcements.h"

#include <limits>
#include <utility>

#include "base/hash.h"
#include "log/record_batch.h"
#include "topic/topic.h"

namespace sluice::hub {
namespace {

// No stream: topics of announcements are told apart from those of streams by it.
constexpr Subscriptions::Scope scope{
    .prefix = "", .stream = std::numeric_limits<std::uint64_t>::max(), .wildcards = false};

}  // namespace

AnnouncementRef make_announcement(WallMs now, std::span<const AnnouncedTopic> topics) {
  auto announcement = std::make_shared<Announcement>();
  log::BatchBuilder builder;
  for (std::uint32_t i = 0; i < topics.size(); ++i) {
    const Bytes key = as_bytes(topics[i].topic);
    builder.add(now, {.key = key,
                      .value = as_bytes(topics[i].value),
                      .headers = {},
                      .headers_count = 0,
                      .flags = log::Record::has_packed | log::Record::retain,
                      .key_hash = static_cast<std::uint32_t>(hash64(key))});
    if (topics[i].changed) announcement->changed.push_back(i);
  }
  announcement->block = builder.finish();
  return announcement;
}

void Announcements::announce(AnnouncementRef announcement) {
  current_ = std::move(announcement);
  const log::Block& block = *current_->block;
  for (const std::uint32_t index : current_->changed) {
    const log::Record& record = block.records()[index];
    for (const Target& target :
         subscriptions_.match(scope, block.key(record), record.key_hash).targets) {
      const Subscriber& subscriber = subscriptions_.at(target.subscriber);
      if (subscriber.is_held()) continue;
      const Delivery delivery{index, 1, &target.grant};
      subscriber.sink->on_records(
          {.prefix = {}, .block = current_->block, .deliveries = {&delivery, 1}});
    }
  }
  subscriptions_.forget();
}

void Announcements::send_current(Handle handle, const std::string& text) {
  Subscriber* const subscriber = subscriptions_.find(handle);
  const Filter* const filter = subscriber ? subscriber->find(text) : nullptr;
  if (!current_ || !filter || subscriber->is_held()) return;
  const std::uint32_t id = filter->options.id;
  const Grant grant{.qos = filter->options.qos,
                    .retain_as_published = filter->options.retain_as_published,
                    .ids = std::span(&id, id == 0 ? 0 : 1)};
  const log::Block& block = *current_->block;
  std::vector<Delivery> deliveries;
  for (std::uint32_t i = 0; i < block.records().size(); ++i)
    if (topic::matches(text, as_text(block.key(block.records()[i]))))
      deliveries.push_back({i, 1, &grant});
  if (!deliveries.empty())
    subscriber->sink->on_records({.prefix = {},
                                  .block = current_->block,
                                  .deliveries = deliveries,
                                  .origin = Origin::retained});
}

}  // namespace sluice::hub
