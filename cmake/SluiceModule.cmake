# sluice_module(NAME [DEPENDS module...] [LIBS target...] [TEST_DEPENDS module...])
#
# Declares the module of the current folder from the names of its files:
#   *.cc        the static library sluice_NAME, alias sluice::NAME (an interface library while there is none)
#   *_test.cc   one GoogleTest program NAME_test; its ctest names start with "NAME."
#   X_fuzz.cc   one program NAME_X_fuzz each, with its corpus in tests/corpus/NAME_X/: a libFuzzer program when
#               SLUICE_LIBFUZZER is on, else a ctest test that replays the corpus
#   main.cc     left to the caller
# DEPENDS are modules of ours (tests/layering checks their order), LIBS third-party targets, TEST_DEPENDS further
# modules for tests and fuzz programs, such as sim.

include(GoogleTest)
add_custom_target(fuzzers)
add_custom_target(unit_tests)

function(sluice_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;LIBS;TEST_DEPENDS")
  list(TRANSFORM arg_DEPENDS PREPEND sluice::)
  list(TRANSFORM arg_TEST_DEPENDS PREPEND sluice::)

  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  file(GLOB tests CONFIGURE_DEPENDS *_test.cc)
  file(GLOB fuzzers CONFIGURE_DEPENDS *_fuzz.cc)
  list(REMOVE_ITEM sources ${tests} ${fuzzers} ${CMAKE_CURRENT_SOURCE_DIR}/main.cc)

  if(sources)
    add_library(sluice_${name} STATIC ${sources})
    target_link_libraries(sluice_${name} PRIVATE sluice_warnings)
    set(scope PUBLIC)
  else()
    add_library(sluice_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(sluice::${name} ALIAS sluice_${name})
  target_include_directories(sluice_${name} ${scope} ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(sluice_${name} ${scope} ${arg_DEPENDS} ${arg_LIBS})

  if(tests AND NOT SLUICE_LIBFUZZER)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE sluice::${name} ${arg_TEST_DEPENDS} GTest::gtest_main
                                               sluice_warnings)
    # Most of a build's time goes into expanding assertions; what they test is compiled as the preset says.
    target_compile_options(${name}_test PRIVATE -O0)
    add_dependencies(unit_tests ${name}_test)
    gtest_discover_tests(
      ${name}_test
      TEST_PREFIX ${name}.
      DISCOVERY_MODE PRE_TEST
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
      PROPERTIES LABELS unit TIMEOUT 300)
  endif()
  foreach(source IN LISTS fuzzers)
    sluice_fuzzer(${name} ${source} ${arg_TEST_DEPENDS})
  endforeach()
endfunction()

function(sluice_fuzzer module source)
  cmake_path(GET source STEM stem)
  set(target ${module}_${stem})
  string(REGEX REPLACE "_fuzz$" "" corpus ${target})
  add_executable(${target} ${source})
  target_link_libraries(${target} PRIVATE sluice::${module} ${ARGN} sluice_warnings)
  add_dependencies(fuzzers ${target})
  if(SLUICE_LIBFUZZER)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz_replay.cc)
    add_dependencies(unit_tests ${target})
    add_test(NAME ${module}.fuzz.${stem} COMMAND ${target} ${PROJECT_SOURCE_DIR}/tests/corpus/${corpus})
    set_tests_properties(${module}.fuzz.${stem} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()
