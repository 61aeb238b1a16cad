dataset "x${var.y}" {
}
after = 2
