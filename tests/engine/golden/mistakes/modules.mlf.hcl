module "good" {
  source = "./modules/good"
  naem   = "x"
  rows {}
}
module "nowhere" {
  source = "./modules/nowhere"
}
module "odd" {
  source = "modules/good"
}
module "web" {
  source = "https://example.com/modules.zip"
}
module "far" {
  source = "git::https://example.com/modules.git//train?ref=v1"
}
module "branch" {
  source = "git::https://example.com/modules.git?branch=v1"
}
module "good" {
  source = "./modules/good"
}
module "itself" {
  source = "./modules/itself"
}
module "passing" {
  source    = "./modules/good"
  name      = "x"
  providers = "toy"
}
training_job "node" "a" {
  value = module.good.out
  size  = module.good.otu
  uses  = [module.god.out, module.nowhere.out, module]
}
# --- file modules/good/main.mlf.hcl
mlform {
  backend "sqlite" {}
  refresh {
    max_age = "1h"
  }
  store {
    path = "../store"
  }
}
variable "name" {
  type = string
}
provider "toy" {
  greeting = "hello"
}
import {
  to = deployment.inner
  id = "x"
}
training_job "node" "inner" {
  value = training_job.a.parity
}
output "out" {
  value = training_job.inner.parity
}
# --- file modules/itself/main.mlf.hcl
module "itself" {
  source = "../itself"
}
