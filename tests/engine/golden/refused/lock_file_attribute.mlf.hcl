training_job "node" "a" {}
# --- file .mlform.lock.hcl
pins = 3
