# Would this mortgage application be approved? And does the model treat applicants alike?

variable "fair" {
  description = "The least ratio of approval rates between the groups (the four-fifths rule)."
  type        = number
  default     = 0.8
}

dataset "file" "loans" {
  path  = "data/loans.parquet"
  split = { by = "hash", on = ["application"], seed = 3, parts = { train = 0.6, holdout = 0.4 } }
}

training_job "sklearn" "approval" {
  data      = dataset.loans
  target    = "approved"
  exclude   = ["application", "race"] # the model never sees who asks
  estimator = "sklearn.linear_model.LogisticRegression"
  params    = { max_iter = 5000, C = 0.5 }
}

gate "evaluation" "fair" {
  candidate = training_job.approval.model
  data      = dataset.loans
  require   = { roc_auc = { min = 0.7 } }
  threshold = 0.8 # approve where the chance of approval is at least this
  fairness = {
    attribute                = "race"
    demographic_parity_ratio = { min = var.fair }
    min_support              = 30
  }
}

model "registry" "approval" {
  candidate = training_job.approval.model
  champion  = { require = [gate.fair] }
}
