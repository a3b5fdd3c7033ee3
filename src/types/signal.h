// What may speak for a hit, by name: the leaf ranker computes signals, a linear model weighs them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace likeness {

// Each is in [-1, 1], mostly in [0, 1]; larger speaks for the hit. docs/ranking.md says how each is computed.
enum class Signal : uint8_t {
  kVisual,      // cosine of the int8 vectors of the deep feature
  kCode,        // 1 - 2 * distance / bits of the binary codes
  kColor,       // 1 - distance of the color signatures
  kAnnotation,  // likeness of the words that people wrote
  kTopic,       // cosine of the topic vectors of the user-board-image graph
  kEngagement,  // how often people pinned the image
  kTokens,      // keypoints that lie alike in both pictures
};
inline constexpr size_t kSignals = 7;
inline constexpr std::array<std::string_view, kSignals> kSignalNames = {"visual", "code",       "color", "annotation",
                                                                        "topic",  "engagement", "tokens"};

constexpr std::string_view SignalName(Signal signal) { return kSignalNames[static_cast<size_t>(signal)]; }
constexpr std::optional<Signal> ParseSignal(std::string_view name) {
  for (size_t i = 0; i < kSignals; ++i) {
    if (kSignalNames[i] == name) return static_cast<Signal>(i);
  }
  return std::nullopt;
}

// The signals of one hit. One that has no value contributes nothing.
class SignalValues {
 public:
  bool has(Signal signal) const { return (present_ >> static_cast<size_t>(signal) & 1) != 0; }
  // 0 where it has no value.
  float operator[](Signal signal) const { return values_[static_cast<size_t>(signal)]; }
  void Set(Signal signal, float value) {
    values_[static_cast<size_t>(signal)] = value;
    present_ |= uint32_t{1} << static_cast<size_t>(signal);
  }
  friend bool operator==(const SignalValues&, const SignalValues&) = default;

 private:
  std::array<float, kSignals> values_ = {};
  uint32_t present_ = 0;
};

// A linear model over signals: a hit's score is the sum of weight times value. The default is the look, and keypoints
// that lie alike: a picture of which the query is a part looks different as a whole.
struct SignalWeights {
  std::array<float, kSignals> values = {1, 0, 0, 0, 0, 0, 0.6f};

  float operator[](Signal signal) const { return values[static_cast<size_t>(signal)]; }
  float& operator[](Signal signal) { return values[static_cast<size_t>(signal)]; }
  // Added up in the order of Signal, so that every machine gets the same bits. A weight of 0 adds nothing.
  float Score(const SignalValues& signals) const {
    float sum = 0;
    for (size_t i = 0; i < kSignals; ++i) {
      const auto signal = static_cast<Signal>(i);
      if (values[i] != 0 && signals.has(signal)) sum += values[i] * signals[signal];
    }
    return sum;
  }
  friend bool operator==(const SignalWeights&, const SignalWeights&) = default;
};

}  // namespace likeness
