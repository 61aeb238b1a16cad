trigger "t" {
  on      = [monitor.m.alarm]
  advance = []
  need    = { new_rows = -1, old_rows = 2 }
}
trigger "u" {
  on      = "monitor.m"
}
