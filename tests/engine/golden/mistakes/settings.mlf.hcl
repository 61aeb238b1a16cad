mlform {
  required_version = ">= 99"
  required_verson  = "1"
  required_providers {
    toy    = "~> 99.0"
    tory   = ">= 0.1"
  }
  backend "s3" {
    bucket = "b"
  }
  cloud {}
}
provider "tyo" {}
provider "toy" {
  colour = "red"
}
mlform {
  refresh {
    max_age = { deployments = "1m", dataset = "soon", model = 5 }
    min_age = "1s"
  }
}
mlform {
  refresh {
    max_age = "1m"
  }
}
