b { c = 1, d = 2 }
b { c {} }
b { c = 1
}
b {} c {}
b {
  c = 1 }
