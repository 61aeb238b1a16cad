provider "toy" {
  alias    = "loud"
  greeting = "HELLO"
}
provider "toy" {
  alias = "loud"
}
provider "toy" {
  greeting = training_job.a.parity
}
training_job "node" "a" {
  provider = toy.luod
}
training_job "node" "b" {
  provider = "toy.loud"
}
training_job "node" "c" {
  provider = toy.a.b
}
