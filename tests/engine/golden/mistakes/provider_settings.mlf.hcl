provider "toy" {
  greting = 3
}
provider "toy" {
  alias    = "loud"
  greeting = [1]
}
training_job "node" "a" {
  szie = 3
}
training_job "node" "b" {
  provider = toy.loud
}
