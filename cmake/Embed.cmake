# likeness_embed(TARGET FILES...): compiles files into TARGET as bytes, reachable through the header src/serve/assets.h,
# whose definition this writes. Uses the assembler's .incbin, so that a large file costs no compile time.
function(likeness_embed target)
  set(assembly "")
  set(table "")
  set(index 0)
  foreach(file IN LISTS ARGN)
    get_filename_component(name ${file} NAME)
    string(APPEND assembly
      "asm(\".pushsection .rodata\\n.balign 16\\nlikeness_asset_${index}:\\n.incbin \\\"${file}\\\"\\n\"\n"
      "    \"likeness_asset_${index}_end:\\n.byte 0\\n.popsection\\n\");\n"
      "extern \"C\" const char likeness_asset_${index}[], likeness_asset_${index}_end[];\n")
    string(APPEND table
      "      {\"${name}\",\n       {likeness_asset_${index}, static_cast<size_t>(likeness_asset_${index}_end - likeness_asset_${index})}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}_assets.cc)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"#include \"serve/assets.h\"

#include <vector>

${assembly}
namespace likeness {
std::span<const Asset> Assets() {
  static const std::vector<Asset> assets = {
${table}  };
  return assets;
}
}  // namespace likeness
")
  target_sources(${target} PRIVATE ${source})
  set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES OBJECT_DEPENDS "${ARGN}")
endfunction()
