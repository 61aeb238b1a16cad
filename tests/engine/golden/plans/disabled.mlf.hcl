variable "on" {
  default = true
}
training_job "node" "a" {
  value = 1
  lifecycle {
    enabled = var.on
  }
}
deployment "file" "d" {
  for_each = toset(["eu", "us"])
  shows    = 1
  lifecycle {
    enabled = each.key == "eu" || var.on
  }
}
# --- then
variable "on" {
  default = false
}
training_job "node" "a" {
  value = 1
  lifecycle {
    enabled = var.on
  }
}
deployment "file" "d" {
  for_each = toset(["eu", "us"])
  shows    = 1
  lifecycle {
    enabled = each.key == "eu" || var.on
  }
}
