variable "k" {
  default   = "old"
  sensitive = true
}
training_job "node" "a" {
  token = var.k
}
# --- then
variable "k" {
  default   = "new"
  sensitive = true
}
training_job "node" "a" {
  token = var.k
}
