import {
  to = deployment.d
  id = 5
}
import {
  to = module.m
  id = "m"
}
import {
  to = deployment
  id = "x"
}
import {
  to = deployment.e
}
import {
  to = deployment.e
  id = "http://localhost:1"
}
import {
  to = deployment.e
  id = "http://localhost:2"
}
import {
  to = training_job.several["c"]
  id = "c"
}
import {
  for_each = { a = "a.txt", z = "z.txt" }
  to       = training_job.several[each.key]
  id       = each.value
}
import {
  to       = training_job.several["b"]
  id       = training_job.several["a"].thing
  provider = toy
  type     = "node"
}
import {
  to       = training_job.several["b"]
  id       = "b.txt"
  provider = core
  type     = "sklearn"
}
import {
  to = module.n.training_job.x
  id = "x"
  as = "y"
}
training_job "node" "several" {
  for_each = toset(["a", "b"])
}
module "m" {
  source = "./modules/m"
}
# --- file modules/m/main.mlf.hcl
import {
  to = deployment.inner
  id = "x"
}
