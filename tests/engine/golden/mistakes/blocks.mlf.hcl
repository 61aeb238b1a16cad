resouce "node" "a" {}
resource "node" "a" {}
module "m" {}
value = 1
training_job "node" {}
trigger "a" "b" {}
locals "x" {}
gate {}
training_job "node" "1st" {}
