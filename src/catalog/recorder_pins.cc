#include "catalog/recorder.h"
#include "catalog/words.h"

namespace likeness {

int Recorder::BoardNumber(const std::string& id, const std::string& title) {
  const std::string key = id + '\n' + title;
  if (const auto known = boards_.find(key); known != boards_.end()) return known->second;
  long long number = 0;
  session_ << "SELECT board FROM boards WHERE id = :id AND title = :title", soci::use(id), soci::use(title),
      soci::into(number);
  if (!session_.got_data()) {
    session_ << "SELECT coalesce(max(board), 0) + 1 FROM boards", soci::into(number);
    session_ << "INSERT INTO boards (board, id, title) VALUES (:board, :id, :title)", soci::use(number), soci::use(id),
        soci::use(title);
  }
  return boards_[key] = static_cast<int>(number);
}

void Recorder::RecordWords(long long pin, const std::string& text, bool add) {
  const char* statement = add ? "INSERT INTO pin_words (word, pin) VALUES (:word, :pin)"
                              : "DELETE FROM pin_words WHERE word = :word AND pin = :pin";
  for (const std::string& word : WordsOf(text)) session_ << statement, soci::use(word), soci::use(pin);
}

absl::Status Recorder::RecordPin(const Pin& pin) {
  const std::optional<long long> image = Find(pin.image);
  if (!image) return absl::InvalidArgumentError("the image of pin " + pin.id + " was never recorded");
  const std::string id = ToStored(pin.id), user = ToStored(pin.user), description = ToStored(pin.description);
  const std::string link = ToStored(pin.link), created = ToStored(pin.created);
  const int board = BoardNumber(ToStored(pin.board), ToStored(pin.board_title));
  const auto digest = static_cast<long long>(PinDigest(pin));

  long long number = 0, old_image = 0;
  std::string old_description, old_title;
  session_ << "SELECT p.number, p.image, p.description, b.title FROM pins p JOIN boards b ON b.board = p.board"
              " WHERE p.id = :id",
      soci::use(id), soci::into(number), soci::into(old_image), soci::into(old_description), soci::into(old_title);
  if (session_.got_data()) {
    RecordWords(number, FromStored(old_description) + "\n" + FromStored(old_title), /*add=*/false);
    session_ << "UPDATE pins SET image = :image, board = :board, digest = :digest, user_id = :user_id,"
                " description = :description, link = :link, created = :created WHERE number = :number",
        soci::use(*image), soci::use(board), soci::use(digest), soci::use(user), soci::use(description),
        soci::use(link), soci::use(created), soci::use(number);
    if (old_image != *image) {
      session_ << "INSERT INTO unpinned (number) SELECT number FROM images WHERE number = :image AND NOT EXISTS"
                  " (SELECT 1 FROM pins WHERE image = :same) ON CONFLICT (number) DO NOTHING",
          soci::use(old_image), soci::use(old_image);
      HiddenChanged();
    }
  } else {
    number = ++state_.pins;
    session_ << "INSERT INTO pins (number, image, board, digest, id, user_id, description, link, created)"
                " VALUES (:number, :image, :board, :digest, :id, :user_id, :description, :link, :created)",
        soci::use(number), soci::use(*image), soci::use(board), soci::use(digest), soci::use(id), soci::use(user),
        soci::use(description), soci::use(link), soci::use(created);
  }
  int unpinned = 0;
  session_ << "SELECT 1 FROM unpinned WHERE number = :image", soci::use(*image), soci::into(unpinned);
  if (session_.got_data()) {
    session_ << "DELETE FROM unpinned WHERE number = :image", soci::use(*image);
    HiddenChanged();
  }
  RecordWords(number, pin.description + "\n" + pin.board_title, /*add=*/true);
  return absl::OkStatus();
}

}  // namespace likeness
