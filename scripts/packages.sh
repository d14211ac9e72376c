# Every Debian 12 package that sluice needs, by what needs it. Sourced by ./dev; the only list there is.
# `package:command`: any package, or other installation, that brings the command will do.
# shellcheck shell=bash disable=SC2034

packages_build=(
  g++ cmake ninja-build ccache mold pkg-config
  libboost1.81-dev libfmt-dev libgtest-dev libisal-dev libjemalloc-dev libtomlplusplus-dev
  liblz4-dev libsnappy-dev libzstd-dev zlib1g-dev
  libmosquitto-dev libcurl4-openssl-dev librdkafka-dev librocksdb-dev libssl-dev
)
packages_run=(mosquitto-clients kcat)                      # the clients that `./dev run` suggests
packages_test=(mosquitto-clients kcat python3-venv openssl default-jdk-headless:javac maven:mvn)
packages_interop=(golang-go:go nodejs:node npm:npm mosquitto libpaho-mqtt-dev)  # beside those of the tests
packages_bench=(mosquitto nats-server binutils util-linux default-jdk-headless:javac maven:mvn python3)
packages_instructions=(libbenchmark-dev valgrind python3)
packages_profile=(linux-perf python3)
packages_lint=(clang-19 clang-tidy-19 clang-format-19)
packages_fuzz=(clang-19 libclang-rt-19-dev)
