mlform {
  executor "slrum" "cluster" {}
  executor "process" "local" {}
  executor "local" "mine" {}
  executor "slurm" "cluster" {
    cpu    = 4
    memory = "8GiB"
  }
  executor "slurm" "cluster" {}
  pool "licence" {
    slots = 0
  }
  executor "kubernetes" "pods" {
    image = "registry.example.org/stages:1"
    gpu   = 0.5
    jobs  = 0
  }
}
training_job "node" "a" {
  executor = "clutser"
  pool     = "license"
}
training_job "node" "b" {
  executor = "cluster"
  pool     = ["licence", "gpus"]
  resources {
    cpu    = 8
    memory = "16GiB"
  }
}
training_job "node" "c" {
  executor = training_job.b.parity
  timeout  = "soon"
  retry {
    attempts = 0
    on       = ["rain"]
  }
}
training_job "node" "d" {
  resources {
    gpu = 1.5
  }
}
training_job "node" "e" {
  executor = "cluster"
  resources {
    gpu = 0.5
  }
}
training_job "node" "f" {
  executor = "pods"
  resources {
    gpu = 1 / 4
  }
}
training_job "node" "g" {
  executor = pods
  pool     = pool.licence
  timeout  = now
  retry    = { attempts = 2 }
}
