training_job "node" "a" {
  piece {
    name = "x"
    siez = 1
  }
  piece "label" {
    name = "y"
  }
  dynamic "shape" {
    for_each = [1]
  }
  dynamic "piece" {
    content {
      name = piece.value
    }
  }
  dynamic "peace" {
    for_each = [1]
    content {}
  }
}
training_job "node" "b" {
  shape {
    name = "x"
  }
  shape {
    name = "y"
  }
  piece = []
  piece {
    name = "z"
  }
  dynamic "piece" {
    for_each = [1]
    iterator = "it"
    content {
      name = "z"
    }
    content {
      name = "z"
    }
  }
  lifecycle {}
  lifecycle {}
}
training_job "node" "c" {
  piece {
    size = "big"
  }
}
