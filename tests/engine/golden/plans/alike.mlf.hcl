variable "v" {
  default = 1
}
training_job "node" "many" {
  for_each = toset(["a", "b", "c", "d", "e", "f"])
  value    = 1
  uses     = [length(each.key)]
}
training_job "node" "some" {
  count = 5
  value = 1
  note  = count.index == 0 ? "first" : ""
}
# --- then
variable "v" {
  default = 1
}
training_job "node" "many" {
  for_each = toset(["a", "b", "c", "d", "e"])
  value    = 2
  uses     = [length(each.key)]
}
training_job "node" "some" {
  count = 5
  value = 3
  note  = count.index == 0 ? "first" : ""
  uses  = [count.index]
}
training_job "node" "new" {
  count = 4
  value = count.index
  note  = "new"
}
