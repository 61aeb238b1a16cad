mlform {
  required_version = "newest"
  required_providers {
    toy = 3
    tory = ">= 1"
  }
  backend "sqlite" {
    path  = "elsewhere.db"
    table = "t"
  }
}
training_job "node" "a" {}
mlform {
  required_providers {
    toy = { sorce = "mlform/toy", version = ">= 99" }
  }
}
