# One candidate: a training job, and the gate that it must pass.

variable "data" {
  description = "The dataset, with parts `train` and `holdout`."
}

variable "estimator" {
  type = string
}

variable "params" {
  type    = map(number)
  default = {}
}

variable "least" {
  description = "The least ROC AUC on the holdout part."
  type        = number

  validation {
    condition     = var.least >= 0.5 && var.least <= 1
    error_message = "A ROC AUC lies between 0.5, guessing, and 1."
  }
}

training_job "sklearn" "fit" {
  data      = var.data
  target    = "benign"
  exclude   = ["tumour"]
  estimator = var.estimator
  params    = var.params
  seed      = 5
}

gate "evaluation" "good" {
  candidate = training_job.fit.model
  data      = var.data
  require   = { roc_auc = { min = var.least } }
}

output "passed" {
  value = gate.good.passed
}

output "model" {
  value = training_job.fit.model
}
