// SPDX-License-Identifier: MIT
#include "finetune/finetune_sides.h"

#include <algorithm>
#include <map>
#include <string>

#include "evaluation/class_table.h"
#include "evaluation/questions.h"

namespace barcodemae {

std::vector<std::int32_t> FinetuneSides::classes_of(const std::vector<std::int32_t>& labels) const {
  std::vector<std::int32_t> found;
  found.reserve(labels.size());
  for (const std::int32_t label : labels) {
    found.push_back(class_of_label[static_cast<std::size_t>(label)]);
  }
  return found;
}

FinetuneSides choose_sides(const EvaluationData& evaluation, const Dataset& data,
                           const FinetuneOptions& options) {
  FinetuneSides sides{
      taught_sides(evaluation, options.train, options.val, options.test, options.rank), {}, {}, {}};
  const std::string train = "--train " + options.train, val = "--val " + options.val,
                    test = "--test " + options.test;
  const std::vector<std::string> names = label_names(data, options.rank);
  require_question({train, sides.train.labels}, {val, sides.val.labels}, options.rank, names);
  require_question({train, sides.train.labels}, {test, sides.test.labels}, options.rank, names);
  // By name: the order of the file's records does not matter.
  std::map<std::string, std::int32_t> by_name;
  for (const std::int32_t label : sides.train.labels) {
    by_name.emplace(names[static_cast<std::size_t>(label)], label);
  }
  sides.class_of_label.assign(names.size(), -1);
  for (const auto& [name, label] : by_name) {
    sides.class_of_label[static_cast<std::size_t>(label)] =
        static_cast<std::int32_t>(sides.classes.size());
    sides.classes.push_back(name);
    sides.label_of_class.push_back(label);
  }
  const std::vector<std::int32_t> val_classes = sides.classes_of(sides.val.labels);
  sides.val_unknown = std::count(val_classes.begin(), val_classes.end(), -1);
  return sides;
}

}  // namespace barcodemae
