training_job "node" "a" {}
# --- file .mlform.lock.hcl
pin "dataset.d" {
  source  = "x"
  version = "sha256:1234"
}
