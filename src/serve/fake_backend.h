// A collection in memory, for tests and fuzzing of the API: no model, no disk, and faults on demand.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "serve/backend.h"

namespace likeness {

class FakeBackend final : public Backend {
 public:
  // Images are named by the MD5 of their bytes.
  Signature Add(const std::string& bytes, const std::string& format, const std::string& description) {
    ImageRecord image;
    image.signature = Signature::Of(AsBytes(bytes));
    image.format = format;
    image.bytes = bytes.size();
    image.width = 640;
    image.height = 480;
    image.epoch = *Epoch::Parse("2026-11-22");
    image.location = "file:pictures/" + image.signature.Hex().substr(0, 8);
    Pin pin;
    pin.id = "pin-" + image.signature.Hex().substr(0, 8);
    pin.image = image.signature;
    pin.board = "shoes";
    pin.board_title = "Shoes";
    pin.description = description;
    images_[image.signature] = {image, pin, bytes};
    return image.signature;
  }
  void Fail(absl::Status status) { failure_ = std::move(status); }
  // Hits of a picture are probable from now on.
  void Calibrate(SearchAnswer::Calibration calibration) { calibration_ = calibration; }
  // Searches wait until Release.
  void Hold() { held_ = true; }
  void Release() {
    {
      std::lock_guard lock(mutex_);
      held_ = false;
    }
    released_.notify_all();
  }
  int searches() const { return searches_; }
  int thumbnails() const { return thumbnails_; }
  const SearchRequest& last() const { return last_; }  // of tests with one client alone

  absl::StatusOr<SearchAnswer> Search(const SearchRequest& request) override {
    if (!failure_.ok()) return failure_;
    {
      std::unique_lock lock(mutex_);
      ++searches_;
      released_.wait(lock, [this] { return !held_; });
      last_ = request;
    }
    if (request.signature && !images_.contains(*request.signature)) return absl::NotFoundError("no such picture");
    SearchAnswer answer;
    answer.release = "20261122T000000Z";
    if (request.signature || !request.image.empty()) {
      answer.query = {request.signature ? *request.signature : Signature::Of(request.image), 640, 480, request.region};
    }
    answer.query.color = request.color;
    if (answer.query.signature) answer.calibration = calibration_;
    for (const auto& [signature, image] : images_) {
      if (answer.results.size() == request.k) break;
      Hit hit{signature, 640, 480, {0.5F}, {{"deep.tiny", "0a1b"}, {7}, 64, {0.5F}}};
      if (request.color) {
        // One color, a half of white and a half of black: L 50, a 0, b 0, weight 1.
        const std::string value("\x40\x52\0\0\0\0\0\x3c", 8);
        hit.evidence.plain = PlainEvidence{{"color", "0c1d"}, 0.25F, value};
        if (!answer.query.signature) hit.evidence.code_bits = 0;
      }
      if (answer.calibration) hit.evidence.probability = 0.25F;
      answer.results.push_back({hit, image.record.location.substr(5), {image.pin}});
    }
    answer.coverage = {images_.size(), images_.size()};
    return answer;
  }
  absl::StatusOr<ImageList> List(uint64_t offset, size_t limit, const PinFilter&) override {
    if (!failure_.ok()) return failure_;
    ImageList list;
    list.release = "20261122T000000Z";
    list.total = images_.size();
    uint64_t at = 0;
    for (const auto& [signature, image] : images_) {
      if (at++ >= offset && list.images.size() < limit) {
        list.images.push_back({signature, 640, 480, image.pin.description, image.pin.board, image.pin.board_title});
      }
    }
    return list;
  }
  absl::StatusOr<std::optional<ImageRecord>> Image(const Signature& signature) override {
    if (!failure_.ok()) return failure_;
    const auto found = images_.find(signature);
    if (found == images_.end()) return std::nullopt;
    return found->second.record;
  }
  absl::StatusOr<std::vector<Pin>> Pins(const Signature& signature) override {
    return std::vector<Pin>{images_.at(signature).pin};
  }
  std::vector<FeatureKey> Features(const Signature&) override { return {{"deep.tiny", "0a1b"}}; }
  ColorSignature Colors(const Signature&) override {
    return {{LabOf(200, 20, 30), 0.75f}, {LabOf(250, 250, 250), 0.25f}};
  }
  // Every other picture is the same, but the last one is similar.
  absl::StatusOr<DuplicatesAnswer> Duplicates(const DuplicatesRequest& request) override {
    if (!failure_.ok()) return failure_;
    DuplicatesAnswer answer;
    answer.release = "20261122T000000Z";
    answer.query = request.signature ? *request.signature : Signature::Of(request.image);
    answer.width = 640;
    answer.height = 480;
    for (const auto& [signature, image] : images_) {
      if (signature == answer.query || answer.matches.size() == request.limit) continue;
      DuplicatesAnswer::Match match{FactsOf(image), DuplicateVerdict::kSame, 0.9f, {}};
      match.evidence.hash_distance = 12;
      match.evidence.query_region = match.evidence.document_region = {{0, 0}, {640, 0}, {640, 480}};
      match.evidence.query_coverage = match.evidence.document_coverage = 0.5f;
      answer.matches.push_back(std::move(match));
    }
    if (!answer.matches.empty()) answer.matches.back().verdict = DuplicateVerdict::kSimilar;
    answer.compared = answer.verified = images_.size();
    return answer;
  }
  // One cluster of all pictures. The first call finds the run on its way.
  absl::StatusOr<DuplicateClusterPage> DuplicateClusters(uint64_t offset, size_t limit) override {
    if (!failure_.ok()) return failure_;
    DuplicateClusterPage page;
    page.release = "20261122T000000Z";
    page.images = images_.size();
    page.running = !looked_.exchange(true);
    if (page.running || images_.size() < 2) return page;
    page.done = page.images;
    page.total = 1;
    if (offset > 0 || limit == 0) return page;
    DuplicateClusterPage::Cluster cluster{FactsOf(images_.begin()->second), {}};
    for (auto image = std::next(images_.begin()); image != images_.end(); ++image) {
      cluster.members.push_back({FactsOf(image->second), DuplicateVerdict::kSame, 0.9f, {}});
    }
    page.clusters.push_back(std::move(cluster));
    return page;
  }
  absl::StatusOr<std::vector<Board>> Boards() override {
    return std::vector<Board>{{"a", "A", 1}, {"shoes", "Shoes", 5}, {"b", "B", 1}};
  }
  absl::StatusOr<CollectionStatus> Status() override {
    if (!failure_.ok()) return failure_;
    CollectionStatus status;
    status.counts.images = images_.size();
    status.counts.quarantined = 1;
    status.quarantined.push_back({"broken.jpg", "the file is empty", 3});
    const Epoch day = *Epoch::Parse("2026-11-22");
    const FeatureKey feature{"deep.tiny", "0a1b"};
    status.cells.push_back({feature, {day, 0}, images_.size(), true});
    status.cells.push_back({feature, {day, 1}, 1000, false, 2});
    status.cells.push_back({feature, {day, 2}, 1000, false, 0});
    status.cells.push_back({feature, {day, 3}, 1000, false, 0});
    status.young = YoungPictures{3, 2};
    status.part_images = 512;
    status.queue.waiting = 4;
    status.queue.leased = 1;
    status.tasks.push_back({"00ff00ff00ff/2026-11-22/00002/0-512", "here.1.0", 2, 12.5});
    WorkerBeat worker;
    worker.name = "here.1.0";
    worker.host = "here";
    worker.started = worker.last_seen = day.day();
    worker.chunk = status.tasks[0].id;
    worker.images = 70;
    worker.images_per_second = 20.5;
    status.workers.push_back(worker);
    return status;
  }
  ServedPictures Served() override { return {images_.size(), {3, 2}}; }
  absl::StatusOr<std::string> Read(const ImageRecord& image) override {
    if (!failure_.ok()) return failure_;
    return images_.at(image.signature).bytes;
  }
  absl::StatusOr<AddedPicture> Add(const NewPicture& picture, Deadline) override {
    if (!failure_.ok()) return failure_;
    const std::string bytes(AsText(picture.image));
    const bool is_new = !images_.contains(Signature::Of(picture.image));
    const Signature signature = is_new ? Add(bytes, "jpeg", picture.pin.description) : Signature::Of(picture.image);
    last_pin_ = picture.pin;
    return AddedPicture{signature, "jpeg", 640, 480, is_new, true, ""};
  }
  absl::StatusOr<bool> Remove(const Signature& signature) override {
    if (!failure_.ok()) return failure_;
    return images_.erase(signature) > 0;
  }
  const Pin& last_pin() const { return last_pin_; }
  absl::StatusOr<std::string> Thumbnail(const ImageRecord&, uint32_t side) override {
    ++thumbnails_;
    return "\xFF\xD8 thumbnail of " + std::to_string(side) + "\xFF\xD9";
  }

 private:
  struct Entry {
    ImageRecord record;
    Pin pin;
    std::string bytes;
  };
  static DuplicateImage FactsOf(const Entry& image) {
    return {image.record.signature, image.record.width, image.record.height, image.record.location, {image.pin}};
  }
  std::map<Signature, Entry> images_;
  std::atomic<bool> looked_ = false;
  absl::Status failure_;
  std::optional<SearchAnswer::Calibration> calibration_;
  SearchRequest last_;
  Pin last_pin_;
  std::mutex mutex_;
  std::condition_variable released_;
  std::atomic<bool> held_ = false;
  std::atomic<int> searches_ = 0;
  std::atomic<int> thumbnails_ = 0;
};

}  // namespace likeness
