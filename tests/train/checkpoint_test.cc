// SPDX-License-Identifier: MIT
#include "train/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/backends.h"
#include "base/error.h"
#include "temporary_folder.h"
#include "train/metrics_log.h"

namespace barcodemae {
namespace {

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() : backend_(make_reference_backend()) {}

  std::unique_ptr<Parameters> make_parameters(int rows) {
    auto parameters = std::make_unique<Parameters>(*backend_);
    parameters->declare({"weight"}, rows, 3, {Initialisation::Kind::kNormal, 1});
    parameters->declare({"bias"}, 1, 5, {Initialisation::Kind::kNormal, 1});
    parameters->allocate(/*training=*/true);
    parameters->initialise(7);
    return parameters;
  }
  std::vector<float> download(View view) {
    std::vector<float> values(static_cast<std::size_t>(view.size()));
    backend_->download(values.data(), view);
    return values;
  }
  static TrainingState make_state(std::int64_t step) {
    TrainingState state;
    state.step = step;
    state.updates = step - 1;
    state.skipped = 1;
    state.seconds = 0.1;
    state.validated_step = step;
    state.best = BestValidation{step, 1.0 / 3, 2.5};
    state.interval.steps = 2;
    state.interval.masked_loss = 0.1 + 0.2;
    state.metrics_bytes = 99;
    return state;
  }

  std::unique_ptr<Backend> backend_;
  TemporaryFolder folder_;
};

TEST_F(CheckpointTest, RestoresEveryBit) {
  auto saved = make_parameters(4);
  std::vector<float> moments(static_cast<std::size_t>(saved->values().size()));
  for (std::size_t i = 0; i < moments.size(); ++i) moments[i] = 1 / (1 + static_cast<float>(i));
  backend_->upload(saved->first_moments(), moments.data());
  const CheckpointStore store(folder_ / "checkpoints", "run");
  const TrainingState state = make_state(12);
  store.save(*saved, *backend_, state);

  auto loaded = make_parameters(4);
  backend_->zero(loaded->values());
  const TrainingState read = store.load(*loaded, *backend_).value();
  EXPECT_EQ(to_json(read).dump(), to_json(state).dump());
  EXPECT_EQ(download(loaded->values()), download(saved->values()));
  EXPECT_EQ(download(loaded->first_moments()), moments);
  EXPECT_EQ(download(loaded->second_moments()), download(saved->second_moments()));
}

TEST_F(CheckpointTest, KeepsTheNewestTwoAndClearsWhatIsUnfinished) {
  std::filesystem::create_directories(folder_ / "checkpoints/step-9.123.tmp");
  const CheckpointStore store(folder_ / "checkpoints", "run");
  auto parameters = make_parameters(2);
  EXPECT_FALSE(store.load(*parameters, *backend_).has_value());
  for (const std::int64_t step : {8, 9, 10, 100}) {
    store.save(*parameters, *backend_, make_state(step));
  }
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "checkpoints")) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("step-10", "step-100"));
}

TEST_F(CheckpointTest, GoesBackToTheOneBeforeADamagedOne) {
  const CheckpointStore store(folder_ / "checkpoints", "run");
  auto parameters = make_parameters(2);
  store.save(*parameters, *backend_, make_state(5));
  store.save(*parameters, *backend_, make_state(6));
  std::filesystem::resize_file(folder_ / "checkpoints/step-6/state.safetensors", 100);
  EXPECT_EQ(store.load(*parameters, *backend_)->step, 5);
  EXPECT_EQ(store.list().size(), 1u) << "the damaged one keeps no place";
  std::ofstream(folder_ / "checkpoints/step-5/state.json") << "{}";
  EXPECT_THROW(store.load(*parameters, *backend_), UserError);
}

TEST_F(CheckpointTest, IsNotLoadedIntoAnotherModel) {
  const CheckpointStore store(folder_ / "checkpoints", "run");
  store.save(*make_parameters(2), *backend_, make_state(5));
  auto other = make_parameters(3);
  EXPECT_THROW(store.load(*other, *backend_), UserError);
}

TEST_F(CheckpointTest, ThoseOfAnotherRunAreRemovedAndThoseOfNoNamedRunAreUsed) {
  auto parameters = make_parameters(2);
  const CheckpointStore store(folder_ / "checkpoints", "run");
  store.save(*parameters, *backend_, make_state(5));
  CheckpointStore(folder_ / "checkpoints", "other").save(*parameters, *backend_, make_state(6));
  EXPECT_EQ(store.load(*parameters, *backend_)->step, 5);
  EXPECT_EQ(store.list().size(), 1u);

  const std::filesystem::path file = folder_ / "checkpoints/step-5/state.json";
  auto json = nlohmann::ordered_json::parse(read_file(file));
  json.erase("run");  // as the first versions wrote it
  std::ofstream(file) << json;
  EXPECT_EQ(store.load(*parameters, *backend_)->step, 5);
  store.clear();
  EXPECT_FALSE(store.load(*parameters, *backend_).has_value());
}

TEST(BestValidation, IsTheMostAccurateOfTheTailOrOfAllBeforeIt) {
  const BestValidation early{10, 0.9, 1}, later{20, 0.5, 1}, last{30, 0.6, 1};
  EXPECT_TRUE(presents_better(early, std::nullopt, 100));
  EXPECT_FALSE(presents_better(later, early, 100));
  EXPECT_TRUE(presents_better(later, early, 15));
  EXPECT_FALSE(presents_better(early, later, 15));
  EXPECT_TRUE(presents_better(last, later, 15));
  EXPECT_FALSE(presents_better({40, 0.7, std::nan("")}, last, 15));
}

TEST(MetricsLog, IsCutBackToTheCheckpoint) {
  const TemporaryFolder folder;
  std::int64_t bytes = 0;
  {
    MetricsLog log(folder / "metrics.jsonl", 0);
    log.append({{"step", 1}});
    bytes = log.sync();
    log.append({{"step", 2}});
  }
  EXPECT_EQ(read_file(folder / "metrics.jsonl"), "{\"step\":1}\n{\"step\":2}\n");
  {
    MetricsLog log(folder / "metrics.jsonl", bytes);
    EXPECT_EQ(read_file(folder / "metrics.jsonl"), "{\"step\":1}\n");
    log.append({{"step", 3}});
  }
  EXPECT_EQ(read_file(folder / "metrics.jsonl"), "{\"step\":1}\n{\"step\":3}\n");
  std::filesystem::remove(folder / "metrics.jsonl");  // by the user, say
  MetricsLog log(folder / "metrics.jsonl", bytes);
  EXPECT_EQ(log.sync(), 0);
}

}  // namespace
}  // namespace barcodemae
