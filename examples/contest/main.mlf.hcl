# Three candidates by one module. Who passes may become champion.

variable "least" {
  description = "The least ROC AUC on the holdout part."
  type        = number
  default     = 0.97
}

variable "winner" {
  description = "Which candidate is to serve."
  type        = string
  default     = "forest"

  validation {
    condition     = contains(keys(local.candidates), var.winner)
    error_message = "There is no such candidate; there are ${join(", ", keys(local.candidates))}."
  }
}

locals {
  candidates = {
    linear = {
      estimator = "sklearn.linear_model.LogisticRegression"
      params    = { max_iter = 5000 }
    }
    forest = {
      estimator = "sklearn.ensemble.RandomForestClassifier"
      params    = { n_estimators = 60 }
    }
    boosted = {
      estimator = "sklearn.ensemble.HistGradientBoostingClassifier"
      params    = { max_iter = 60 }
    }
  }
}

dataset "file" "tumours" {
  path  = "data/tumours.csv"
  split = { by = "hash", on = ["tumour"], seed = 2, parts = { train = 0.7, holdout = 0.3 } }
}

module "candidate" {
  source    = "./modules/candidate"
  for_each  = local.candidates
  data      = dataset.tumours
  estimator = each.value.estimator
  params    = each.value.params
  least     = var.least
}

model "registry" "tumours" {
  candidate = module.candidate[var.winner].model

  lifecycle {
    precondition {
      condition     = module.candidate[var.winner].passed
      error_message = "${var.winner} did not pass its gate."
    }
  }
}

check "all_candidates_are_of_use" {
  assert {
    condition     = alltrue([for c in module.candidate : c.passed])
    error_message = "Not good enough: ${join(", ", [for n, c in module.candidate : n if !c.passed])}."
  }
}

output "passed" {
  value = { for name, candidate in module.candidate : name => candidate.passed }
}
