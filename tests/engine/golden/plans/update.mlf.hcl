deployment "file" "a" {
  shows = 1
}
# --- then
deployment "file" "a" {
  shows = 2
  size  = 4
}
