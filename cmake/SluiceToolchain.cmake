# Compiler cache, linker and warnings, for all targets.

# The cache lies inside the clone, shared by all build directories, unless the caller has one of his own.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(cache_settings CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1)
  if(NOT DEFINED ENV{CCACHE_DIR})
    list(APPEND cache_settings CCACHE_DIR=${PROJECT_SOURCE_DIR}/.cache/ccache)
  endif()
  set(CMAKE_CXX_COMPILER_LAUNCHER env ${cache_settings} ${CCACHE_PROGRAM})
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

option(SLUICE_LIBFUZZER "Build *_fuzz.cc as libFuzzer programs (clang) instead of corpus replays" OFF)

# Linked by every target of ours; not by the load generators in bench/.
add_library(sluice_warnings INTERFACE)
target_compile_options(
  sluice_warnings
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            -Wsign-conversion
            -Wnon-virtual-dtor
            -Wold-style-cast
            # GCC 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105329).
            $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
            # clang, which only fuzzes, also warns about libstdc++ itself.
            $<$<CXX_COMPILER_ID:GNU>:-Werror>)
