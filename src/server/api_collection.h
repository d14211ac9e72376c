#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/page_query.h"
#include "base/task.h"
#include "server/api.h"

namespace sluice::server {

// Things of one kind that have ids: the API lists them at /api/v1/<name>, and shows and removes one
// at /api/v1/<name>/{id}.
class ApiCollection {
 public:
  struct Words {  // literals
    std::string_view name;
    std::string_view no_such;  // in a 404; {} stands for the id
    std::string_view removed;  // in the log, when one is,
    std::string_view log_key;  // with the id under this key
  };

  explicit ApiCollection(const Words& words) : words_(words) {}
  virtual ~ApiCollection() = default;

  void add_to(Api& api);  // this outlives it

 private:
  virtual void list(const PageQuery& query, Done<JsonObject> done) = 0;
  // Nothing, or false: there is none with this id.
  virtual void show(const std::string& id, Done<std::optional<JsonObject>> done) = 0;
  virtual void remove(const std::string& id, Done<bool> done) = 0;

  void answer_list(ApiCall call);
  void answer_show(ApiCall call);
  void answer_remove(ApiCall call);
  [[nodiscard]] http::Response no_such(std::string_view id) const;

  const Words words_;
};

}  // namespace sluice::server
