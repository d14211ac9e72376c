// Stands in for libFuzzer where the compiler has none: feeds every file of a corpus folder to the
// fuzz target once. An empty or missing corpus is a failure, so that no target loses its seeds
// unseen.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  int replayed = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) {
    if (!entry.is_regular_file()) continue;
    // The last line printed names the input that crashed.
    std::printf("%s\n", entry.path().c_str());
    std::fflush(stdout);
    const auto input = read_file(entry.path());
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++replayed;
  }
  if (replayed == 0) {
    std::fprintf(stderr, "no corpus in %s: put at least one seed there\n", argv[1]);
    return 1;
  }
  std::printf("%d inputs replayed\n", replayed);
  return 0;
}
