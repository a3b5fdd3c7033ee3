#include "infer/onednn_model.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>

#include "infer/onednn_plan.h"

// Of OpenMP's runtime, which comes without a header for every compiler.
extern "C" void omp_set_num_threads(int threads);
extern "C" int omp_get_max_threads(void);

namespace likeness {
namespace {

// Plans are made for these numbers of images, when first needed; other numbers are put together from them.
constexpr std::array<size_t, 4> kSizes = {8, 4, 2, 1};

// LIKENESS_CPU lowers what oneDNN may use, as it does for our own kernels (kernel/cpu.h). Before its first use.
void LowerToAllowedLevel() {
  static const bool done = [] {
    const char* name = std::getenv("LIKENESS_CPU");
    const std::string_view level = name == nullptr ? "" : name;
    auto isa = dnnl::cpu_isa::all;
    if (level == "scalar") isa = dnnl::cpu_isa::sse41;
    if (level == "avx2") isa = dnnl::cpu_isa::avx2;
    if (level == "avx512") isa = dnnl::cpu_isa::avx512_core_vnni;
    if (isa != dnnl::cpu_isa::all) dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(isa));
    return true;
  }();
  (void)done;
}

// oneDNN takes its threads from OpenMP, which counts them for each calling thread by itself.
class ThreadScope {
 public:
  explicit ThreadScope(size_t threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(static_cast<int>(threads));
  }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

class NetworkModel final : public OneDnnModel {
 public:
  NetworkModel(Network network, std::shared_ptr<const void> keep, const OneDnnOptions& options)
      : network_(std::move(network)), keep_(std::move(keep)), options_(options), engine_(dnnl::engine::kind::cpu, 0) {
    for (const int output : network_.outputs) {
      layer_sizes_.push_back(static_cast<size_t>(network_.values[static_cast<size_t>(output)].channels));
      output_size_ += layer_sizes_.back();
    }
    // Large matrices are read once for a whole batch, and so are many weights in f32; without them a single image keeps
    // its activations in the cache.
    size_t dense = 0, all = 0;
    for (const Step& step : network_.steps) {
      all += step.weights.values.size();
      if (step.kind == Step::Kind::kDense) dense += step.weights.values.size();
    }
    if (options_.bf16 && options_.typical.size() == input_size()) {
      // On one thread whatever the options say: sums in another order are other centers, and other values from then on.
      const ThreadScope threads(1);
      centers_ = CentersOf(network_, engine_, options_.typical, weights_);
    }
    batch_ = dense > size_t{4} << 20 || (!options_.bf16 && all > size_t{16} << 20) ? 8 : 4;
    PlanFor(batch_);
  }

  size_t input_size() const override {
    return static_cast<size_t>(network_.values[static_cast<size_t>(network_.input)].size());
  }
  size_t output_size() const override { return output_size_; }
  std::vector<size_t> layer_sizes() const override { return layer_sizes_; }
  size_t batch() const override { return batch_; }

  absl::Status Run(std::span<const float> images, size_t count, std::span<float> out) const override {
    if (images.size() != count * input_size() || out.size() != count * output_size_) {
      return absl::InvalidArgumentError("the spans do not hold " + std::to_string(count) + " images and vectors");
    }
    return Guarded([&] {
      for (size_t done = 0; done < count;) {
        const size_t now = *std::ranges::find_if(
            kSizes, [&](size_t size) { return size <= std::max<size_t>(batch_, 1) && size <= count - done; });
        RunPlan(now, images.data() + done * input_size(), out.data() + done * output_size_, nullptr);
        done += now;
      }
    });
  }

  absl::StatusOr<std::vector<StepTime>> RunTimed(std::span<const float> images, std::span<float> out) const override {
    const size_t count = images.size() / input_size();
    if (images.size() != count * input_size() || out.size() != count * output_size_ ||
        std::ranges::find(kSizes, count) == kSizes.end()) {
      return absl::InvalidArgumentError("the spans do not hold 1, 2, 4 or 8 images and their vectors");
    }
    std::vector<StepTime> times;
    LIKENESS_RETURN_IF_ERROR(Guarded([&] { RunPlan(count, images.data(), out.data(), &times); }));
    return times;
  }

 private:
  struct Prepared {
    std::unique_ptr<Plan> plan;
    std::vector<std::unique_ptr<PlanState>> idle;
  };

  template <typename Function>
  static absl::Status Guarded(const Function& function) {
    try {
      function();
      return absl::OkStatus();
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("there is not enough memory to run the model");
    } catch (const dnnl::error& error) {
      if (error.status == dnnl_out_of_memory) {
        return absl::ResourceExhaustedError("there is not enough memory to run the model");
      }
      return absl::InternalError("the model failed: " + std::string(error.what()));
    }
  }

  // The lock is held while a plan is made, once for each number of images, and never while one runs.
  Prepared& PlanFor(size_t images) const {
    const std::lock_guard lock(mutex_);
    return PlanLocked(images);
  }
  Prepared& PlanLocked(size_t images) const {
    Prepared& prepared = plans_[images];
    if (prepared.plan == nullptr) {
      const ThreadScope threads(options_.threads);
      prepared.plan =
          std::make_unique<Plan>(network_, engine_, static_cast<int64_t>(images), options_.bf16, centers_, weights_);
    }
    return prepared;
  }

  void RunPlan(size_t images, const float* from, float* to, std::vector<StepTime>* times) const {
    std::unique_ptr<PlanState> state;
    Prepared* prepared = nullptr;
    {
      const std::lock_guard lock(mutex_);
      prepared = &PlanLocked(images);
      if (!prepared->idle.empty()) {
        state = std::move(prepared->idle.back());
        prepared->idle.pop_back();
      }
    }
    const Plan& plan = *prepared->plan;
    if (state == nullptr) state = plan.NewState();
    std::vector<double> seconds;
    {
      const ThreadScope threads(options_.threads);
      plan.Execute(*state, from, times == nullptr ? nullptr : &seconds);
    }
    size_t column = 0;
    for (size_t layer = 0; layer < layer_sizes_.size(); column += layer_sizes_[layer++]) {
      const float* values = plan.Output(*state, layer);
      for (size_t i = 0; i < images; ++i) {
        std::copy_n(values + i * layer_sizes_[layer], layer_sizes_[layer], to + i * output_size_ + column);
      }
    }
    if (times != nullptr) {
      for (size_t i = 0; i < seconds.size(); ++i) times->push_back({plan.stage_names()[i], seconds[i]});
    }
    const std::lock_guard lock(mutex_);
    prepared->idle.push_back(std::move(state));
  }

  const Network network_;
  const std::shared_ptr<const void> keep_;
  const OneDnnOptions options_;
  const dnnl::engine engine_;
  std::vector<size_t> layer_sizes_;
  size_t output_size_ = 0, batch_ = 1;
  Centers centers_;  // constant once the model is made
  mutable std::mutex mutex_;
  mutable WeightStore weights_;               // guarded by mutex_
  mutable std::map<size_t, Prepared> plans_;  // guarded by mutex_; a plan, once made, is constant
};

}  // namespace

bool HasFastBf16() {
  LowerToAllowedLevel();
  static const bool has = dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx512_core_amx;
  return has;
}

absl::StatusOr<std::unique_ptr<OneDnnModel>> MakeOneDnnModel(Network network, std::shared_ptr<const void> keep,
                                                             const OneDnnOptions& options) {
  LowerToAllowedLevel();
  try {
    OneDnnOptions used = options;
    used.threads = std::max<size_t>(1, options.threads);
    for (const int output : network.outputs) {
      if (output == network.input) return absl::UnimplementedError("the layer is the input itself");
    }
    return std::make_unique<NetworkModel>(std::move(network), std::move(keep), used);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("there is not enough memory to load the model");
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) {
      return absl::ResourceExhaustedError("there is not enough memory to load the model");
    }
    return absl::UnimplementedError("oneDNN cannot run the model: " + std::string(error.what()));
  }
}

}  // namespace likeness
