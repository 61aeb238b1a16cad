trigger "t" {
  on      = [monitor.m.alarm]
  advance = []
  need    = { new_rows = -1, old_rows = 2 }
}
trigger "u" {
  on      = "monitor.m"
}
trigger "v" {
  schedule = "0 25 * * *"
  cooldown = "a while"
  budget   = { per = "30d" }
  mode     = "ask"
}
trigger "w" {
  advance = []
}
trigger "x" {
  on = [trigger.w]
}
