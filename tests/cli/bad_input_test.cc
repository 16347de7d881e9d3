// SPDX-License-Identifier: MIT
// Bad input, command after command: exit code 2, a message of at most six lines that names the
// culprit, and nothing half-written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "formats/npy.h"
#include "run_binary.h"
#include "temporary_folder.h"

namespace barcodemae {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::string kModel = BARCODEMAE_TEST_DATA "/golden/format_1/run";
constexpr const char* kHeader = "processid,genus,species,split,dna_barcode\n";

/// Runs and expects a refusal whose message contains `named`.
void expect_refused(const std::vector<std::string>& arguments, const std::string& named) {
  const Outcome outcome = run_barcodemae(arguments);
  std::string call;
  for (const std::string& argument : arguments) call += argument + " ";
  EXPECT_EQ(outcome.exit_code, 2) << call << "\n" << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(named)) << call;
  // Progress and "Device:" lines may come first; the error itself is the last six lines at most.
  const std::size_t begin = outcome.err.rfind("error: ");
  ASSERT_NE(begin, std::string::npos) << call << "\n" << outcome.err;
  EXPECT_LE(
      std::count(outcome.err.begin() + static_cast<std::ptrdiff_t>(begin), outcome.err.end(), '\n'),
      6)
      << outcome.err;
}

/// expect_refused() of calls that all begin with these arguments: (options, named).
auto refusals_of(const std::vector<std::string>& call) {
  return [call](const std::vector<std::string>& options, const std::string& named) {
    std::vector<std::string> all = call;
    all.insert(all.end(), options.begin(), options.end());
    expect_refused(all, named);
  };
}

/// A well-formed table of a few barcodes.
std::string small_table(int records) {
  std::string text = kHeader;
  const std::string bases = "ACGT";
  for (int r = 0; r < records; ++r) {
    std::string sequence;
    unsigned state = static_cast<unsigned>(r) * 7919 + 1;
    for (int i = 0; i < 658; ++i) {
      state = state * 1664525 + 1013904223;
      sequence += bases[state >> 30];
    }
    text += "R" + std::to_string(r) + ",Aus,Aus bus,pretrain," + sequence + "\n";
  }
  return text;
}

class BadFile : public testing::Test {
 protected:
  /// Every command that reads barcodes refuses the file, and leaves the folder as it was.
  void expect_all_refuse(const std::string& file, const std::string& named) {
    const auto before = folder_.names();
    expect_refused({"pretrain", file, "--out", folder_ / "run", "--preset", "tiny", "--steps", "2"},
                   named);
    expect_refused({"embed", kModel, file, "--out", folder_ / "x.npy"}, named);
    expect_refused({"evaluate", "knn", kModel, file, "--no-cache"}, named);
    expect_refused({"prepare", file, "--out", folder_ / "out.csv"}, named);
    expect_refused({"evaluate", "clustering", kModel, file, "--no-cache"}, named);
    expect_refused({"evaluate", "linear", kModel, file, "--no-cache"}, named);
    expect_refused({"whiten", kModel, file, "--out", folder_ / "white"}, named);
    expect_refused({"evaluate", "finetune", kModel, file, "--out", folder_ / "tuned"}, named);
    // Its folder of cells may be made; tests of the table look into it.
    const TemporaryFolder tables;
    expect_refused({"evaluate", "table", kModel, file, "--no-cache", "--out", tables / "t"}, named);
    EXPECT_EQ(folder_.names(), before) << "nothing half-written";
  }
  TemporaryFolder folder_;
};

TEST_F(BadFile, Missing) { expect_all_refuse(folder_ / "none.csv", "none.csv"); }
TEST_F(BadFile, Empty) { expect_all_refuse(folder_.write("empty.csv", ""), "empty.csv"); }
TEST_F(BadFile, Binary) {
  expect_all_refuse(folder_.write("noise.csv", std::string("\x7f\x45\x4c\x46\x00\x01\x02", 7)),
                    "noise.csv");
}
TEST_F(BadFile, HeaderOnly) {
  expect_all_refuse(folder_.write("header.csv", kHeader), "header.csv");
}
TEST_F(BadFile, WithoutASequenceColumn) {
  expect_all_refuse(folder_.write("wrong.csv", "processid,genus\nA,Aus\n"), "wrong.csv");
}
TEST_F(BadFile, WithoutAUsableRecord) {
  expect_all_refuse(
      folder_.write("unusable.csv", std::string(kHeader) + "A,Aus,Aus bus,pretrain,\n"),
      "unusable.csv");
}
TEST_F(BadFile, TruncatedGzip) {
  // The first bytes of a gzip member.
  expect_all_refuse(
      folder_.write("cut.csv.gz", std::string("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b", 11)),
      "cut.csv.gz");
}
TEST_F(BadFile, TruncatedZstd) {
  expect_all_refuse(folder_.write("cut.csv.zst", std::string("\x28\xb5\x2f\xfd\x24", 5)),
                    "cut.csv.zst");
}
TEST_F(BadFile, Folder) { expect_all_refuse(folder_ / ".", "directory"); }

TEST(BadOption, IsNamed) {
  const TemporaryFolder folder;
  const std::string data = folder.write("data.csv", small_table(30));
  const auto pretrain = [&](const std::string& option, const std::string& value,
                            const std::string& named = "") {
    expect_refused({"pretrain", data, "--out", folder / "run", "--preset", "tiny", option, value},
                   named.empty() ? option : named);
  };
  pretrain("--objective", "bert");
  pretrain("--auxiliary", "genus:cross-entropy");
  // All barcodes are of one genus, and none has a family.
  pretrain("--auxiliary", "genus:contrastive:0.1", "of 1 class\n");
  pretrain("--auxiliary", "family:cross-entropy:0.1", "of 0 classes");
  for (const char* pooling : {"max", "segments", "segments:1", "segments:65", "segments:2x"}) {
    pretrain("--pooling", pooling);
    expect_refused({"embed", kModel, data, "--out", folder / "x.npy", "--pooling", pooling},
                   "segments:N");
  }
  pretrain("--pooling", "both", "--cls");
  expect_refused({"embed", kModel, data, "--out", folder / "x.npy", "--pooling", "cls"}, "--cls");
  expect_refused({"evaluate", "knn", kModel, data, "--no-cache", "--pooling", "cls"}, "--cls");
  pretrain("--steps", "0");
  pretrain("--steps", "-3");
  pretrain("--batch", "0");
  pretrain("--lr", "nan");
  pretrain("--lr", "-1");
  pretrain("--mask-ratio", "1.5");
  pretrain("--mask-ratio", "inf");
  pretrain("--dropout", "1");
  pretrain("--k", "0");
  pretrain("--k", "40");
  pretrain("--heads", "7", "encoder heads is 7");
  pretrain("--minutes", "0");
  pretrain("--epochs", "x");
  pretrain("--splits", "splits-nowhere", "no record of split \"splits-nowhere\"");
  pretrain("--threads", "0");
  pretrain("--precision", "f8");
  pretrain("--unheard-of", "1");
  EXPECT_THAT(folder.names(), testing::ElementsAre("data.csv"));

  const auto simulate = [&](const std::string& option, const std::string& value) {
    expect_refused({"simulate", "--records", "10", "--out", folder / "x.csv", option, value},
                   option);
  };
  simulate("--records", "0");
  simulate("--records", "-1");
  simulate("--seed", "x");
  simulate("--seed", "-1");
  simulate("--threads", "1.5");
  simulate("--config", folder / ".");
  EXPECT_THAT(folder.names(), testing::ElementsAre("data.csv"));
}

TEST(BadOption, OfPrepareIsNamed) {
  const TemporaryFolder folder;
  const std::string data = folder.write("data.csv", small_table(30));
  const auto prepare = refusals_of({"prepare", data, "--out", folder / "x.csv"});
  prepare({"--splits", "old"}, "--splits");
  prepare({"--duplicates", "last"}, "--duplicates");
  prepare({"--min-length", "0"}, "--min-length");
  prepare({"--min-length", "659"}, "nothing is left of 30 records");
  prepare({"--max-ambiguous", "-0.1"}, "--max-ambiguous");
  prepare({"--val", "0.5", "--test", "0.5"}, "leave nothing for train");
  prepare({"--unseen-species", "0.5"}, "holds out no species of 1");
  prepare({"--splits", "own", "--test", "0.1"}, "--test: with --splits own");
  expect_refused({"prepare", data, "--out", folder / "x.fasta"}, "no place for splits");
  expect_refused({"prepare", data, "--out", "/no/such/folder/x.csv"}, "/no/such/folder");
  expect_refused({"prepare", data, "--out", data}, "which is the input");
  expect_refused({"prepare", "-", "--out", folder / "x.csv"}, "reads its input twice");
  expect_refused({"prepare", "/dev/null", "--out", folder / "x.csv"}, "/dev/null");
  EXPECT_THAT(folder.names(), testing::ElementsAre("data.csv"));
}

TEST(BadOption, NoCommandAndUnknownCommand) {
  EXPECT_EQ(run_barcodemae({}).exit_code, 2);
  expect_refused({"pretrian"}, "unknown command 'pretrian'");
  expect_refused({"evaluate", "kn"}, "Commands: knn, linear");
  EXPECT_EQ(run_barcodemae({"--help"}).exit_code, 0);
  using Words = std::vector<std::string>;
  for (Words words :
       {Words{"simulate"}, Words{"prepare"}, Words{"pretrain"}, Words{"embed"}, Words{"import"},
        Words{"export"}, Words{"whiten"}, Words{"bench"}, Words{"info"}, Words{"evaluate"},
        Words{"evaluate", "knn"}, Words{"evaluate", "linear"}, Words{"evaluate", "finetune"},
        Words{"evaluate", "clustering"}, Words{"evaluate", "table"}}) {
    words.emplace_back("--help");
    const Outcome help = run_barcodemae(words);
    EXPECT_EQ(help.exit_code, 0) << words[0];
    EXPECT_THAT(help.out, HasSubstr("xample")) << words[0];
  }
  EXPECT_EQ(run_barcodemae({"--version"}).exit_code, 0);
}

TEST(FullDisk, IsReportedAndLeavesNothing) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "skipped: no /dev/full";
  expect_refused({"simulate", "--records", "2000", "--out", "/dev/full"}, "/dev/full");
}

TEST(BadQuestion, OfASingleClassIsNone) {
  const TemporaryFolder folder;
  std::string rows = small_table(20);
  for (int i = 0; i < 10; ++i) rows.replace(rows.rfind("pretrain"), 8, "train");
  const std::string data = folder.write("one.csv", rows);
  expect_refused(
      {"evaluate", "knn", kModel, data, "--no-cache", "--keys", "train", "--queries", "pretrain"},
      "keys train: all have the same genus, Aus");
  expect_refused({"evaluate", "clustering", kModel, data, "--no-cache", "--splits", "train",
                  "--rank", "genus"},
                 "all 10 labelled records have the same genus");
}

TEST(BadQuestion, IsRefusedBeforeTheWork) {
  const TemporaryFolder folder;
  const std::string data = folder / "data.csv";
  ASSERT_EQ(run_barcodemae({"simulate", "--records", "300", "--out", data}).exit_code, 0);
  const auto evaluate = refusals_of({"evaluate", "knn", kModel, data, "--no-cache"});
  evaluate({"--keys", "train+tset"}, "--keys tset");
  evaluate({"--queries", "nothing"}, "Splits of the file: ");
  evaluate({"--keys", "train", "--queries", "val,train"}, "train is in both");
  evaluate({"--rank", "subspecies"}, "--rank subspecies");
  evaluate({"--anchor", folder / "none.json"}, "none.json");
  evaluate({"--k", "100000"}, "--k 100000: there are only");
  evaluate({"--k", "0"}, "--k");
  evaluate({"--votes", "many"}, "--votes");
  evaluate({"--temperature", "0.1"}, "--temperature: there are no --votes softmax");
  evaluate({"--rank", "kingdom"}, "kingdom");
  evaluate(
      {"--inference-mask", "drop,only-masked", "--mask-rate", "0.5", "--pooling", "segments:4"},
      "pooled as \"segments:4\"");
  evaluate({"--inference-mask", "drop"}, "--mask-rate");
  evaluate({"--inference-mask", "drop", "--mask-rate", "0.5,1.5"}, "--mask-rate");
  evaluate({"--inference-mask", "shuffle", "--mask-rate", "0.5"}, "--inference-mask");
  evaluate({"--mask-rate", "0.5"}, "--inference-mask");
  evaluate({"--per-class", "/no/such/folder/x.csv"}, "Create the folder first");
  const auto linear = refusals_of({"evaluate", "linear", kModel, data, "--no-cache"});
  linear({"--train", "tset"}, "--train tset");
  linear({"--test", "val"}, "--val val --test val");
  linear({"--test", "train"}, "what is trained on is no test");
  linear({"--test", "test_unseen"}, "not one has a species that occurs among");
  linear({"--rank", "subspecies"}, "--rank subspecies");
  linear({"--lr", "0.1,x"}, "--lr");
  linear({"--protocol", "sklearn"}, "--protocol");
  linear({"--train-npy", "a.npy", "a.tsv"}, "--train-npy");
  linear({"--no-baselines", "--baseline-kmer", "4"}, "--baseline-kmer: there are no baselines");
  expect_refused({"evaluate", "linear"}, "evaluate linear needs MODEL and DATA");
  const auto clustering = refusals_of({"evaluate", "clustering", kModel, data, "--no-cache"});
  clustering({"--splits", "tset"}, "tset");
  clustering({"--clusters", "100000"}, "Ask for fewer clusters");
  const auto finetune =
      refusals_of({"evaluate", "finetune", kModel, data, "--out", folder / "tuned"});
  finetune({"--val", "tset"}, "--val tset");
  finetune({"--test", "train"}, "what is trained on is no test");
  finetune({"--test", "test_unseen"}, "not one has a species that occurs among");
  finetune({"--batch", "100000"}, "Give a smaller --batch");
  finetune({"--epochs", "0"}, "--epochs");
  finetune({"--precision", "int8"}, "--precision int8");
  EXPECT_FALSE(std::filesystem::exists(folder / "tuned")) << "nothing half-written";
  expect_refused({"evaluate", "finetune", kModel, data}, "--out");
  expect_refused({"evaluate", "finetune", "--out", folder / "tuned"},
                 "evaluate finetune needs MODEL and DATA");
  evaluate({"--json", "/no/such/folder/x.json"}, "Create the folder first");
  expect_refused({"embed", kModel, data, "--split", "tset", "--out", folder / "x.npy"}, "tset");
  expect_refused({"embed", kModel, data, "--dtype", "float16", "--out", folder / "x.tsv"}, "x.tsv");
  EXPECT_THAT(folder.names(), testing::ElementsAre("data.csv"));
}

TEST(BadWhitening, IsNamed) {
  const TemporaryFolder folder;
  const std::string data = folder.write("data.csv", small_table(40));
  const auto whiten =
      refusals_of({"whiten", kModel, data, "--out", folder / "white", "--splits", "pretrain"});
  whiten({"--components", "8", "--records", "8"}, "8 records of split pretrain: 9 records are");
  whiten({"--components", "0"}, "--components");
  whiten({"--components", "8000"}, "--components 8000: vectors pooled by mean have");
  whiten({"--shrinkage", "-1"}, "--shrinkage");
  whiten({"--records", "1"}, "--records");
  whiten({"--refine", "10"}, "--within");
  whiten({"--within", "genus", "--refine", "0", "--ensemble", "3"}, "there are no --refine steps");
  whiten({"--within", "genus", "--refine", "9", "--hide-sites", "0.2"}, "has no +sites");
  whiten({"--within", "genus", "--refine", "9", "--components", "512", "--ensemble", "17"},
         "--ensemble 17: as many readouts of 512 components have 8,704 numbers");
  whiten({"--within", "family"}, "no record of split pretrain has a family label");
  whiten({"--pooling", "cls"}, "--cls");
  whiten({"--pooling", "segments"}, "segments:N");
  whiten({"--unheard-of"}, "--unheard-of");
  expect_refused({"whiten", kModel, data, "--out", folder / "white", "--splits", "tset"},
                 "--splits tset");
  expect_refused({"whiten", kModel, data, "--out", folder / ".", "--splits", "pretrain"},
                 "it is there already");
  expect_refused({"whiten", kModel, data, "--out", folder / "white", "--within", "species"},
                 "--within species: a rank above species");
  expect_refused({"whiten", "no-such-model", data, "--out", folder / "white"}, "no-such-model");
  EXPECT_THAT(folder.names(), testing::ElementsAre("data.csv"));
}

TEST(BadModel, IsNamedByEveryCommandThatLoadsOne) {
  const TemporaryFolder folder;
  const std::string data = folder.write("data.csv", small_table(40));
  ASSERT_EQ(run_barcodemae({"pretrain", data, "--out", folder / "model", "--preset", "tiny",
                            "--steps", "1", "--batch", "16", "--anchor", "none"})
                .exit_code,
            0);
  const auto expect_embed_refused = [&](const std::string& named) {
    const auto before = folder.names();
    expect_refused({"embed", folder / "model", data, "--out", folder / "x.npy"}, named);
    EXPECT_EQ(folder.names(), before);
  };
  const std::string config = read_file(folder / "model/config.json");
  const std::string weights = read_file(folder / "model/model.safetensors");

  std::string newer = config;
  newer.replace(newer.find("\"format_version\": 1"), 19, "\"format_version\": 9");
  folder.write("model/config.json", newer);
  expect_embed_refused("format");

  std::string wider = config;
  wider.replace(wider.find("\"hidden_size\": 64"), 17, "\"hidden_size\": 32");
  folder.write("model/config.json", wider);
  expect_embed_refused("model.safetensors");
  folder.write("model/config.json", "{");
  expect_embed_refused("config.json");
  folder.write("model/config.json", config);

  folder.write("model/model.safetensors", weights.substr(0, weights.size() / 2));
  expect_embed_refused("model.safetensors");
  std::string renamed = weights;
  renamed.replace(renamed.find("embeddings.LayerNorm.bias"), 10, "embeddingX");
  folder.write("model/model.safetensors", renamed);
  expect_embed_refused("embeddings.LayerNorm.bias");
  std::filesystem::remove(folder / "model/model.safetensors");
  expect_embed_refused("model.safetensors");

  expect_refused({"embed", "no-such-model", data, "--out", folder / "x.npy"}, "no-such-model");
  expect_refused({"info", "no-such-model"}, "no-such-model");
  expect_refused({"evaluate", "knn", "no-such-model", data}, "no-such-model");
}

TEST(BadEmbeddings, AreNamed) {
  const TemporaryFolder folder;
  const std::string table = folder.write("k.tsv", "id\tgenus\nA\tAus\n");
  const std::string junk = folder.write("k.npy", "no array");
  expect_refused({"evaluate", "knn", "--keys-npy", junk, table, "--queries-npy", junk, table},
                 "k.npy");
  expect_refused({"evaluate", "knn"}, "MODEL");
  expect_refused({"evaluate", "clustering"}, "MODEL");
  expect_refused(
      {"evaluate", "clustering", "--npy", junk, table, "--reduce", "none", "--components", "2"},
      "--components: an option of UMAP");
  expect_refused({"evaluate", "clustering", "--npy", junk, table}, "k.npy");
  expect_refused({"evaluate", "clustering", "--npy", junk, table, "--precision", "f32"},
                 "--precision: files of embeddings hold vectors");
  expect_refused({"evaluate", "clustering", "--npy", junk, table, "--neighbours", "1"},
                 "--neighbours");
  write_npy(folder / "two.npy", {2, 3, {1, 0, 0, 0, 1, 0}});
  write_npy(folder / "wide.npy", {1, 4, {1, 0, 0, 0}});
  expect_refused({"evaluate", "clustering", "--npy", folder / "two.npy", table}, "k.tsv");
  const std::string beside = folder.write("two.tsv", "id\tgenus\nA\tAus\nB\tBus\n");
  expect_refused({"evaluate", "knn", "--keys-npy", folder / "two.npy", beside, "--queries-npy",
                  folder / "wide.npy", table},
                 "wide.npy");
}

TEST(BadTable, IsNamed) {
  const TemporaryFolder folder;
  const std::string data = folder.write("data.csv", small_table(10));
  const std::string table = folder.write("k.tsv", "id\tgenus\nR0\tAus\n");
  const std::string junk = folder.write("k.npy", "no array");
  expect_refused({"evaluate", "table"}, "evaluate table needs MODEL … DATA and --out DIR");
  expect_refused({"evaluate", "table", kModel, data}, "--out DIR");
  const std::string out = folder / "table";
  expect_refused({"evaluate", "table", "no-such-model", data, "--out", out}, "no-such-model");
  expect_refused({"evaluate", "table", kModel, kModel, data, "--out", out}, "two rows would be");
  expect_refused({"evaluate", "table", "x=" + junk + "," + table, data, "--out", out}, "Q.npy");
  expect_refused({"evaluate", "table", "x=" + junk + "," + table + "," + junk + "," + table, data,
                  "--out", out},
                 "k.npy");
  expect_refused({"evaluate", "table", kModel, data, "--out", out, "--tasks", "all"}, "--tasks");
  expect_refused({"evaluate", "table", kModel, data, "--out", out, "--baselines", "luck"},
                 "--baselines");
  expect_refused({"evaluate", "table", kModel, data, "--out", out, "--unseen-rank", "tribe"},
                 "--unseen-rank tribe");
  expect_refused({"evaluate", "table", kModel, data, "--out", out, "--test", "train"},
                 "train is in both");
  expect_refused({"evaluate", "table", kModel, data, "--out", out, "--tasks", "species",
                  "--no-baselines", "--no-cache"},
                 "--train train: no record of this split");
  // What follows a list by commas is not taken for more of it.
  expect_refused({"evaluate", "table", "--no-baselines", "--no-cache", "--out", out, "--lr", "1,2",
                  "--tasks", "linear", kModel, data},
                 "--train train: no record of this split");
  expect_refused({"evaluate", "table", kModel, data, "--out", out, "--finetune-epochs", "2"},
                 "--finetune-epochs: --tasks does not name finetune");
  expect_refused(
      {"evaluate", "table", kModel, data, "--out", out, "--tasks", "finetune", "--development"},
      "--tasks finetune: a fine-tuning stops by val");
  expect_refused({"evaluate", "table", kModel, data, "--out", out, "--tasks", "ward", "--lr", "1"},
                 "--lr: there is no probe");
  const auto idle = [&](const std::vector<std::string>& options, const std::string& named) {
    std::vector<std::string> words{"evaluate", "table", kModel,    data,
                                   "--out",    out,     "--tasks", "cost"};
    words.insert(words.end(), options.begin(), options.end());
    expect_refused(words, named);
  };
  idle({"--rank", "family"}, "--rank: no task is of the closed world");
  idle({"--cluster-rank", "genus"}, "--cluster-rank: nothing is clustered");
  idle({"--no-baselines", "--baselines", "kmer"}, "--baselines: --no-baselines leaves them out");
  idle({"--baselines", "sites", "--baseline-kmer", "3"}, "--baseline-kmer: --baselines does not");
  expect_refused({"evaluate", "knn", kModel, data, "--json", data}, "which is the input");
  expect_refused({"evaluate", "table", kModel, data, "--out", out, "--json", data},
                 "which is the input");
  const std::string both = folder / "results";
  expect_refused({"evaluate", "knn", kModel, data, "--json", both, "--report", both},
                 "two results would be written");
  expect_refused({"evaluate", "table", kModel, data, "--out", data}, "cannot make the folder");
}

}  // namespace
}  // namespace barcodemae
