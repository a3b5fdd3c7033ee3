#include "serve/search_service.h"

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "feature/color.h"
#include "feature/hash.h"
#include "image/decode.h"
#include "kernel/half.h"
#include "pipeline/binarizers.h"
#include "pipeline/features.h"
#include "pipeline/open_snapshot.h"
#include "pipeline/remove.h"
#include "rank/weights.h"
#include "serve/query_signals.h"

namespace likeness {
namespace {

constexpr char kFloorFile[] = "ranking/floor.json";  // below the home
constexpr char kWeightsFile[] = "ranking/weights.json";
constexpr uint64_t kLargestModel = 1 << 20;  // bytes

// The feature that queries are compared by: of the first configured model that the release has, else of any.
absl::StatusOr<Release::Feature> QueryFeature(const Home& home, const Release& release) {
  for (const std::string& model : home.config().models) {
    for (const Release::Feature& feature : release.features) {
      if (feature.key.type == "deep." + model) return feature;
    }
  }
  for (const Release::Feature& feature : release.features) {
    if (feature.key.type.starts_with("deep.")) return feature;
  }
  return absl::FailedPreconditionError("release " + release.name + " has no deep feature: index the collection again");
}

// Documents of the snapshot as a set for each segment.
class DocSets {
 public:
  explicit DocSets(const Snapshot& snapshot) : snapshot_(snapshot) {
    for (const auto& segment : snapshot.segments()) sets_.emplace_back(segment->doc_count());
  }
  void Add(const Signature& signature) {
    for (size_t i = 0; i < sets_.size(); ++i) {
      if (const auto doc = snapshot_.segments()[i]->Find(signature)) sets_[i].Set(*doc);
    }
  }
  void And(const AllowedDocs& others) {
    for (size_t i = 0; i < others.size(); ++i) {
      if (others[i] != nullptr) sets_[i].And(*others[i]);
    }
  }
  AllowedDocs Take() {
    AllowedDocs allowed;
    for (DocSet& set : sets_) allowed.push_back(std::make_shared<const DocSet>(std::move(set)));
    return allowed;
  }

 private:
  const Snapshot& snapshot_;
  std::vector<DocSet> sets_;
};

absl::Status CheckRequest(const SearchRequest& request) {
  const bool picture = !request.image.empty();
  if (picture && request.signature) {
    return absl::InvalidArgumentError("give either a picture or the signature of a known image");
  }
  if (!picture && !request.signature && !request.color) {
    return absl::InvalidArgumentError("give a picture, the signature of a known image, or a color");
  }
  if (!picture && !request.signature && request.region) {
    return absl::InvalidArgumentError("a region is part of a picture: give the picture too, or leave the region out");
  }
  if (request.color && !(request.color->weight >= 0 && request.color->weight <= 1)) {
    return absl::InvalidArgumentError("color_weight must be from 0 to 1");
  }
  if (request.ranking.conformity && !(*request.ranking.conformity >= 0 && *request.ranking.conformity <= 1)) {
    return absl::InvalidArgumentError("conformity must be from 0 to 1");
  }
  if (request.k == 0 || request.k > kMaxHits) {
    return absl::InvalidArgumentError("k is " + std::to_string(request.k) + ": it must be from 1 to " +
                                      std::to_string(kMaxHits));
  }
  return absl::OkStatus();
}

absl::Status CheckRegion(const std::optional<Region>& region, uint32_t width, uint32_t height) {
  if (!region || region->Within(static_cast<int32_t>(width), static_cast<int32_t>(height))) return absl::OkStatus();
  return absl::InvalidArgumentError("the region must lie within the picture, which is " + std::to_string(width) +
                                    " x " + std::to_string(height) + " pixels");
}

// The feature of a type that the segments keep as it is.
std::optional<FeatureKey> PlainFeature(const Release& release, const Snapshot& snapshot, const std::string& type) {
  for (const Release::Feature& feature : release.features) {
    if (feature.key.type != type) continue;
    for (const auto& segment : snapshot.segments()) {
      if (segment->plain(feature.key) != nullptr) return feature.key;
    }
  }
  return std::nullopt;
}

absl::StatusOr<PlainWish> WishFor(const ColorWish& wish, const Serving& serving) {
  if (!serving.color) {
    return absl::FailedPreconditionError("release " + serving.release.name +
                                         " has no colors: have color among [features] types of likeness.toml, run "
                                         "`likeness fingerprint` and `likeness index`");
  }
  const Lab& lab = wish.color.lab;
  return ColorWishOf(*serving.color, lab.l, lab.a, lab.b, wish.weight);
}

constexpr int kRounds = 3;  // of a search whose hits are being removed meanwhile

// `images`: records of some of the hits, in their order.
void DropRemoved(std::vector<ImageRecord>& images, std::vector<Hit>& hits) {
  std::set<Signature> removed;
  for (const ImageRecord& image : images) {
    if (image.removed) removed.insert(image.signature);
  }
  std::erase_if(images, [](const ImageRecord& image) { return image.removed; });
  std::erase_if(hits, [&](const Hit& hit) { return removed.contains(hit.signature); });
}

// The home's own calibration, else that which comes with the program; null where neither is of that feature. `own`
// tells which.
absl::StatusOr<std::shared_ptr<const FloorModel>> ReadFloor(const std::filesystem::path& home,
                                                            const std::string& feature, bool& own) {
  own = false;
  const std::filesystem::path path = home / kFloorFile;
  const absl::StatusOr<std::string> text = ReadFile(path, kLargestModel);
  if (absl::IsNotFound(text.status())) return FloorModel::Default(feature);
  LIKENESS_RETURN_IF_ERROR(text.status());
  absl::StatusOr<FloorModel> model = FloorModel::Parse(*text);
  if (!model.ok()) return Annotate(model.status(), path.string());
  if (model->parameters().feature != feature) return FloorModel::Default(feature);
  own = true;
  return std::make_shared<const FloorModel>(*std::move(model));
}

// Those of likeness.toml, else those that `likeness train ranker` found, else the look alone.
absl::StatusOr<SignalWeights> ReadWeights(const Home& home) {
  if (home.config().rank.weights) return *home.config().rank.weights;
  const std::filesystem::path path = home.path() / kWeightsFile;
  const absl::StatusOr<std::string> text = ReadFile(path, kLargestModel);
  if (absl::IsNotFound(text.status())) return SignalWeights();
  LIKENESS_RETURN_IF_ERROR(text.status());
  absl::StatusOr<SignalWeights> weights = ParseWeights(*text);
  if (!weights.ok()) return Annotate(weights.status(), path.string());
  return weights;
}

RootOptions RankingOf(const SearchRequest& request, const Serving& serving, const Config& config) {
  RootOptions options;
  if (request.ranking.collapse) options.collapse = {.hash = serving.hash, .code = true};
  options.floor_model = serving.floor;
  if (serving.floor != nullptr && request.ranking.floor.value_or(config.rank.floor.value_or(serving.own_floor))) {
    options.floor = serving.floor->threshold();
  }
  options.conformity = request.ranking.conformity;
  options.images = serving.release.images();
  return options;
}

std::string SourceOf(const ImageRecord& image) { return image.location.substr(image.location.find(':') + 1); }

}  // namespace

SearchService::SearchService(Home& home, size_t threads, std::unique_ptr<Searcher> searcher)
    : home_(home),
      threads_(threads),
      searcher_(searcher != nullptr ? std::move(searcher) : std::make_unique<LocalSearcher>(threads)),
      live_(home),
      looking_("pictures to look at", {.at_once = 2 * AvailableThreads(),  // so that some can run together
                                       .waiting = 256,
                                       .wait = std::chrono::milliseconds(5000)}) {}

absl::StatusOr<std::unique_ptr<SearchService>> SearchService::Open(Home& home, size_t threads,
                                                                   std::unique_ptr<Searcher> searcher) {
  std::unique_ptr<SearchService> service(new SearchService(home, threads, std::move(searcher)));
  LIKENESS_RETURN_IF_ERROR(service->Reload());
  return service;
}

absl::Status SearchService::Reload() {
  LIKENESS_RETURN_IF_ERROR(live_.Follow());
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home_.objects()));
  if (!current) return absl::OkStatus();
  const std::shared_ptr<const Serving> before = serving();
  if (before != nullptr && before->release.name == current->name) return absl::OkStatus();
  LIKENESS_ASSIGN_OR_RETURN(Release release, ReadRelease(home_.objects(), current->name));
  LIKENESS_ASSIGN_OR_RETURN(const auto snapshot, Coming(release));
  if (before != nullptr && !searcher_->Ready(*snapshot)) return absl::OkStatus();
  LIKENESS_ASSIGN_OR_RETURN(const Release::Feature feature, QueryFeature(home_, release));
  LIKENESS_ASSIGN_OR_RETURN(Binarizer binarizer, ReadBinarizer(home_, feature.key, feature.binarizer));
  std::optional<FeatureKey> color = PlainFeature(release, *snapshot, ColorFeatureKey().type);
  std::optional<FeatureKey> hash = PlainFeature(release, *snapshot, HashFeatureKey().type);
  bool own_floor = false;
  LIKENESS_ASSIGN_OR_RETURN(auto floor, ReadFloor(home_.path(), feature.key.type, own_floor));
  LIKENESS_ASSIGN_OR_RETURN(const SignalWeights weights, ReadWeights(home_));
  auto keypoints = QueryKeypoints::Open(home_, release, *snapshot);
  Serving next{.release = std::move(release),
               .snapshot = snapshot,
               .feature = feature.key,
               .binarizer = std::make_shared<const Binarizer>(std::move(binarizer)),
               .color = std::move(color),
               .weights = weights,
               .floor = std::move(floor),
               .own_floor = own_floor,
               .hash = std::move(hash),
               .keypoints = std::move(keypoints),
               .visible = snapshot->doc_count()};
  Prepare prepare;
  {
    const std::lock_guard lock(mutex_);
    prepare = prepare_;
  }
  if (prepare) {
    if (const std::vector<Signature> lacking = live_.Lacking(next); !lacking.empty()) {
      LIKENESS_RETURN_IF_ERROR(prepare(next, lacking));
    }
  }
  LIKENESS_RETURN_IF_ERROR(live_.Switch(std::move(next)));
  const std::lock_guard lock(mutex_);
  coming_ = nullptr;
  return absl::OkStatus();
}

void SearchService::SetPrepare(Prepare prepare) {
  const std::lock_guard lock(mutex_);
  prepare_ = std::move(prepare);
}

absl::StatusOr<bool> SearchService::Remove(const Signature& signature) {
  LIKENESS_ASSIGN_OR_RETURN(const bool removed, RemoveImage(home_, signature));
  LIKENESS_RETURN_IF_ERROR(live_.FollowHidden());
  return removed;
}

absl::StatusOr<std::shared_ptr<const Snapshot>> SearchService::Coming(const Release& release) {
  {
    const std::lock_guard lock(mutex_);
    if (coming_ != nullptr && coming_->name() == release.name) return coming_;
  }
  LIKENESS_ASSIGN_OR_RETURN(auto snapshot, OpenSnapshot(home_, release));
  const std::lock_guard lock(mutex_);
  coming_ = snapshot;
  return snapshot;
}

absl::Status SearchService::Warm() {
  const std::shared_ptr<const Serving> serving = this->serving();
  if (serving == nullptr) return absl::OkStatus();
  if (WantsKeypoints(*serving, serving->weights)) (void)serving->keypoints->Warm();  // each query says why not
  LIKENESS_ASSIGN_OR_RETURN(const auto extractor, Extractor(*serving));
  return extractor->Warm();
}

absl::StatusOr<std::shared_ptr<BatchedExtractor>> SearchService::Extractor(const Serving& serving) {
  const std::lock_guard lock(mutex_);
  auto& extractor = extractors_[serving.feature];
  if (extractor != nullptr) return extractor;
  const std::string name = serving.feature.type.substr(std::string_view("deep.").size());
  LIKENESS_ASSIGN_OR_RETURN(const ModelFiles model, home_.models().Find(name));
  DeepOptions options = DeepOptionsOf(home_);
  options.threads = threads_;
  LIKENESS_ASSIGN_OR_RETURN(std::shared_ptr<const DeepExtractor> made, DeepExtractor::Create(model, options));
  if (made->key() != serving.feature) {
    return absl::FailedPreconditionError("the model " + name +
                                         " has changed since the collection was indexed: run `likeness fingerprint` "
                                         "and `likeness index` again");
  }
  extractor = std::make_shared<BatchedExtractor>(std::move(made));
  return extractor;
}

absl::Status SearchService::LookAt(const SearchRequest& request, const Serving& serving, VisualQuery& query,
                                   SearchAnswer& answer) {
  Stopwatch watch;
  std::string stored_bytes;
  std::span<const std::byte> bytes = request.image;
  answer.query.region = request.region;
  if (request.signature) {
    LIKENESS_ASSIGN_OR_RETURN(const std::optional<ImageRecord> image, home_.catalog().Image(*request.signature));
    if (!image || image->removed) return absl::NotFoundError("there is no image " + request.signature->Hex());
    answer.query.signature = image->signature;
    answer.query.width = image->width;
    answer.query.height = image->height;
    LIKENESS_RETURN_IF_ERROR(CheckRegion(request.region, image->width, image->height));
    if (!request.region) {
      LIKENESS_ASSIGN_OR_RETURN(const bool all, TakeStored(serving, *image, home_.catalog(), query));
      if (all) return absl::OkStatus();
    }
    LIKENESS_ASSIGN_OR_RETURN(stored_bytes, home_.ReadImage(*image));
    bytes = AsBytes(stored_bytes);
  } else {
    answer.query.signature = Signature::Of(bytes);
  }
  LIKENESS_ASSIGN_OR_RETURN(const Admission::Ticket ticket, looking_.Enter(request.deadline));
  LIKENESS_ASSIGN_OR_RETURN(const auto batched, Extractor(serving));
  const DeepExtractor* const extractor = &batched->extractor();
  const bool keypoints = WantsKeypoints(serving, query.weights) && !query.local;
  DecodeSize size = extractor->decode_size();
  if (request.region) {
    LIKENESS_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(bytes, home_.config().image));
    LIKENESS_RETURN_IF_ERROR(CheckRegion(request.region, header.width, header.height));
    size = extractor->decode_size(header.width, header.height, *request.region);
    if (keypoints) {
      const DecodeSize other = QueryKeypoints::SizeFor(header.width, header.height, *request.region);
      size = {std::max(size.shorter, other.shorter), std::max(size.longer, other.longer)};
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(const Pixels pixels, DecodeImage(bytes, home_.config().image, size));
  answer.query.width = pixels.full_width;
  answer.query.height = pixels.full_height;
  const bool coded = !query.code.code.empty();  // it is known, and its keypoints alone are not
  std::vector<float> tensor(coded ? 0 : extractor->tensor_size());
  if (!coded) extractor->Prepare(pixels, request.region, tensor);
  answer.ms.decode = watch.Milliseconds();
  watch.Restart();
  if (request.deadline.Passed()) return absl::DeadlineExceededError("the time for this request is over");
  // Keypoints and network do not wait for each other.
  absl::StatusOr<LocalValue> local = LocalValue();
  std::jthread other;
  if (keypoints && threads_ > 1) other = std::jthread([&] { local = KeypointsOf(serving, pixels, request.region); });
  if (!coded) {
    LIKENESS_ASSIGN_OR_RETURN(std::vector<float> vector, batched->Extract(tensor, request.deadline));
    // Through the half precision that features are kept in, so that a stored picture is at distance 0 from itself.
    std::vector<uint16_t> halves(vector.size());
    FloatToHalf(vector, halves);
    HalfToFloat(halves, vector);
    query.code = serving.binarizer->Encode(vector);
  }
  answer.ms.feature = watch.Milliseconds();
  if (!request.region && !query.color) query.color = ColorsOf(serving, query.weights, pixels);
  if (other.joinable()) {
    other.join();
  } else if (keypoints) {
    local = KeypointsOf(serving, pixels, request.region);
  }
  // The look alone answers, too.
  if (!local.ok()) Log(LogLevel::kWarning, "keypoints_not_found", {{"reason", MessageOf(local.status())}});
  if (keypoints && local.ok()) query.local = *std::move(local);
  return absl::OkStatus();
}

absl::StatusOr<AllowedDocs> SearchService::Allowed(const PinFilter& filter, const Serving& serving) {
  if (filter.empty()) return serving.pinned;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> matches, home_.catalog().Match(filter));
  DocSets sets(*serving.snapshot);
  for (const Signature& signature : matches) sets.Add(signature);
  sets.And(serving.pinned);
  return sets.Take();
}

absl::StatusOr<VisualQuery> SearchService::MakeQuery(const SearchRequest& request, const Serving& serving,
                                                     const SignalWeights& weights, SearchAnswer& answer) {
  VisualQuery query;
  query.feature = serving.feature;
  query.weights = weights;
  if (!request.tokens) query.weights[Signal::kTokens] = 0;
  query.k = request.k;
  query.deadline = request.deadline;
  query.effort = static_cast<float>(home_.config().search_effort);
  if (request.signature || !request.image.empty()) {
    LIKENESS_RETURN_IF_ERROR(LookAt(request, serving, query, answer));
  }
  if (request.color) {
    answer.query.color = request.color;
    LIKENESS_ASSIGN_OR_RETURN(query.wish, WishFor(*request.color, serving));
  }
  return query;
}

absl::StatusOr<VisualQuery> SearchService::QueryFor(const SearchRequest& request, const Serving& serving,
                                                    const SignalWeights& weights) {
  LIKENESS_RETURN_IF_ERROR(CheckRequest(request));
  SearchAnswer unused;
  return MakeQuery(request, serving, weights, unused);
}

absl::StatusOr<SearchAnswer> SearchService::Search(const SearchRequest& request) {
  const Stopwatch total;
  LIKENESS_RETURN_IF_ERROR(CheckRequest(request));
  std::shared_ptr<const Serving> serving = this->serving();
  if (serving == nullptr) {
    return absl::FailedPreconditionError(
        "nothing is indexed yet: run `likeness add`, `likeness fingerprint` and `likeness index` first");
  }
  SearchAnswer answer;
  answer.release = serving->release.name;
  SignalWeights weights = serving->weights;
  // Who wants what conforms wants what conforms most first.
  if (request.ranking.conformity && weights[Signal::kTopic] == 0) weights[Signal::kTopic] = weights[Signal::kVisual];
  LIKENESS_ASSIGN_OR_RETURN(const VisualQuery query, MakeQuery(request, *serving, weights, answer));
  const RootOptions ranking = RankingOf(request, *serving, home_.config());

  const Stopwatch search;
  RootAnswer root;
  std::vector<Signature> signatures;
  std::vector<ImageRecord> images;
  for (int round = 1;; ++round) {
    LIKENESS_ASSIGN_OR_RETURN(const AllowedDocs allowed, Allowed(request.filter, *serving));
    const auto ask = [&](const VisualQuery& asked) { return searcher_->Ask(*serving->snapshot, asked, allowed); };
    LIKENESS_ASSIGN_OR_RETURN(root, AnswerRoot(ask, query, ranking));
    signatures.clear();
    for (const Hit& hit : root.hits) signatures.push_back(hit.signature);
    LIKENESS_ASSIGN_OR_RETURN(images, home_.catalog().Images(signatures));
    if (std::ranges::none_of(images, &ImageRecord::removed)) break;
    // Removed since this query began, or by another process: the catalog has the last word.
    if (round == kRounds) {
      DropRemoved(images, root.hits);
      signatures.clear();
      for (const Hit& hit : root.hits) signatures.push_back(hit.signature);
      break;
    }
    LIKENESS_RETURN_IF_ERROR(live_.FollowHidden());
    const std::shared_ptr<const Serving> now = this->serving();
    if (now->release.name == serving->release.name) serving = now;
  }
  answer.coverage = root.coverage;
  answer.weights = query.weights;
  answer.left_out = root.left_out;
  if (ranking.floor_model != nullptr && !query.code.code.empty()) {
    answer.floor = ranking.floor;
    answer.calibration = serving->own_floor ? SearchAnswer::Calibration::kHome : SearchAnswer::Calibration::kShipped;
  }
  answer.conformity = root.conformity;
  answer.ms.search = search.Milliseconds();
  LIKENESS_ASSIGN_OR_RETURN(std::vector<Pin> pins, home_.catalog().Pins(signatures));
  // Images and pins come in the order of the signatures that were asked for.
  auto image = images.begin();
  auto pin = pins.begin();
  for (Hit& hit : root.hits) {
    SearchAnswer::Result result{std::move(hit), {}, {}};
    if (image != images.end() && image->signature == result.hit.signature) result.source = SourceOf(*image++);
    for (; pin != pins.end() && pin->image == result.hit.signature; ++pin) result.pins.push_back(std::move(*pin));
    answer.results.push_back(std::move(result));
  }
  answer.ms.total = total.Milliseconds();
  return answer;
}

ColorSignature SearchService::Colors(const Signature& signature) const {
  const std::shared_ptr<const Serving> serving = this->serving();
  if (serving == nullptr || !serving->color) return {};
  const std::optional<Snapshot::Place> place = serving->snapshot->Find(signature);
  if (!place) return {};
  const PlainColumn* column = serving->snapshot->segments()[place->segment]->plain(*serving->color);
  if (column == nullptr || !column->has(place->doc)) return {};
  return ParseColorValue(column->value(place->doc)).value_or(ColorSignature());
}

absl::StatusOr<ImageList> SearchService::List(uint64_t offset, size_t limit, const PinFilter& filter) {
  ImageList list;
  const std::shared_ptr<const Serving> serving = this->serving();
  if (serving == nullptr) return list;
  list.release = serving->release.name;
  const Snapshot& snapshot = *serving->snapshot;
  LIKENESS_ASSIGN_OR_RETURN(const AllowedDocs allowed, Allowed(filter, *serving));
  std::vector<Snapshot::Place> places;
  for (size_t segment = 0; segment < snapshot.segments().size(); ++segment) {
    const DocSet* only = allowed.empty() ? nullptr : allowed[segment].get();
    const uint64_t docs = snapshot.segments()[segment]->doc_count();
    uint64_t doc = 0;
    if (only == nullptr) {  // Pages that lie elsewhere cost nothing.
      const uint64_t skipped = offset > list.total ? std::min(offset - list.total, docs) : 0;
      for (doc = skipped; doc < docs && places.size() < limit; ++doc) {
        places.push_back({segment, DocId(static_cast<uint32_t>(doc))});
      }
      list.total += docs;
      continue;
    }
    for (; doc < docs; ++doc) {
      const DocId id(static_cast<uint32_t>(doc));
      if (!only->Test(id)) continue;
      if (list.total++ >= offset && places.size() < limit) places.push_back({segment, id});
    }
  }
  std::vector<Signature> signatures;
  for (const Snapshot::Place place : places) signatures.push_back(snapshot.signature(place));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Pin> pins, home_.catalog().Pins(signatures));
  auto pin = pins.begin();
  for (size_t i = 0; i < places.size(); ++i) {
    const Segment::Size size = snapshot.segments()[places[i].segment]->size(places[i].doc);
    ImageList::Item item{signatures[i], size.width, size.height, {}, {}, {}};
    if (pin != pins.end() && pin->image == signatures[i]) {
      item.description = pin->description;
      item.board = pin->board;
      item.board_title = pin->board_title;
    }
    while (pin != pins.end() && pin->image == signatures[i]) ++pin;
    list.images.push_back(std::move(item));
  }
  return list;
}

}  // namespace likeness
