mlform {
  required_version = "newest"
  required_providers {
    toy = 3
  }
  backend "sqlite" {
    path  = "elsewhere.db"
    table = "t"
  }
}
training_job "node" "a" {}
