# Flags that hold for every target of ours, and the compiler cache where there is one.
# Designated initializers leave the other members to their defaults on purpose.
add_compile_options(-Wall -Wextra -Werror -Wno-missing-field-initializers -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Abseil and nlohmann-json set off false alarms of gcc 12's flow analysis when inlined.
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict)
endif()
if(LIKENESS_SANITIZE)
  add_compile_options(-fsanitize=${LIKENESS_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LIKENESS_SANITIZE})
endif()
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
