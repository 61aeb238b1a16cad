# Who works for pay? A sweep over boosted trees, on 753 women of 1975.

variable "depths" {
  description = "The depths to try. More of them run only what was not tried before."
  type        = list(number)
  default     = [2, 3]
}

dataset "file" "women" {
  path  = "data/women.parquet"
  split = { by = "hash", on = ["woman"], seed = 1, parts = { train = 0.7, holdout = 0.3 } }
}

training_job "tune" "works" {
  data    = dataset.women
  target  = "works"
  exclude = ["woman"]
  seed    = 1

  trainer = "xgboost"
  job     = { rounds = 40, params = { subsample = 0.8 } }
  search = {
    max_depth     = { values = var.depths }
    learning_rate = { values = [0.03, 0.1, 0.3] }
  }
  sampler = "grid"
  metric  = "roc_auc"
  folds   = { count = 3 }
  prune   = { startup = 3 }
}

gate "evaluation" "good" {
  candidate = training_job.works.model
  data      = dataset.women
  require   = { roc_auc = { min = 0.7 } }
}

model "registry" "works" {
  candidate = training_job.works.model
  champion  = { require = [gate.good] }
}

deployment "http" "works" {
  model = model.works
}

output "url" {
  value = deployment.works.url
}

output "trials" {
  value = training_job.works.trials
}
