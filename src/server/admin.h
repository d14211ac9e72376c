#pragma once

#include <functional>
#include <string>
#include <vector>

#include "access/access.h"
#include "base/metrics.h"
#include "http/server.h"
#include "server/api.h"

namespace sluice::server {

// Reasons why the hub is not ready; none: it is.
using Reasons = std::vector<std::string>;

// The pages of the admin port, on shard 0: /metrics, /healthz, /readyz for everybody. Any other
// path, the API among them, asks for a login (HTTP Basic) of somebody who may administer, once
// there are users.
class Admin final : public http::Handler {
 public:
  // Asks all shards and calls back on shard 0.
  using Readiness = std::function<void(std::move_only_function<void(Reasons)>)>;

  // `api` outlives this.
  Admin(access::Access& access, const Api& api, std::vector<Metrics*> registries,
        Readiness readiness);
  void on_request(const http::Request& request, http::Respond respond) override;

 private:
  void metrics(http::Respond respond);
  void health(http::Respond respond);
  void ready(http::Respond respond);
  void log_in(const http::Request& request, http::Respond respond);
  void answer(const http::Request& request, const access::Principal& principal,
              http::Respond respond);

  access::Access& access_;
  const Api& api_;
  std::vector<Metrics*> registries_;
  Readiness readiness_;
};

}  // namespace sluice::server
