variable "rows" {
  type = list(object({ name = string, size = optional(numer) }))
  default = []
}
locals {
  keys    = { for x in ["a", "a"] : x => 1 }
  each    = [for x in 5 : x]
  index   = [1, 2][5]
  call    = nosuch(1)
  close   = uper("x")
  count   = upper()
  kind    = upper([])
  sum     = "a" + 1
  not     = !"x"
  null    = null.x
  cond    = "x" ? 1 : 2
  branch  = true ? [1] : { a = 1 }
  text    = "a${[1]}b"
  attr    = { a = 1 }.b
  splat   = { a = [1, 2] }.a.b
  expand  = max("x"...)
  convert = tonumber("x")
  file    = file("nowhere.txt")
  regex   = regex("(", "a")
  object  = { [1] = 2 }
  negate  = -"x"
  unclear = { local.keys = 1 }
  deep    = tolist([{ a = 1 }, { a = 2 }])[*].a
  nothing = tolist(null)[*].a
  mixed   = tolist([[1], [2, 3]])[*][0]
  template = templatestring(local.pattern, { x = [1] })
  pattern  = "$${x}"
}
