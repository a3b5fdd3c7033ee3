// Networks on one core: our oneDNN executor beside ONNX Runtime in the same process, on real pictures.
//
//   bench_infer [--model NAME] [--precision f32|bf16] [--seconds S] [--pictures N] [--profile]
//
// --pictures: how many photographs both must agree on; --seconds 0 checks that alone. With LIKENESS_CPU set
// to avx2 or avx512 both run without what such a processor lacks, and ours must not be slower. Without flags that is
// measured too, for four networks in f32, each in a process of its own.
#include <time.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "bench/flags.h"
#include "bench/masked_cpu.h"
#include "bench/report.h"
#include "feature/deep.h"
#include "image/decode.h"
#include "infer/model_library.h"
#include "infer/onednn_model.h"
#include "infer/paper_models.h"

extern "C" void omp_set_num_threads(int threads);  // of OpenMP's runtime, where oneDNN has its threads from

namespace likeness {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string model;
  std::string precision = "bf16";
  double seconds = 4;
  size_t pictures = 16;
  bool profile = false;
};

struct Row {
  std::string model, layer;
  size_t batch;
  double bar;  // times the speed of ONNX Runtime in f32; 0: none
};

const Row kRows[] = {{"vgg16", "fc6", 8, 8},
                     {"vgg16", "fc6", 1, 0},
                     {"alexnet", "fc6", 8, 4},
                     {"googlenet", "", 8, 4},
                     {"resnet50", "", 8, 5},
                     {"mobilenet_v2", "", 8, 1.7},
                     {"efficientnet_lite1", "", 8, 1.7},
                     {"squeezenet", "", 8, 0},
                     {"mobilenet_v3", "", 8, 0}};

double Seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
// Time of this thread on a core, which is what passes on a quiet machine.
double Now() { return Seconds(CLOCK_THREAD_CPUTIME_ID); }
double Clock() { return Seconds(CLOCK_MONOTONIC); }

// The cosine that the precision promises.
double Agreement(const Flags& flags) { return flags.precision == "bf16" ? 0.999 : 0.99999; }

double Cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) BenchFail(MessageOf(value.status()));
  return *std::move(value);
}

std::vector<Pixels> Pictures(size_t count) {
  const char* named = std::getenv("LIKENESS_DATA");
  const fs::path data =
      named != nullptr ? fs::path(named) : fs::path(LIKENESS_SOURCE_DIR).parent_path() / "shared" / "data";
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(data / "ccp" / "photos", error), end; at != end; at.increment(error)) {
    if (at->path().extension() == ".jpg") files.push_back(at->path());
  }
  if (files.size() < count) BenchFail("the evaluation data is not at " + data.string() + "; set LIKENESS_DATA");
  std::ranges::sort(files);
  std::vector<Pixels> pictures;
  for (size_t i = 0; i < count; ++i) {
    const std::string bytes = Must(ReadFile(files[i * (files.size() / count)]));
    pictures.push_back(Must(DecodeImage(AsBytes(bytes))));
  }
  return pictures;
}

struct Loaded {
  ModelFiles files;
  std::unique_ptr<DeepExtractor> slow;  // prepares pictures too
  std::unique_ptr<Model> fast;
};

Loaded Load(const Row& row, const Flags& flags, const fs::path& folder) {
  Loaded loaded;
  const auto names = BuildableModels();
  if (std::ranges::find(names, row.model) != names.end()) {
    loaded.files = {{}, {}, folder / (row.model + ".onnx")};
    const fs::path card = folder / (row.model + ".json");
    if (!fs::exists(card)) {
      const BuiltModel built = Must(BuildModel(row.model));
      if (!WriteFileAtomic(loaded.files.weights_path, AsBytes(built.file)).ok() ||
          !WriteModelCard(card, built.card).ok()) {
        BenchFail("cannot write to " + folder.string());
      }
    }
    loaded.files.card = Must(ReadModelCard(card));
  } else {
    loaded.files = Must(ModelLibrary::Usual(folder).Find(row.model));
  }
  const ModelCard& card = loaded.files.card;
  ModelOptions options{.verify_checksum = false, .executor = Executor::kOneDnn};
  if (!row.layer.empty()) options.layers = {row.layer};
  options.precision = Must(ParsePrecision(flags.precision));
  loaded.fast = Must(LoadModel(loaded.files.weights_path, card, options));
  auto slow = Must(LoadOnnxModel(loaded.files.weights_path, card, {}, options));
  loaded.slow = std::make_unique<DeepExtractor>(card, std::move(slow), DeepOptions{.layer = row.layer});
  return loaded;
}

void Profile(const Loaded& loaded, size_t n, std::span<const float> tensors, size_t dimension) {
  const auto* model = dynamic_cast<const OneDnnModel*>(loaded.fast.get());
  std::vector<float> out(n * dimension);
  std::vector<std::vector<double>> seconds;
  std::vector<std::string> names;
  for (int run = 0; run < 15; ++run) {
    const auto times = Must(model->RunTimed(tensors.first(n * model->input_size()), out));
    seconds.resize(times.size());
    names.resize(times.size());
    for (size_t i = 0; i < times.size(); ++i) {
      seconds[i].push_back(times[i].seconds);
      names[i] = times[i].step;
    }
  }
  std::map<std::string, double> sums;
  double all = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const double ms = Median(seconds[i]) * 1e3 / static_cast<double>(n);
    BenchReport::Say(std::to_string(ms) + " ms  " + names[i]);
    sums[names[i].substr(0, names[i].find(' '))] += ms;
    all += ms;
  }
  for (const auto& [kind, ms] : sums) BenchReport::Say("sum " + std::to_string(ms) + " ms  " + kind);
  BenchReport::Say("sum " + std::to_string(all) + " ms an image");
}

// A convolution as oneDNN runs it when it is asked for nothing else: 256 channels, 56 x 56, kernel 3, eight images.
class PlainConvolution {
 public:
  static constexpr double kOperations = 2.0 * 8 * 56 * 56 * 256 * 256 * 9;

  PlainConvolution() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    omp_set_num_threads(1);
    using Desc = dnnl::memory::desc;
    const auto type = dnnl::memory::data_type::bf16;
    const auto any = dnnl::memory::format_tag::any;
    const Desc image({8, 256, 56, 56}, type, any), weights({256, 256, 3, 3}, type, any);
    const dnnl::convolution_forward::primitive_desc pd({dnnl::prop_kind::forward_inference,
                                                        dnnl::algorithm::convolution_direct,
                                                        image,
                                                        weights,
                                                        image,
                                                        {1, 1},
                                                        {1, 1},
                                                        {1, 1}},
                                                       engine_);
    primitive_ = dnnl::convolution_forward(pd);
    Random random(1);
    for (const auto& [name, desc] :
         {std::pair(DNNL_ARG_SRC, pd.src_desc()), std::pair(DNNL_ARG_WEIGHTS, pd.weights_desc()),
          std::pair(DNNL_ARG_DST, pd.dst_desc())}) {
      const dnnl::memory memory(desc, engine_);
      auto* const values = static_cast<uint16_t*>(memory.get_data_handle());
      for (size_t i = 0; i < desc.get_size() / 2; ++i) {
        const auto bits = std::bit_cast<uint32_t>(static_cast<float>(random.Unit() - (name == DNNL_ARG_SRC ? 0 : 0.5)));
        values[i] = static_cast<uint16_t>(bits >> 16);
      }
      arguments_.emplace(name, memory);
    }
  }
  double Run() {
    const double before = Now();
    primitive_.execute(stream_, arguments_);
    stream_.wait();
    return Now() - before;
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

// The rate of VGG-16's convolutions within the network, against the plain one.
void MeasureConvolutions(const Loaded& loaded, std::span<const float> tensors, size_t dimension, BenchReport& report) {
  constexpr double kVgg16 = 2 * 15346630656.0;  // operations of an image's thirteen convolutions
  const auto* model = dynamic_cast<const OneDnnModel*>(loaded.fast.get());
  const size_t n = model->batch();
  std::vector<float> out(n * dimension);
  PlainConvolution plain;
  plain.Run();
  std::vector<double> inside, alone;
  for (int run = 0; run < 9; ++run) {
    double seconds = 0;
    for (const auto& part : Must(model->RunTimed(tensors.first(n * model->input_size()), out))) {
      if (part.step.starts_with("convolution")) seconds += part.seconds;
    }
    inside.push_back(seconds / static_cast<double>(n));
    alone.push_back(plain.Run());
  }
  const double rate = kVgg16 / Median(inside), peer = PlainConvolution::kOperations / Median(alone);
  BenchReport::Say("bf16 convolutions: " + std::to_string(rate * 1e-12) + " of " + std::to_string(peer * 1e-12) +
                   " tera-operations a second");
  report.Add({.name = "vgg16_convolutions", .value = rate / peer, .unit = "of a plain convolution's rate", .bar = 0.7});
}

void Measure(const Row& row, const Flags& flags, const std::vector<Pixels>& pictures, const fs::path& folder,
             BenchReport& report) {
  const Loaded loaded = Load(row, flags, folder);
  const size_t size = loaded.fast->input_size(), dimension = loaded.fast->output_size(), n = pictures.size();
  std::vector<float> tensors(n * size), ours(n * dimension), theirs(n * dimension);
  for (size_t i = 0; i < n; ++i) {
    loaded.slow->Prepare(pictures[i], std::nullopt, std::span(tensors).subspan(i * size, size));
  }
  if (!loaded.fast->Run(tensors, n, ours).ok() || !loaded.slow->Extract(tensors, n, theirs).ok())
    BenchFail("it failed");
  double worst = 1, alike = 0;
  for (size_t i = 0; i < n; ++i) {
    const auto a = std::span(ours).subspan(i * dimension, dimension);
    worst = std::min(worst, Cosine(a, std::span(theirs).subspan(i * dimension, dimension)));
    alike += Cosine(a, std::span(ours).subspan((i + 1) % n * dimension, dimension)) / static_cast<double>(n);
  }
  if (flags.seconds == 0) {
    BenchReport::Say("worst of " + std::to_string(n) + " pictures: " + std::to_string(worst));
    report.Add({.name = row.model + "_agreement", .value = worst, .unit = "cosine", .bar = Agreement(flags)});
    return;
  }
  if (flags.profile) Profile(loaded, row.batch, tensors, dimension);
  std::vector<double> fast, slow;
  for (const double end = Clock() + flags.seconds; fast.size() < 9 || Clock() < end;) {
    const auto in = std::span(tensors).first(row.batch * size);
    double before = Now();
    for (int i = 0; i < 3; ++i) {
      (void)loaded.fast->Run(in, row.batch, std::span(ours).first(row.batch * dimension));
      const double now = Now();
      fast.push_back(now - before);
      before = now;
    }
    (void)loaded.slow->Extract(in, row.batch, std::span(theirs).first(row.batch * dimension));
    slow.push_back(Now() - before);
  }
  const double ms = Median(fast) * 1e3, peer = Median(slow) * 1e3, each = static_cast<double>(row.batch);
  BenchReport::Say(row.model + " batch " + std::to_string(row.batch) + ": " + std::to_string(ms / each) +
                   " ms an image, ONNX Runtime " + std::to_string(peer / each) + "; worst cosine " +
                   std::to_string(worst) + ", of neighbours " + std::to_string(alike));
  const bool right = worst >= Agreement(flags);
  BenchResult result{.name = row.model + "_batch" + std::to_string(row.batch),
                     .value = peer / ms,
                     .unit = "x ONNX Runtime",
                     .right = right};
  if (row.bar > 0) result.bar = CpuIsMasked() || flags.precision == "f32" ? 1 : row.bar;
  report.Add(result);
  if (row.model != "vgg16" || !HasFastBf16() || flags.precision == "f32") return;
  if (row.batch == 1) {
    report.Add(
        {.name = "vgg16_one_image", .value = ms, .unit = "ms", .bar = 30, .better = BenchResult::Better::kLower});
  } else {
    MeasureConvolutions(loaded, tensors, dimension, report);
  }
}

// What lesser processors have: the same program with LIKENESS_CPU, its results under the level's name.
void MeasureMasked(const std::string& level, const std::string& model, BenchReport& report) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const std::string command =
      "LIKENESS_CPU=" + level + " '" + self.string() + "' --precision f32 --seconds 2 --model " + model;
  BenchReport::Say(command.substr(0, command.find(' ')) + " " + model);
  FILE* const child = error ? nullptr : ::popen(command.c_str(), "r");
  if (child == nullptr) BenchFail("cannot run the benchmark again with LIKENESS_CPU");
  std::string text;
  char part[4096];
  while (std::fgets(part, sizeof(part), child) != nullptr) text += part;
  (void)::pclose(child);
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) BenchFail("the benchmark failed with LIKENESS_CPU=" + level + ": " + command);
  for (const auto& result : json["results"]) {
    if (result["bar"].is_null() || result["name"] == "right_answers") continue;
    const bool right = !result["value"].is_null();
    report.Add({.name = level + "_" + result["name"].get<std::string>(),
                .value = right ? result["value"].get<double>() : 0,
                .unit = result["unit"].get<std::string>(),
                .bar = result["bar"].get<double>(),
                .right = right});
  }
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  using namespace likeness;
  Flags flags;
  ReadBenchFlags(argc, argv,
                 {{"--model", &flags.model},
                  {"--precision", &flags.precision},
                  {"--seconds", &flags.seconds, 0},
                  {"--pictures", &flags.pictures, 8},
                  {"--profile", &flags.profile}});
  const fs::path folder = fs::path(LIKENESS_BENCH_HOMES) / "models";
  fs::create_directories(folder);
  if (std::getenv("LIKENESS_CPU") != nullptr && !CpuIsMasked()) {
    BenchReport::Say("ONNX Runtime keeps all instructions: this system does not let CPUID be masked");
  }
  const auto pictures = Pictures(flags.pictures);
  BenchReport report("infer");
  for (const Row& row : kRows) {
    if (flags.seconds == 0 && row.batch == 1) continue;
    if (flags.model.empty() || flags.model == row.model) Measure(row, flags, pictures, folder, report);
  }
  if (argc == 1 && std::getenv("LIKENESS_CPU") == nullptr) {
    for (const char* level : {"avx512", "avx2"}) {
      for (const char* model : {"vgg16", "resnet50", "googlenet", "mobilenet_v2"}) MeasureMasked(level, model, report);
    }
  }
  return report.Finish();
}
