// likeness show: everything that is known of one picture, in words and drawn.
#include <cstdio>
#include <set>

#include "base/file.h"
#include "cli/command.h"
#include "feature/color_query.h"
#include "serve/api_json.h"
#include "serve/color_json.h"
#include "serve/picture_facts.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

struct ShowFlags {
  std::string picture;
  std::string html;
};

std::string CodeHex(std::span<const uint64_t> words) {
  std::string text;
  for (const uint64_t word : words) {
    char digits[20];
    std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(word));
    text += digits;
  }
  return text;
}

size_t DistinctWords(const PictureFacts& facts) {
  std::set<uint32_t> words;
  for (const LocalFeature& word : facts.words) words.insert(word.word);
  return words.size();
}

Json FactsJson(const PictureFacts& facts) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json json{{"signature", facts.signature.Hex()},
            {"source", facts.source},
            {"format", text_or_null(facts.format)},
            {"bytes", facts.bytes},
            {"width", facts.width > 0 ? Json(facts.width) : Json()},
            {"height", facts.height > 0 ? Json(facts.height) : Json()},
            {"known", facts.known},
            {"epoch", text_or_null(facts.epoch)},
            {"shard", text_or_null(facts.shard)},
            {"quarantined", text_or_null(facts.quarantine)},
            {"unreadable", text_or_null(facts.unreadable)}};
  json["pins"] = Json::array();
  for (const Pin& pin : facts.pins) json["pins"].push_back(PinJson(pin));
  json["features"] = Json::array();
  for (const PictureFacts::State& state : facts.states) {
    json["features"].push_back({{"type", state.type},
                                {"feature", text_or_null(state.key)},
                                {"reason", text_or_null(state.reason)},
                                {"stored", text_or_null(state.stored)}});
  }
  if (!facts.unreadable.empty()) return json;
  const Region& box = facts.salient.box;
  json["salient"] = {{"whole", facts.salient.whole},
                     {"box", {{"x", box.x}, {"y", box.y}, {"width", box.width}, {"height", box.height}}}};
  json["palette"] = PaletteJson(std::span<const SalientColor>(facts.colors));
  json["hash"] = facts.hash ? Json{{"pdq", PdqToHex(facts.hash->hash)}, {"quality", facts.hash->quality}} : Json();
  json["deep"] = Json::array();
  for (const PictureFacts::Deep& deep : facts.deep) {
    json["deep"].push_back({{"feature", deep.key.ToString()},
                            {"dimension", deep.dimension},
                            {"norm", deep.norm},
                            {"first", deep.first},
                            {"code", deep.code_bits > 0 ? Json(CodeHex(deep.code)) : Json()}});
  }
  json["keypoints"] = Json::array();
  for (size_t i = 0; i < facts.keypoints.size(); ++i) {
    const Keypoint& point = facts.keypoints.keypoints[i];
    Json one{{"x", point.x}, {"y", point.y}, {"sigma", point.sigma}, {"angle", point.angle}};
    if (i < facts.words.size()) {
      one["word"] = facts.words[i].word;
      one["signature"] = CodeHex({&facts.words[i].signature, 1});
    }
    json["keypoints"].push_back(std::move(one));
  }
  json["words"] =
      facts.vocabulary > 0 ? Json{{"vocabulary", facts.vocabulary}, {"different", DistinctWords(facts)}} : Json();
  return json;
}

std::string Line(const std::string& name, const std::string& value) {
  return value.empty() ? "" : name + std::string(name.size() < 12 ? 12 - name.size() : 1, ' ') + value + "\n";
}

std::string FactsText(const PictureFacts& facts) {
  std::string text =
      Line("picture", facts.source) + Line("signature", facts.signature.Hex()) +
      Line("file", (facts.format.empty() ? "" : facts.format + ", ") + std::to_string(facts.bytes) + " bytes");
  if (facts.width > 0) {
    text += Line("size", std::to_string(facts.width) + " x " + std::to_string(facts.height) + " pixels");
  }
  text += Line("first seen", facts.epoch) + Line("shard", facts.shard) + Line("set aside", facts.quarantine) +
          Line("unreadable", facts.unreadable);
  if (!facts.known) text += Line("pins", "none: the collection does not have this picture");
  for (const Pin& pin : facts.pins) {
    text += Line("pin", pin.id + (pin.board.empty() ? "" : " on " + pin.board) +
                            (pin.description.empty() ? "" : ": " + pin.description));
  }
  if (!facts.unreadable.empty()) return text;
  char line[160];
  for (const SalientColor& color : facts.colors) {
    std::snprintf(line, sizeof(line), "%s %5.1f %%  ", HexColor(color.lab).c_str(),
                  100 * static_cast<double>(color.weight));
    text += Line("color", line + std::string(NearestColorName(color.lab)));
  }
  const Region& box = facts.salient.box;
  text += Line("salient", facts.salient.whole ? "the whole picture"
                                              : std::to_string(box.width) + " x " + std::to_string(box.height) +
                                                    " from " + std::to_string(box.x) + "," + std::to_string(box.y));
  if (facts.hash) {
    text += Line("pdq", PdqToHex(facts.hash->hash) + ", quality " + std::to_string(facts.hash->quality));
  }
  text += Line("keypoints", std::to_string(facts.keypoints.size()));
  if (facts.vocabulary > 0) {
    text += Line("words", std::to_string(DistinctWords(facts)) + " different of " + std::to_string(facts.vocabulary));
  }
  for (const PictureFacts::Deep& deep : facts.deep) {
    std::snprintf(line, sizeof(line), "norm %.3f, %zu components", deep.norm, deep.dimension);
    text += Line("deep", deep.key.ToString() + ": " + line);
    text += Line("  code", deep.code_bits > 0 ? CodeHex(deep.code) : "none: no release has this version");
  }
  for (const PictureFacts::State& state : facts.states) {
    std::string said = state.reason.empty() ? "has a value" : state.reason;
    if (facts.known) said += "; in the store: " + (state.stored.empty() ? "nothing yet" : state.stored);
    text += Line(state.type, said);
  }
  return text;
}

absl::StatusOr<CommandOutput> RunShow(const CommonFlags& common, const ShowFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  std::optional<ImageRecord> record;
  std::string bytes;
  std::error_code error;
  const auto signature = Signature::Parse(flags.picture);
  if (signature && !std::filesystem::exists(flags.picture, error)) {
    LIKENESS_ASSIGN_OR_RETURN(record, home->catalog().Image(*signature));
    if (!record) return absl::NotFoundError("the collection has no image " + flags.picture);
    LIKENESS_ASSIGN_OR_RETURN(bytes, home->ReadImage(*record));
  } else {
    LIKENESS_ASSIGN_OR_RETURN(bytes, ReadFile(flags.picture, home->config().image.max_bytes));
    LIKENESS_ASSIGN_OR_RETURN(record, home->catalog().Image(Signature::Of(AsBytes(bytes))));
  }
  std::string source = flags.picture;
  if (record && signature) source = record->location.substr(record->location.find(':') + 1);
  LIKENESS_ASSIGN_OR_RETURN(const PictureFacts facts, GatherPictureFacts(*home, bytes, record, std::move(source)));
  CommandOutput output{FactsJson(facts), FactsText(facts)};
  if (!flags.html.empty()) {
    LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(flags.html, AsBytes(PictureHtml(facts))));
    output.json["html"] = flags.html;
    output.text += Line("drawn in", flags.html);
  }
  return output;
}

}  // namespace

void AddShowCommand(Program& program) {
  auto flags = std::make_shared<ShowFlags>();
  CLI::App* command = program.Add("show", "Show everything that is known of one picture",
                                  [&program, flags] { return RunShow(program.flags, *flags); });
  command->add_option("picture", flags->picture, "A picture file, or the signature of an image of the collection")
      ->required();
  command->add_option("--html", flags->html, "Draw it too: a page in one file");
}

}  // namespace likeness
