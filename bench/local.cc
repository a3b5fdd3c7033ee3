// Local features beside OpenCV's SIFT with its defaults, on real pictures of every set and views made from them: time
// of one core, and how many matches are right.
//
// Times are of the thread's own processor time, for pictures brought to a longer side of 512, the two in turn. A match
// is a nearest neighbor that passes the ratio test (0.8); it is an inlier where it lies within 3 pixels of where the
// known transformation puts it. Pictures are matched at their own size, at most 512.
//
//   bench_local [PICTURES]      of each set, default 12
#include "feature/local.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numbers>

#include "base/bytes.h"
#include "base/file.h"
#include "bench/files.h"
#include "bench/pictures.h"
#include "bench/report.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/resample.h"

#if LIKENESS_OPENCV
#include <opencv2/features2d.hpp>
#include <opencv2/imgproc.hpp>
#endif

namespace likeness {
namespace {

#if LIKENESS_OPENCV

constexpr float kRatio = 0.8f;
constexpr double kNear = 3;  // pixels

Pixels ToPixels(const cv::Mat& rgb) {
  const auto width = static_cast<uint32_t>(rgb.cols), height = static_cast<uint32_t>(rgb.rows);
  return {width, height, {rgb.data, rgb.data + rgb.total() * 3}, width, height};
}

cv::Mat ToMat(const Pixels& pixels) {
  return cv::Mat(static_cast<int>(pixels.height), static_cast<int>(pixels.width), CV_8UC3,
                 const_cast<uint8_t*>(pixels.rgb.data()))
      .clone();
}

// The picture with a longer side of 512; a smaller one is enlarged only when asked for.
cv::Mat Framed(const cv::Mat& picture, bool enlarge) {
  const double scale = double{kLocalFrame} / std::max(picture.cols, picture.rows);
  if (scale == 1 || (scale > 1 && !enlarge)) return picture;
  cv::Mat out;
  cv::resize(picture, out, {}, scale, scale, scale < 1 ? cv::INTER_AREA : cv::INTER_CUBIC);
  return out;
}

struct Found {
  std::vector<cv::Point2d> points;  // pixels, the first one's center at 0
  cv::Mat descriptors;
};

Found FindOurs(const cv::Mat& picture) {
  const LocalFeatures features = *ExtractLocal(ToPixels(picture));
  const double scale = std::max(picture.cols, picture.rows) / double{kLocalFrame};
  Found found;
  found.descriptors.create(static_cast<int>(features.size()), kLocalDescriptorSize, CV_32F);
  for (size_t i = 0; i < features.size(); ++i) {
    found.points.emplace_back(features.keypoints[i].x * scale - 0.5, features.keypoints[i].y * scale - 0.5);
    std::copy_n(features.descriptor(i).begin(), kLocalDescriptorSize,
                found.descriptors.ptr<float>(static_cast<int>(i)));
  }
  return found;
}

Found FindTheirs(const cv::Mat& picture) {
  cv::Mat gray;
  cv::cvtColor(picture, gray, cv::COLOR_RGB2GRAY);
  std::vector<cv::KeyPoint> keypoints;
  Found found;
  cv::SIFT::create(static_cast<int>(kMostKeypoints))
      ->detectAndCompute(gray, cv::noArray(), keypoints, found.descriptors);
  for (const cv::KeyPoint& keypoint : keypoints) found.points.emplace_back(keypoint.pt);
  return found;
}

size_t Inliers(const Found& from, const Found& to, const cv::Matx33d& map) {
  if (from.points.empty() || to.points.size() < 2) return 0;
  std::vector<std::vector<cv::DMatch>> matches;
  cv::BFMatcher(cv::NORM_L2).knnMatch(from.descriptors, to.descriptors, matches, 2);
  size_t inliers = 0;
  for (const auto& pair : matches) {
    if (pair.size() < 2 || pair[0].distance >= kRatio * pair[1].distance) continue;
    const cv::Point2d at = from.points[static_cast<size_t>(pair[0].queryIdx)];
    const cv::Point2d is = to.points[static_cast<size_t>(pair[0].trainIdx)];
    const cv::Vec3d put = map * cv::Vec3d(at.x, at.y, 1);
    inliers += std::hypot(put[0] / put[2] - is.x, put[1] / put[2] - is.y) <= kNear;
  }
  return inliers;
}

struct View {
  std::string name;
  cv::Mat picture;
  cv::Matx33d map = cv::Matx33d::eye();  // from the picture's pixels to the view's
};

// Brings a view to at most 512 and its map with it.
View Sized(View view) {
  const cv::Mat framed = Framed(view.picture, /*enlarge=*/false);
  const double scale = static_cast<double>(framed.cols) / view.picture.cols;
  view.map = cv::Matx33d(scale, 0, scale / 2 - 0.5, 0, scale, scale / 2 - 0.5, 0, 0, 1) * view.map;
  view.picture = framed;
  return view;
}

std::vector<View> Views(const cv::Mat& picture) {
  const double w = picture.cols, h = picture.rows;
  std::vector<View> views;
  const auto warp = [&](const char* name, const cv::Matx33d& map, double width, double height) {
    View view{name, {}, map};
    cv::warpPerspective(picture, view.picture, cv::Mat(map), {static_cast<int>(width), static_cast<int>(height)},
                        cv::INTER_LINEAR, cv::BORDER_REPLICATE);
    views.push_back(Sized(view));
  };
  const auto turn = [&](const char* name, double degrees, double scale) {
    const double c = std::cos(degrees * std::numbers::pi / 180) * scale,
                 s = std::sin(degrees * std::numbers::pi / 180) * scale;
    const double width = std::abs(c) * w + std::abs(s) * h, height = std::abs(s) * w + std::abs(c) * h;
    warp(name, {c, -s, width / 2 - c * w / 2 + s * h / 2, s, c, height / 2 - s * w / 2 - c * h / 2, 0, 0, 1}, width,
         height);
  };
  const auto shrink = [&](const char* name, double scale) {
    View view{name, {}, {}};
    cv::resize(picture, view.picture, {}, scale, scale, cv::INTER_AREA);
    const double x = view.picture.cols / w, y = view.picture.rows / h;
    view.map = {x, 0, x / 2 - 0.5, 0, y, y / 2 - 0.5, 0, 0, 1};
    views.push_back(view);
  };
  turn("turned by 25 degrees", 25, 0.85);
  turn("turned by 90 degrees", 90, 1);
  shrink("0.7 of the size", 0.7);
  shrink("0.5 of the size", 0.5);
  warp("a third of the area", {1.7, 0, -0.35 * w, 0, 1.7, -0.35 * h, 0, 0, 1}, w, h);
  warp("affine", {0.9, 0.25, 0, 0.05, 0.75, 10, 0, 0, 1}, w, h);
  warp("perspective", {0.95, 0.1, 5, 0.05, 0.9, 5, 0.15 / w, 0.2 / h, 1}, w, h);
  View blurred{"blurred"}, darker{"darker"};
  cv::GaussianBlur(picture, blurred.picture, {}, 1.5);
  picture.convertTo(darker.picture, -1, 0.6, 20);
  views.push_back(blurred);
  views.push_back(darker);
  const std::string jpeg = *EncodeJpeg(ToPixels(picture), 25);
  views.push_back({"JPEG of quality 25", ToMat(*DecodeImage(AsBytes(jpeg)))});
  return views;
}

std::vector<cv::Mat> ReadPictures(size_t count) {
  std::vector<cv::Mat> pictures;
  for (const char* set : {"ccp", "products", "clothing"}) {
    const std::vector<std::filesystem::path> files = BenchFiles(set);
    for (size_t i = 0; i < count; ++i) {
      const auto bytes = ReadFile(files[i * files.size() / count]);
      const auto pixels = DecodeImage(AsBytes(*bytes), {}, kStandardSize);
      if (pixels.ok()) pictures.push_back(ToMat(*pixels));
    }
  }
  return pictures;
}

int Run(size_t count) {
  cv::setNumThreads(1);
  BenchReport report("local");
  const auto path = FindVocabulary("no home");
  if (!path.ok()) BenchFail(MessageOf(path.status()));
  const auto vocabulary = Vocabulary::Open(*path);
  if (!vocabulary.ok()) BenchFail(MessageOf(vocabulary.status()));
  const auto extractor = MakeLocalExtractor(*vocabulary);
  const std::vector<cv::Mat> pictures = ReadPictures(count);

  std::vector<double> ours, theirs, with_words;
  for (int round = 0; round < 3; ++round) {
    for (const cv::Mat& picture : pictures) {
      const cv::Mat framed = Framed(picture, /*enlarge=*/true);
      const Pixels pixels = ToPixels(framed);
      const double start = ThreadSeconds();
      if (!ExtractLocal(pixels).ok()) BenchFail("a picture has no local features");
      const double middle = ThreadSeconds();
      FindTheirs(framed);
      const double end = ThreadSeconds();
      if (!extractor->Extract(std::span(&pixels, 1)).ok()) BenchFail("a picture has no value");
      with_words.push_back(ThreadSeconds() - end);
      ours.push_back(middle - start);
      theirs.push_back(end - middle);
    }
  }

  std::map<std::string, std::pair<size_t, size_t>> inliers;
  size_t our_inliers = 0, their_inliers = 0, our_keypoints = 0, their_keypoints = 0;
  for (const cv::Mat& read : pictures) {
    const cv::Mat picture = Framed(read, /*enlarge=*/false);
    const Found own = FindOurs(picture), peer = FindTheirs(picture);
    our_keypoints += own.points.size();
    their_keypoints += peer.points.size();
    for (const View& view : Views(picture)) {
      auto& [a, b] = inliers[view.name];
      const size_t found = Inliers(own, FindOurs(view.picture), view.map);
      const size_t peers = Inliers(peer, FindTheirs(view.picture), view.map);
      a += found, our_inliers += found;
      b += peers, their_inliers += peers;
    }
  }
  for (const auto& [name, both] : inliers) {
    BenchReport::Say(name + ": " + std::to_string(both.first) + " inliers, OpenCV " + std::to_string(both.second));
  }
  const auto mean = [](const std::vector<double>& seconds) {
    double sum = 0;
    for (const double value : seconds) sum += value;
    return sum / static_cast<double>(seconds.size());
  };
  const double ratio = static_cast<double>(our_inliers) / static_cast<double>(their_inliers);
  const double views = static_cast<double>(pictures.size() * inliers.size());
  report.Add({.name = "images_with_words", .value = 1 / mean(with_words), .unit = "images/s on one core", .bar = 33});
  report.Add({.name = "extract",
              .value = 1e3 * mean(ours),
              .unit = "ms a picture",
              .bar = 25,
              .better = BenchResult::Better::kLower});
  report.Add({.name = "extract_opencv", .value = 1e3 * mean(theirs), .unit = "ms a picture"});
  report.Add({.name = "faster_than_opencv", .value = mean(theirs) / mean(ours), .unit = "times"});
  report.Add({.name = "inliers_to_opencv", .value = ratio, .unit = "of OpenCV's", .bar = 1});
  report.Add({.name = "inliers", .value = static_cast<double>(our_inliers) / views, .unit = "a view"});
  report.Add({.name = "inliers_opencv", .value = static_cast<double>(their_inliers) / views, .unit = "a view"});
  const auto a_picture = [&](size_t n) { return static_cast<double>(n) / static_cast<double>(pictures.size()); };
  report.Add({.name = "keypoints", .value = a_picture(our_keypoints), .unit = "a picture"});
  report.Add({.name = "keypoints_opencv", .value = a_picture(their_keypoints), .unit = "a picture"});
  return report.Finish();
}

#else

int Run(size_t) { BenchFail("the peer is missing: install libopencv-features2d-dev and configure again"); }

#endif

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) { return likeness::Run(argc > 1 ? std::max(1, std::atoi(argv[1])) : 12); }
