# Third-party libraries, all of them Debian packages (scripts/packages.sh). A module names what it uses in its
# sluice_module() call.

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(fmt REQUIRED)
find_package(GTest REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL 3 REQUIRED)

find_package(PkgConfig REQUIRED)
foreach(library IN ITEMS liblz4 snappy libzstd libisal jemalloc rdkafka rocksdb libcurl libmosquitto)
  pkg_check_modules(${library} REQUIRED IMPORTED_TARGET ${library})
endforeach()
