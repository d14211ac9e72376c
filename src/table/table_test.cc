#include "table/table.h"

#include <gtest/gtest.h>

#include "stream/sim_backend_test.h"
#include "table/memory_store_test.h"

namespace sluice::table {
namespace {

Buffer bytes(std::string_view text) { return {as_bytes(text).begin(), as_bytes(text).end()}; }

TEST(Table, ARowThatWasPutIsThereAfterACrash) {
  stream::SimBackend backend(1, 1);
  auto store = std::make_shared<MemoryStore>();
  Metrics metrics;
  std::unique_ptr<Table> table;
  const auto start = [&] {
    table = std::make_unique<Table>(
        Table::Context{&backend.world->loop(0), &backend.stream({}), store, &metrics, {}, 1},
        "__t");
    std::optional<Result<void>> opened;
    backend.post({}, [&] { table->open([&](Result<void> r) { opened = std::move(r); }); });
    ASSERT_TRUE(backend.run_until([&] { return opened.has_value(); }));
    ASSERT_TRUE(*opened) << opened->error().text;
  };
  start();
  std::optional<Result<void>> put;
  backend.post(
      {}, [&] { table->put(3, "k", bytes("v"), [&](Result<void> r) { put = std::move(r); }); });
  ASSERT_TRUE(backend.run_until([&] { return put.has_value(); }));
  ASSERT_TRUE(*put) << put->error().text;

  backend.world->power_off();
  table.reset();
  backend.crash();
  store->crash();
  backend.start(1);
  start();
  std::optional<Result<std::optional<Buffer>>> got;
  backend.post({}, [&] { table->get(3, "k", [&](auto r) { got = std::move(r); }); });
  ASSERT_TRUE(backend.run_until([&] { return got.has_value(); }));
  ASSERT_TRUE(*got && **got);
  EXPECT_EQ(***got, bytes("v"));
  table.reset();
}

}  // namespace
}  // namespace sluice::table
